"""Whether the rows of a result differ from one of them by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.metrics.paired import holm, mcnemar, paired_bootstraps
from fgvr.text import visible

_RIGHT_OR_WRONG = ("accuracy", "cacc")
_BY_DEGREE = ("siou", "siou_hyphen")


@dataclass(frozen=True)
class RowTest:
    """A figure of one row against that of another.

    Attributes:
        test: ``mcnemar`` where photos are right or wrong, else ``paired_bootstrap``.
        difference: By how much the row is above the other.
        low: Lower bound of the difference's 95 % interval, which a paired bootstrap gives in both cases.
        high: Upper bound.
        p: Two-sided p-value of the test.
        p_holm: The same, adjusted for the number of rows that are tested against the other one.
    """

    test: Literal["mcnemar", "paired_bootstrap"]
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def compare_rows(
    rows: Mapping[str, Mapping[str, NDArray[np.float64]]], against: str, seed: int = 0
) -> dict[str, dict[str, RowTest]]:
    """Test every other row against one, over the same photos.

    Accuracy and cACC, each row's under its own matching of all photos, by McNemar's exact test; sACC and sIOU by a
    paired bootstrap. Of each figure, the p-values of all rows are adjusted by Holm's method.

    Args:
        rows: Row name -> figure -> what each photo counts for, as
            :func:`fgvr.metrics.contributions.contributions` gives it.
        against: The row that the others are held against.
        seed: Seed of the bootstrap.

    Returns:
        Row name -> figure -> its test, for every row but ``against``.

    Raises:
        FgvrError: There is no such row, or no other one.
    """
    others = [row for row in rows if row != against]
    if against not in rows or not others:
        raise FgvrError(
            f"against is {visible(repr(against), 60)}; expected one of two rows or more, and there "
            f"{'is' if len(rows) == 1 else 'are'}: {visible(', '.join(rows), 200)}."
        )
    base = rows[against]
    figures = [figure for figure in base if figure in (*_RIGHT_OR_WRONG, *_BY_DEGREE) or _is_sacc(figure)]
    found: dict[str, dict[str, RowTest]] = {row: {} for row in others}
    drawn = {
        row: paired_bootstraps(np.stack([rows[row][figure] - base[figure] for figure in figures], axis=1), seed=seed)
        for row in others
    }
    for number, figure in enumerate(figures):
        exact = figure in _RIGHT_OR_WRONG
        p_values = [mcnemar(rows[row][figure], base[figure]) if exact else drawn[row][number].p for row in others]
        for row, p, p_holm in zip(others, p_values, holm(p_values), strict=True):
            each = drawn[row][number]
            difference, low, high = (round(bound, 4) + 0.0 for bound in (each.difference, each.low, each.high))
            test: Literal["mcnemar", "paired_bootstrap"] = "mcnemar" if exact else "paired_bootstrap"
            found[row][figure] = RowTest(test, difference, low, high, p, p_holm)
    return found


def _is_sacc(figure: str) -> bool:
    return figure.startswith("sacc_") and not figure.rpartition("_at_")[1]
