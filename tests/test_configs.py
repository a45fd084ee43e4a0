"""Every YAML under configs/, found on disk."""

import json
from pathlib import Path

import pytest
import timm
import yaml
from open_clip import list_models
from open_clip import list_pretrained_tags_by_model as tags_of
from PIL import Image
from tiny.server import TinyAnswer, TinyServer
from tiny.wordnet import write_wordnet

from fgvr.config.cli import ParsedCLI
from fgvr.config.files import shipped_folder
from fgvr.config.judging import add_judging_options
from fgvr.data.datamodule import FgvrDataModule
from fgvr.methods.base import Method
from fgvr.registry import METHODS
from fgvr.runs import RunFolder
from fgvr.sweeps.compare import compared_args
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.sweep import Sweep

FOUND = sorted(shipped_folder().rglob("*.yaml"))
SWEEPS = [path for path in FOUND if "vary" in yaml.safe_load(path.read_text())]
OVERLAYS = [path for path in FOUND if path.parent.name in ("backbones", "labelers", "methods")]
CONFIGS = [path for path in FOUND if path not in (*SWEEPS, *OVERLAYS) and path.parent.name != "bases"]
JUDGING = [path for path in CONFIGS if path.stem.startswith("judge_")]
_LENGTH = [("data", "augment"), ("data", "batch_size"), ("trainer", "max_epochs")]
TRAINED = {
    "tfup_t": [("data", "views"), *_LENGTH],
    "coft": _LENGTH,
    "coft_plus": _LENGTH,
    "flyp_lora": [("data", "batch_size"), ("trainer", "max_epochs")],
}
"""Methods whose file says how they are trained, too, and by which keys."""
KNOWN = list_models()  # the lowest version of open_clip knows fewer
LATTECLIP = [path for path in CONFIGS if path.stem.endswith("_latteclip")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_parsed_and_instantiated(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    added = add_judging_options if path in JUDGING else None
    cli = ParsedCLI(["--config", str(path)], added)
    assert isinstance(cli.datamodule, FgvrDataModule)
    assert path not in JUDGING or path.stem == f"judge_{cli.objects.protocol.row}"
    assert isinstance(cli.model, Method)
    assert not list(tmp_path.iterdir()), "constructors are pure"
    saved = cli.parser.dump(cli.config, skip_none=False)
    (tmp_path / "saved.yaml").write_text(saved)
    again = ParsedCLI(["--config", "saved.yaml"], added)
    again.config.pop("config")
    cli.config.pop("config")
    assert again.config.as_dict() == cli.config.as_dict(), "a saved configuration is the same run"


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.stem)
def test_what_lies_over_a_data_set_is_parsed_and_instantiated(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain, over = (
        ParsedCLI(["--config", "fgvr/cub.yaml"]),
        ParsedCLI(["--config", "fgvr/cub.yaml", "--config", str(path)]),
    )
    assert not list(tmp_path.iterdir()), "constructors are pure"
    keys = ("labeler", "max_cost_usd", "model") if path.parent.name == "methods" else ("labeler", "max_cost_usd")
    given = yaml.safe_load(path.read_text())
    for config in (before := plain.config.as_dict(), after := over.config.as_dict()):
        for key in ("config", "run", "compare"):
            config.pop(key, None)
        for key in keys:
            config["data"].pop(key, None)
            config.pop(key, None)
        for section, key in TRAINED.get(path.stem, ()):
            config[section].pop(key)
        if path.parent.name == "backbones":
            config["model"]["init_args"].pop("backbone")
    assert after == before, "nothing else is changed"
    if path.parent.name == "backbones":
        assert over.config.model.init_args.backbone != plain.config.model.init_args.backbone
        return
    if path.parent.name == "labelers":
        assert type(over.datamodule.labeler).__name__.lower().startswith(given["data"]["labeler"]["class_path"])
    elif "model" in given:
        assert over.config.model.class_path == METHODS.resolve(given["model"]["class_path"])
    assert over.method.backbone.__class__ is plain.method.backbone.__class__


def test_backbones_are_models_and_weights_that_exist():
    found = {}
    for path in OVERLAYS:
        if path.parent.name == "backbones":
            found[path.stem] = yaml.safe_load(path.read_text())["model"]["init_args"]["backbone"]
    pair = found.pop("dinov2")["init_args"]
    tower = pair["visual_backbone"]["init_args"]["model"]
    assert tower in timm.list_pretrained(tower.partition(".")[0] + ".*")
    for backbone in (*found.values(), pair["joint_backbone"]):
        options = backbone["init_args"]
        assert options["model"] not in KNOWN or options["pretrained"] in tags_of(options["model"])
    assert {"siglip", "siglip2", "mobileclip", "clipa", "eva02", "dfn", "metaclip", "pe"} == set(found)


@pytest.mark.parametrize(("old", "over"), [("gpt4o", "gpt4o"), ("gemini", "gemini_flash"), ("llava", "llava_7b")])
def test_replies_to_one_question_are_shared(old, over):
    """Whatever file a labeler comes from, it is the same one to the label store."""
    first = ParsedCLI(["--config", f"cub_{old}.yaml"]).datamodule.labeler
    for name in ("cub", "pets"):
        second = ParsedCLI(["--config", f"fgvr/{name}.yaml", "--config", f"labelers/{over}.yaml"]).datamodule.labeler
        assert (first.identity(), first.prompt) == (second.identity(), second.prompt)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_run_of_a_sweep_is_parsed(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = read_grid(path)
    runs = Sweep(grid, Path("runs/sweep")).runs
    assert len({run.folder for run in runs}) == len(grid.variants) * len(grid.seeds) > 1
    assert not list(tmp_path.iterdir()), "nothing was run"


@pytest.mark.parametrize("path", LATTECLIP, ids=lambda path: path.stem)
def test_compared_rows_of_latteclip_are_trained_as_in_its_paper(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = ParsedCLI(["--config", str(path)])
    folder = RunFolder(tmp_path)
    folder.config.write_text(cli.parser.dump(cli.config, skip_none=False))
    own, rows = cli.config.model.init_args, yaml.safe_load(path.read_text())["compare"]
    options = {row: ParsedCLI(compared_args(folder, row, differing)).config for row, differing in rows.items()}
    assert [*options] == ["clip", "flyp", "flyp_true_names", "reclip"]
    for row in options.values():
        assert (row.model.init_args.backbone, row.model.init_args.templates) == (own.backbone, own.templates)
    for row, labels in (("flyp", "pseudo"), ("flyp_true_names", "true")):
        trained = options[row].model.init_args
        assert (trained.labels, trained.refresh) == (labels, "step")
        for key in ("weight_decay", "betas", "eps", "warmup_steps"):
            assert trained[key] == own[key]
        assert trained["lr"] == own["lr"] or path.stem.startswith("fieldguide"), "where another rate was tried"
        assert options[row].trainer == cli.config.trainer
        assert trained.chunk_size == own.chunk_size, "which fits into memory"
    reclip = options["reclip"].model.init_args
    assert (reclip.alpha, reclip.momentum, reclip.weight_decay) == (0.99, 0.9, 0.0001), "not those of latteclip"
    assert (reclip.text_lr, reclip.image_lr) == (0.001, 1.6e-5)


def test_the_data_sets_and_ablations_of_latteclip_are_there():
    assert len(LATTECLIP) == 12
    ablations = {path.stem: read_grid(path) for path in SWEEPS if path.stem.startswith("latteclip_")}
    runs = {stem: len(grid.variants) for stem, grid in ablations.items()}
    assert runs == {
        "latteclip_methods": 6,
        "latteclip_texts": 7,
        "latteclip_parts": 6,
        "latteclip_right_in_group": 4,
        "latteclip_group_size": 4,
        "latteclip_data": 10,
    }


def test_the_tables_and_figures_of_the_paper_are_there():
    assert {"candidates", "llm_candidates", "shots", "k"} <= {path.stem for path in SWEEPS}
    (shots,) = (path for path in SWEEPS if path.stem == "shots")
    assert {variant.values["shots"] for variant in read_grid(shots).variants} == set(range(1, 11))


@pytest.mark.parametrize("path", [*CONFIGS, *SWEEPS, *OVERLAYS], ids=lambda path: path.stem)
def test_config_says_what_it_is_and_how_to_run_it(path):
    first, second, *_ = path.read_text().splitlines()
    assert first.startswith("# ")
    command = "sweep" if path in SWEEPS else "judge" if path in JUDGING else "fit"
    assert second.startswith(f"#   fgvr {command} --config ")
    assert f"--config {path.relative_to(shipped_folder())}" in second
    if path not in OVERLAYS:
        assert second.startswith(f"#   fgvr {command} --config {path.relative_to(shipped_folder())}")


@pytest.mark.parametrize(
    "path", [path for path in SWEEPS if path.stem.startswith(("cub_", "fgvr_"))], ids=lambda p: p.stem
)
def test_sweeps_of_labelers_that_are_paid_for_seed_the_training_alone(path):
    assert not read_grid(path).seeded, "another draw, or another seed of a labeler, would be paid for"


def test_table_2_is_one_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = read_grid(shipped_folder() / "ablations/fgvr_table2.yaml")
    assert [len({variant.values[column] for variant in grid.variants}) for column in ("photos", "labeler")] == [5, 6]
    asked = set()
    for variant in grid.variants[:6] + grid.variants[6::6]:
        cli = ParsedCLI(["--config", str(grid.base), *grid.options(variant, 0)])
        assert [*cli.config.compare] == ["zs_wordnet", "cased_glosses", "labeler_direct"]
        asked.add((cli.config.data.dataset.class_path, json.dumps(cli.datamodule.labeler.identity())))
    assert len(asked) == 6 + 4, "files lie over the base in their order"


def test_gpt4o_says_what_is_missing(tmp_path, monkeypatch, capsys):
    """What it would cost, without a key; and that the key is missing, before anything is computed."""
    from fgvr.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    Path("cub/images/001.Auk").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("cub/images/001.Auk/a.jpg")
    Path("cub/images.txt").write_text("1 001.Auk/a.jpg\n")
    Path("cub/train_test_split.txt").write_text("1 1\n")
    options = ["--config", "cub_gpt4o.yaml", "--data.dataset.root", "cub"]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["label", *options, "--dry-run"]) == 0
    assert "1 photo, 1 request: 0 stored, 1 to ask, about $0.0" in capsys.readouterr().out
    assert main(["label", *options, "--dry-run", "--batch"]) == 0
    assert "by batch: about $0.0" in capsys.readouterr().out
    assert main(["fit", *options, "--trainer.accelerator", "cpu"]) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err


@pytest.fixture
def tiny_cub(tmp_path, monkeypatch):
    """Four birds with five photos each, two of them to learn from; nothing is installed or had that is paid for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    names = [f"{n:03d}.{name}" for n, name in enumerate(("Auk", "Blue_Jay", "Crane", "House_Finch"), start=1)]
    photos = [(name, f"{name}/{i}.png", i < 2) for name in names for i in range(5)]
    for number, (name, file, _) in enumerate(photos):
        path = tmp_path / "cub/images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (60 * names.index(name), number, 90)).save(path)
    table = [f"{number} {file}\n" for number, (_, file, _) in enumerate(photos, start=1)]
    split = [f"{number} {int(training)}\n" for number, (_, _, training) in enumerate(photos, start=1)]
    Path("cub/images.txt").write_text("".join(table))
    Path("cub/train_test_split.txt").write_text("".join(split))
    return ["--data.dataset.root", "cub", "--trainer.accelerator", "cpu"]


async def call_it_a_jay(body):
    """As a server of OpenAI's kind."""
    told = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A **Blue Jay**."}}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    return TinyAnswer(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [told],
            "usage": usage,
        }
    )


TINY_MODEL = ["--model.backbone", "fgvr.testing.tiny.TinyBackbone"]


def test_rows_of_table_2_run_to_their_end_and_seeds_ask_nothing_anew(tiny_cub, tmp_path, capsys):
    """GPT-4o of a server on loopback: ours with ZS-CLIP-GPT-4o, GPT-4o itself, and ZS-CLIP-WordNet."""
    from fgvr.cli import main

    write_wordnet(tmp_path / "wordnet")
    with TinyServer(call_it_a_jay) as server:
        gpt4o = [*tiny_cub, "--data.labeler.base_url", server.url, "--data.max_cost_usd", "null"]

        def rows(*options):
            assert main(["fit", *options]) == 0
            run = Path(capsys.readouterr().out.splitlines()[-1])
            return [run.parent.name, *json.loads((run / "metrics.json").read_text())]

        table2 = ["--config", "fgvr/cub.yaml", "--config", "labelers/gpt4o.yaml"]
        short = ["--trainer.max_epochs", "1", "--model.head.n_ctx", "2"]
        assert rows(*table2, *gpt4o, *TINY_MODEL, *short) == ["cub_gpt4o", "zero_shot", "coop"]
        assert len(server.asked) == 8, "two photos to learn from of each bird"
        assert server.asked[0]["model"] == "gpt-4o-2024-11-20"

        grid = read_grid(shipped_folder() / "ablations/cub_k.yaml")
        for variant, seed in ((grid.variants[0], 1), (grid.variants[1], 2)):
            options = ["--config", str(grid.base), *grid.options(variant, seed), *gpt4o, *TINY_MODEL, *short]
            assert rows(*options) == ["cub", "zero_shot", "coop"]
        assert len(server.asked) == 8, "another seed asks nobody about photos that have replies"

        assert rows(*table2, "--config", "methods/labeler_direct.yaml", *gpt4o) == [
            "cub_gpt4o_labeler_direct",
            "labeler_direct",
        ]
        assert len(server.asked) == 8 + 12, "the test photos, and they alone"
        assert rows(*table2, "--config", "methods/zero_shot.yaml", *gpt4o, *TINY_MODEL) == [
            "cub_gpt4o_zero_shot",
            "zero_shot",
        ]
        wordnet = ["--config", "methods/zs_wordnet.yaml", "--model.wordnet", "wordnet"]
        assert rows("--config", "fgvr/cub.yaml", *wordnet, *tiny_cub, *TINY_MODEL) == ["cub_zs_wordnet", "zs_wordnet"]
        cased = ["--config", "methods/cased.yaml", "--model.wordnet", "wordnet"]
        assert rows("--config", "fgvr/cub.yaml", *cased, *tiny_cub, *TINY_MODEL) == ["cub_cased", "cased_glosses"]
        assert len(server.asked) == 8 + 12
        finer = ["--config", "methods/finer.yaml", "--model.voting_backbone", TINY_MODEL[1], "--model.views", "2"]
        assert rows(*table2, *finer, *gpt4o, *TINY_MODEL) == ["cub_gpt4o_finer", "finer_names", "finer"]
        tfup = ["--config", "methods/tfup.yaml"]
        assert rows(*table2, *tfup, *gpt4o, *TINY_MODEL) == ["cub_gpt4o_tfup", "zero_shot", "tfup"]
        tfup_t = ["--config", "methods/tfup_t.yaml", "--trainer.max_epochs", "6"]
        assert rows(*table2, *tfup_t, *gpt4o, *TINY_MODEL) == ["cub_gpt4o_tfup_t", "zero_shot", "tfup", "tfup_t"]
        assert len(server.asked) == 8 + 12


def test_all_rows_of_table_2_in_one_run(tiny_cub, tmp_path, capsys, monkeypatch):
    """With a simulated labeler in the place of the paid one."""
    from fgvr.cli import main

    write_wordnet(tmp_path / "wordnet/dict")
    monkeypatch.setenv("WNHOME", str(tmp_path / "wordnet"))
    replies = [f"images/{line.split()[1]}" for line in Path("cub/images.txt").read_text().splitlines()]
    Path("names.csv").write_text("file,name\n" + "".join(f"{path},Blue Jay\n" for path in replies))
    options = ["--config", "fgvr/cub.yaml", "--config", "methods/all_rows.yaml", *tiny_cub, *TINY_MODEL]
    options += ["--data.labeler", "fixed", "--data.labeler.path", "names.csv"]
    assert main(["fit", *options, "--trainer.max_epochs", "1", "--model.head.n_ctx", "2"]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert [*json.loads((run / "metrics.json").read_text())] == [
        *("zero_shot", "zs_wordnet", "cased_glosses", "labeler_direct", "coop")
    ]
