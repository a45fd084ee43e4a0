"""The folder of a judged labeler: configuration, answers, predictions and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from fgvr.judging.files import read_judged, write_judged
from fgvr.judging.judge import Judge, Verdict
from fgvr.metrics.files import read_metrics, write_metrics
from fgvr.pipeline.parts import RunParts
from fgvr.pipeline.results import ResultTable
from fgvr.records import Prediction
from fgvr.reports.predictions import write_predictions
from fgvr.runs import RunFolder, new_run_folder, write_run_config

JUDGED = "judged.parquet"


@dataclass(frozen=True)
class Judgement:
    """What came of judging, as it lies in its folder.

    Attributes:
        folder: ``runs/judge/NAME-PROTOCOL-LABELER/VERSION``.
        row: Name of its row: protocol and labeler.
    """

    folder: RunFolder
    row: str

    @property
    def table(self) -> ResultTable:
        """Row name -> its figures; shown as a table in a notebook."""
        return ResultTable(read_metrics(self.folder.metrics))

    @property
    def figures(self) -> Mapping[str, Any]:
        """The figures of its row."""
        return self.table[self.row]

    @property
    def answers(self) -> pa.Table:
        """One row for each photo and repeat: reply, answer, class, and whether it is right."""
        return read_judged(self.folder.path / JUDGED)


def write_verdict(verdict: Verdict, judge: Judge, parts: RunParts) -> Judgement:
    """Leave a verdict in a new folder.

    Args:
        verdict: What came out.
        judge: What it came of.
        parts: Has the configuration, and where run folders are.

    Raises:
        FgvrError: The folder cannot be written, or the version that is asked for is there.
    """
    name = f"{parts.options.name or 'run'}-{verdict.row.replace('_', '-')}"
    folder, lock = new_run_folder(Path(parts.options.root) / "judge", name, parts.options.version)
    try:
        write_run_config(folder.config, parts.config)
        write_judged(verdict.answers, verdict.names, folder.path / JUDGED)
        write_predictions(_predictions(verdict, judge.data.images.truth), folder.predictions)
        write_metrics(folder.metrics, {verdict.row: verdict.record})
    finally:
        lock.release()
    return Judgement(folder, verdict.row)


def _predictions(verdict: Verdict, truth: Mapping[str, str]) -> list[Prediction]:
    """The names of the first repeat: the class that an answer means, or the answer where it means none."""
    return [
        Prediction(
            sample_id=image.sample_id,
            split=image.split,
            true_name=truth.get(image.sample_id),
            names={verdict.row: verdict.names[each.label] if each.label >= 0 else each.answer},
            scores={verdict.row: float("nan")},
        )
        for each in verdict.answers
        if each.said.asked.repeat == 0
        for image in [each.said.asked.judged.image]
    ]
