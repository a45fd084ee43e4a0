"""fgvr from Python."""

import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tiny_run import OPTIONS

import fgvr
from fgvr.cli import main
from fgvr.config.options import as_arguments, as_config
from fgvr.errors import FgvrError
from fgvr.testing.tiny import TinyBackbone

DATA = {
    "dataset": {"class_path": "manifest", "init_args": {"root": "birds"}},
    "labeler": {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}},
    "batch_size": 5,
}
MODEL = {
    "class_path": "coop",
    "init_args": {
        "backbone": "fgvr.testing.tiny.TinyBackbone",
        "head": {"class_path": "prompt", "init_args": {"n_ctx": 4}},
        "lr": 0.1,
    },
}
TRAINER = {"accelerator": "cpu", "max_epochs": 6}


def comparable(folder):
    """What a run leaves, without what differs between two runs of the same command."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for row in metrics.values():
        row.pop("seconds", None)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config.pop("run")
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in ("labels", "candidates", "predictions")}
    return metrics, config, (folder / "vocabulary.json").read_text(), tables


@pytest.fixture
def run(tiny_run):
    return fgvr.fit(data=DATA, model=MODEL, trainer=TRAINER)


def test_equal_files_from_python_and_the_command_line(run, capsys):
    assert capsys.readouterr().out.count("sACC") == 0, "nothing is printed but by choice"
    assert main(["fit", *OPTIONS, "--run.name", "typed"]) == 0
    from_python, typed = comparable(run.folder.path), comparable(Path("runs/typed/0"))
    assert from_python == typed


def test_what_came_of_a_run(run):
    assert list(run.table) == ["zero_shot", "coop"]
    assert run.table["coop"]["cacc"] == json.loads(run.folder.metrics.read_text())["coop"]["cacc"]
    assert str(run.table) == repr(run.table)
    assert "<td>coop</td>" in run.table._repr_html_()
    assert pd.DataFrame(run.table).loc["cacc", "coop"] == run.table["coop"]["cacc"]
    assert run.predictions.to_pandas()["coop_name"].notna().all()
    assert Path(run.report).read_text().startswith("<!doctype html>")
    run.folder.report.unlink()
    assert run.report().path.is_file()
    assert "srcdoc" in run.report._repr_html_()
    again = fgvr.open_run("runs/run")
    assert again.table == run.table
    assert again.predictions.equals(run.predictions)


def test_a_run_goes_on_from_its_checkpoint(run):
    last = str(run.folder.checkpoints / "last.ckpt")
    longer = fgvr.fit(run.folder.config, ckpt_path=last, trainer={"max_epochs": 8})
    assert longer.folder == run.folder
    assert len(fgvr.open_run(run.folder).predictions) == 12


def test_a_model_names_what_is_at_hand(run):
    model = fgvr.load(run.folder)
    files = [Path("birds") / row["sample_id"] for row in run.predictions.to_pylist()]
    named = model.predict(files, top_k=3)
    assert [entry.name for entry in named] == run.predictions["coop_name"].to_pylist()
    scores = np.array([entry.scores for entry in named])
    assert scores[:, 0] == pytest.approx(run.predictions["coop_score"].to_numpy(), abs=1e-3)
    assert (np.diff(scores) <= 0).all()
    with Image.open(files[0]) as picture:
        pixels = np.asarray(picture.convert("RGB"))
        for same in (str(files[0]), picture, pixels):
            assert model.predict(same, top_k=3)[0].names == named[0].names
        assert [e.names for e in model.predict([picture, pixels, files[0]], top_k=3)] == [named[0].names] * 3
    assert len(model.predict("birds/photos", batch_size=5)) == 28
    # an archive of Windows, unpacked where backslashes are letters
    Path("unpacked").mkdir()
    shutil.copyfile(files[0], "unpacked/train\\a.png")
    assert model.predict("unpacked", top_k=3)[0].names == named[0].names
    assert list(pd.DataFrame(named)) == ["image", "names", "scores"]
    zero_shot = fgvr.load(run.folder, row="zero_shot").predict(files)
    assert [entry.name for entry in zero_shot] == run.predictions["zero_shot_name"].to_pylist()


def test_a_model_has_the_weights_that_were_evaluated(tiny_run):
    init = {"backbone": "fgvr.testing.tiny.TinyBackbone", "lr": 0.1, "wise_ft": 0.3}
    model = {"class_path": "flyp", "init_args": init}
    run = fgvr.fit(data=DATA, model=model, trainer=TRAINER)
    rows = run.predictions.to_pylist()
    named = fgvr.load(run.folder).predict([f"birds/{row['sample_id']}" for row in rows])
    assert [each.scores[0] for each in named] == pytest.approx([row["flyp_score"] for row in rows], abs=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "There is no photo"),
        ("no_such.jpg", "'no_such.jpg' cannot be read: no such file"),
        (np.zeros((4, 4, 3)), "array of float64"),
        ([np.zeros((4, 4), np.uint8)], r"shape \(4, 4\); expected uint8, height x width x 3"),
        ([3], "Photo 0 is a int"),
    ],
)
def test_what_is_no_photo(run, images, message):
    with pytest.raises(FgvrError, match=message):
        fgvr.load(run.folder).predict(images)


def test_unreadable_files_may_be_left_out(run):
    Path("birds/photos/broken.png").write_bytes(b"")
    model = fgvr.load(run.folder)
    with pytest.raises(FgvrError, match="the file is empty"):
        model.predict("birds/photos")
    assert len(model.predict("birds/photos", skip_unreadable=True)) == 28


def test_a_test_of_an_opened_run_has_a_folder_of_its_own(tiny_run):
    rows = {"cc": {"model.loss": "cc"}}
    run = fgvr.fit(data=DATA, model=MODEL, trainer=TRAINER, checkpoint={"select": "covering_rate"}, compare=rows)
    table, predictions = run.table, run.predictions
    assert run.test() is run
    assert run.predict() is run
    opened = fgvr.open_run("runs/run")
    tested, predicted = opened.test(), fgvr.open_run("runs/run/0").predict()
    assert [run.folder.path.name for run in (run, tested, predicted)] == ["0", "1", "2"]
    assert run.table == table == opened.table
    assert run.predictions.equals(predictions)
    assert tested.table["coop"]["cacc"] == table["coop"]["cacc"], "of the chosen epoch, and not of the last one"
    assert predicted.predictions["coop_name"].equals(predictions["coop_name"])
    # these commands have keys of their own, and are the newest versions
    assert fgvr.open_run("runs/run").folder == predicted.folder
    assert fgvr.load("runs/run").predict("birds/photos")


def test_each_run_has_its_own_seed(tiny_run):
    first = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER, seed_everything=1)
    second = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER, seed_everything=2)
    again = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER, seed_everything=1)
    learned = [run.fit().method.head.context.tolist() for run in (first, second, again)]
    assert learned[0] == learned[2] != learned[1]


def test_a_method_and_its_options():
    method = fgvr.configure(dataset="fieldguide", method="coop", model={"lr": 0.5, "backbone": "lite"}).method
    assert (type(method).__name__, method.lr) == ("CoOpMethod", 0.5)
    with pytest.raises(FgvrError, match="method and model both name a method"):
        fgvr.configure(dataset="fieldguide", method="coop", model="linear")


def test_a_run_without_a_folder_makes_none_by_being_looked_at(tiny_run):
    run = fgvr.configure(data=DATA, model=MODEL)
    for look in (lambda: run.table, lambda: run.folder, lambda: run.predictions):
        with pytest.raises(FgvrError, match="no folder yet"):
            look()
    assert not Path("runs").exists()
    assert run.data.label_plan().missing == 16


def test_a_stage_that_fails_gives_its_folder_back(tiny_run):
    failed = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER)
    with pytest.raises(FgvrError, match="have no reply"):
        failed.candidates()
    good = fgvr.fit(data=DATA, model=MODEL, trainer=TRAINER)
    assert good.folder.path == Path("runs/run/0")
    before = good.folder.metrics.read_bytes()
    assert failed.fit().folder.path == Path("runs/run/1")
    assert good.folder.metrics.read_bytes() == before


def test_fit_is_done_once_and_goes_on_where_it_was_stopped(tiny_run):
    from lightning.pytorch import Callback

    class Stop(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                raise RuntimeError("power cut")

    run = fgvr.configure(data=DATA, model=MODEL, trainer={**TRAINER, "callbacks": [Stop()]})
    with pytest.raises(RuntimeError, match="power cut"):
        run.fit()
    with pytest.raises(FgvrError, match=r"open_run\('runs/run/0'\)\.fit\(\)"):
        run.fit()
    finished = fgvr.open_run("runs/run/0").fit()
    assert finished.folder.path == Path("runs/run/0")
    whole = fgvr.fit(data=DATA, model=MODEL, trainer=TRAINER)
    assert finished.predictions.equals(whole.predictions)
    learned = whole.method.head.context.tolist()
    assert whole.fit() is whole
    assert whole.method.head.context.tolist() == learned


def test_the_mark_of_true_names_outlives_other_stages(tiny_run):
    run = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER)
    run.data.begin(replace(run.data.state, oracle=True))
    run.label()
    assert run.data.state.oracle


@pytest.mark.parametrize("method", ["reclip", "flyp", "class_means"])
def test_every_method_names_photos_that_are_at_hand(tiny_run, method):
    tiny = "fgvr.testing.tiny.TinyBackbone"
    clip = {"class_path": "open_clip", "init_args": {"model": "fieldguide-clip"}}
    model = {"class_path": method, "init_args": {"backbone": clip if method == "reclip" else tiny}}
    options = {"accelerator": "cpu", "max_epochs": 1}
    run = fgvr.fit(data={**DATA, "class_names": "dataset"}, model=model, trainer=options)
    files = [Path("birds") / row["sample_id"] for row in run.predictions.to_pylist()]
    named = fgvr.load(run.folder).predict(files)
    own = list(run.table)[-1]
    assert [entry.name for entry in named] == run.predictions[f"{own}_name"].to_pylist()


def test_a_picture_is_seen_as_its_file_is(run, tmp_path):
    noise = np.random.default_rng(0)
    deep = Image.fromarray(noise.integers(0, 65535, (20, 30), dtype=np.uint16))
    clear = Image.fromarray(noise.integers(0, 255, (20, 30, 4), dtype=np.uint8), "RGBA")
    model = fgvr.load(run.folder)
    for number, picture in enumerate((deep, clear)):
        path = tmp_path / f"{number}.png"
        picture.save(path)
        with Image.open(path) as opened:
            assert model.predict(opened, top_k=4)[0].scores == model.predict(path, top_k=4)[0].scores


def test_what_cannot_be_made_is_found_before_anything_is_paid_for(tiny_run):
    trainer = {**TRAINER, "logger": {"class_path": "lightning.pytorch.loggers.CometLogger"}}
    with pytest.raises(FgvrError, match=r"trainer\.logger"):
        fgvr.fit(data={**DATA, "label_store": "paid.sqlite"}, model=MODEL, trainer=trainer)
    assert not Path("paid.sqlite").exists()
    assert not list(Path("runs").glob("*/*"))
    with pytest.raises(FgvrError, match="trainer is 'cpu'"):
        fgvr.fit(trainer="cpu")
    with pytest.raises(FgvrError, match="jobs is -1"):
        fgvr.sweep("ablations/k.yaml", jobs=-1)


def test_compared_rows_that_fail_are_an_error(tiny_run):
    rows = {"gpu": {"trainer.accelerator": "gpu"}}
    with pytest.raises(FgvrError, match=r"Not in the table of 'runs/run/0'.*'gpu', again with"):
        fgvr.fit(data=DATA, model=MODEL, trainer=TRAINER, compare=rows)
    assert list(fgvr.open_run("runs/run").table) == ["zero_shot", "coop"]


def test_stages_of_a_run_one_by_one(tiny_run):
    run = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER)
    with pytest.raises(FgvrError, match="have no reply"):
        run.candidates()
    assert not list(Path("runs/run").glob("*")), "no empty folder is left"
    labels = fgvr.configure(data=DATA, model=MODEL).label()
    assert len(labels) == 16
    run = fgvr.configure(data=DATA, model=MODEL, trainer=TRAINER)
    sets = run.candidates()
    assert len(sets) == 16
    assert run.folder.candidates.is_file()
    run.fit()
    assert run.test().table["coop"]["cacc"] == run.table["coop"]["cacc"]


def test_objects_are_written_as_what_they_were_made_of(tiny_run):
    from fgvr.datasets.manifest import ManifestDataset
    from fgvr.heads.prompt import PromptHead
    from fgvr.labelers.recorded import RecordedLabeler
    from fgvr.methods.coop import CoOpMethod

    method = CoOpMethod(TinyBackbone(), PromptHead(n_ctx=4), lr=0.1)
    data = {"batch_size": 5, "max_cost_usd": None}
    run = fgvr.fit(
        dataset=ManifestDataset(Path("birds")),
        labeler=RecordedLabeler(Path("replies.jsonl")),
        method=method,
        data=data,
        trainer=TRAINER,
    )
    assert main(["fit", *OPTIONS, "--run.name", "typed"]) == 0
    # its config.yaml states defaults that objects have and names leave open
    assert fgvr.fit(run.folder.config, run={"name": "again"}).folder.path == Path("runs/again/0")
    (metrics, _, *files), typed, again = (comparable(Path(f"runs/{name}/0")) for name in ("run", "typed", "again"))
    assert (metrics, *files) == (typed[0], *typed[2:]) == (again[0], *again[2:])


def test_trainer_objects_are_taken_as_they_are(tiny_run):
    from lightning.pytorch import Callback

    class Counting(Callback):
        epochs = 0

        def on_train_epoch_end(self, trainer, pl_module):
            self.epochs += 1

    counting = Counting()
    fgvr.fit(data=DATA, model=MODEL, trainer={**TRAINER, "callbacks": [counting]})
    assert counting.epochs == 6


def test_what_has_no_place_in_a_configuration():
    class Local:
        pass

    with pytest.raises(FgvrError, match=r"data\.labeler is .* has no place in a configuration"):
        as_arguments({"data": {"labeler": Local()}})
    with pytest.raises(FgvrError, match="has no place"):
        as_config(object(), "here")
    assert as_config({"a": (1, Path("b"), np.int64(3))}) == {"a": [1, "b", 3]}
    assert as_arguments({"x": {"y": float("inf")}, "z": float("inf")}) == ["--x={y: .inf}", "--z=.inf"]


def test_mistakes_are_errors_with_their_key(tiny_run):
    with pytest.raises(FgvrError, match=r"Did you mean '--data\.shots'"):
        fgvr.fit(data={**DATA, "shot": 2}, model=MODEL)
    with pytest.raises(FgvrError, match="There is no run 'runs/none'"):
        fgvr.load("runs/none")
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        fgvr.fitt  # noqa: B018


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = "import fgvr, sys; fgvr.FgvrError; dir(fgvr); sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(fgvr.__all__) <= set(dir(fgvr))


def test_a_script_needs_no_main_guard(tiny_run):
    """With a compared row, which is a process of its own."""
    Path("script.py").write_text(
        textwrap.dedent(
            f"""
            import fgvr
            rows = {{"cc": {{"model.loss": "cc"}}}}
            run = fgvr.fit(data={DATA!r}, model={MODEL!r}, trainer={TRAINER!r}, compare=rows)
            print("rows:", *run.table)
            """
        )
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "rows: zero_shot cc coop"
    assert "sACC" not in done.stdout, "the rows print into a file"
    assert "runs/run/0/compare/cc\n" in Path("runs/run/0/compare/output.log").read_text()
