"""What corrections of the truth change: every figure before and after, side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fgvr.doubt.files import Correction
from fgvr.errors import FgvrError
from fgvr.metrics.matching import best_matching
from fgvr.metrics.protocol import score
from fgvr.reports.run_files import Predictions
from fgvr.reports.table import aligned, heading
from fgvr.text import composed, counted, encodable, visible
from fgvr.vocabulary.build import fold_name

_MEANS = ("accuracy", "siou", "siou_hyphen", "textual_inclusion", "textual_inclusion_words")
"""Figures that are means over photos, besides sACC: with two true names, the better one counts."""


@dataclass(frozen=True)
class Effect:
    """What corrections change.

    Attributes:
        decisions: Decision -> how many photos; ``""`` are those not decided yet.
        photos: Photos that are scored before, and after.
        before: Row -> figure -> its value with the data set's true names.
        after: The same with the corrections.
        left_out: Figures that cannot be said of photos with two true names.
    """

    decisions: Mapping[str, int]
    photos: tuple[int, int]
    before: Mapping[str, Mapping[str, float]]
    after: Mapping[str, Mapping[str, float]]
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        figures = list(dict.fromkeys(figure for row in self.after.values() for figure in row))
        cells = [["", *self.after]]
        for figure in figures:
            changes = [
                f"{self.before[row][figure]:.2f} -> {after[figure]:.2f}" if figure in after else "-"
                for row, after in self.after.items()
            ]
            cells.append([heading(figure), *changes])
        lines = [aligned(cells, left=len(cells[0]))]
        taken = ", ".join(f"{count} {decision or 'not decided'}" for decision, count in self.decisions.items())
        notes = [f"{counted(sum(self.decisions.values()), 'photo')} of the list: {taken}", ""]
        if self.photos[0] != self.photos[1]:
            out = self.photos[0] - self.photos[1]
            lines.append(f"(after: without {counted(out, 'photo')} of which neither name is right)")
        if self.decisions.get("both"):
            lines.append("(both: the better of the two names counts)")
        lines.append(
            "(the list has only photos on which the run's own row differs from the true name: this favours it)"
        )
        if self.left_out:
            lines.append(f"(not said of photos with two true names: {', '.join(self.left_out)})")
        return "\n".join([*notes, *lines])


def effect_of(
    predictions: Predictions,
    corrections: Mapping[str, Correction],
    encoders: Sequence[str] | None = None,
    closed: Sequence[str] = (),
) -> Effect:
    """Every figure of every row before and after corrections.

    ``other`` puts the other name in the place of the true one, ``both`` makes either of them right, ``neither`` takes
    the photo out, and ``keep`` changes nothing.

    Args:
        predictions: What each row says of each evaluated photo.
        corrections: Sample id -> correction.
        encoders: Sentence encoders, one sACC each; ``None`` takes those that are on this machine.
        closed: Rows whose names were chosen from a list that holds the true ones, which have an accuracy.

    Raises:
        FgvrError: A correction is of a photo that was not evaluated, or has no true name; or no photo is left.
    """
    truth = {
        sample_id: (name,) if name else ()
        for sample_id, name in zip(predictions.sample_ids, predictions.true_names, strict=True)
    }
    for sample_id, correction in corrections.items():
        if not truth.get(sample_id):
            raise FgvrError(
                f"{correction.place}: {visible(sample_id)!r} is no evaluated photo with a true name of this run. Is it "
                "the list of another run?"
            )
    after = {
        sample_id: _corrected(names, corrections.get(sample_id)) if names else () for sample_id, names in truth.items()
    }
    if not any(after.values()):
        raise FgvrError("With these corrections no photo with a true name is left to be scored.")
    rows = {row: dict(zip(predictions.sample_ids, said.names, strict=True)) for row, said in predictions.rows.items()}
    figures: list[dict[str, dict[str, float]]] = []
    for names in (truth, after):
        kept = [sample_id for sample_id in names if names[sample_id]]
        sets = [names[sample_id] for sample_id in kept]
        # a labeler that was given no list has its own spelling; the run's table has counted it as the list's, too
        spelled = {fold_name(name): name for each in sets for name in each}
        figures.append(
            {
                row: score_sets(
                    [
                        spelled.get(fold_name(said[sample_id]), said[sample_id]) if row in closed else said[sample_id]
                        for sample_id in kept
                    ],
                    sets,
                    encoders,
                    row in closed,
                )
                for row, said in rows.items()
            }
        )
    first = next(iter(rows))
    left_out = tuple(figure for figure in figures[0][first] if figure not in figures[1][first])
    return Effect(
        decisions=dict(Counter(correction.decision for correction in corrections.values()).most_common()),
        photos=(sum(map(bool, truth.values())), sum(map(bool, after.values()))),
        before=figures[0],
        after=figures[1],
        left_out=left_out,
    )


def score_sets(
    predictions: Sequence[str],
    truth: Sequence[tuple[str, ...]],
    encoders: Sequence[str] | None = None,
    closed: bool = False,
) -> dict[str, float]:
    """The figures of :func:`fgvr.metrics.protocol.score`, where photos may have several true names.

    A photo is right if its name is one of them: of figures that are means over photos, the best of its true names
    counts, and cACC's matching is the one under which most photos are given a name of their set. Other figures are left
    out as soon as a photo has several names.

    Args:
        predictions: Predicted name of each photo.
        truth: Its true names, at least one.
        encoders: See there.
        closed: See there.

    Returns:
        Figures from 0 to 100.

    Example:
        >>> score_sets(["Pug", "Pug"], [("Pug",), ("Boxer", "Pug")], encoders=[])["cacc"]
        100.0
    """
    several = [number for number, names in enumerate(truth) if len(names) > 1]
    if not several:
        return score(predictions, [names[0] for names in truth], encoders, closed)
    single = [number for number, names in enumerate(truth) if len(names) == 1]
    best = [[score([predictions[number]], [name], encoders, closed) for name in truth[number]] for number in several]
    figures = [figure for figure in best[0][0] if figure in _MEANS or figure.startswith("sacc_")]
    of_single = (
        score([predictions[number] for number in single], [truth[number][0] for number in single], encoders, closed)
        if single
        else dict.fromkeys(figures, 0.0)
    )
    found = {
        figure: round(
            (of_single[figure] * len(single) + sum(max(each[figure] for each in names) for names in best)) / len(truth),
            4,
        )
        for figure in figures
    }
    return {**found, "cacc": _cacc(predictions, truth)}


def _cacc(predictions: Sequence[str], truth: Sequence[tuple[str, ...]]) -> float:
    # a photo has one name, which is matched with one true name: it is counted once at most
    pairs = [
        (_clean(name), true) for name, names in zip(predictions, truth, strict=True) for true in {*map(_clean, names)}
    ]
    predicted, true = (np.unique(each, return_inverse=True)[1] for each in zip(*pairs, strict=True))
    return round(100 * int(best_matching(predicted, true)[2].sum()) / len(truth), 4)


def _clean(name: str) -> str:
    return composed(encodable(name)).strip()


def _corrected(names: tuple[str, ...], correction: Correction | None) -> tuple[str, ...]:
    if correction is None or correction.decision in ("", "keep"):
        return names
    if correction.decision == "neither":
        return ()
    other = _clean(correction.other_name)
    return (other,) if correction.decision == "other" or other == _clean(names[0]) else (*names, other)
