import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import MagicMock

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS, SUPPORT
from wandb.proto.wandb_internal_pb2 import Record

from fgvr.cli import main
from fgvr.labelling.plan import LabelPlan
from fgvr.metrics.files import write_metrics
from fgvr.pipeline.preparation import label_before_training
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.sweep import Devices, Sweep

PATIENCE = 240
"""Seconds to wait for what takes ten on a machine that does nothing else."""
QUICK = ["--trainer.max_epochs", "1"]


@pytest.fixture
def grid(tiny_run):
    """Writes ``grid.yaml`` over the tiny run; the keys given replace its own."""
    options = iter(OPTIONS)
    base = {"seed_everything": 0, "data": {"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}}}
    (tiny_run / "base.yaml").write_text(yaml.safe_dump(base))
    set_ = {key.removeprefix("--"): yaml.safe_load(value) for key, value in zip(options, options, strict=True)}

    def write(**keys):
        options = set_ | keys.pop("set", {})
        content = {"base": "base.yaml", "seeds": [0, 1], "set": options, "vary": {"data.candidates": ["single", "knn"]}}
        (tiny_run / "grid.yaml").write_text(yaml.safe_dump(content | keys, sort_keys=False))
        return tiny_run / "grid.yaml"

    write()
    return write


def sweep(*options):
    return main(["sweep", "--config", "grid.yaml", *options])


def stamps():
    return {path.parent.name: path.stat().st_mtime_ns for path in Path("runs/grid").glob("*/metrics.json")}


def test_a_grid_runs_goes_on_where_it_stopped_and_does_what_fit_does(grid, capfd):
    assert sweep(*QUICK) == 0
    out = capfd.readouterr().out
    assert "4 runs: 2 variants, 2 seeds; 0 done" in out
    assert "Mean ± standard deviation over 2 seeds." in out
    assert out.splitlines()[-1] == "runs/grid"
    names = ["single-seed0", "single-seed1", "knn-seed0", "knn-seed1"]
    rows = pq.read_table("runs/grid/sweep.parquet").to_pylist()
    assert [row["run"] for row in rows] == [name for name in names for _ in ("zero_shot", "coop")]
    assert list(rows[0])[:3] == ["candidates", "seed", "row"]
    own = [row for row in rows if row["row"] == "coop"]
    assert [row["coverage"] < 1 for row in own] == [True, True, False, False]
    assert {row["classes"] for row in rows} == {4}
    for row in rows:
        metrics = json.loads(Path("runs/grid", row["run"], "metrics.json").read_text())
        assert row["cacc"] == metrics[row["row"]]["cacc"]
    with Path("runs/grid/sweep.csv").open(newline="", encoding="utf-8-sig") as stream:
        assert [line["run"] for line in csv.DictReader(stream)] == [row["run"] for row in rows]

    by_hand = [*OPTIONS, *QUICK, "--config", "base.yaml", "--data.candidates", "knn", "--seed_everything", "1"]
    assert main(["fit", *by_hand, "--run.name", "hand"]) == 0
    predictions = [pq.read_table(f"runs/{run}/predictions.parquet") for run in ("hand/0", "grid/knn-seed1")]
    assert predictions[0].equals(predictions[1])

    # one run is as if it had been stopped after its training, another one before
    finished = stamps()
    Path("runs/grid/single-seed1/metrics.json").unlink()
    Path("runs/grid/knn-seed0/metrics.json").unlink()
    shutil.rmtree("runs/grid/knn-seed0/checkpoints")
    Path("runs/grid/knn-seed0/remains").touch()
    capfd.readouterr()
    assert sweep(*QUICK) == 0
    assert "4 runs: 2 variants, 2 seeds; 2 done" in capfd.readouterr().out
    assert {name for name, stamp in stamps().items() if finished[name] != stamp} == {"single-seed1", "knn-seed0"}
    assert "--ckpt_path" not in Path("runs/grid/single-seed1/config.yaml").read_text()
    assert len(list(Path("runs/grid/single-seed1/logs").iterdir())) == 2, "it went on"
    assert not Path("runs/grid/knn-seed0/remains").exists(), "it began anew"
    again = pq.read_table("runs/grid/sweep.parquet").to_pylist()
    assert [row["cacc"] for row in again] == [row["cacc"] for row in rows]

    assert sweep("--trainer.max_epochs", "2") == 2
    error = capfd.readouterr().err
    assert "was begun with other options: then trainer.max_epochs=1, now trainer.max_epochs=2" in error
    assert "another name, or remove 'runs/grid/single-seed0'" in error
    Path("base.yaml").write_text(Path("base.yaml").read_text() + "\n# changed\n")
    assert sweep(*QUICK) == 2
    assert "another text of the base configuration (base.yaml" in capfd.readouterr().err


def test_a_failing_run_stops_no_other_and_its_log_is_shown(grid, capfd):
    names = {"good": {"model.templates": ["a {}."]}, "bad": {"data.class_names": "no_such.txt"}}
    grid(seeds=[0], vary={"names": names})
    assert sweep(*QUICK) == 1
    captured = capfd.readouterr()
    assert list(stamps()) == ["good-seed0"]
    assert "bad-seed0 failed; the end of runs/grid/bad-seed0/sweep.log:\n" in captured.err
    assert "(its process ended with exit code 2)" in captured.err
    assert "fgvr: error: data.class_names is 'no_such.txt', which is no file" in captured.err
    assert "1 of 2 runs failed" in captured.err
    assert "coop" in captured.out
    assert pq.read_table("runs/grid/sweep.parquet").num_rows == 2


def test_a_sweep_that_was_killed_goes_on(grid):
    """The runs end with it, and what they have done so far is taken up."""
    grid(seeds=[0], set={"trainer.max_epochs": 200})
    command = [sys.executable, "-m", "fgvr", "sweep", "--config", "grid.yaml", "--jobs", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    checkpoint = Path("runs/grid/single-seed0/checkpoints/last.ckpt")
    deadline = time.monotonic() + PATIENCE
    try:
        while not checkpoint.is_file():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not Path("runs/grid/single-seed0/metrics.json").exists()
    time.sleep(0.5)
    # the one before is enough where the end came while the newest took its place
    before = {path.name: path.stat().st_mtime_ns for path in checkpoint.parent.glob("*.ckpt")}
    assert before
    time.sleep(1)
    assert {path.name: path.stat().st_mtime_ns for path in checkpoint.parent.glob("*.ckpt")} == before, (
        "nobody goes on with it"
    )
    assert sweep("--jobs", "2") == 0
    assert len(list(Path("runs/grid/single-seed0/logs").iterdir())) == 2
    assert set(stamps()) == {"single-seed0", "knn-seed0"}


def test_control_c_ends_the_runs_and_the_sweep(grid, capfd, interruptible):
    grid(seeds=[0], set={"trainer.max_epochs": 2000})
    checkpoint = Path("runs/grid/single-seed0/checkpoints/last.ckpt")

    def interrupt():
        deadline = time.monotonic() + PATIENCE
        while not checkpoint.is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert sweep("--jobs", "1") == 130
    thread.join()
    assert "fgvr: stopped" in capfd.readouterr().err
    assert not stamps()
    before = checkpoint.stat().st_mtime_ns
    time.sleep(0.5)
    assert checkpoint.stat().st_mtime_ns == before, "nobody goes on with it"
    assert not Path("runs/grid/knn-seed0").exists(), "no other run was begun"


def test_a_typo_is_found_before_anything_is_run(grid, capsys):
    grid(vary={"data.candidates": ["knn", "knnn"]})
    assert sweep() == 2
    error = capsys.readouterr().err
    assert "The variant 'knnn' cannot be run: 'knnn' is not one of the fgvr.candidates. Did you mean 'knn'" in error
    grid()
    assert sweep("--data.batchsize", "3") == 2
    assert "Did you mean '--data.batch_size'" in capsys.readouterr().err
    assert sweep("--data.batch_size", "0") == 2
    assert "data.batch_size is 0" in capsys.readouterr().err
    assert sweep("--jobs", "0") == 2
    assert "fgvr sweep --help" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_help_explains_the_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["sweep", "--help"])
    assert exit_.value.code == 0
    assert "usage: fgvr sweep --config FILE" in capsys.readouterr().out


def test_a_dry_run_lists_the_commands(grid, capsys):
    assert sweep("--dry-run", "--name", "mine", "--root", "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[5] == "labels by recorded: 16 photos, 16 requests: 0 stored, 16 to ask, about $0.00"
    assert lines[6] == "the whole grid: 16 calls, about $0.00"
    assert lines[1].startswith("fgvr fit --config base.yaml ")
    assert lines[1].endswith("--seed_everything=0 --run.root=out --run.name=mine --run.version=single-seed0")
    assert not Path("out").exists()


def test_labelling_that_fails_stops_the_sweep(grid, capfd):
    Path("replies.jsonl").write_text("")
    assert sweep(*QUICK) == 2
    assert "Labelling failed, so nothing was run. The same by hand: fgvr label --config base.yaml" in (
        capfd.readouterr().err
    )
    assert not stamps()


def test_each_need_is_labelled_once(grid):
    grid(vary={"data.shots": [1, 2], "data.candidates": ["single", "knn"]})
    runs = Sweep(read_grid(Path("grid.yaml")), Path("runs/grid"))
    shots = [[option for option in args if "shots" in option] for args in runs.asking_args()]
    assert shots == [["--data.shots=1"], ["--data.shots=2"]]


def test_each_photo_is_described_once_before_the_runs(tiny_run, capfd):
    async def answer(body):
        return TinyAnswer({"raw": "A bird on a branch.", "cost_usd": 0.01})

    with TinyServer(answer) as server:
        labeler = {
            "class_path": "tiny.remote.TinyRemoteLabeler",
            "init_args": {"base_url": server.url, "price_usd": 0.01},
        }
        base = {
            "data": {
                "dataset": {"class_path": "manifest", "init_args": {"root": "birds"}},
                "class_names": "dataset",
                "labeler": labeler,
                "describe": {"group_size": 2, "groups_per_class": 2},
            },
            "model": {
                "class_path": "latteclip",
                "init_args": {"backbone": "fgvr.testing.tiny.TinyBackbone", "warmup_steps": 1, "lr": 0.001},
            },
            "trainer": {"accelerator": "cpu", "max_epochs": 1},
        }
        Path("base.yaml").write_text(yaml.safe_dump(base))
        texts = [["class", "image"], ["class", "group"], ["class", "image", "group"]]
        grid = {"base": "base.yaml", "seeds": [0], "vary": {"model.texts": texts}}
        Path("grid.yaml").write_text(yaml.safe_dump(grid))
        asking = Sweep(read_grid(Path("grid.yaml")), Path("runs/grid")).asking_args()
        unused = [[arg for arg in args if arg.endswith("s=false")] for args in asking]
        assert unused == [["--data.describe.groups=false"], ["--data.describe.images=false"], []]
        assert sweep("--jobs", "2") == 0
        assert len(server.asked) == len({json.dumps(body, sort_keys=True) for body in server.asked})
        images = [body for body in server.asked if "photos" not in body["prompt"]]
        assert len(images) == len(COLOURS) * SUPPORT
    labeler["init_args"]["model"] = "other"
    assert sweep("--name", "no_server", "--data.labeler", json.dumps(labeler)) == 2
    assert "Describing failed, so nothing was run. The same by hand: fgvr describe --config" in capfd.readouterr().err
    assert sweep("--dry-run", "--data.describe.images", "false") == 2
    assert "cannot be run: The method 'latteclip' trains with image-descriptions" in capfd.readouterr().err


def test_a_run_on_several_devices_has_them_for_itself(grid):
    grid(vary={"trainer.devices": [1, 2, "auto"]}, seeds=[0])
    runs = Sweep(read_grid(Path("grid.yaml")), Path("runs/grid")).runs
    assert [run.needs.alone for run in runs] == [False, True, False]
    assert not any(run.needs.gpu for run in runs), "the accelerator is cpu"


def test_a_run_is_done_when_its_compared_rows_are_there(grid):
    grid(set={"compare": {"coop_random": {"data.candidates": "random"}}}, seeds=[0])
    run = Sweep(read_grid(Path("grid.yaml")), Path("runs/grid")).runs[0]
    assert not run.done
    write_metrics(run.folder.metrics, {"coop": {}})
    assert not run.done
    write_metrics(run.folder.metrics, {"coop_random": {}, "coop": {}})
    assert run.done


def test_a_run_goes_on_with_the_options_of_the_sweep_and_not_with_what_its_folder_says(grid):
    """Which may be somebody else's, and would be code."""
    sweep = Sweep(read_grid(grid()), Path("runs/grid"))
    run = sweep.runs[0]
    begun = sweep.prepare(run)
    checkpoint = run.folder.checkpoints / "last.ckpt"
    checkpoint.parent.mkdir()
    torch.save({"fgvr": {}}, checkpoint)
    run.folder.config.write_text("trainer: {callbacks: [{class_path: evil_module.Evil}]}\n")
    assert sweep.prepare(run) == [*begun, "--ckpt_path", str(checkpoint)]


def test_the_order_of_the_options_does_not_matter_to_a_run_that_was_begun(grid):
    runs = Sweep(read_grid(grid()), Path("runs/grid"))
    runs.prepare(runs.runs[0])
    begun = json.loads(runs.runs[0].record.read_text())
    runs.runs[0].record.write_text(json.dumps(begun | {"options": begun["options"][::-1]}))
    (runs.runs[0].folder.path / "checksums.txt").unlink()
    runs.check_begun()


def test_failed_requests_are_asked_again_by_the_labelling_alone(grid, monkeypatch):
    """Not by the runs, which would ask for them side by side."""
    seen = {}

    def run(self, args, environment=None, log=None, fresh=False):
        seen.setdefault(args[0], []).append((environment or {}).get("FGVR_ASK_AGAIN"))
        return 0

    monkeypatch.setattr("fgvr.sweeps.launch.Launcher.run", run)
    grid(seeds=[0])
    sweep()
    assert seen == {"label": [None], "fit": ["0", "0"]}


@pytest.mark.parametrize(
    ("again", "failed", "missing", "asks"),
    [
        ("1", 2, 2, True),
        ("0", 2, 2, False),
        ("0", 2, 3, True),
        ("0", 0, 0, False),
        ("1", 0, 0, False),
    ],
)
def test_a_run_asks_again_unless_another_process_has_done_so(monkeypatch, again, failed, missing, asks):
    monkeypatch.setenv("FGVR_ASK_AGAIN", again)
    data = MagicMock()
    data.label_plan.return_value = LabelPlan(
        images=9, requests=9, stored=9 - missing, failed_before=failed, missing=missing, estimate_usd=0.0
    )
    label_before_training(data)
    assert data.label.called == asks


def test_a_folder_that_no_sweep_has_made_is_left_alone(grid, capsys):
    Path("runs/grid/knn-seed0").mkdir(parents=True)
    Path("runs/grid/knn-seed0/mine").touch()
    Path("runs/grid/knn-seed1").mkdir()
    Path("runs/grid/knn-seed1/.left_by_a_killed_process").touch()
    assert sweep() == 2
    assert "'runs/grid/knn-seed0' holds something that no sweep has made" in capsys.readouterr().err
    assert Path("runs/grid/knn-seed0/mine").exists()


def test_two_sweeps_do_not_share_a_folder(grid, capsys):
    from fgvr.sweeps.sweep import _locked

    with _locked(Path("runs/grid")):
        assert sweep() == 2
    assert "Another sweep runs in 'runs/grid'" in capsys.readouterr().err


def test_the_runs_of_a_sweep_are_one_group_in_weights_and_biases(grid):
    grid(seeds=[3], vary={"data.candidates": ["knn"]})
    assert sweep(*QUICK, "--name", "mine", "--trainer.logger", "WandbLogger") == 0
    (path,) = Path("runs/mine/knn-seed3/wandb").glob("offline-run-*/*.wandb")
    run = next(record.run for record in offline_records(path) if record.HasField("run"))
    assert (run.run_group, run.job_type, run.display_name) == ("mine", "fit", "knn-seed3")


def offline_records(path):
    """The first records of an offline run: LevelDB's log format, of which this reads those that are in one piece."""
    content, place = path.read_bytes(), 7
    while True:
        _, length, kind = struct.unpack_from("<IHB", content, place)
        assert kind == 1, "in one piece"
        place += 7 + length
        yield Record.FromString(content[place - length : place])


def test_every_job_has_a_gpu_and_the_cores_are_shared(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("fgvr.sweeps.sweep.usable_cores", lambda: 6)
    devices = Devices(["3", "GPU-5"])
    assert devices.jobs == 2
    with devices.taken(False) as first, devices.taken(False) as second:
        places = [{"FGVR_CORES": "3", "CUDA_VISIBLE_DEVICES": gpu} for gpu in ("3", "GPU-5")]
        assert [first, second] == places
    with devices.taken(alone=True) as variables:
        assert variables == {}
    assert Devices([]).jobs == 3
    assert Devices([], jobs=2).threads == {"FGVR_CORES": "3", "OMP_NUM_THREADS": "3"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert Devices([], jobs=2).threads == {"FGVR_CORES": "3"}
