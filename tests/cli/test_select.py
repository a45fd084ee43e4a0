"""Runs in which the labeler is asked about some of the support photos, or is made of several labelers."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main

IMAGES = len(COLOURS) * SUPPORT


def rows(name, run="run/0"):
    return pq.read_table(Path("runs") / run / name).to_pylist()


@pytest.mark.parametrize("select", ["random", "k_centre", "typical"])
def test_photos_that_are_not_asked_about_get_their_neighbours_names(tiny_run, capsys, select):
    options = ["--data.select", select, "--data.select.n", "8"]
    assert main(["label", *OPTIONS, *options, "--dry-run"]) == 0
    assert "8 photos, 8 requests: 0 stored, 8 to ask" in capsys.readouterr().out
    assert main(["fit", *OPTIONS, *options]) == 0
    labels = rows("labels.parquet")
    assert len(labels) == IMAGES
    assert sum(row["flag"] == "unasked" for row in labels) == IMAGES - 8
    assert len(rows("candidates.parquet")) == IMAGES, "every photo has a candidate set"
    assert main(["label", *OPTIONS, *options]) == 0
    assert "8 stored, 0 to ask" in capsys.readouterr().out
    assert yaml.safe_load(Path("runs/run/0/config.yaml").read_text())["data"]["select"]["init_args"]["n"] == 8


def test_a_cascade_of_recorded_labelers_from_one_yaml(tiny_run, capsys):
    replies = Path("replies.jsonl").read_text()
    Path("fallback.jsonl").write_text(replies.replace("I'm sorry, I cannot identify it.", "Monk Parakeet"))
    Path("cascade.yaml").write_text("""
data:
  labeler:
    class_path: cascade
    init_args:
      first: {class_path: recorded, init_args: {path: replies.jsonl}}
      fallback: {class_path: recorded, init_args: {path: fallback.jsonl}}
      neighbours: 0
""")
    rest = [*OPTIONS[:4], *OPTIONS[8:]]
    assert main(["label", "--config", "cascade.yaml", *rest, "--dry-run"]) == 0
    assert f"{IMAGES} to ask, about $0.00; then up to {IMAGES} more" in capsys.readouterr().out
    assert main(["fit", "--config", "cascade.yaml", *rest]) == 0
    labels = rows("labels.parquet", "cascade/0")
    assert {row["flag"] for row in labels} == {""}
    capsys.readouterr()
    assert main(["label", "--config", "cascade.yaml", *rest]) == 0
    assert f"{IMAGES + 1} requests: {IMAGES + 1} stored, 0 to ask" in capsys.readouterr().out


def test_labelers_without_a_batch_api_say_so(tiny_run, capsys):
    assert main(["label", *OPTIONS, "--batch"]) == 2
    assert "recorded cannot be asked by batch" in capsys.readouterr().err
