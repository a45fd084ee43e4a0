"""Strategies whose options are plugins themselves, in whole runs."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main

TINY = "fgvr.testing.tiny.TinyBackbone"


@pytest.fixture
def labelled(tiny_run):
    assert main(["label", *OPTIONS]) == 0


def rows(capsys, *options):
    assert main(["candidates", *OPTIONS, *options]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    return pq.read_table(folder / "candidates.parquet").to_pylist()


@pytest.mark.parametrize("name", ["mutual_knn", "label_propagation"])
def test_each_by_its_name(labelled, capsys, name):
    assert rows(capsys, "--data.candidates", name, "--data.candidates.k", "3")


def test_neighbours_in_another_backbone(labelled, capsys):
    own = rows(capsys, "--data.candidates", "knn")
    same = rows(capsys, "--data.candidates", "knn", "--data.candidates.backbone", TINY)
    other = rows(
        capsys,
        *("--data.candidates", "knn", "--data.candidates.backbone", TINY, "--data.candidates.backbone.embed_dim", "2"),
    )
    assert own == same
    assert own != other
    assert len(other) == len(COLOURS) * SUPPORT


def test_a_union_of_two_feature_spaces_from_yaml(labelled, capsys):
    Path("union.yaml").write_text(
        f"""
data:
  candidates:
    class_path: union
    init_args:
      strategies:
      - knn
      - class_path: knn
        init_args:
          backbone: {{class_path: {TINY}, init_args: {{embed_dim: 2}}}}
      - single
"""
    )
    both = rows(capsys, "--config", "union.yaml")
    own = rows(capsys, "--data.candidates", "knn")
    assert all(set(one["candidates"]) <= set(two["candidates"]) for one, two in zip(own, both, strict=True))
    assert sum(len(row["candidates"]) for row in both) > sum(len(row["candidates"]) for row in own)
