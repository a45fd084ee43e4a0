"""Run folders as runs leave them, with made-up figures."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.labelling.files import write_labels
from fgvr.metrics.contributions import contributions
from fgvr.metrics.files import write_metrics
from fgvr.records import LabelRecord
from fgvr.runs import RunFolder, write_run_config
from fgvr.sweeps.result import Tidy, tidy_rows, write_tidy

TRUTH = [f"bird {number % 4}" for number in range(40)]


def guesses(wrong):
    """The true names, but for the first ``wrong`` photos, each of which gets a name of its own."""
    return [f"bird x{place}" if place < wrong else name for place, name in enumerate(TRUTH)]


def config(reader="manifest", root="data/birds", labeler="fixed", model="class_means", **options):
    paths = {"manifest": "fgvr.datasets.manifest.ManifestDataset", "cub200": "fgvr.datasets.cub200.Cub200Dataset"}
    return f"""\
seed_everything: 0
data:
  dataset: {{class_path: {paths.get(reader, reader)}, init_args: {{root: {root}}}}}
  labeler: {{class_path: fgvr.labelers.fixed.FixedLabeler, init_args: {{path: names.csv}}}}
  class_names: {options.get("class_names", "labels")}
model:
  class_path: fgvr.methods.class_means.ClassMeansMethod
  init_args: {{transductive: {str(options.get("transductive", False)).lower()},
    backbone: {{class_path: fgvr.backbones.lite.LiteBackbone, init_args: {{}}}}}}
"""


@pytest.fixture
def write_run(tmp_path):
    """Writes ``tmp_path/name``: rows of the table, each with its predicted names or its record."""

    def write(name, rows, truth=TRUTH, model="gpt-x", text=None, split="test", **options):
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir(parents=True)
        write_run_config(folder.config, text or config(**options))
        columns = {"sample_id": [f"p{place:03}" for place in range(len(truth))], "true_name": list(truth)}
        records = {}
        for row, given in rows.items():
            if isinstance(given, dict):
                records[row] = dict(given)
                continue
            columns[f"{row}_name"] = given
            figures = {key: float(values.mean()) for key, values in contributions(given, truth, encoders=[]).items()}
            figures = {key: round(figures[key], 4) for key in ("cacc", "siou")}
            scoring = {"photos": len(truth), "classes": len(set(truth)), "split": split, "encoders": {}}
            records[row] = {
                **figures,
                "seconds": 36.0,
                "label_seconds": 72.0,
                "cost_usd": 0.5,
                "scoring": {**scoring, "normalise": {"siou": "cased"}},
                "intervals": {key: [value - 5, value + 5] for key, value in figures.items()},
            }
        if len(columns) > 2:
            pq.write_table(pa.table(columns), folder.predictions)
        write_metrics(folder.metrics, records)
        if model:
            write_labels([LabelRecord(sample_id="s", names=("bird 1",), model=model)], folder.labels)
        return folder.path

    return write


@pytest.fixture
def write_sweep(write_run, tmp_path):
    """Writes a sweep: (values, seed) -> number of wrong photos of the row ``coop``."""

    def write(name, columns, wrong, **options):
        rows = []
        for (*values, seed), count in wrong.items():
            run = "-".join(map(str, [*values, seed]))
            given = options.get(values[0], {}) if values else {}
            write_run(f"{name}/{run}", {"zero_shot": guesses(30), "coop": guesses(count)}, **given)
            rows += tidy_rows(RunFolder(tmp_path / name / run), dict(zip(columns, values, strict=True)), seed)
        write_tidy(Tidy(tuple(columns), tuple(rows)), tmp_path / name)
        return tmp_path / name

    return write
