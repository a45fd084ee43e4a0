"""Section "Worst and least certain photos": the evaluated photos to look at first.

They are chosen one by one, by their scores and whatever their class, so they need nothing of the classes' sections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fgvr.reports.sections.reported_run import ReportedRun

MOST_RESULT_CARDS = 24


@dataclass(frozen=True)
class ResultCard:
    """An evaluated photo.

    Attributes:
        sample_id: The photo.
        name: What the run's own row calls it.
        score: Its score.
        true_name: The true name, where known.
        right: Whether ``name`` stands for it; ``None`` where that is unknown.
        others: Other row -> what that one calls it.
    """

    sample_id: str
    name: str
    score: float
    true_name: str | None
    right: bool | None
    others: Mapping[str, str]


@dataclass(frozen=True)
class WorstImages:
    """Evaluated photos that went wrong, or nearly so.

    Attributes:
        run: The run.
    """

    run: ReportedRun

    @cached_property
    def worst(self) -> list[ResultCard]:
        """Wrong names with the highest scores, or without scores the first ones."""
        judged = self.run.judged
        if judged is None:
            return []
        wrong = np.flatnonzero(~judged.right)
        order = np.argsort(-np.nan_to_num(judged.scores[wrong], nan=-1.0), kind="stable")[:MOST_RESULT_CARDS]
        return [self._result_card(self.run.known[number]) for number in wrong[order].tolist()]

    @cached_property
    def least_certain(self) -> list[ResultCard]:
        """Names with the lowest scores."""
        if self.run.own_predictions is None:
            return []
        scores = self.run.own_predictions.scores
        scored = np.flatnonzero(np.isfinite(scores))
        order = np.argsort(scores[scored], kind="stable")[:MOST_RESULT_CARDS]
        return [self._result_card(number) for number in scored[order].tolist()]

    @cached_property
    def _right(self) -> dict[int, bool]:
        if self.run.judged is None:
            return {}
        return dict(zip(self.run.known, self.run.judged.right.tolist(), strict=True))

    def _result_card(self, number: int) -> ResultCard:
        predictions = self.run.files.predictions
        assert predictions is not None
        assert self.run.own is not None
        own = predictions.rows[self.run.own]
        return ResultCard(
            sample_id=predictions.sample_ids[number],
            name=own.names[number],
            score=float(own.scores[number]),
            true_name=predictions.true_names[number],
            right=self._right.get(number),
            others={row: said.names[number] for row, said in predictions.rows.items() if row != self.run.own},
        )
