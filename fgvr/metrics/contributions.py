"""What each photo counts for in the figures that are means over photos."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.metrics.finer import shifted_names
from fgvr.metrics.generality import NameWords, is_too_general
from fgvr.metrics.inclusion import includes, includes_words
from fgvr.metrics.matching import best_matching
from fgvr.metrics.name_pairs import NamePairs, name_pairs
from fgvr.metrics.sacc import similarities
from fgvr.metrics.sentence_encoder import ENCODERS, available, slug
from fgvr.metrics.siou import Normalise, iou, word_set

NORMALISATIONS: dict[str, Normalise] = {"siou": "cased", "siou_hyphen": "hyphen_split"}
"""Name of an sIOU figure -> normalisation of its names."""
THRESHOLDS = (50, 60, 70, 80, 90)
"""Similarities, times 100, at or above which ``sacc_<encoder>_at_<threshold>`` counts a photo."""


def contributions(
    predictions: Sequence[str], truth: Sequence[str], encoders: Sequence[str] | None = None, closed: bool = False
) -> dict[str, NDArray[np.float64]]:
    """What each photo counts for: of each figure of ``score`` that is a mean over photos, the values it is the mean of.

    They are what intervals and paired tests need. ``cacc`` is 100 for a photo that is right under the matching of all
    photos.

    Args:
        predictions: As for :func:`fgvr.metrics.protocol.score`.
        truth: As for ``score``.
        encoders: As for ``score``.
        closed: As for ``score``.

    Returns:
        Figure -> float64 values from 0 to 100, shape ``(N,)``; an sACC may be below 0.

    Raises:
        FgvrError: As ``score``.

    Example:
        >>> contributions(["Borzoi", "Pug dog"], ["Borzoi", "Pug"], encoders=[])["siou"].tolist()
        [100.0, 50.0]
    """
    return photo_figures(name_pairs(predictions, truth), sacc_figures(encoders), closed)


def photo_figures(
    pairs: NamePairs, sacc: dict[str, str], closed: bool = False, finer_compat: bool = False
) -> dict[str, NDArray[np.float64]]:
    """See :func:`contributions`.

    Args:
        pairs: The names.
        sacc: Name of each sACC figure -> encoder.
        closed: As for ``score``.
        finer_compat: As for ``score``.

    Raises:
        FgvrError: An encoder is not available, or ``finer_compat`` was asked for of other names than Stanford Cars'.
    """
    by_meaning = shifted_names(pairs) if finer_compat else pairs
    found: dict[str, NDArray[np.float64]] = {}
    if closed:
        found["accuracy"] = pairs.per_photo(str.__eq__, str)
    shares: dict[str, NDArray[np.float64]] = {}
    for figure, encoder in sacc.items():
        found[figure] = similarities(by_meaning, encoder)
        shares |= {f"{figure}_at_{least}": (100 * found[figure] >= least).astype(np.float64) for least in THRESHOLDS}
    found["cacc"] = right_when_matched(pairs).astype(np.float64)
    for figure, normalise in NORMALISATIONS.items():
        found[figure] = by_meaning.per_photo(iou, partial(word_set, normalise=normalise))
    found["textual_inclusion"] = pairs.per_photo(includes, str)
    found["textual_inclusion_words"] = pairs.per_photo(includes_words, str)
    found["generic"] = pairs.per_photo(is_too_general, NameWords.of)
    return {figure: 100 * values for figure, values in (found | shares).items()}


def right_when_matched(pairs: NamePairs) -> NDArray[np.bool_]:
    """Whether each photo is right under the best one-to-one matching of names, shape ``(N,)``."""
    names, classes, _ = best_matching(pairs.predicted, pairs.true)
    class_of = np.full(len(pairs.names), -1, dtype=np.int64)
    class_of[names] = classes
    right: NDArray[np.bool_] = class_of[pairs.predicted] == pairs.true
    return right


def sacc_figures(encoders: Sequence[str] | None) -> dict[str, str]:
    """Name of each sACC figure -> encoder.

    Args:
        encoders: As for ``score``.

    Raises:
        FgvrError: Two encoders give figures of one name.
    """
    if encoders is None:
        encoders = [encoder for encoder in ENCODERS if available(encoder)]
    named: dict[str, str] = {}
    for encoder in encoders:
        name = f"sacc_{slug(encoder)}"
        if named.setdefault(name, encoder) != encoder:
            raise FgvrError(f"Encoders {named[name]!r} and {encoder!r} both give {name}: rename a directory.")
    return named
