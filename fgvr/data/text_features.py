"""Text features on disk, for lists of texts that are too long to be encoded in every run."""

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fgvr.backbones.base import Backbone, tower_fingerprint
from fgvr.data.feature_store import FeatureStore
from fgvr.errors import FgvrError
from fgvr.registry import BACKBONES
from fgvr.text import counted

log = logging.getLogger(__name__)

_TEXTS_A_PASS = 1024
_SECONDS_KEPT = 5.0
"""So much work may be lost with a process that is killed."""


def stored_text_features(
    backbone: Backbone, texts: Sequence[str], folder: Path, progress: bool = True, truncate: bool = False
) -> Tensor:
    """Text features of ``texts``, from a store below ``folder`` or computed now, where the backbone is.

    What is computed is stored every few seconds, so that a process which was stopped goes on where it was. Stored
    numbers are float16, which moves a cosine by less than 1e-3.

    Args:
        backbone: Loaded; its weights as they come, not tuned.
        texts: Any; equal ones are encoded once.
        folder: Folder of the stores, such as ``features`` in the cache.
        progress: Whether to say what is computed, and show a bar.
        truncate: Cut off what exceeds the text tower's context; what is stored is then taken without it, too.

    Returns:
        L2-normalised to float16's precision, float32 on the CPU, shape ``(len(texts), embed_dim)``.

    Raises:
        TextTooLongError: A text exceeds the text tower's context, and ``truncate`` is false.
        FgvrError: Features are not finite, or the store is damaged or cannot be written.
    """
    tower = backbone.tower_of("joint")
    # an image tower's fingerprint says nothing of the text tower, so all weights count
    key = f"texts\n{tower_fingerprint(tower, tower.transform, tower.fingerprint())}"
    store = FeatureStore(folder, key, tower.embed_dim)
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    rows = store.rows(digests)[0]
    # the longest last: texts of one length are a batch without padding
    missing = sorted(
        {digests[number]: texts[number] for number in np.flatnonzero(rows < 0).tolist()}.items(), key=_length
    )
    if missing:
        level = logging.INFO if progress else logging.DEBUG
        log.log(
            level, "Text features: %s, %d to compute, the others are stored", counted(len(texts), "text"), len(missing)
        )
        _compute(backbone, missing, store, progress, truncate)
        rows = store.rows(digests)[0]
        if (rows < 0).any():
            raise FgvrError(
                f"{str(store.folder)!r} was deleted while it was written, or its index is damaged. Delete it if it is "
                "there, and start the same run again: what is in it can be computed again."
            )
    return torch.from_numpy(store.read()[rows].astype(np.float32))


def _compute(
    backbone: Backbone, missing: Sequence[tuple[str, str]], store: FeatureStore, progress: bool, truncate: bool
) -> None:
    kept: dict[tuple[str, int], np.ndarray] = {}
    stored_at = time.monotonic()
    try:
        with tqdm(total=len(missing), desc="Text features", unit="text", disable=not progress) as bar:
            for start in range(0, len(missing), _TEXTS_A_PASS):
                part = missing[start : start + _TEXTS_A_PASS]
                # stored for all runs, so in the numbers of none
                with torch.autocast(backbone.device.type, enabled=False):
                    found = backbone.encode_text([text for _, text in part], truncate)
                features = found.float().numpy(force=True)
                if not np.isfinite(features).all():
                    text = part[int(np.isfinite(features).all(axis=1).argmin())][1]
                    raise FgvrError(
                        f"{BACKBONES.short_name(type(backbone))} gives the text {text!r:.80} features that are not "
                        "finite; they are not stored. Look at the backbone's weights."
                    )
                kept |= {(digest, 0): row for (digest, _), row in zip(part, features, strict=True)}
                bar.update(len(part))
                if time.monotonic() - stored_at >= _SECONDS_KEPT:
                    store.put(kept)
                    kept, stored_at = {}, time.monotonic()
    finally:
        if kept:
            store.put(kept)


def _length(item: tuple[str, str]) -> int:
    return len(item[1])
