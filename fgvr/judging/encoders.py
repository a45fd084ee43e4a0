"""Text encoders that say which class name is nearest to a text."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fgvr.backbones.base import Backbone
from fgvr.metrics.sentence_encoder import sentence_encoder
from fgvr.registry import BACKBONES

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Features of texts, float32, L2-normalised, shape ``(len(texts), D)``."""

BACKBONE = "backbone"
"""Names the text tower of the run's backbone in the place of a sentence encoder."""

CLIP_TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven templates that CLIP's authors chose out of their eighty."""

_CHUNK = 1_024


def text_encoder(name: str, backbone: Backbone) -> Encode:
    """The encoder of a name; nothing is loaded before it is called.

    Args:
        name: ``backbone``, or a sentence encoder as :func:`fgvr.metrics.sentence_encoder.sentence_encoder` takes it.
        backbone: The run's.

    Raises:
        FgvrError: When it is called: there is no such encoder, or its weights are missing.
    """

    def by_backbone(texts: Sequence[str]) -> NDArray[np.float32]:
        backbone.load()
        return _chunked(lambda chunk: backbone.encode_text(chunk).float().numpy(force=True), texts)

    def by_sentences(texts: Sequence[str]) -> NDArray[np.float32]:
        encoder = sentence_encoder(name)
        return _chunked(lambda chunk: encoder.encode(chunk).numpy(force=True), texts)

    return by_backbone if name == BACKBONE else by_sentences


def encoder_title(name: str, backbone: Backbone) -> str:
    """The encoder as a result names it: without the folder that it is in."""
    return f"{BACKBONES.short_name(type(backbone))} text tower" if name == BACKBONE else Path(name).name


def class_features(encode: Encode, names: Sequence[str], templates: Sequence[str]) -> NDArray[np.float32]:
    """One feature a class: the normalised mean of the features of its name under all templates.

    Args:
        encode: Encodes texts.
        names: In class-index order; underscores are read as spaces.
        templates: At least one, each with one ``{}``.

    Returns:
        float32, L2-normalised, shape ``(len(names), D)``.
    """
    spoken = [name.replace("_", " ") for name in names]
    total = sum(encode([template.replace("{}", name) for name in spoken]) for template in templates)
    return _normalised(np.asarray(total, np.float32))


def nearest(encode: Encode, features: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.int64]:
    """The class whose feature has the highest cosine with each text; of equal ones the first.

    Args:
        encode: Encodes texts.
        features: Of the classes, shape ``(C, D)``.
        texts: Any number; equal ones are encoded once.

    Returns:
        Class indices, int64, shape ``(len(texts),)``.
    """
    unique = list(dict.fromkeys(texts))
    if not unique:
        return np.zeros(0, np.int64)
    found = np.concatenate(
        [
            (_normalised(encode(unique[start : start + _CHUNK])) @ features.T).argmax(1)
            for start in range(0, len(unique), _CHUNK)
        ]
    )
    place = {text: number for number, text in enumerate(unique)}
    return found[[place[text] for text in texts]].astype(np.int64)


def _chunked(encode: Encode, texts: Sequence[str]) -> NDArray[np.float32]:
    parts = [encode(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
    return np.concatenate(parts).astype(np.float32)


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    normalised: NDArray[np.float32] = (features / np.maximum(lengths, 1e-12)).astype(np.float32)
    return normalised
