"""Files of class names as people have them: a line, a row or an entry for each name."""

import json
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from fgvr.errors import FgvrError
from fgvr.records import Vocabulary
from fgvr.tables import Row, Table, decode_text, parse_csv, read_csv
from fgvr.text import composed
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import parse_vocabulary
from fgvr.yaml_text import Bounded, load_json

EXPECTED = (
    "a text file with one name per line, a CSV with the column name, class_name or class, a list of names as JSON or "
    "YAML, or a vocabulary.json"
)
"""The files that are read, for messages."""

_COLUMNS = ("class_name", "name", "class")
_TABLES = (".csv", ".tsv", ".tab")
_WRAPPERS = ("class_names", "names", "classes")
_WORDNET_ID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"\d+")
_LEADING_NUMBER = re.compile(r"(\d+)[,;:.)_\- ]\s*(\S.*)")
_TRAILING_NUMBER = re.compile(r"(.*\S)\s*[,;]\s*(\d+)")
_WORDNET_NAME = re.compile(r"n\d{8}(?!\d).*")
_SEPARATOR = re.compile(r"[,;\t]")
_BULLET = re.compile(r"[*+\u2022\u2013]\s+(\S.*)")
_QUOTED = re.compile(r"([\"'])(.*)\1|\u201c(.*)\u201d")
_CODE = re.compile(r"\w+\s*=\s*[\[({].*|[\[\](){}],?")


def read_class_names(path: Path, key: str, instead: str = "") -> Vocabulary:
    """The vocabulary that a file states, whatever its form.

    Args:
        path: The file; its ending says which form it has, and a text that begins as JSON or as a YAML list is read as
            such.
        key: The option that names it, for messages.
        instead: What else the option takes, for messages.

    Raises:
        FgvrError: There is no such file, it has another form, an entry is no text, a name is blank or given twice.
    """
    if not path.is_file():
        raise FgvrError(
            f"{key} is {str(path)!r}, which is no file; expected {f'{instead}, or ' if instead else ''}{EXPECTED}."
        )
    ending = path.suffix.lower()
    try:
        if ending in _TABLES:
            return _vocabulary(_of_table(read_csv(path)), path)
        text = decode_text(path.read_bytes(), path)
    except OSError as error:
        raise FgvrError(f"{key} is {str(path)!r}, which cannot be read ({error.strerror}).") from None
    if ending == ".json":
        return _of_content(_json(text, path), path)
    if ending in (".yaml", ".yml"):
        return _of_content(_yaml(text, path), path)
    lines = [line.strip() for line in text.splitlines()]
    filled = [line for line in lines if line]
    if filled and filled[0][0] in "[{":
        return _of_content(_first_that_reads(text, path, _json, _yaml), path)
    if filled and all(line.startswith("- ") for line in filled):
        return _of_content(_yaml(text, path), path)
    if filled and len(cells := _SEPARATOR.split(filled[0])) > 1 and _known_columns(cells):
        return _vocabulary(_of_table(parse_csv(text, path)), path)
    return _vocabulary(_of_lines(lines, path), path)


def _vocabulary(names: Sequence[str], path: Path) -> Vocabulary:
    # a Mac writes accents apart, and true names have them in one character
    names = [composed(name) for name in names]
    _refuse_indices(names, path)
    try:
        return known_vocabulary(names)
    except FgvrError as error:
        raise FgvrError(f"{path}: {error}") from None


def _refuse_indices(names: Sequence[str], path: Path) -> None:
    """Refuse names that all begin or end with an index of the class, or with its id in WordNet."""
    if names and all(map(_WORDNET_NAME.fullmatch, names)):
        raise FgvrError(
            f"{path}: all names begin with ids of WordNet, such as {names[0][:60]!r}; expected names alone: remove the "
            "ids, or put the names in their place."
        )
    for pattern, number, rest in ((_LEADING_NUMBER, 1, 2), (_TRAILING_NUMBER, 2, 1)):
        found = [match for match in map(pattern.fullmatch, names) if match]
        if not 1 < len(found) == len(names) or len({match[rest] for match in found}) < len(found):
            continue  # "1 Euro" and "2 Euro" are names
        if sorted(int(match[number]) for match in found) in _counts(len(found)):
            raise FgvrError(
                f"{path}: the names are numbered, such as {names[0][:60]!r}; expected names alone: remove the numbers, "
                "or make it a CSV with the column name."
            )


def _of_lines(lines: Sequence[str], path: Path) -> list[str]:
    """The lines that are not blank, without heading, bullets and quotes; refused where they hold more than names."""
    names = [line for line in lines if line]
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}: {line[:60]!r}"
        if line.startswith("#"):
            raise FgvrError(f"{place} begins with #; a file of names has no comments.")
        if "\t" in line:
            raise FgvrError(
                f"{place} holds a tab; expected one name per line, or a CSV with the column name, class_name or class."
            )
        if _CODE.fullmatch(line):
            raise FgvrError(f"{place} is code; expected one name per line, or a list of names as JSON.")
    if len(names) > 1 and _known_columns(names[:1]):  # a CSV of one column, whatever it is called
        names = names[1:]
    if bullets := _all_match(_BULLET, names):
        names = [match[1] for match in bullets]
    if len(names) > 1 and all(name.endswith((",", ";")) for name in names[:-1]):
        names = [name.rstrip(",; ") for name in names]
    if quoted := _all_match(_QUOTED, names):
        names = [(match[2] or match[3] or "").strip() for match in quoted]
    elif len(names) == 1 and _SEPARATOR.search(names[0]):
        raise FgvrError(f"{path} has a single line, {names[0][:60]!r}; expected one name per line.")
    numbered = [
        match for match in map(_LEADING_NUMBER.fullmatch, names[1:]) if match and match[0][match.end(1)] in ",;"
    ]
    if numbered and len(numbered) == len(names) - 1 and _SEPARATOR.search(names[0]):
        raise FgvrError(
            f"{path} is a table whose first line is {names[0][:60]!r}; expected one name per line, or a CSV with the "
            "column name, class_name or class."
        )
    return names


def _all_match(pattern: re.Pattern[str], names: Sequence[str]) -> list[re.Match[str]]:
    """What the pattern finds in each of the names; nothing where it does not fit them all."""
    found = [match for match in map(pattern.fullmatch, names) if match]
    return found if len(found) == len(names) else []


def _of_table(table: Table) -> list[str]:
    column = _name_column(table)
    rows: dict[str, Row] = {}
    for row in table.rows:
        name = table.line(row, column)
        if not name:
            raise FgvrError(f"{table.place(row)}: the column {column!r} has no name; fill it in, or delete the row.")
        if name in rows:
            raise FgvrError(
                f"{table.place(row)}: {name!r} is in row {rows[name].number} already; expected one row per class."
            )
        rows[name] = row
    return list(rows)


def _name_column(table: Table) -> str:
    known = _known_columns(table.header)
    if len(known) > 1:
        # a column of indices is called "class" as often as one of names
        known = {key: column for key, column in known.items() if not _is_number_column(table, column)}
    column = known.get("class_name") or (next(iter(known.values())) if len(known) == 1 else None)
    if column is None:
        there = ", ".join(repr(column) for column in table.header if column)
        raise FgvrError(
            f"{table.path} has the columns {there}; expected one that is called name, class_name or class"
            f"{', and not several' if known else ''}."
        )
    return column


def _known_columns(header: Sequence[str]) -> dict[str, str]:
    """Which of the known columns there are -> how they are written."""
    folded = {column.strip().casefold().replace(" ", "_"): column for column in header}
    return {known: folded[known] for known in _COLUMNS if known in folded}


def _is_number_column(table: Table, column: str) -> bool:
    return all(_NUMBER.fullmatch(row.cells[column]) for row in table.rows)


def _first_that_reads(text: str, path: Path, *readers: Callable[[str, Path], Any]) -> Any:
    for reader in readers[:-1]:
        try:
            return reader(text, path)
        except FgvrError:
            continue
    return readers[-1](text, path)


def _json(text: str, path: Path) -> Any:
    try:
        return load_json(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise FgvrError(f"{path} is not JSON ({error}); expected a list of names, or a vocabulary.json.") from None


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for key, value in pairs:
        if key in known:
            raise ValueError(f"the key {key!r} is there twice")
        known[key] = value
    return known


class _TextLoader(Bounded, yaml.BaseLoader):
    """Leaves every scalar as it is written, ``no`` and ``1e3`` too, and takes no key twice."""

    most_characters: ClassVar[int] = 8_000_000

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        counts = Counter(key for key in keys if isinstance(key, Hashable))
        if twice := next((key for key, count in counts.items() if count > 1), None):
            raise yaml.YAMLError(f"the key {twice!r} is there twice")
        return super().construct_mapping(node, deep=deep)


def _yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=_TextLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise FgvrError(f"{path} is not YAML ({' '.join(str(error).split())}); expected a list of names.") from None


def _of_content(content: Any, path: Path) -> Vocabulary:
    if isinstance(content, dict):
        if "version" in content or _is_list_of(content.get("classes"), dict):
            # what a person made of it counts, not how it came about
            return replace(parse_vocabulary(content, path, "Mend it."), joins=())
        wrapped = [key for key in _WRAPPERS if isinstance(content.get(key), list | dict)]
        if len(wrapped) == 1:  # as in the data files of YOLO
            content = content[wrapped[0]]
    names = _of_mapping(content, path) if isinstance(content, dict) else content
    if not isinstance(names, list):
        raise _wrong(path, f"it holds {names!r:.60}")
    for number, name in enumerate(names):
        if not isinstance(name, str):
            raise _wrong(path, f"name {number} is {json.dumps(name, ensure_ascii=False):.60}, which is no text")
    return _vocabulary([name.strip() for name in names], path)


def _of_mapping(content: Mapping[Any, Any], path: Path) -> list[Any]:
    """Names by their index, of a mapping from indices to names or from names to indices."""
    for indices, names in (
        (list(content), list(content.values())),
        (list(content.values()), list(content)),
    ):
        numbers = [_index(index) for index in indices]
        if content and sorted(number for number in numbers if number is not None) in _counts(len(numbers)):
            ordered = [name for _, name in sorted(zip(numbers, names, strict=True), key=lambda pair: pair[0] or 0)]
            if all(_is_list_of(name, str) and len(name) == 2 and _WORDNET_ID.fullmatch(name[0]) for name in ordered):
                return [name for _, name in ordered]  # as for ImageNet: its id in WordNet, and the name
            return ordered
    keys = ", ".join(repr(key) for key in [*content][:3])
    raise _wrong(path, f"it is a mapping whose keys ({keys}{', ...' if len(content) > 3 else ''}) do not count classes")


def _index(value: Any) -> int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if type(value) is int else None


def _counts(length: int) -> tuple[list[int], list[int]]:
    return list(range(length)), list(range(1, length + 1))


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, kind) for each in value)


def _wrong(path: Path, problem: str) -> FgvrError:
    return FgvrError(
        f'{path} states no class names: {problem}; expected a list of names, ["Pug", "Boxer"], names by index, '
        '{"0": "Pug", "1": "Boxer"}, or a vocabulary.json.'
    )
