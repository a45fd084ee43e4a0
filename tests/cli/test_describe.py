import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main
from fgvr.cli.descriptions import describe_before_training
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.manifest import ManifestDataset
from fgvr.descriptions.files import read_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.tasks.name import NameTask
from fgvr.methods.zero_shot import ZeroShotMethod
from fgvr.runs import RunFolder
from fgvr.testing.tiny import TinyBackbone
from fgvr.testing.tiny_remote import TinyRemoteLabeler
from fgvr.testing.tiny_server import TinyAnswer, TinyServer

PHOTOS = len(COLOURS) * SUPPORT
KNOWN = [*OPTIONS[:4], *OPTIONS[8:], "--data.class_names", "dataset"]


async def answer(body):
    return TinyAnswer({"raw": f"Something seen after {len(body['prompt'])} letters.", "cost_usd": 0.01})


@pytest.fixture
def server(tiny_run):
    with TinyServer(answer) as server:
        labeler = {
            "class_path": "fgvr.testing.tiny_remote.TinyRemoteLabeler",
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
    assert f"image descriptions: {PHOTOS} photos, {PHOTOS} requests: 0 stored, {PHOTOS} to ask, about $0.16" in out
    assert "group descriptions: " in out
    assert "image prompt: Describe the bird in the photo concisely" in out
    assert '"task": "describe_group"' in out
    assert not server.asked
    assert not Path("runs/latteclip").exists()


def test_describe_and_the_same_again(server, capsys):
    assert main(COMMAND) == 0
    out = capsys.readouterr().out
    folder = RunFolder(Path(out.splitlines()[-1]))
    assert f"image descriptions: {PHOTOS} usable; group descriptions: " in out
    assert {path.name for path in folder.path.iterdir()} == {"config.yaml", "descriptions.parquet", "vocabulary.json"}
    table = pq.read_table(folder.descriptions).to_pylist()
    assert [row["kind"] for row in table[:PHOTOS]] == ["image"] * PHOTOS
    assert all(len(row["members"]) == 2 and row["class_name"] in COLOURS for row in table[PHOTOS:])
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


def test_the_label_space_may_be_that_of_labels(tiny_run, server, capsys):
    command = ["describe", "--config", "latteclip.yaml", *OPTIONS]
    labeler = {"class_path": "fgvr.testing.tiny_remote.TinyRemoteLabeler", "init_args": {"base_url": server.url}}
    command += ["--data.describe.labeler", json.dumps(labeler)]
    assert main(command) == 2
    assert "Run `fgvr label` with the same options first" in capsys.readouterr().err
    assert not list(Path("runs").glob("latteclip/*/descriptions.parquet"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data.max_cost_usd", "0.05"], "run the same command again, which may spend --data.max_cost_usd"),
        (["--engine", "ray"], "--engine ray is for models that run on one's own machines"),
        (["--batch"], "TinyRemoteLabeler cannot be asked by batch"),
        (["--data.describe.group_size", "1"], "data.describe.group_size is 1; expected 2 to 16"),
        (["--data.describe.group_sice", "4"], "group_sice"),
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
    with pytest.raises(SystemExit):
        main(["describe", option])
    assert shown in " ".join(capsys.readouterr().out.split())


def test_before_training(server, capsys):
    labeler = TinyRemoteLabeler(server.url, task=NameTask())
    data = FgvrDataModule(ManifestDataset(Path("birds")), labeler, class_names="dataset")
    method, folder = ZeroShotMethod(TinyBackbone()), RunFolder(Path("run"))
    options = DescribeOptions(groups=False)
    with pytest.raises(FgvrError, match=rf"{PHOTOS} descriptions were not asked for yet.*Run `fgvr describe`"):
        describe_before_training(data, method, options, folder, alone=False)
    describe_before_training(data, method, options, folder)
    assert len(read_descriptions(folder.descriptions)) == PHOTOS
    asked = len(server.asked)
    describe_before_training(data, method, DescribeOptions(domain="bird"), folder)
    assert len(server.asked) == asked, "a resumed run has its descriptions"
    describe_before_training(data, method, options, RunFolder(Path("other")), alone=False, asked_before=True)
    assert len(server.asked) == asked
    assert data.run_folder is None
