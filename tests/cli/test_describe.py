import json
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS, SUPPORT
from tower_run import QUIET

from fgvr.cli import main
from fgvr.data.datamodule import FgvrDataModule
from fgvr.datasets.manifest import ManifestDataset
from fgvr.descriptions.files import Origin, read_descriptions, write_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.tasks.name import NameTask
from fgvr.methods.latteclip import LatteClipMethod
from fgvr.methods.zero_shot import ZeroShotMethod
from fgvr.pipeline.descriptions import describe_before_training
from fgvr.records import Description
from fgvr.runs import RunFolder
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

IMAGES = len(COLOURS) * SUPPORT
KNOWN = [*OPTIONS[:4], *OPTIONS[8:], "--data.class_names", "dataset"]


async def answer(body):
    return TinyAnswer({"raw": f"Something seen after {len(body['prompt'])} letters.", "cost_usd": 0.01})


@pytest.fixture
def server(tiny_run):
    with TinyServer(answer) as server:
        labeler = {
            "class_path": "tiny.remote.TinyRemoteLabeler",
            "init_args": {"base_url": server.url, "price_usd": 0.01, "task": "name"},
        }
        describe = {"domain": "bird", "groups_per_class": 2, "group_size": 2}
        config = {"data": {"labeler": labeler, "describe": describe}}
        Path("latteclip.yaml").write_text(yaml.safe_dump(config))
        yield server


COMMAND = ["describe", "--config", "latteclip.yaml", *KNOWN]


def test_a_dry_run_asks_nothing_and_leaves_nothing(server, capsys):
    assert main([*COMMAND, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"image descriptions: {IMAGES} photos, {IMAGES} requests: 0 stored, {IMAGES} to ask, about $0.16" in out
    assert "group descriptions: " in out
    assert "image prompt: Describe the bird in the photo concisely" in out
    assert '"task": "describe_group"' in out
    assert not server.asked
    assert not Path("runs/latteclip").exists()


def test_describe_and_the_same_again(server, capsys):
    assert main(COMMAND) == 0
    out = capsys.readouterr().out
    folder = RunFolder(Path(out.splitlines()[-1]))
    assert f"image descriptions: {IMAGES} usable; group descriptions: " in out
    left = {"config.yaml", "descriptions.parquet", "vocabulary.json", "checksums.txt", ".lock"}
    assert {path.name for path in folder.path.iterdir()} == left
    table = pq.read_table(folder.descriptions).to_pylist()
    assert [row["kind"] for row in table[:IMAGES]] == ["image"] * IMAGES
    assert all(len(row["members"]) == 2 and row["class_name"] in COLOURS for row in table[IMAGES:])
    asked = len(server.asked)
    # what it did is a configuration like any other
    assert main(["describe", "--config", str(folder.config)]) == 0
    assert len(server.asked) == asked
    again = RunFolder(Path(capsys.readouterr().out.splitlines()[-1]))
    assert pq.read_table(again.descriptions).to_pylist() == table
    # and its descriptions can be brought along
    assert main([*COMMAND, "--data.describe.file", str(folder.descriptions)]) == 0
    out = capsys.readouterr().out
    assert "nothing to ask" in out
    assert pq.read_table(RunFolder(Path(out.splitlines()[-1])).descriptions).to_pylist() == table


def test_short_names_and_the_command_line(tiny_run, capsys):
    lines = [{"image": f"{n}_{i}.png", "raw": f"Bird {n}."} for n in range(len(COLOURS)) for i in range(SUPPORT)]
    Path("said.jsonl").write_text("\n".join(map(json.dumps, lines)))
    options = ["--data.describe.labeler", "recorded", "--data.describe.labeler.path", "said.jsonl"]
    assert main(["describe", *KNOWN, *options, "--data.describe.groups", "false"]) == 0
    folder = RunFolder(Path(capsys.readouterr().out.splitlines()[-1]))
    assert {each.text for each in read_descriptions(folder.descriptions)} == {f"Bird {n}." for n in range(4)}


def test_the_vocabulary_may_be_that_of_labels(tiny_run, server, capsys):
    command = ["describe", "--config", "latteclip.yaml", *OPTIONS]
    labeler = {"class_path": "tiny.remote.TinyRemoteLabeler", "init_args": {"base_url": server.url}}
    command += ["--data.describe.labeler", json.dumps(labeler)]
    assert main(command) == 2
    assert "Run the label stage with the same options first" in capsys.readouterr().err
    assert not list(Path("runs").glob("latteclip/*/descriptions.parquet"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data.max_cost_usd", "0.05"], "start the same run again, which may spend data.max_cost_usd"),
        (["--engine", "ray"], "--engine ray is for models that run on one's own machines"),
        (["--batch"], "TinyRemoteLabeler cannot be asked by batch"),
        (["--data.describe.group_size", "1"], "data.describe.group_size is 1; expected 2 to 16"),
        (["--data.describe.group_sice", "4"], "group_sice"),
        (["--data.describe.right_in_group", "3"], "data.describe.right_in_group is 3; expected 0 to 2"),
        (["--data.describe.file", "no.csv"], "There is no 'no.csv'"),
    ],
)
def test_what_goes_wrong_leaves_no_run_folder(server, capsys, more, message):
    assert main([*COMMAND, *more]) == 2
    assert message in capsys.readouterr().err
    assert not list(Path("runs").glob("latteclip/*"))


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("--help", "--dry-run"),
        ("--help", "--data.describe.help"),
        ("--data.describe.help", "Photos in a group, from 2"),
    ],
)
def test_help_explains_the_options(capsys, option, shown):
    with suppress(SystemExit):  # the parser's way; the table of options returns
        main(["describe", option])
    assert shown in " ".join(capsys.readouterr().out.split())


def run_of(server, texts=None, **options):
    labeler = TinyRemoteLabeler(server.url, price_usd=0.01, task=NameTask())
    options = {"labeler": labeler, "class_names": "dataset", **options}
    return FgvrDataModule(ManifestDataset(Path("birds")), **options), LatteClipMethod(TinyBackbone(), texts=texts)


def test_before_training(server):
    data, method = run_of(server, ["class", "image"], describe=DescribeOptions())
    folder = RunFolder(Path("run"))
    with pytest.raises(FgvrError, match=rf"{IMAGES} descriptions were not asked for yet.*Run the describe stage"):
        describe_before_training(data, method, folder, alone=False)
    origin = describe_before_training(data, method, folder)
    assert origin == Origin(pytest.approx(0.01 * IMAGES), simulated=False)
    assert len(read_descriptions(folder.descriptions)) == IMAGES
    asked = len(server.asked)
    other = run_of(server, describe=DescribeOptions(domain="bird"))
    assert describe_before_training(*other, folder) == origin, (
        "a resumed run has its descriptions, and knows their cost"
    )
    assert len(server.asked) == asked
    assert describe_before_training(data, method, RunFolder(Path("other")), alone=False, asked_before=True) == origin
    assert len(server.asked) == asked
    assert data.run_folder is None


@pytest.mark.parametrize("texts", [["class"], ["class", "image"], ["group"], None])
def test_only_what_the_method_trains_with_is_asked_for(server, texts):
    data, method = run_of(server, texts)
    folder = RunFolder(Path("run"))
    origin = describe_before_training(data, method, folder)
    kinds = {each.kind for each in read_descriptions(folder.descriptions)} if folder.descriptions.is_file() else set()
    assert kinds == set(method.texts) - {"class"}
    assert (origin is None) == (not kinds) == (not server.asked)
    plain = ZeroShotMethod(TinyBackbone())
    assert describe_before_training(data, plain, RunFolder(Path("plain"))) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labeler": None}, r"Nobody describes the photos: set data\.describe\.labeler .* in data\.describe\.file"),
        ({"describe": DescribeOptions(groups=False)}, r"trains with group-descriptions, but data\.describe\.groups is"),
    ],
)
def test_a_run_without_descriptions_is_refused_before_features_are_computed(server, monkeypatch, options, message):
    data, method = run_of(server, **options)
    monkeypatch.setattr(data.features, "of", None)
    with pytest.raises(FgvrError, match=message):
        describe_before_training(data, method, RunFolder(Path("run")))
    assert not server.asked


MODEL = ["--model", "latteclip", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
FIT = ["fit", "--config", "latteclip.yaml", *KNOWN[:4], *MODEL, "--trainer.accelerator", "cpu"]
FIT += ["--data.batch_size", "5", "--trainer.max_epochs", "1", "--model.warmup_steps", "0"]
KNOWN_FIT = [*FIT, "--data.class_names", "dataset"]


def metrics_of(out):
    return json.loads(RunFolder(Path(out.splitlines()[-1])).metrics.read_text())["latteclip"]


def test_a_resumed_run_knows_what_its_descriptions_cost_and_a_test_run_does_not(server, capsys):
    assert main(KNOWN_FIT) == 0
    first = metrics_of(capsys.readouterr().out)
    assert first["cost_usd"] == pytest.approx(0.01 * len(server.asked))
    checkpoint = ["--ckpt_path", "runs/latteclip/0/checkpoints/last.ckpt"]
    assert main([*KNOWN_FIT, *checkpoint, "--trainer.max_epochs", "2"]) == 0
    assert metrics_of(capsys.readouterr().out)["cost_usd"] == first["cost_usd"]
    assert main(["test", "--config", "runs/latteclip/0/config.yaml", *checkpoint]) == 0
    assert "cost_usd" not in metrics_of(capsys.readouterr().out)


def test_a_simulation_is_marked_through_a_file_and_a_checkpoint(server, capsys):
    said = [
        Description("image", f"Bird {n}.", sample_id=f"photos/{n}_{i}.png")
        for n in range(len(COLOURS))
        for i in range(SUPPORT)
    ]
    write_descriptions(said, Path("said.parquet"), Origin(0.5, simulated=True))
    assert main([*KNOWN_FIT, "--data.describe.file", "said.parquet", "--model.texts", "[class, image]"]) == 0
    marked = metrics_of(capsys.readouterr().out)
    assert (marked["simulated"], marked["cost_usd"]) == (True, 0.5)
    Path("said.parquet").unlink()
    options = ["--config", "runs/latteclip/0/config.yaml", "--ckpt_path", "runs/latteclip/0/checkpoints/last.ckpt"]
    assert main(["test", *options]) == 0
    assert metrics_of(capsys.readouterr().out)["simulated"]


def test_groups_by_true_names_are_an_oracle_through_a_file_and_a_checkpoint(server, capsys):
    groups = ["--model.texts", "[class, group]", "--data.describe.right_in_group", "1"]
    assert main([*KNOWN_FIT, *groups]) == 0
    out = capsys.readouterr().out
    assert "latteclip (oracle)" in out
    assert metrics_of(out)["oracle"]
    run = Path("runs/latteclip/0")
    assert main(["test", "--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]) == 0
    assert metrics_of(capsys.readouterr().out)["oracle"]
    said = ["--data.describe.file", str(run / "descriptions.parquet"), "--model.texts", "[class, group]"]
    assert main([*KNOWN_FIT, *said]) == 0
    assert metrics_of(capsys.readouterr().out)["oracle"]
    images = ["--data.describe.file", str(run / "descriptions.parquet"), "--model.texts", "[class, image]"]
    assert main([*KNOWN_FIT, *images, "--data.describe.right_in_group", "1"]) == 2
    assert "data.describe.right_in_group is 1, but no groups are shown to a model" in capsys.readouterr().err
    assert main([*KNOWN_FIT, *groups, "--data.class_names", "[a, b]"]) == 2
    assert "data.describe.right_in_group needs true names" in capsys.readouterr().err


def test_descriptions_may_cost_what_labels_left_over(server, capsys):
    replies = len(COLOURS) * SUPPORT
    assert main([*FIT, "--data.max_cost_usd", str(0.01 * (replies + 4))]) == 2
    assert "start the same run again, which may spend data.max_cost_usd" in capsys.readouterr().err
    assert replies <= len(server.asked) <= replies + 4


def test_views_are_refused_before_anything_is_asked(server, capsys):
    assert main([*KNOWN_FIT, "--data.augment", "true", "--data.views", "2"]) == 2
    assert "data.views is 2, but latteclip changes the image tower" in capsys.readouterr().err
    assert not server.asked
