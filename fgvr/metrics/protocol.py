"""The evaluation protocol: every metric of a list of predictions, and how the figures were scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchmetrics import Metric

from fgvr.errors import FgvrError
from fgvr.metrics.accuracy import NameAccuracy
from fgvr.metrics.cacc import ClusteringAccuracy
from fgvr.metrics.sacc import SemanticAccuracy
from fgvr.metrics.sentence_encoder import ENCODERS, available, slug, weights_sha256
from fgvr.metrics.siou import Normalise, SemanticIoU
from fgvr.moved import old_names
from fgvr.text import composed, counted, encodable

NORMALISATIONS: dict[str, Normalise] = {"siou": "cased", "siou_hyphen": "hyphen_split"}
"""Name of an sIOU figure -> normalisation of its names."""


__getattr__ = old_names(__name__, ruler="scoring")


def score(
    predictions: Sequence[str], truth: Sequence[str], encoders: Sequence[str] | None = None, closed: bool = False
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

    Returns:
        Figures from 0 to 100, rounded to four decimals: ``accuracy`` if ``closed``, ``sacc_<encoder>``, ``cacc``,
        ``siou`` and ``siou_hyphen``.

    Raises:
        FgvrError: There are no photos, the number of predictions differs from that of true names, or a photo has no
            true name; or an encoder is not available.

    Example:
        >>> score(["Borzoi", "Pug dog"], ["Borzoi", "Pug"], encoders=[])
        {'cacc': 100.0, 'siou': 75.0, 'siou_hyphen': 75.0}
    """
    if not truth:
        raise FgvrError("There are no photos to score: give at least one prediction and its true name.")
    if len(predictions) != len(truth):
        raise FgvrError(
            f"{counted(len(predictions), 'prediction')} for {counted(len(truth), 'true name')}; expected one per photo."
        )
    predictions, truth = ([composed(encodable(name)).strip() for name in names] for names in (predictions, truth))
    for row, name in enumerate(truth, start=1):
        if not name:
            raise FgvrError(f"Photo {row} has no true name: leave it out, or name it.")
    metrics: dict[str, Metric] = {"accuracy": NameAccuracy()} if closed else {}
    metrics |= {name: SemanticAccuracy(encoder) for name, encoder in _sacc(encoders).items()}
    metrics["cacc"] = ClusteringAccuracy()
    metrics |= {name: SemanticIoU(normalise) for name, normalise in NORMALISATIONS.items()}
    # forward and not compute, which would wait for the other processes of a distributed run; the metrics are float32,
    # whose noise begins at the fifth decimal
    return {name: round(float(metric(predictions, truth)), 4) for name, metric in metrics.items()}


def scoring(truth: Sequence[str], encoders: Sequence[str] | None = None, split: str | None = None) -> dict[str, Any]:
    """What the figures of :func:`score` were measured with, to be stored with them.

    Args:
        truth: True name of each photo.
        encoders: Sentence encoders as given to :func:`score`.
        split: The split that the photos belong to; ``None`` for all photos.

    Returns:
        ``photos`` and ``classes`` (how many), ``split``, ``encoders`` (figure -> name of the encoder and SHA-256 of its
        weights) and ``normalise`` (figure -> normalisation of names).

    Example:
        >>> scoring(["Borzoi", "Pug", "Pug"], encoders=[], split="test")["classes"]
        2
    """
    return {
        "photos": len(truth),
        "classes": len({encodable(name).strip() for name in truth}),
        "split": split,
        # only the last part of a directory: the rest describes the machine, not the encoder
        "encoders": {
            name: {"encoder": Path(encoder).name, "sha256": weights_sha256(encoder)}
            for name, encoder in _sacc(encoders).items()
        },
        "normalise": dict(NORMALISATIONS),
    }


def _sacc(encoders: Sequence[str] | None) -> dict[str, str]:
    """Name of the sACC figure -> encoder."""
    if encoders is None:
        encoders = [encoder for encoder in ENCODERS if available(encoder)]
    named: dict[str, str] = {}
    for encoder in encoders:
        name = f"sacc_{slug(encoder)}"
        if named.setdefault(name, encoder) != encoder:
            raise FgvrError(f"Encoders {named[name]!r} and {encoder!r} both give {name}: rename a directory.")
    return named
