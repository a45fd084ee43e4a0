"""Making an index of captions: read them once, then encode them chunk by chunk, and go on after any interruption."""

import hashlib
import logging
import os
import re
import time
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from tqdm import tqdm

from fgvr.backbones.base import Backbone
from fgvr.captions.files import (
    CHUNK_ROWS,
    DTYPE,
    FEATURES,
    LOCK,
    OFFSETS,
    TEXTS,
    WORDS,
    IndexState,
    check_texts,
    checksum_of,
    chunk_rows,
    damaged_chunks,
    map_array,
    read_state,
    write_state,
)
from fgvr.captions.index import CaptionIndex, shown_tower, tower_key
from fgvr.captions.sources import Captions
from fgvr.captions.words import cleaned
from fgvr.errors import FgvrError, TextTooLongError
from fgvr.files import remove_temporaries, replacing
from fgvr.registry import BACKBONES
from fgvr.text import counted, verb, visible

log = logging.getLogger(__name__)

_TEXTS_A_PASS = 512
_LOOK_SECONDS = 0.1
_NO_WORD = re.compile(r"[^a-z0-9]+")


def build_index(captions: Captions, backbone: Backbone, folder: Path, progress: bool = True) -> CaptionIndex:
    """Make an index of captions, or go on with it, or open it where it is complete.

    Killed at any moment, it loses at most the features of ``CHUNK_ROWS`` captions. Of two processes with the same
    folder, the second one waits for the first, and opens what that has made. Captions that are longer than the text
    tower's context are cut off, as is usual for captions; how many, a warning says.

    Args:
        captions: Where they come from. Empty ones are left out, equal ones are kept once.
        backbone: Loaded; its weights as they come, not tuned.
        folder: Made if it is not there.
        progress: Whether to show bars.

    Raises:
        FgvrError: There are no captions, a row of their file is none, the folder has an index of other captions or of
            another text tower, features are not finite, or the folder cannot be written.
    """
    folder = Path(folder)
    made_with = tower_key(backbone)
    with _locked(folder):
        state = read_state(folder)
        if state is None:
            remove_temporaries(folder)
            state = _store_texts(captions, made_with, backbone.embed_dim, folder, progress)
        elif (state.digest, state.made_with) != (captions.digest, made_with):
            there, these = shown_tower(state.made_with), shown_tower(made_with)
            raise FgvrError(
                f"{str(folder)!r} has an index of {counted(state.rows, 'caption')} ({visible(state.captions, 100)}) by "
                f"the text tower {there}, and these are {captions.name} by {these}: name another folder, or delete "
                "that one."
            )
        else:
            remove_temporaries(folder)
            state = _without_damage(folder, state)
        if state.missing:
            state = _store_features(state, backbone, folder, progress)
            # said once, and not by each run with the index
            if cut := sum(state.cut):
                log.warning(
                    "%s %s longer than the text tower's context; what exceeds it was cut off",
                    *(counted(cut, "caption"), verb(cut)),
                )
    return CaptionIndex.open(folder)


def index_folder(captions: Captions, backbone: Backbone, cache_dir: Path) -> Path:
    """Where the index of captions is kept if no other place is named: its name has both and a hash of both.

    Args:
        captions: Where they come from.
        backbone: Loaded.
        cache_dir: The folder of what can be computed again.
    """
    key = f"{captions.digest} {tower_key(backbone)}"
    parts = [_NO_WORD.sub("-", text.lower()).strip("-") for text in (captions.name, tower_key(backbone)[:-33])]
    return cache_dir / "captions" / f"{'-'.join(parts)[:60]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """A lock of the operating system, which ends with its process, however that ends."""
    lock = FileLock(folder / LOCK)
    told = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except Timeout:
                if not told:
                    log.warning("Another process makes the index in %r; waiting for it to end.", str(folder))
                told = True
                time.sleep(_LOOK_SECONDS)
    except OSError as error:
        raise FgvrError(
            f"The folder {str(folder)!r} of the caption index cannot be written ({error.strerror or error}): check its "
            "permissions, or name another one."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _store_texts(captions: Captions, made_with: str, width: int, folder: Path, progress: bool) -> IndexState:
    """Store captions, offsets and words; the state names them only when all are whole."""
    offsets, words = array("q", [0]), set[str]()
    seen: set[bytes] = set()
    empty = repeated = 0
    with replacing(folder / TEXTS) as temporary, temporary.open("wb") as stream:
        bar = tqdm(captions, desc="Captions", unit="caption", unit_scale=True, disable=not progress)
        for text in bar:
            content = text.encode("utf-8")
            # 16 bytes of each and not the captions: of a million they take a tenth of a gigabyte
            digest = hashlib.blake2b(content, digest_size=16).digest()
            if not content:
                empty += 1
            elif digest in seen:
                repeated += 1
            else:
                seen.add(digest)
                stream.write(content)
                offsets.append(offsets[-1] + len(content))
                words.update(cleaned(text))
    rows = len(offsets) - 1
    if not rows:
        only = f", only {counted(empty, 'empty row')}" if empty else ""
        raise FgvrError(f"{captions.name} has no caption{only}: an index needs at least one.")
    with replacing(folder / OFFSETS) as temporary, temporary.open("wb") as stream:
        np.save(stream, np.frombuffer(offsets, dtype=np.int64).astype("<i8"))
    with replacing(folder / WORDS) as temporary:
        temporary.write_text("".join(f"{word}\n" for word in sorted(words)), encoding="ascii")
    _make_features(folder, (rows, width))
    chunks = -(-rows // CHUNK_ROWS)
    state = IndexState(
        captions=captions.name,
        version=captions.version,
        digest=captions.digest,
        made_with=made_with,
        rows=rows,
        width=width,
        empty=empty,
        repeated=repeated,
        sums={name: checksum_of(folder / name) for name in (TEXTS, OFFSETS, WORDS)},
        chunks=[None] * chunks,
        cut=[0] * chunks,
    )
    write_state(folder, state)
    return state


def _make_features(folder: Path, shape: tuple[int, int]) -> None:
    """An empty array on the disk, which chunks are written into."""
    with replacing(folder / FEATURES) as temporary, temporary.open("wb") as stream:
        header = {"descr": DTYPE.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + shape[0] * shape[1] * DTYPE.itemsize)


def _without_damage(folder: Path, state: IndexState) -> IndexState:
    """The state, in which chunks that are not as they were computed are missing.

    Raises:
        FgvrError: The captions themselves are damaged.
    """
    check_texts(folder, state)
    try:
        features = map_array(folder / FEATURES, (state.rows, state.width), DTYPE)
        damaged = set(damaged_chunks(features, state))
    except FgvrError:
        _make_features(folder, (state.rows, state.width))
        damaged = {number for number, checksum in enumerate(state.chunks) if checksum is not None}
    if damaged:
        log.warning(
            "%r is damaged: the features of about %s are computed anew; look after the disk.",
            *(str(folder / FEATURES), counted(min(len(damaged) * CHUNK_ROWS, state.rows), "caption")),
        )
        chunks = [None if number in damaged else checksum for number, checksum in enumerate(state.chunks)]
        state = replace(state, chunks=chunks)
        write_state(folder, state)
    return state


def _store_features(state: IndexState, backbone: Backbone, folder: Path, progress: bool) -> IndexState:
    """Compute and store what is missing; the state speaks of a chunk only when it is on the disk."""
    chunks, cut = list(state.chunks), list(state.cut)
    offsets = map_array(folder / OFFSETS, (state.rows + 1,), np.dtype("<i8"))
    array_bytes = state.rows * state.width * DTYPE.itemsize
    path = folder / FEATURES
    # the header's length is the file's without the numbers
    start = path.stat().st_size - array_bytes
    done = state.rows - sum(
        chunk_rows(state, number).stop - chunk_rows(state, number).start for number in state.missing
    )
    with (
        tqdm(
            total=state.rows, initial=done, desc="Text features", unit="caption", unit_scale=True, disable=not progress
        ) as bar,
        (folder / TEXTS).open("rb") as texts,
        path.open("r+b") as stream,
    ):
        for number in state.missing:
            rows = chunk_rows(state, number)
            texts.seek(int(offsets[rows.start]))
            content = texts.read(int(offsets[rows.stop] - offsets[rows.start]))
            ends = (offsets[rows.start : rows.stop + 1] - offsets[rows.start]).tolist()
            part = [content[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]
            features, cut[number] = _encoded(backbone, part, bar)
            # not through a map: a full disk would kill the process
            stream.seek(start + rows.start * state.width * DTYPE.itemsize)
            stream.write(features.tobytes())
            stream.flush()
            os.fsync(stream.fileno())
            chunks[number] = zlib.crc32(features.data)
            state = replace(state, chunks=chunks, cut=cut)
            write_state(folder, state)
    return state


def _encoded(backbone: Backbone, texts: Sequence[str], bar: "tqdm[Any]") -> tuple[NDArray[np.float16], int]:
    """Text features in float16, and how many of the texts are longer than the text tower's context."""
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    found = np.empty((len(texts), backbone.embed_dim), dtype=DTYPE)
    long: list[int] = []
    # texts of one length are a batch without padding
    for start in range(0, len(texts), _TEXTS_A_PASS):
        rows = order[start : start + _TEXTS_A_PASS]
        _encode(backbone, texts, rows, found, long)
        bar.update(len(rows))
    for start in range(0, len(long), _TEXTS_A_PASS):
        rows = long[start : start + _TEXTS_A_PASS]
        found[rows] = _features(backbone, [texts[row] for row in rows], truncate=True)
    return found, len(long)


def _encode(
    backbone: Backbone, texts: Sequence[str], rows: list[int], found: NDArray[np.float16], long: list[int]
) -> None:
    """Features of the rows into ``found``; those whose texts are too long are only noted."""
    try:
        found[rows] = _features(backbone, [texts[row] for row in rows], truncate=False)
    except TextTooLongError:
        if len(rows) == 1:
            long += rows
            return
        # the backbone says which one it was, and not how many there are
        middle = len(rows) // 2
        _encode(backbone, texts, rows[:middle], found, long)
        _encode(backbone, texts, rows[middle:], found, long)


def _features(backbone: Backbone, texts: list[str], truncate: bool) -> NDArray[np.float32]:
    # stored for all runs, so in the numbers of none
    with torch.autocast(backbone.device.type, enabled=False):
        features = backbone.encode_text(texts, truncate=truncate).float().numpy(force=True)
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise FgvrError(
            f"{BACKBONES.short_name(type(backbone))} gives the caption {texts[int(finite.argmin())]!r:.80} features "
            "that are not finite; they are not stored. Look at the backbone's weights."
        )
    return features
