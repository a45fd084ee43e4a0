from pathlib import Path

import pyarrow.parquet as pq
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main
from fgvr.labelers.recorded import RecordedLabeler

PHOTOS = len(COLOURS) * SUPPORT


def test_a_dry_run_asks_nothing(tiny_run, capsys, monkeypatch):
    monkeypatch.setattr(RecordedLabeler, "ask", lambda self, requests: (_ for _ in ()).throw(AssertionError))
    assert main(["label", *OPTIONS, "--dry-run"]) == 0
    assert f"{PHOTOS} photos, {PHOTOS} requests: 0 stored, {PHOTOS} to ask" in capsys.readouterr().out
    assert not Path("runs/run").exists()


def test_label_and_then_candidates(tiny_run, capsys):
    assert main(["candidates", *OPTIONS]) == 2
    assert "Run `fgvr label` with the same options first" in capsys.readouterr().err
    assert main(["label", *OPTIONS]) == 0
    assert f"{PHOTOS - 1} usable, 1 refusal; 4 different names" in capsys.readouterr().out
    assert main(["label", *OPTIONS]) == 0
    assert f"{PHOTOS} stored, 0 to ask" in capsys.readouterr().out
    assert main(["candidates", *OPTIONS]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert pq.read_table(folder / "candidates.parquet").num_rows == PHOTOS
    assert {path.name for path in folder.iterdir()} == {
        "candidates.parquet",
        "config.yaml",
        "labels.parquet",
        "neighbours.parquet",
        "vocabulary.json",
    }


def test_a_job_of_several_processes_does_not_ask_for_labels(tiny_run, capsys, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "job", "GROUP_RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert main(["fit", *OPTIONS]) == 2
    assert "Run `fgvr label` with the same options first" in capsys.readouterr().err
