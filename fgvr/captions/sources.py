"""Where captions come from: Parquet and JSONL files, read in a stream, and the glosses of WordNet."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.errors import FgvrError
from fgvr.parquet import said
from fgvr.text import encodable, visible
from fgvr.wordnet import read_wordnet
from fgvr.yaml_text import load_json

DEFAULT_KEY = "caption"
WORDNET = "wordnet glosses"
"""What captions made of WordNet are called; a row of results says it, too."""

_LONGEST = 2**20  # bytes of one line; a caption has a few hundred
_ROWS_A_READ = 4096
_SHOWN = 100
_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError, OverflowError, RecursionError)
_EXPECTED = "expected Parquet (.parquet), or JSONL (.jsonl, .jsonl.gz): a line is an object with a text, or a text"


@dataclass(frozen=True, eq=False)
class Captions:
    """Captions that are read anew, in a stream, each time they are gone through.

    Attributes:
        name: What a row of results says of them.
        version: Of what they were made from, where it has one.
        digest: 64 hex digits that change whenever the captions may.
        read: Begins a new pass; captions may be empty, and may come twice.
    """

    name: str
    version: str
    digest: str
    read: Callable[[], Iterator[str]]

    def __iter__(self) -> Iterator[str]:
        return self.read()


def file_captions(path: Path, text_key: str | None = None, option: str = "column") -> Captions:
    """The captions of a file, whose rows are checked as they are read.

    Args:
        path: Parquet, or JSONL that may be compressed by gzip, told by the end of the name. A line of JSONL is an
            object that has the caption under a key, or the caption itself.
        text_key: The column, or the key. If not given, ``caption``; where there is none, the only one with texts.
        option: The option by which the user names it, for messages.

    Raises:
        FgvrError: There is no such file, it is of another kind, or it has no such column. And, once they are read, a
            row that is no caption, with its number.
    """
    path = Path(path)
    if not path.is_file():
        raise FgvrError(f"There is no file {str(path)!r}; {_EXPECTED}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".parquet"]:
        column = _column(path, text_key, option)

        def read() -> Iterator[str]:
            return _parquet_texts(path, column)

    elif suffixes[-1:] in ([".jsonl"], [".ndjson"]) or suffixes[-2:] in ([".jsonl", ".gz"], [".ndjson", ".gz"]):
        column = text_key or ""

        def read() -> Iterator[str]:
            return _json_texts(path, text_key, option)

    else:
        raise FgvrError(f"{path}: the end of its name says no kind of file that is read here; {_EXPECTED}.")
    try:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FgvrError(f"{str(path)!r} cannot be read ({error.strerror}).") from None
    digest = hashlib.sha256(f"{content} {column}".encode()).hexdigest()
    return Captions(path.name, "", digest, read)


def wordnet_captions(path: Path | None = None, option: str = "wordnet") -> Captions:
    """A caption of each noun synset of a WordNet: its lemmas, and its gloss after a colon.

    CaSED names a photo by words of its captions. A gloss alone rarely holds the name of what it explains, so the lemmas
    stand before it: *house finch, linnet, Carpodacus mexicanus: small finch originally of ...*. This is a choice of
    ours; CaSED itself has captions of photos from the web, and a row with these says so.

    Args:
        path: See :func:`fgvr.wordnet.read_wordnet`.
        option: The option by which the user names ``path``, for messages.

    Raises:
        FgvrError: No WordNet is found, or its files are damaged.
    """
    wordnet = read_wordnet(path, option)
    texts = [f"{', '.join(synset.lemmas)}: {synset.gloss}" for synset in wordnet.synsets]
    digest = hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    return Captions(WORDNET, wordnet.version, digest, lambda: iter(texts))


def _column(path: Path, name: str | None, option: str) -> str:
    """The column of a Parquet file that has the captions."""
    try:
        schema = pq.read_schema(path)
    except _DAMAGE as error:
        raise FgvrError(f"{path} is not a Parquet file, or is damaged ({said(error)}).") from None
    texts: list[str] = [field.name for field in schema if _is_text(field.type)]
    wanted = name or DEFAULT_KEY
    if texts.count(wanted) == 1 and schema.names.count(wanted) == 1:
        return wanted
    if name is None and DEFAULT_KEY not in schema.names and len(texts) == 1:
        return texts[0]
    there = ", ".join(repr(visible(text, _SHOWN)) for text in texts[:20]) or "none"
    what = f"{option} is {name!r}, and" if name is not None else "with several columns,"
    held = f" (it is {schema.field(wanted).type})"[:_SHOWN] if schema.names.count(wanted) == 1 else ""
    raise FgvrError(f"{path}: {what} there is no single column {wanted!r} of texts{held}. Columns of texts: {there}.")


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _parquet_texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a column, a few thousand rows at a time; an empty one where the value is null."""
    row = 0
    try:
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS_A_READ, columns=[column]):
                values = batch.column(batch.schema.names.index(column))
                values.validate(full=True)
                for text in values.to_pylist():
                    row += 1
                    if text is not None and len(text) > _LONGEST:
                        raise FgvrError(f"{path}, row {row}: longer than {_LONGEST // 2**20} MB, so it is no caption.")
                    yield encodable(text or "").strip()
    except _DAMAGE as error:
        raise FgvrError(
            f"{path} is damaged after row {row}: the column {column!r} cannot be read there ({said(error)})."
        ) from None


def _json_texts(path: Path, key: str | None, option: str) -> Iterator[str]:
    """The texts of the lines of a JSONL file."""
    zipped = path.suffix.lower() == ".gz"
    number = 0
    try:
        with cast("BinaryIO", gzip.open(path, "rb") if zipped else path.open("rb")) as stream:
            while line := stream.readline(_LONGEST + 1):
                number += 1
                place = f"{path}, line {number}"
                if len(line) > _LONGEST:
                    raise FgvrError(f"{place}: longer than {_LONGEST // 2**20} MB, so it is no caption; {_EXPECTED}.")
                if not (line := line.strip()):
                    continue
                value = _json_value(line, place)
                if isinstance(value, dict):
                    key = _key(value, place, option) if key is None else key
                    if key not in value:
                        raise FgvrError(f"{place}: there is no key {key!r} in {visible(str(list(value)), _SHOWN)}.")
                    value = value[key]
                if value is not None and not isinstance(value, str):
                    raise FgvrError(f"{place}: {visible(json.dumps(value), _SHOWN)} is no text; {_EXPECTED}.")
                yield encodable(value or "").strip()
    except (OSError, EOFError, zlib.error) as error:
        raise FgvrError(f"{path} cannot be read after line {number} ({said(error)}).") from None


def _json_value(line: bytes, place: str) -> Any:
    try:
        return load_json(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FgvrError(f"{place}: not UTF-8 text ({error.reason}); save the file as UTF-8.") from None
    except ValueError as error:
        raise FgvrError(f"{place}: no JSON ({said(error)}); {_EXPECTED}.") from None


def _key(value: dict[str, Any], place: str, option: str) -> str:
    """The key of the captions, by the first object of a file."""
    texts = [key for key, text in value.items() if isinstance(text, str)]
    if DEFAULT_KEY in value or len(texts) == 1:
        return DEFAULT_KEY if DEFAULT_KEY in value else str(texts[0])
    raise FgvrError(
        f"{place}: there is no key {DEFAULT_KEY!r}, and not one text alone, in {visible(str(list(value)), _SHOWN)}; "
        f"name the key of the captions with {option}."
    )
