"""The figures of a protocol."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.judging.answers import JudgedAnswer
from fgvr.metrics.intervals import RESAMPLES, affordable, bootstrap_intervals

Mask = NDArray[np.bool_]


def figures(answers: Sequence[JudgedAnswer], maps: bool) -> dict[str, Any]:
    """The figures of all answers, in percent, rounded to four decimals.

    Args:
        answers: At least one, of all repeats.
        maps: Whether answers outside were mapped.

    Returns:
        ``accuracy``, ``outside`` (answers that are no class name or option), ``no_answer``; with ``maps``, and where
        answers are outside, ``mapped_right`` (those that became a right class; photos without labels aside); and
        ``intervals``, figure -> lower and upper bound of its 95 % interval over photos and repeats.
    """
    right, outside, missing = _masks(answers)
    images = _numbers([each.said.asked.judged.image.sample_id for each in answers])
    labelled = np.array([bool(each.said.asked.judged.labels) for each in answers])
    all_answers = np.ones(len(answers), bool)
    found = {"accuracy": right, "outside": outside, "no_answer": missing}
    shares = {name: _share(hits, all_answers) for name, hits in found.items()}
    values = {name: _share_of_images(hits, images) for name, hits in found.items()}
    intervals = bootstrap_intervals(values, affordable(RESAMPLES, len(values["accuracy"])))
    if maps and (among := outside & labelled).any():
        shares["mapped_right"] = _share(right, among)
        intervals["mapped_right"] = _interval_among(right[among], images[among])
    return {**shares, "intervals": {name: [*bounds] for name, bounds in intervals.items()}}


def by_group(answers: Sequence[JudgedAnswer]) -> dict[str, dict[str, float]]:
    """Photos and accuracy of the groups of arXiv 2603.06578, those without photos left out.

    ``A`` are all photos, ``S`` those with one label, ``M`` with several and ``N`` with none; ``S+`` and ``M+`` are
    those among them whose name in the data set is a label, ``S-`` and ``M-`` the others.
    """

    def belongs(group: str) -> Callable[[JudgedAnswer], bool]:
        def test(each: JudgedAnswer) -> bool:
            judged = each.said.asked.judged
            kept = "+" if judged.own in judged.labels else "-"
            return group == "A" or group == judged.group or group == judged.group + kept * (judged.group != "N")

        return test

    return _split(answers, {group: belongs(group) for group in ("A", "S", "S+", "S-", "M", "M+", "M-", "N")})


def by_position(answers: Sequence[JudgedAnswer]) -> dict[str, dict[str, float]]:
    """Photos and accuracy by the place of the photo in its request, from 1."""

    def stands(place: int) -> Callable[[JudgedAnswer], bool]:
        return lambda each: each.said.asked.position == place

    last = max(each.said.asked.position for each in answers)
    return _split(answers, {str(place): stands(place) for place in range(1, last + 1)})


def by_option(answers: Sequence[JudgedAnswer], names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """What the place of an option does; empty where photos have no options.

    Args:
        answers: The answers; photos without any label, of which no option is right, do not count.
        names: The class list.

    Returns:
        Place of the option, from 1 -> ``chosen`` (share of the answers that are this option), ``holds_right`` (share of
        photos whose right option is there) and ``accuracy`` (of those photos; ``None`` where there are none). Without a
        bias, ``chosen`` is as large as ``holds_right``, and ``accuracy`` is alike in all places.
    """
    asked = [each for each in answers if each.said.asked.options and each.said.asked.judged.labels]
    if not asked:
        return {}
    places = [{option: place for place, option in enumerate(each.said.asked.options)} for each in asked]
    chosen = np.array([p.get(names[e.label], -1) if e.label >= 0 else -1 for p, e in zip(places, asked, strict=True)])
    rights = [each.said.asked.judged.asked for each in asked]
    holds = np.array([p.get(names[right], -1) if right >= 0 else -1 for p, right in zip(places, rights, strict=True)])
    right = np.array([each.right for each in asked])
    found: dict[str, dict[str, float | None]] = {}
    for place in range(max(map(len, places))):
        there = holds == place
        found[str(place + 1)] = {
            "chosen": _share(chosen == place, chosen >= 0) if (chosen >= 0).any() else None,
            "holds_right": _share(there, holds >= 0) if (holds >= 0).any() else None,
            "accuracy": _share(right, there) if there.any() else None,
        }
    return found


def by_repeat(answers: Sequence[JudgedAnswer]) -> list[float]:
    """Accuracy of each repeat."""
    repeats = np.array([each.said.asked.repeat for each in answers])
    right = np.array([each.right for each in answers])
    return [_share(right, repeats == repeat) for repeat in range(int(repeats.max()) + 1)]


def _split(
    answers: Sequence[JudgedAnswer], tests: dict[str, Callable[[JudgedAnswer], bool]]
) -> dict[str, dict[str, float]]:
    right, outside, missing = _masks(answers)
    images = _numbers([each.said.asked.judged.image.sample_id for each in answers])
    found = {}
    for name, test in tests.items():
        among = np.array([test(each) for each in answers])
        if among.any():
            found[name] = {
                "photos": len(np.unique(images[among])),
                "accuracy": _share(right, among),
                "outside": _share(outside, among),
                "no_answer": _share(missing, among),
            }
    return found


def _masks(answers: Sequence[JudgedAnswer]) -> tuple[Mask, Mask, Mask]:
    """Which answers are right, outside, and missing."""
    return (
        np.array([each.right for each in answers]),
        np.array([each.outside for each in answers]),
        np.array([not each.answer for each in answers]),
    )


def _numbers(ids: Sequence[str]) -> NDArray[np.int64]:
    numbers = {sample_id: number for number, sample_id in enumerate(dict.fromkeys(ids))}
    return np.array([numbers[sample_id] for sample_id in ids], np.int64)


def _share_of_images(hits: Mask, images: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share in percent of each photo, over its repeats."""
    share: NDArray[np.float64] = 100 * np.bincount(images, weights=hits.astype(float)) / np.bincount(images)
    return share


def _interval_among(hits: Mask, images: NDArray[np.int64]) -> tuple[float, float]:
    """The interval of a share of answers of which some photos have more than others: photos are drawn with theirs."""
    _, image = np.unique(images, return_inverse=True)
    answers = np.bincount(image).astype(np.float64)
    right = np.bincount(image, weights=hits.astype(np.float64)).astype(np.float64)

    def share(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"share": 100 * (weights @ right) / (weights @ answers)}

    photos = len(answers)
    return bootstrap_intervals({"right": right}, affordable(RESAMPLES, photos), set_figures=(share,))["share"]


def _share(hits: Mask, among: Mask) -> float:
    return round(100 * float(hits[among].mean()), 4)
