"""The run that a report is about: its own row, the baseline, and both held against the truth.

Several sections ask for these, so they are worked out once and apart from any of them.
"""

from dataclasses import dataclass
from functools import cached_property

from fgvr.datasets.images import Images
from fgvr.reports.analysis import Judged, judge
from fgvr.reports.run_files import LABELER, Row, RunFiles, simulates

SIMULATED = "simulated labels"


@dataclass(frozen=True)
class ReportedRun:
    """What a report is made from.

    Attributes:
        files: What the run folder holds.
        images: The photos of the run and what is known of them.
    """

    files: RunFiles
    images: Images

    @property
    def own(self) -> str | None:
        """The run's own row."""
        return self.files.own_row

    @property
    def own_predictions(self) -> Row | None:
        """Its predictions."""
        predictions = self.files.predictions
        return predictions.rows.get(self.own or "") if predictions else None

    @cached_property
    def baseline(self) -> str | None:
        """The row that the own one is compared with: the first of the table."""
        rows = self.files.predictions.rows if self.files.predictions else ()
        return next((row for row in rows if row not in (self.own, LABELER)), None)

    @cached_property
    def simulated(self) -> bool:
        """Whether anything rests on simulated labels or descriptions."""
        marked = any(record.get("simulated") for record in self.files.metrics.values())
        # a run that has predicted nothing has marked nothing
        asked = bool(self.files.labels) or self.files.folder.descriptions.is_file()
        return marked or (asked and simulates(self.files.config))

    def note(self, row: str | None = None) -> str:
        """What titles must say of the row, or of everything that comes from the labels."""
        record = self.files.metrics.get(row or "", {})
        simulated = self.simulated if row is None else record.get("simulated")
        notes = [SIMULATED] if simulated else []
        return ", ".join([*notes, *([f"captions: {record['captions']}"] if record.get("captions") else [])])

    @cached_property
    def judged(self) -> Judged | None:
        """The own row held against the truth; ``None`` where no true name is known."""
        return self._judge(self.own)

    @cached_property
    def judged_baseline(self) -> Judged | None:
        """The same of the baseline."""
        return self._judge(self.baseline)

    def _judge(self, row: str | None) -> Judged | None:
        predictions = self.files.predictions
        if predictions is None or row is None or row not in predictions.rows or not self.known:
            return None
        return judge(predictions.rows[row], predictions.true_names)

    @cached_property
    def known(self) -> list[int]:
        """Numbers of the predictions whose true name is known, in the order of ``judged``."""
        names = self.files.predictions.true_names if self.files.predictions else ()
        return [number for number, name in enumerate(names) if name is not None]
