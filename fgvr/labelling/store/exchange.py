"""The label store as a table for other tools and machines: Parquet and JSONL, out and in, and CSV for people."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.labelling.store.keys import canonical, question_key
from fgvr.labelling.store.parse_stored import read_stored
from fgvr.labelling.store.rows import StoredReply
from fgvr.tables import write_csv
from fgvr.text import encodable

_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("sample_id", pa.string()),
        ("photo", pa.string()),
        ("others", pa.list_(pa.string())),
        ("answer", pa.int64()),
        ("identity", pa.string()),
        ("prompt", pa.string()),
        ("raw", pa.string()),
        ("names", pa.list_(pa.string())),
        ("parsed_names", pa.list_(pa.string())),
        ("flag", pa.string()),
        ("error", pa.string()),
        ("model", pa.string()),
        ("cost_usd", pa.float64()),
        ("seconds", pa.float64()),
        ("usage", pa.string()),
        ("attempts", pa.int64()),
        ("created_at", pa.string()),
    ]
)
COLUMNS = tuple(_SCHEMA.names)
"""Columns of an exported table; ``parsed_names`` and ``flag`` are for readers, and an import leaves them out."""

_JSON_COLUMNS = ("others", "identity", "names", "parsed_names", "usage")
_ROWS_A_GROUP = 10_000
# What some programs take for the end of a line, and JSON does not escape.
_LINE_ENDS = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}


def export_rows(rows: Iterable[StoredReply], path: Path) -> int:
    """Write one line per reply; a file of that name is replaced when the new one is complete.

    Args:
        rows: The replies.
        path: A file that ends in ``.parquet``, ``.jsonl`` or ``.csv``. In CSV, lists and the identity are JSON, and an
            apostrophe stands before what a spreadsheet would take for a formula.

    Returns:
        How many were written.

    Raises:
        FgvrError: The file's name ends in something else.
    """
    write = _writers[_format(path, _writers)]
    with replacing(path) as temporary:
        return write(map(_record, rows), temporary)


def import_rows(path: Path) -> Iterator[StoredReply]:
    """Read what ``export_rows`` wrote, row by row.

    Args:
        path: A file that ends in ``.parquet`` or ``.jsonl``. A CSV is for people: spreadsheets cut and change cells.

    Raises:
        FgvrError: There is no such file, it is of another format, or a row is not valid. The message names the row.
    """
    read = _readers[_format(path, _readers)]
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}: write it with the command `fgvr store export`.")
    for place, record in read(path):
        yield _checked(record, place)


def _format(path: Path, known: Iterable[str]) -> str:
    suffix = path.suffix.lower()
    if suffix not in known:
        raise FgvrError(f"{str(path)!r}: expected a file that ends in {', '.join(known)}.")
    return suffix


def _record(row: StoredReply) -> dict[str, Any]:
    parsed = read_stored(row)
    record: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(row)}
    record["photo"], record["identity"] = row.image, json.loads(row.identity)
    record["parsed_names"], record["flag"] = parsed.names, parsed.flag
    return {column: record[column] for column in COLUMNS}


def _write_parquet(records: Iterator[dict[str, Any]], path: Path) -> int:
    total = 0
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        while group := list(islice(records, _ROWS_A_GROUP)):
            for record in group:
                record["identity"] = canonical(record["identity"])
                record["usage"] = None if record["usage"] is None else _json(record["usage"])
            writer.write_table(pa.Table.from_pylist(group, schema=_SCHEMA))
            total += len(group)
    return total


def _write_jsonl(records: Iterator[dict[str, Any]], path: Path) -> int:
    total = 0
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            stream.write(f"{_json(record).translate(_LINE_ENDS)}\n")
            total += 1
    return total


def _write_csv(records: Iterator[dict[str, Any]], path: Path) -> int:
    def cells(record: dict[str, Any]) -> list[Any]:
        as_json = {column: _json(record[column]) for column in _JSON_COLUMNS if record[column] is not None}
        return list((record | as_json).values())

    return write_csv(path, COLUMNS, map(cells, records))


def _json(value: Any) -> str:
    return encodable(json.dumps(value, ensure_ascii=False))


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            records = (record for batch in file.iter_batches(_ROWS_A_GROUP) for record in batch.to_pylist())
            for number, record in enumerate(records, 1):
                place = f"{path}, row {number}"
                yield place, _with_json(record, ("identity", "usage"), place)
    except (pa.ArrowException, OSError) as error:
        raise FgvrError(f"{path} is not a Parquet file ({error}): write it again with `fgvr store export`.") from None


def _read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            place = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FgvrError(f"{place}: not JSON in UTF-8 ({error}); expected one object a line.") from None
            if not isinstance(record, dict):
                raise FgvrError(f"{place}: expected an object, one a line.")
            yield place, record


def _with_json(record: Mapping[str, Any], columns: Iterable[str], place: str) -> dict[str, Any]:
    """The record with the values of these columns, which are JSON texts; ``None`` for empty ones."""
    values = dict(record)
    for column in columns:
        text = values.get(column)
        try:
            values[column] = json.loads(text) if text else None
        except (ValueError, TypeError, RecursionError) as error:
            raise FgvrError(f"{place}: the column {column!r} is not JSON ({error}).") from None
    return values


def _checked(record: Mapping[str, Any], place: str) -> StoredReply:
    """The row of a record from outside.

    Raises:
        FgvrError: A value is missing or of another kind, or the key is not that of the request.
    """
    if "sample_index" in record:  # as the column was called before
        record = {"answer": record["sample_index"], **record}
    missing = [column for column in COLUMNS if column not in record and column not in ("parsed_names", "flag")]
    if missing:
        raise FgvrError(f"{place}: no {missing[0]!r}; expected the columns {', '.join(COLUMNS)}.")
    for column, (kind, fits) in _KINDS.items():
        if not fits(record[column]):
            raise FgvrError(f"{place}: {column!r} is {str(record[column])[:60]!r}; expected {kind}.")
    others, names = record["others"], record["names"]
    row = StoredReply(
        key=record["key"],
        sample_id=encodable(record["sample_id"]),
        image=record["photo"],
        others=tuple(others or ()),
        answer=record["answer"],
        identity=canonical(record["identity"]),
        prompt=encodable(record["prompt"]),
        raw=encodable(record["raw"]),
        names=None if names is None else tuple(map(encodable, names)),
        error=encodable(record["error"]),
        model=encodable(record["model"]),
        cost_usd=float(record["cost_usd"]),
        seconds=float(record["seconds"]),
        usage=record["usage"],
        attempts=record["attempts"],
        created_at=record["created_at"],
    )
    if row.key != question_key(row.identity, canonical(row.prompt), row.image, row.others, row.answer):
        raise FgvrError(
            f"{place}: the key {row.key[:60]!r} is not that of this photo, identity, prompt and answer. One of "
            "them was edited; write the file again with the command `fgvr store export`."
        )
    return row


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


def _is_list(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or (isinstance(value, list) and all(map(fits, value)))


def _is_moment(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (ValueError, TypeError):
        return False


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "key": ("a SHA-256 in hex", _is_digest),
    "sample_id": ("text", _is_text),
    "photo": ("a SHA-256 in hex", _is_digest),
    "others": ("a list of SHA-256 in hex, or nothing", _is_list(_is_digest)),
    "answer": ("a whole number from 0", _is_count),
    "identity": ("a JSON object", lambda value: isinstance(value, dict)),
    "prompt": ("text", _is_text),
    "raw": ("text", _is_text),
    "names": ("a list of names, or nothing", _is_list(_is_text)),
    "error": ("text", _is_text),
    "model": ("text", _is_text),
    "cost_usd": ("a number from 0", _is_amount),
    "seconds": ("a number from 0", _is_amount),
    "usage": ("a JSON object, or nothing", lambda value: value is None or isinstance(value, dict)),
    "attempts": ("a whole number from 0", _is_count),
    "created_at": ("a moment such as 2026-11-21T10:00:00+00:00", _is_moment),
}
_writers = {".parquet": _write_parquet, ".jsonl": _write_jsonl, ".csv": _write_csv}
_readers = {".parquet": _read_parquet, ".jsonl": _read_jsonl}
