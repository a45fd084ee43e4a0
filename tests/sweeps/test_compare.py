import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tiny_run import OPTIONS

import fgvr
from fgvr.cli import main
from fgvr.config.cli import ParsedCLI
from fgvr.errors import FgvrError
from fgvr.methods.reclip import ReclipMethod
from fgvr.metrics.files import write_metrics
from fgvr.runs import RunFolder
from fgvr.sweeps.compare import check_rows, compared_args, merge_row, run_compared
from fgvr.testing.tiny import TinyBackbone

QUICK = [*OPTIONS, "--trainer.max_epochs", "1"]
ROWS = ["zero_shot", "coop_single", "coop_random", "coop"]


def compare(**entries):
    Path("compare.yaml").write_text(yaml.safe_dump({"compare": entries}, sort_keys=False))
    return main(["fit", *QUICK, "--config", "compare.yaml", "--run.name", "run"])


def metrics(folder="runs/run/0"):
    return json.loads(Path(folder, "metrics.json").read_text())


def test_compared_rows_are_trained_after_the_run_and_are_in_its_files(tiny_run, capfd):
    random = {"data.candidates": "random", "data.candidates.k": 2}
    assert compare(coop_single={"data.candidates": "single"}, coop_random=random) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[-1] == "runs/run/0"
    assert [words[0] for line in out if (words := line.split()) and words[0] in ROWS][-4:] == ROWS
    assert list(metrics()) == ROWS
    table = pq.read_table("runs/run/0/predictions.parquet")
    assert table.column_names[3:] == [f"{row}_{part}" for row in ROWS for part in ("name", "score")]
    report = Path("runs/run/0/report.html").read_text()
    assert all(row in report for row in ROWS)
    saved = yaml.safe_load(Path("runs/run/0/config.yaml").read_text())
    assert saved["compare"] == {"coop_single": {"data.candidates": "single"}, "coop_random": random}

    # a compared row is what the same command says by hand
    for row, options in (("coop_single", ["--data.candidates", "single"]), ("coop_random", ["--data.candidates.k=2"])):
        theirs = pq.read_table(f"runs/run/0/compare/{row}/predictions.parquet")
        for part in ("name", "score"):
            assert table[f"{row}_{part}"].equals(theirs[f"coop_{part}"])
        assert metrics()[row] == metrics(f"runs/run/0/compare/{row}")["coop"]
        if row == "coop_single":
            assert main(["fit", *QUICK, *options, "--run.name", "hand"]) == 0
            assert pq.read_table("runs/hand/0/predictions.parquet").equals(theirs)
    theirs = yaml.safe_load(Path("runs/run/0/compare/coop_random/config.yaml").read_text())
    assert (theirs["compare"], theirs["data"]["direct"]) == (None, False)
    assert pq.read_table("runs/run/0/compare/coop_single/candidates.parquet").num_rows < (
        pq.read_table("runs/run/0/candidates.parquet").num_rows
    )

    # gone on with: the row that is done is not trained again, the other one is
    done = Path("runs/run/0/compare/coop_single/metrics.json").stat().st_mtime_ns
    shutil.rmtree("runs/run/0/compare/coop_random")
    before = metrics()["coop_random"]["cacc"]
    resume = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["fit", *resume]) == 0
    assert list(metrics()) == ROWS
    assert metrics()["coop_random"]["cacc"] == before
    assert Path("runs/run/0/compare/coop_single/metrics.json").stat().st_mtime_ns == done

    # the saved configuration serves the other commands as before
    assert main(["test", *resume]) == 0
    assert list(metrics("runs/run/1")) == ["zero_shot", "coop"]
    assert main(["label", "--config", "runs/run/0/config.yaml"]) == 0


@pytest.mark.parametrize(
    "row",
    [
        {"model": "reclip", "model.k": 3},
        {"model": {"class_path": "reclip", "init_args": {"k": 3}}},
        {"model": "fgvr.methods.reclip.ReclipMethod", "model.init_args.k": 3},
        {"model.class_path": "reclip", "model.k": 3},
    ],
)
def test_another_method_has_the_backbone_and_the_templates_and_nothing_else(tmp_path, row):
    own = {"weight_decay": 0.3, "alpha": 0.5, "momentum": 0.1, "templates": ["a {}."]}
    method = compared_method(tmp_path, "latteclip", own, row)
    assert (method.k, method.templates, type(method.backbone)) == (3, own["templates"], TinyBackbone)
    default = ReclipMethod(TinyBackbone())
    for option in ("weight_decay", "alpha", "momentum"):
        assert getattr(method, option) == getattr(default, option)


@pytest.mark.parametrize(
    "row", [{}, {"model": "latteclip"}, {"model": {"class_path": "latteclip"}}, {"model": {"init_args": {}}}]
)
def test_the_same_method_has_all_options_of_the_run(tmp_path, row):
    method = compared_method(tmp_path, "latteclip", {"lr": 0.5, "wise_ft": 0.7}, {**row, "model.wise_ft": 0.6})
    assert (method.lr, method.wise_ft) == (0.5, 0.6)


def test_a_method_that_is_none(tmp_path):
    with pytest.raises(FgvrError, match="Did you mean 'reclip'"):
        compared_method(tmp_path, "latteclip", {}, {"model": "reclop"})


def compared_method(folder, name, own, row):
    """The method of a row of a run with this one."""
    options = [f"--model.{key}={json.dumps(value)}" for key, value in own.items()]
    data = ["--data.dataset=manifest", "--data.dataset.root=birds"]
    run = ParsedCLI([*data, f"--model={name}", "--model.backbone=fgvr.testing.tiny.TinyBackbone", *options])
    folder = RunFolder(folder)
    folder.config.write_text(run.parser.dump(run.config, skip_none=False))
    return ParsedCLI(compared_args(folder, "row", row)).model


def test_a_row_that_fails_leaves_the_others(tiny_run, capfd):
    Path("blocked").touch()
    entries = {"bad": {"data.label_store": "blocked/labels.sqlite"}, "coop_single": {"data.candidates": "single"}}
    assert compare(**entries) != 0
    captured = capfd.readouterr()
    assert list(metrics()) == ["zero_shot", "coop_single", "coop"]
    assert captured.out.splitlines()[-1] == "runs/run/0"
    error = captured.err.splitlines()[-1]
    said, command = error.split(", again with: ")
    assert said == "fgvr: error: Not in the table, because they failed: 'bad'"

    # other options would not be those of the compared rows
    _, *resume = shlex.split(command)
    assert main([*resume, "--trainer.max_epochs", "2"]) == 2
    assert "has other options under trainer, and compared rows belong to" in capfd.readouterr().err
    Path("blocked").unlink()
    assert main(resume) == 0
    assert list(metrics()) == ["zero_shot", "bad", "coop_single", "coop"]
    assert main([*resume, "--trainer.max_epochs", "2", "--compare", "null"]) == 0


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"Coop": {}}, "the row name 'Coop' is not made of the characters"),
        ({"../x": {}}, "the row name '../x' is not made of"),
        ({"zero_shot": {}}, "another row is called 'zero_shot'"),
        ({"labeler": {}}, "another row is called 'labeler'"),
        ({"coop": {}}, "another row is called 'coop'"),
        ({"x": {"data.candidatez": "single"}}, "'x' cannot be run: "),
        ({"x": {"data.candidates": "singel"}}, "Did you mean 'single'"),
        ({"x": {"data.batch_size": 0}}, "data.batch_size is 0"),
        ({"x": {"run.name": "y"}}, "'run.name' cannot be given here"),
        ({"x": {"compare": {}}}, "'compare' cannot be given here"),
    ],
)
def test_mistakes_are_found_before_the_training(tiny_run, capsys, entries, message):
    assert compare(**entries) == 2
    assert message in capsys.readouterr().err
    assert not list(Path("runs").glob("*/*")), "no empty folder is left"


def test_a_job_of_several_processes_is_sent_to_the_sweep(tiny_run, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert compare(coop_single={"data.candidates": "single"}) == 2
    assert "set compare to null, and run the rows side by side as a sweep" in capsys.readouterr().err


def test_the_processes_of_a_run_leave_the_compared_rows_to_the_first(tiny_run):
    Path("compare.yaml").write_text("compare: {coop_single: {data.candidates: single, trainer.devices: 1}}")
    options = [*QUICK, "--config", "compare.yaml", "--run.name", "two", "--trainer.devices=2", "--trainer.strategy=ddp"]
    result = subprocess.run(
        [sys.executable, "-m", "fgvr", "fit", *options], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert list(metrics("runs/two/0")) == ["zero_shot", "coop_single", "coop"]
    assert result.stderr.count("Compared row 1 of 1") == 1


@pytest.fixture
def runs(tmp_path):
    """A run and a compared one, as the files that are merged."""

    def write(path, images, rows):
        names = {f"{row}_name": pa.array([f"{row} {image}" for image in images]) for row in rows}
        scores = {f"{row}_score": pa.array([0.5] * len(images), pa.float32()) for row in rows}
        path.mkdir(parents=True)
        photos = {"sample_id": images, "true_name": images}
        pq.write_table(pa.table({**photos, **names, **scores}), path / "predictions.parquet")
        write_metrics(path / "metrics.json", {row: {"cacc": float(len(row))} for row in rows})

    write(tmp_path / "run", ["a", "b"], ["zero_shot", "coop", "labeler"])
    write(tmp_path / "run/compare/other", ["b", "a"], ["zero_shot", "coop"])
    write(tmp_path / "run/compare/elsewhere", ["b", "c"], ["coop"])
    return RunFolder(tmp_path / "run")


def test_a_row_is_put_before_the_runs_own_photo_by_photo(runs):
    merge_row(runs, "other")
    assert list(metrics(runs.path)) == ["zero_shot", "other", "coop", "labeler"]
    assert metrics(runs.path)["other"] == {"cacc": 4.0}
    assert pq.read_table(runs.predictions)["other_name"].to_pylist() == ["coop a", "coop b"]
    with pytest.raises(FgvrError, match="has a row 'other' already"):
        merge_row(runs, "other")


def test_a_row_on_other_photos_is_refused(runs):
    before = runs.predictions.read_bytes()
    with pytest.raises(FgvrError, match="is of other photos than"):
        merge_row(runs, "elsewhere")
    assert runs.predictions.read_bytes() == before
    assert "elsewhere" not in metrics(runs.path)
    (runs.path / "compare/other/predictions.parquet").unlink()
    with pytest.raises(FgvrError, match=r"There is no .* To run the row again, remove "):
        merge_row(runs, "other")


def test_a_row_that_cannot_be_merged_leaves_the_others(runs):
    failed = run_compared(runs, {"elsewhere": {}, "other": {}}, fork=False)
    assert failed.startswith("'elsewhere', ")
    assert "is of other photos than" in failed
    assert list(metrics(runs.path)) == ["zero_shot", "other", "coop", "labeler"]
    assert "other_name" in pq.read_table(runs.predictions).column_names


def test_the_metrics_of_a_row_say_that_its_predictions_are_there(runs, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fgvr.sweeps.compare.write_metrics", stopped)
    with pytest.raises(KeyboardInterrupt):
        merge_row(runs, "other")
    assert "other_name" in pq.read_table(runs.predictions).column_names
    assert "other" not in metrics(runs.path)


def test_compared_rows_do_not_ask_again_for_what_failed(runs, monkeypatch):
    given = []
    monkeypatch.setattr(
        "fgvr.sweeps.launch.Launcher.run", lambda self, args, environment=None, *_, **__: given.append(environment)
    )
    run_compared(runs, {"new": {"data.candidates": "single"}}, fork=False)
    assert given == [{"FGVR_ASK_AGAIN": "0"}]


def test_a_row_goes_on_with_the_options_of_its_run_and_not_with_what_its_folder_says(runs, monkeypatch):
    """Which may be somebody else's, and would be code."""
    row = RunFolder(runs.path / "compare/new")
    row.checkpoints.mkdir(parents=True)
    row.config.write_text("trainer: {callbacks: [{class_path: evil_module.Evil}]}\n")
    checkpoint = row.checkpoints / "last.ckpt"
    torch.save({"fgvr": {}}, checkpoint)
    given = []
    monkeypatch.setattr("fgvr.sweeps.launch.Launcher.run", lambda self, args, *_, **__: given.append(args))
    run_compared(runs, {"new": {"data.candidates": "single"}}, fork=False)
    assert given == [
        ["fit", *compared_args(runs, "new", {"data.candidates": "single"}), "--ckpt_path", str(checkpoint)]
    ]


def test_a_run_that_was_moved_goes_on_with_its_rows(tiny_run):
    assert compare(coop_single={"data.candidates": "single"}) == 0
    Path("runs/run").rename("runs/moved")
    done = metrics("runs/moved/0")
    shutil.rmtree("runs/moved/0/compare")
    run = fgvr.open_run("runs/moved")
    assert not run.fit().failed_rows
    assert metrics("runs/moved/0")["coop_single"]["cacc"] == done["coop_single"]["cacc"]
    assert not Path("runs/run").exists()


def test_no_row_may_be_named_like_one_of_the_run(tiny_run, capsys):
    rows = {"class_means": {"model.classifier": "class_means"}}
    Path("compare.yaml").write_text(yaml.safe_dump({"compare": rows}))
    assert main(["fit", *QUICK, "--model", "class_means", "--config", "compare.yaml"]) == 2
    assert "another row is called 'class_means' already" in capsys.readouterr().err
    assert not Path("runs/run/0").exists()


def test_rows_may_be_named_like_a_strategy():
    check_rows({"coop_single_2": {"data.candidates": "single"}}, ["coop"])
