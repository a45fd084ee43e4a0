"""Section "Most confused pairs": classes that are taken for each other, side by side.

Apart from ``classes.py``, because it shows photos and needs true names.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from fgvr.reports.analysis import confusions
from fgvr.reports.sections.reported_run import ReportedRun

MOST_PAIRS = 12
PAIR_IMAGES = 4


@dataclass(frozen=True)
class PairSide:
    """One of two classes that are confused.

    Attributes:
        name: The class.
        confused: How many of its photos were called the other one.
        images: Some of its photos: sample id and whether it is a confused one.
    """

    name: str
    confused: int
    images: tuple[tuple[str, bool], ...]


def confused_pairs(run: ReportedRun) -> list[tuple[PairSide, PairSide]]:
    """The most confused pairs of classes, side by side."""
    judged, predictions = run.judged, run.files.predictions
    if judged is None or predictions is None:
        return []
    of_class: dict[str, list[int]] = defaultdict(list)
    for number, true in enumerate(judged.truth):
        of_class[true].append(number)
    given: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(judged.names):
        given[name].append(number)

    def side(name: str, confused: Sequence[int], others: Sequence[int]) -> PairSide:
        numbers = list(dict.fromkeys([*confused, *others]))[:PAIR_IMAGES]
        ids = [predictions.sample_ids[run.known[number]] for number in numbers]
        marks = [number in set(confused) for number in numbers]
        return PairSide(name, len(confused), tuple(zip(ids, marks, strict=True)))

    found = []
    for pair in confusions(judged, MOST_PAIRS):
        # a name that stands for no class shows what else was called so
        others = of_class.get(pair.second) or [n for n in given[pair.second] if n not in set(pair.forth)]
        found.append((side(pair.first, pair.forth, of_class[pair.first]), side(pair.second, pair.back, others)))
    return found
