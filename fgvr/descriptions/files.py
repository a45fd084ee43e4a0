"""Files of descriptions: ``descriptions.parquet`` of a run folder, and tables that are brought along."""

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.labelers.tasks.reading import one_line
from fgvr.parquet import read_metadata, read_parquet
from fgvr.photo_paths import posix_path
from fgvr.records import Description
from fgvr.tables import decode_text, read_csv
from fgvr.text import counted, encodable, visible

log = logging.getLogger(__name__)

_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("sample_id", pa.string()),
        ("class_name", pa.string()),
        ("text", pa.string()),
        ("members", pa.list_(pa.string())),
    ]
)
_METADATA = b"fgvr"
_TEXT = ("text", "description")
_IMAGE = ("sample_id", "file")
_MAX_LENGTH = 1000  # as of a model's reply
_COLUMNS = (
    "a column 'text' or 'description', and 'sample_id' (or 'file') for photos, 'class_name' for groups, or both with a "
    "column 'kind' of image and group"
)


@dataclass(frozen=True)
class Origin:
    """What a file of descriptions says of all of them together.

    Attributes:
        cost_usd: What the replies cost.
        simulated: Whether replies and dollars are made up.
        oracle: Whether true names have chosen the photos of a group.
    """

    cost_usd: float
    simulated: bool
    oracle: bool = False


def write_descriptions(descriptions: Sequence[Description], path: Path, origin: Origin | None = None) -> None:
    """Write one row per description: columns ``kind``, ``sample_id``, ``class_name``, ``text``, ``members``.

    The file is there in full or not at all.

    Args:
        descriptions: What to write.
        path: The Parquet file; its folder is made where it does not exist.
        origin: What goes into the metadata of its schema, under ``fgvr``.
    """
    columns = {
        field.name: pa.array([getattr(each, field.name) for each in descriptions], field.type) for field in _SCHEMA
    }
    schema = _SCHEMA if origin is None else _SCHEMA.with_metadata({_METADATA: json.dumps(asdict(origin))})
    with replacing_noted(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


def read_origin(path: Path) -> Origin | None:
    """What :func:`write_descriptions` left in the metadata; ``None`` where it left nothing, or somebody else wrote.

    Args:
        path: A file of descriptions, in any format.
    """
    if path.suffix.lower() != ".parquet":
        return None
    try:
        said = json.loads(read_metadata(path, _METADATA))
        cost = float(said["cost_usd"])
        return Origin(cost, bool(said["simulated"]), bool(said.get("oracle"))) if math.isfinite(cost) else None
    except (FgvrError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None  # whoever reads the rows says what is wrong with the file


def read_descriptions(path: Path) -> list[Description]:
    """Read what :func:`write_descriptions` wrote, or a table that somebody else made.

    A row needs a text (column ``text``, or ``description``), and says whether it is about a photo (``sample_id``, or
    ``file``) or about a class (``class_name``): by the column ``kind``, which is ``image`` or ``group``, else by which
    of the two has an entry, the photo first. So two columns ``class_name,description`` are enough for texts of
    classes. ``members`` may list a group's photos, in CSV as JSON. Rows without a text are left out, and counted.

    Args:
        path: A file that ends in ``.parquet``, ``.csv`` or ``.jsonl``.

    Raises:
        FgvrError: The file is missing or of another format, lacks a column, describes a photo twice, or has a row that
            is not valid. The message names the row.
    """
    readers = {".parquet": _parquet_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows}
    if (reader := readers.get(path.suffix.lower())) is None:
        raise FgvrError(f"{str(path)!r}: expected a file of descriptions that ends in {', '.join(readers)}.")
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r} (seen from {Path.cwd()}): set data.describe.file to the file")
    descriptions: list[Description] = []
    described: dict[str, str] = {}
    blank = 0
    for place, row in reader(path):
        each = _description(row, place)
        if each is None:
            blank += 1
            continue
        if each.kind == "image" and each.sample_id is not None:
            first = described.setdefault(each.sample_id, place)
            if first != place:
                raise FgvrError(f"{place}: {each.sample_id!r} is described in {first} already; keep one of the two.")
        descriptions.append(each)
    if blank:
        log.warning("%s of %s without text, left out", counted(blank, "row"), path)
    return descriptions


def _description(row: Mapping[str, Any], place: str) -> Description | None:
    """The description of a row; ``None`` where it has no text."""
    given = {key: value for key, value in row.items() if value is not None and value != ""}
    text = _cell(given, _TEXT, place)
    image, class_name = _cell(given, _IMAGE, place), _cell(given, ("class_name",), place)
    kind = _cell(given, ("kind",), place) or ("image" if image else "group")
    members = given.get("members", [])
    if kind not in ("image", "group"):
        raise FgvrError(f"{place}: kind is {kind!r}; expected image or group.")
    if not (image if kind == "image" else class_name):
        raise FgvrError(f"{place}: it does not say what it is about; expected {_COLUMNS}.")
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        raise FgvrError(f"{place}: members is {str(members)[:60]!r}; expected a list of photos.")
    # most texts are plain, and a run has a million of them
    text = " ".join(text.split()) if text.isascii() and text.isprintable() else one_line(encodable(text))
    if len(text) > _MAX_LENGTH:
        text = text[:_MAX_LENGTH].rpartition(" ")[0] or text[:_MAX_LENGTH]
    if not text:
        return None
    if kind == "image":
        return Description("image", text, sample_id=posix_path(image))
    return Description("group", text, class_name=encodable(class_name), members=tuple(members))


def _cell(row: Mapping[str, Any], columns: Sequence[str], place: str) -> str:
    """The text in the first of ``columns`` that the row has; ``""`` where it has none."""
    value = next((row[column] for column in columns if column in row), "")
    if not isinstance(value, str):
        raise FgvrError(f"{place}: {columns[0]} is {str(value)[:40]!r}; expected text.")
    return value.strip()


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    table = read_csv(path)
    _check_columns(table.header, path)
    for row in table.rows:
        cells: dict[str, Any] = dict(row.cells)
        if cells.get("members"):
            try:
                cells["members"] = json.loads(cells["members"])
            except (ValueError, RecursionError):
                raise FgvrError(
                    f'{table.place(row)}: members is {cells["members"][:60]!r}; expected a JSON list: ["a.jpg"]'
                ) from None
        yield table.place(row), cells


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # str.splitlines would also split at U+2028, which may stand inside a JSON string
    for number, line in enumerate(decode_text(path.read_bytes(), path).split("\n"), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FgvrError(f"{place}: not JSON ({error}); expected one object per line.") from None
            if not isinstance(row, dict):
                raise FgvrError(f"{place}: expected an object, not {line.strip()[:40]!r}.")
            _check_columns(row, place)
            yield place, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    table = read_parquet(path, "Write it again, or set data.describe.file to another one.")
    _check_columns(table.column_names, path)
    known = [name for name in table.column_names if name in {*_SCHEMA.names, *_TEXT, *_IMAGE}]
    for number, row in enumerate(table.select(known).to_pylist()):
        yield f"{path}, row {number}", row


def _check_columns(header: Iterable[str], place: Path | str) -> None:
    there = set(header)
    if not there.intersection(_TEXT) or not there.intersection((*_IMAGE, "class_name")):
        raise FgvrError(
            f"{place}: the columns are {visible(', '.join(sorted(there)), 200) or 'none'}; expected {_COLUMNS}."
        )
