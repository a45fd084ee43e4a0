"""What a report says about predictions and labels, computed from the files of a run. All loops are linear in photos."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fgvr.metrics.matching import best_matching
from fgvr.records import LabelRecord, Vocabulary
from fgvr.reports.run_files import Row
from fgvr.text import encodable
from fgvr.vocabulary.build import fold_name


def match_names(predicted: Sequence[str], truth: Sequence[str]) -> dict[str, str]:
    """The one-to-one matching of predicted names with true ones that cACC counts by.

    Args:
        predicted: N predicted names.
        truth: N true names.

    Returns:
        Predicted name -> true name, in alphabetical order; names that share no photo are not matched.

    Example:
        >>> match_names(["dog a", "dog a", "dog b"], ["Pug", "Pug", "Pug"])
        {'dog a': 'Pug'}
    """
    names, classes = sorted(set(predicted)), sorted(set(truth))
    name_numbers, class_numbers = ({each: number for number, each in enumerate(many)} for many in (names, classes))
    matched, true, _ = best_matching(
        np.array([name_numbers[name] for name in predicted], dtype=np.int64),
        np.array([class_numbers[name] for name in truth], dtype=np.int64),
    )
    return {names[i]: classes[j] for i, j in zip(matched.tolist(), true.tolist(), strict=True)}


@dataclass(frozen=True)
class Judged:
    """One row's predictions held against the truth.

    Attributes:
        names: N predicted names.
        truth: N true names.
        scores: Of the predictions, shape ``(N,)``.
        matched: Predicted name -> true name, by :func:`match_names`.
        classes: Predicted name -> the true class it stands for: the one of that spelling, else the matched one.
        right: Whether each photo's name stands for its true class, shape ``(N,)``.
    """

    names: tuple[str, ...]
    truth: tuple[str, ...]
    scores: NDArray[np.float64]
    matched: Mapping[str, str]
    classes: Mapping[str, str]
    right: NDArray[np.bool_]


def judge(row: Row, truth: Sequence[str | None]) -> Judged:
    """Hold the predictions of the photos whose true name is known against it.

    Args:
        row: Predictions of N photos.
        truth: Their N true names, ``None`` where unknown.
    """
    known = [number for number, true in enumerate(truth) if true is not None]
    names = tuple(encodable(row.names[number]).strip() for number in known)
    true_names = tuple(encodable(truth[number] or "").strip() for number in known)
    matched = match_names(names, true_names)
    spelled = {fold_name(true): true for true in dict.fromkeys(true_names)}
    classes = dict(matched)
    for name in dict.fromkeys(names):
        if fold_name(name) in spelled:
            classes[name] = spelled[fold_name(name)]
    right = np.array([classes.get(name) == true for name, true in zip(names, true_names, strict=True)], dtype=np.bool_)
    return Judged(names, true_names, row.scores[known], matched, classes, right)


@dataclass(frozen=True)
class ClassResult:
    """How one true class fared.

    Attributes:
        name: The true name.
        images: How many.
        accuracy: Share of them whose name is matched with this class, in [0, 1].
        before: The same of the row that is compared with; ``None`` without one.
        commonest: The name predicted most often.
        commonest_images: How many were given it.
        score: Mean score; NaN without scores.
    """

    name: str
    images: int
    accuracy: float
    before: float | None
    commonest: str
    commonest_images: int
    score: float


def class_results(judged: Judged, before: Judged | None) -> list[ClassResult]:
    """One entry for each true class, the worst first.

    Args:
        judged: The row in question.
        before: The row to compare with, of the same photos.
    """
    images: dict[str, list[int]] = defaultdict(list)
    for number, true in enumerate(judged.truth):
        images[true].append(number)
    results = []
    for name, numbers in images.items():
        given = Counter(judged.names[number] for number in numbers)
        commonest, count = given.most_common(1)[0]
        results.append(
            ClassResult(
                name=name,
                images=len(numbers),
                accuracy=_matched_share(judged, name, numbers),
                before=_matched_share(before, name, numbers) if before else None,
                commonest=commonest,
                commonest_images=count,
                score=float(judged.scores[numbers].mean()),
            )
        )
    return sorted(results, key=lambda result: (result.accuracy, -result.images, result.name))


def _matched_share(judged: Judged, name: str, numbers: Sequence[int]) -> float:
    return sum(judged.matched.get(judged.names[number]) == name for number in numbers) / len(numbers)


@dataclass(frozen=True)
class NameResult:
    """How often one name was predicted, where nobody knows the true ones.

    Attributes:
        name: The predicted name.
        images: How many were given it.
        score: Their mean score; NaN without scores.
        lowest: The lowest of their scores.
    """

    name: str
    images: int
    score: float
    lowest: float


def name_results(row: Row) -> list[NameResult]:
    """One entry for each predicted name, the commonest first."""
    images: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(row.names):
        images[name].append(number)
    results = [
        NameResult(name, len(numbers), float(row.scores[numbers].mean()), float(row.scores[numbers].min()))
        for name, numbers in images.items()
    ]
    return sorted(results, key=lambda result: (-result.images, result.name))


@dataclass(frozen=True)
class Confusion:
    """Two classes that are taken for each other.

    Attributes:
        first: A true class.
        second: Another one, or a predicted name that stands for none.
        forth: Photos of ``first`` that were called ``second``: numbers as in ``Judged``.
        back: Photos of ``second`` that were called ``first``.
    """

    first: str
    second: str
    forth: tuple[int, ...]
    back: tuple[int, ...]


def confusions(judged: Judged, most: int) -> list[Confusion]:
    """The pairs with most photos confused in either direction, the commonest first.

    Args:
        judged: The row in question.
        most: Return no more than these.
    """
    images: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in np.flatnonzero(~judged.right).tolist():
        name = judged.names[number]
        images[judged.truth[number], judged.classes.get(name, name)].append(number)
    totals: Counter[tuple[str, str]] = Counter()
    for (true, said), numbers in images.items():
        totals[min(true, said), max(true, said)] += len(numbers)
    found = []
    for pair, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:most]:
        # the direction that occurs more often is told first, and a name that stands for no class comes second
        first, second = sorted(pair, key=lambda name: -len(images.get((name, pair[name == pair[0]]), ())))
        forth, back = images.get((first, second), []), images.get((second, first), [])
        found.append(Confusion(first, second, tuple(forth), tuple(back)))
    return found


@dataclass(frozen=True)
class Calibration:
    """How often scores were right.

    Attributes:
        score: Mean score of each bin, rising.
        accuracy: Share of right names in it, in [0, 1].
        images: How many.
    """

    score: tuple[float, ...]
    accuracy: tuple[float, ...]
    images: tuple[int, ...]


def calibration(judged: Judged, bins: int = 10) -> Calibration:
    """Scores against accuracy, in bins of as nearly as possible equally many photos."""
    scored = np.flatnonzero(np.isfinite(judged.scores))
    order = scored[np.argsort(judged.scores[scored], kind="stable")]
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Calibration(
        score=tuple(float(judged.scores[part].mean()) for part in parts),
        accuracy=tuple(float(judged.right[part].mean()) for part in parts),
        images=tuple(len(part) for part in parts),
    )


@dataclass(frozen=True)
class LabelledAs:
    """Replies of one kind.

    Attributes:
        flag: Why they give no name; ``""`` for usable ones.
        images: How many.
        example: One of the replies, as it came.
    """

    flag: str
    images: int
    example: str


def replies_by_flag(labels: Sequence[LabelRecord]) -> list[LabelledAs]:
    """The kinds of replies, usable ones first, then the commonest."""
    counts = Counter(label.flag for label in labels)
    examples: dict[str, str] = {}
    for label in labels:
        if label.raw:
            examples.setdefault(label.flag, label.raw)
    order = sorted(counts, key=lambda flag: (flag != "", -counts[flag], flag))
    return [LabelledAs(flag, counts[flag], examples.get(flag, "")) for flag in order]


def names_that_are_true(labels: Sequence[LabelRecord], vocabulary: Vocabulary, truth: Mapping[str, str]) -> list[bool]:
    """For each usable label of a photo whose true name is known, whether its first name is that one's class.

    Spellings and synonyms that the vocabulary has joined are one class.
    """
    class_of = {fold_name(spelling): index for spelling, index in vocabulary.members.items()}
    found = []
    for label in labels:
        true = truth.get(label.sample_id)
        if label.names and true is not None:
            keys = fold_name(label.names[0]), fold_name(true)
            said, is_ = (class_of.get(key, key) for key in keys)
            found.append(said == is_)
    return found
