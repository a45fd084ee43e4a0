"""Photos on which the labeler, the neighbours and the model agree against the given truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fgvr.doubt.names import TrueNames
from fgvr.errors import FgvrError
from fgvr.reports.run_files import LABELER, Predictions
from fgvr.text import counted

NEIGHBOURS = "neighbours"
"""The voice of the nearest support photos."""
K = 3
"""How many of them are asked; more than half must have one name."""


@dataclass(frozen=True)
class Nearest:
    """The support photos that are nearest to an evaluated photo.

    Attributes:
        support_ids: The photos, nearest first.
        names: The name that the labeler gave each of them, as the vocabulary has it; ``""`` where it gave none.
    """

    support_ids: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class DoubtfulImage:
    """A photo whose true name is in doubt.

    Attributes:
        sample_id: The photo.
        true_name: The name that the data set states.
        other_name: The true name on which others agree.
        who: Who agrees on it: ``labeler``, ``neighbours (2 of 3)``, and rows of the result table.
        said: The names that they gave, where these are spelled in another way or only stand for it.
        score: Probability that the run's own row gives it; ``None`` where there is none.
        nearest: The nearest support photos, where they were looked for.
    """

    sample_id: str
    true_name: str
    other_name: str
    who: tuple[str, ...]
    said: tuple[str, ...]
    score: float | None
    nearest: Nearest | None


@dataclass(frozen=True)
class Doubts:
    """What was found.

    Attributes:
        images: The photos in doubt, those on which most agree first, then by score.
        evaluated: Photos that have a true name.
        required: Who had to agree.
        silent: For each of these, how many photos it gave no name that stands for a true one.
    """

    images: tuple[DoubtfulImage, ...]
    evaluated: int
    required: tuple[str, ...]
    silent: Mapping[str, int]

    def __str__(self) -> str:
        found = counted(len(self.images), "is in doubt", "are in doubt")
        silent = ", ".join(f"{who} {count}" for who, count in self.silent.items() if count)
        note = f"\nsaid no name that stands for a true one, photos: {silent}" if silent else ""
        return (
            f"{counted(self.evaluated, 'photo')} with a true name, {found}: {' and '.join(self.required)} agree on "
            f"another name{note}"
        )


def find_doubtful(predictions: Predictions, own_row: str, nearest: Mapping[str, Nearest] | None = None) -> Doubts:
    """Photos on which all who must agree do, on another name than the true one.

    Who must agree: the run's own row; the labeler, where it was asked about evaluated photos (``data.direct``); and the
    nearest support photos, where they are given. Where there is neither labeler nor neighbours, all rows of the table
    must agree, of which there must be two. Names are compared as the true names that they stand for: see
    :class:`fgvr.doubt.names.TrueNames`. A name that stands for none agrees with nobody.

    Args:
        predictions: What each row says of each evaluated photo.
        own_row: The row that the run is about.
        nearest: Sample id -> its nearest support photos; ``None`` where they were not looked for.

    Raises:
        FgvrError: No photo has a true name, or there is one voice only.
    """
    known = [number for number, name in enumerate(predictions.true_names) if name]
    if not known:
        raise FgvrError("No evaluated photo of the run has a true name, so that none can be in doubt.")
    true = [str(predictions.true_names[number]) for number in known]
    rows = {row: [said.names[number] for number in known] for row, said in predictions.rows.items()}
    near = None if nearest is None else [nearest.get(predictions.sample_ids[number]) for number in known]
    required = _required(rows, own_row, near is not None)
    names = TrueNames([name for row in rows.values() for name in row], true * len(rows))
    voices = {row: [names.of(name) for name in said] for row, said in rows.items()}
    said = {row: list(given) for row, given in rows.items()}
    titles: dict[str, list[str]] = {row: [row] * len(known) for row in rows}
    if near is not None:
        heard = [_most(each, names) for each in near]
        voices[NEIGHBOURS] = [name for name, _, _ in heard]
        said[NEIGHBOURS] = [given for _, given, _ in heard]
        titles[NEIGHBOURS] = [f"{NEIGHBOURS} ({count} of {K})" for _, _, count in heard]
    scores = predictions.rows[own_row].scores[known]
    found = []
    for place, number in enumerate(known):
        other = voices[own_row][place]
        if other is None or other == true[place] or any(voices[voice][place] != other for voice in required):
            continue
        who = [
            voice
            for voice in [*required, *(voice for voice in voices if voice not in required)]
            if voices[voice][place] == other
        ]
        given = dict.fromkeys(said[voice][place] for voice in who)
        found.append(
            DoubtfulImage(
                sample_id=predictions.sample_ids[number],
                true_name=true[place],
                other_name=other,
                who=tuple(titles[voice][place] for voice in who),
                said=tuple(name for name in given if name != other),
                score=None if np.isnan(scores[place]) else float(scores[place]),
                nearest=None if near is None else near[place],
            )
        )
    found.sort(key=lambda each: (-len(each.who), -(each.score or 0.0), each.sample_id))
    silent = {voice: sum(name is None for name in voices[voice]) for voice in required}
    return Doubts(tuple(found), len(known), required, silent)


def _required(rows: Mapping[str, Sequence[str]], own_row: str, has_neighbours: bool) -> tuple[str, ...]:
    asked = [LABELER] * (LABELER in rows) + [NEIGHBOURS] * has_neighbours
    required = (own_row, *asked) if asked else tuple(dict.fromkeys([own_row, *rows]))
    if len(required) < 2:
        raise FgvrError(
            f"Only the row {own_row!r} says something of the evaluated photos, and a model alone is no reason to doubt "
            "a true name: the nearest support photos are asked where the labeler has named them and the photos are "
            "found (data.dataset.root), and the labeler with data.direct."
        )
    return required


def _most(near: Nearest | None, names: TrueNames) -> tuple[str | None, str, int]:
    """The true name of more than half of the neighbours, a name as it was given, and how many gave one for it."""
    if near is None:
        return None, "", 0
    stands = [names.of(name) for name in near.names]
    counts = Counter(name for name in stands if name is not None)
    name, count = next(iter(counts.most_common(1)), (None, 0))
    if name is None or 2 * count <= K:
        return None, "", 0
    return name, near.names[stands.index(name)], count
