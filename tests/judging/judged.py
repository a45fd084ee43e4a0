"""Photos, replies and a text encoder by hand."""

from pathlib import Path

import numpy as np

from fgvr.judging.answers import Said
from fgvr.judging.requests import AskedImage
from fgvr.judging.truth import JudgedImage
from fgvr.judging.world import World
from fgvr.records import ImageRecord

NAMES = ("Pug", "Boxer", "Borzoi", "Whippet", "Saluki")


def image(name, labels=(0,), own=None, also=()):
    record = ImageRecord(sample_id=name, path=Path(name), split="test", digest=name.encode().hex().ljust(64, "0"))
    own = (labels[0] if labels else -1) if own is None else own
    return JudgedImage(record, tuple(labels), frozenset({*labels, *also}), own)


def said(judged, text, options=(), repeat=0, position=1, cost=0.0):
    return Said(AskedImage(judged, repeat, 0, position, tuple(options)), text, text, cost, 0.0)


def letters(texts):
    """How often each letter occurs, L2-normalised: alike where texts have the same letters."""
    counts = np.array([[text.lower().count(chr(97 + letter)) + 1e-3 for letter in range(26)] for text in texts])
    return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def world(names=NAMES, **options):
    return World(tuple(names), **{"encode": letters, **options})
