"""Parquet files, read in one way: damaged ones, and those with other columns, are refused in one line."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import check
from fgvr.errors import FgvrError
from fgvr.text import visible

# pyarrow raises its own errors, and those of Python for what it finds in a damaged footer; a length in it may be any
_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError, OverflowError, RecursionError)
_SAID = 200


def read_parquet(path: Path, advice: str, schema: pa.Schema | None = None, may_lack: Collection[str] = ()) -> pa.Table:
    """A Parquet file, read as a whole; its values are what their types say: texts are UTF-8, lists have their ends.

    Args:
        path: The file.
        advice: What to do about a file that cannot be read, for messages: a sentence or more.
        schema: The columns to read, in the order and the types in which they are returned. All columns, as they are,
            if not given.
        may_lack: Those of them that the file need not have.

    Raises:
        FgvrError: There is no such file, it is damaged, or it lacks a column or has one of another type.
    """
    if not path.is_file():
        # there is nothing to remove
        raise FgvrError(f"There is no {str(path)!r}. {advice.replace('Remove it: ', 'To have it: ')}")
    check(path)
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)
    except _DAMAGE as error:
        raise FgvrError(f"{path} is not a Parquet file, or is damaged ({said(error)}). {advice}") from None
    there = table.column_names
    if twice := next((name for name in there if there.count(name) > 1), ""):
        raise FgvrError(f"{path} has two columns {twice!r}. {advice}")
    if schema is None:
        return table
    present = [name for name in schema.names if name in there or name not in may_lack]
    if lacking := next((name for name in present if name not in there), ""):
        raise FgvrError(
            f"{path} has no column {lacking!r}; it needs {', '.join(schema.names)}, and has "
            f"{visible(', '.join(there), _SAID) or 'none'}. {advice}"
        )
    return cast_columns(table, pa.schema([schema.field(name) for name in present]), path, advice)


def cast_columns(table: pa.Table, schema: pa.Schema, path: Path, advice: str) -> pa.Table:
    """The columns of a table that a schema has, in its order and types.

    Args:
        table: It has all of them.
        schema: See there.
        path: Where it was read from, for messages.
        advice: What to do about such a file, for messages.

    Raises:
        FgvrError: A column has another type.
    """
    columns = []
    for field in schema:
        column = table.column(field.name)
        try:
            columns.append(column.cast(field.type))
        except _DAMAGE as error:
            raise FgvrError(
                f"{path}: the column {field.name!r} holds {column.type}; expected {field.type} ({said(error)}). "
                f"{advice}"
            ) from None
    return pa.table(columns, schema=schema)


def read_metadata(path: Path, key: bytes) -> bytes:
    """What the metadata of a file's schema has under a key; nothing where it has none.

    Raises:
        FgvrError: The file is damaged.
    """
    check(path)
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        return metadata.get(key, b"")
    except _DAMAGE as error:
        raise FgvrError(f"{path} is not a Parquet file, or is damaged ({said(error)}).") from None


def said(error: BaseException) -> str:
    """What an error says, in one line that is not too long.

    Args:
        error: Any; some of pyarrow's have several lines, or parts of the file.
    """
    return visible(str(error), _SAID).rstrip(". ") or type(error).__name__
