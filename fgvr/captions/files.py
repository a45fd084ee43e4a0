"""The files of a caption index: their names, what is known of them, and whether they are as they were written."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.text import counted
from fgvr.yaml_text import load_json

STATE = "index.json"
TEXTS, OFFSETS, WORDS, FEATURES = "captions.utf8", "offsets.npy", "words.txt", "features.npy"
LOCK = "index.lock"
FORMAT = 1
CHUNK_ROWS = 2048
"""Captions whose features are computed, checked and stored together: so many are lost with a process that is killed."""
DTYPE = np.dtype("<f2")

_BLOCK = 2**20
_AGAIN = "Delete the folder, and make the index again: `fgvr cased-index`."


@dataclass(frozen=True)
class IndexState:
    """What ``index.json`` says of an index.

    Attributes:
        captions: What the captions are called.
        version: Of what they were made from, where it has one.
        digest: Of the captions' source.
        made_with: Key of the text tower.
        rows: Captions.
        width: Numbers per feature.
        empty: Captions that were left out because they had no text.
        repeated: Captions that were left out because they had come before.
        sums: Name of a file with texts -> its CRC-32.
        chunks: CRC-32 of the features of every ``CHUNK_ROWS`` captions; ``None`` where they are not computed.
        cut: How many captions of a chunk are longer than the text tower's context.
        format: Of these files.
    """

    captions: str
    version: str
    digest: str
    made_with: str
    rows: int
    width: int
    empty: int
    repeated: int
    sums: dict[str, int]
    chunks: list[int | None]
    cut: list[int]
    format: int = FORMAT

    @property
    def missing(self) -> list[int]:
        """Chunks whose features are not computed."""
        return [number for number, checksum in enumerate(self.chunks) if checksum is None]


def write_state(folder: Path, state: IndexState) -> None:
    """Write ``index.json``; the old one is there until the new one is whole."""
    with replacing(folder / STATE) as path:
        path.write_text(json.dumps(asdict(state)), encoding="utf-8")


def read_state(folder: Path) -> IndexState | None:
    """What an index says of itself; ``None`` where there is none.

    Raises:
        FgvrError: It is damaged, or of another version of fgvr.
    """
    try:
        found: Any = load_json((folder / STATE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise FgvrError(f"{folder / STATE} cannot be read ({error}). {_AGAIN}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        said = found.get("format") if isinstance(found, dict) else None
        raise FgvrError(f"{folder / STATE} has format {said!r:.40}; this version of fgvr reads {FORMAT}. {_AGAIN}")
    if not _is_whole(found):
        raise FgvrError(f"{folder / STATE} is damaged: it does not say what an index has to say. {_AGAIN}")
    return IndexState(**found)


def _is_whole(found: dict[str, Any]) -> bool:
    if set(found) != {field.name for field in fields(IndexState)}:
        return False
    chunks, cut, sums = found["chunks"], found["cut"], found["sums"]
    if not (isinstance(chunks, list) and isinstance(cut, list) and isinstance(sums, dict)):
        return False
    numbers = [found["rows"], found["width"], found["empty"], found["repeated"], *cut, *sums.values()]
    numbers += [checksum for checksum in chunks if checksum is not None]
    return (
        all(isinstance(found[key], str) for key in ("captions", "version", "digest", "made_with"))
        and bool(found["captions"].strip())  # else a row would not say whose captions its names are from
        and all(type(number) is int and number >= 0 for number in numbers)
        and found["rows"] > 0
        and found["width"] > 0
        and set(sums) == {TEXTS, OFFSETS, WORDS}
        and len(chunks) == len(cut) == -(-found["rows"] // CHUNK_ROWS)
    )


def checksum_of(path: Path) -> int:
    """CRC-32 of a file."""
    checksum = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def check_texts(folder: Path, state: IndexState) -> None:
    """Refuse captions, offsets or words that are not as they were written.

    Raises:
        FgvrError: One of the files is missing or damaged.
    """
    for name, checksum in state.sums.items():
        try:
            whole = checksum_of(folder / name) == checksum
        except OSError as error:
            raise FgvrError(f"{folder / name} cannot be read ({error.strerror}). {_AGAIN}") from None
        if not whole:
            raise FgvrError(f"{folder / name} is damaged, or was changed since it was written. {_AGAIN}")


def map_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of an index, memory-mapped, to be read only.

    Raises:
        FgvrError: The file is missing or damaged, or has another shape or type.
    """
    try:
        # a pickle would run code
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError) as error:
        raise FgvrError(f"{path} cannot be read, or is damaged ({str(error)[:200]}). {_AGAIN}") from None
    if not isinstance(found, np.memmap) or found.shape != shape or found.dtype != dtype or not found.flags.c_contiguous:
        raise FgvrError(f"{path} is damaged: expected {dtype} of shape {shape}. {_AGAIN}")
    return found


def chunk_rows(state: IndexState, number: int) -> slice:
    """The rows of a chunk."""
    return slice(number * CHUNK_ROWS, min((number + 1) * CHUNK_ROWS, state.rows))


def damaged_chunks(features: NDArray[Any], state: IndexState) -> Iterator[int]:
    """Numbers of the chunks whose features are not what was computed; those that are missing do not count."""
    for number, checksum in enumerate(state.chunks):
        if checksum is not None and zlib.crc32(features[chunk_rows(state, number)].data) != checksum:
            yield number


def not_complete(folder: Path, state: IndexState, option: str) -> FgvrError:
    """What is said of an index that is not finished."""
    missing = len(state.missing) * CHUNK_ROWS
    return FgvrError(
        f"{option}: the caption index {str(folder)!r} is not complete: about {counted(missing, 'caption')} of "
        f"{state.rows} have no features. Give the command that makes it again, `fgvr cased-index`, which goes on where "
        "it was."
    )
