"""The evaluation protocol: every metric of a list of predictions, and how the figures were scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fgvr.metrics.contributions import NORMALISATIONS, sacc_figures
from fgvr.metrics.measure import measure
from fgvr.metrics.name_pairs import plain_name
from fgvr.metrics.sentence_encoder import weights_sha256
from fgvr.moved import old_names

__getattr__ = old_names(__name__, ruler="scoring")


def score(
    predictions: Sequence[str],
    truth: Sequence[str],
    encoders: Sequence[str] | None = None,
    closed: bool = False,
    scores: Sequence[float] | None = None,
    finer_compat: bool = False,
) -> dict[str, float]:
    """All metrics of a list of predictions.

    Spaces around a name do not count, nor whether an accent is written apart from its letter, and half surrogate pairs,
    which LLM servers sometimes send, are read as replacement characters. In a distributed run each process that calls
    it scores what it is given and waits for no other.

    Args:
        predictions: Predicted name of each photo; ``""`` where there is none.
        truth: True name of each photo.
        encoders: Sentence encoders, one sACC each; ``None`` takes those that are on this machine.
        closed: Whether predictions were chosen from a list of names that holds the true ones.
        scores: How sure each prediction is; used where every photo has one from 0 to 1.
        finer_compat: Compare sACC and sIOU with the name of the class before each photo's own, as FineR's public
            evaluation does on Stanford Cars.

    Returns:
        Figures, rounded to four decimals. Means over photos, from 0 to 100: ``accuracy`` if ``closed``,
        ``sacc_<encoder>``, ``cacc``, ``siou``, ``siou_hyphen``, ``textual_inclusion``, ``textual_inclusion_words``,
        ``generic`` and the shares ``sacc_<encoder>_at_50`` to ``_at_90``. Others: ``accuracy_macro`` if ``closed``,
        ``cacc_macro``, ``nmi``, ``ari`` (which may be below 0), and, with ``scores``, ``ece``,
        ``selective_accuracy_50`` and ``selective_accuracy_80``, for which a photo is right by accuracy if ``closed``,
        else under cACC's matching.

    Raises:
        FgvrError: There are no photos, the number of predictions or scores differs from that of true names, or a photo
            has no true name; an encoder is not available; or ``finer_compat`` is set and a true name is none of
            Stanford Cars'.

    Example:
        >>> figures = score(["Borzoi", "Pug dog"], ["Borzoi", "Pug"], encoders=[])
        >>> [figures[name] for name in ("cacc", "siou", "siou_hyphen")]
        [100.0, 75.0, 75.0]
    """
    return measure(predictions, truth, encoders, closed, scores, finer_compat).figures


def scoring(
    truth: Sequence[str],
    encoders: Sequence[str] | None = None,
    split: str | None = None,
    finer_compat: bool = False,
) -> dict[str, Any]:
    """What the figures of :func:`score` were measured with, to be stored with them.

    Args:
        truth: True name of each photo.
        encoders: Sentence encoders as given to :func:`score`.
        split: The split that the photos belong to; ``None`` for all photos.
        finer_compat: As given to :func:`score`.

    Returns:
        ``photos`` and ``classes`` (how many), ``split``, ``encoders`` (figure -> name of the encoder and SHA-256 of its
        weights) and ``normalise`` (figure -> normalisation of names); ``finer_compat`` where it is set.

    Example:
        >>> scoring(["Borzoi", "Pug", "Pug"], encoders=[], split="test")["classes"]
        2
    """
    return {
        "photos": len(truth),
        "classes": len({plain_name(name) for name in set(truth)}),
        "split": split,
        # only the last part of a directory: the rest describes the machine, not the encoder
        "encoders": {
            name: {"encoder": Path(encoder).name, "sha256": weights_sha256(encoder)}
            for name, encoder in sacc_figures(encoders).items()
        },
        "normalise": dict(NORMALISATIONS),
        **({"finer_compat": True} if finer_compat else {}),
    }
