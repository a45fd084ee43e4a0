"""A vocabulary as a JSON file that a person can read and fix."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fgvr.checksums import check, replacing_noted
from fgvr.errors import FgvrError
from fgvr.records import Join, Vocabulary
from fgvr.text import encodable, visible
from fgvr.vocabulary.build import fold_name
from fgvr.yaml_text import load_json

_VERSION = 1
_FIX = "Mend it, or delete it to have it built again."


class _BrokenError(Exception):
    """What a file must not hold; the message says what."""


def write_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Write a vocabulary; a reader sees the old file or the new one, never a part.

    Args:
        vocabulary: What to write. ``read_vocabulary`` gives the same back, but for halves of surrogate pairs.
        path: The file; missing folders are made.
    """
    spellings: list[list[str]] = [[] for _ in vocabulary.names]
    for spelling, index in vocabulary.members.items():
        spellings[index].append(spelling)
    classes = [
        {
            "name": name,
            "count": vocabulary.counts[index] if vocabulary.counts else 0,
            "scientific_name": vocabulary.scientific_names[index] if vocabulary.scientific_names else None,
            "spellings": spellings[index],
        }
        for index, name in enumerate(vocabulary.names)
    ]
    content: dict[str, Any] = {"version": _VERSION, "classes": classes}
    if vocabulary.joins:
        content["joins"] = [asdict(join) for join in vocabulary.joins]
    text = json.dumps(content, ensure_ascii=False, indent=2)
    with replacing_noted(path) as temporary:
        temporary.write_text(encodable(text) + "\n", encoding="utf-8")


def read_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary that ``write_vocabulary`` wrote, edited by hand or not.

    Args:
        path: The file.

    Returns:
        The vocabulary, classes in the order of the file.

    Raises:
        FgvrError: The file is missing or cannot be read, is not what fgvr left in a run folder, is no JSON, lacks a
            key, or holds one spelling in two classes.
    """
    check(path)
    try:
        content = load_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FgvrError(f"There is no vocabulary at {path}: label the photos first.") from None
    except OSError as error:
        raise FgvrError(f"The vocabulary {path} cannot be read ({error.strerror}): make it a readable file.") from None
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"it is not JSON in UTF-8 ({error})") from None
    return parse_vocabulary(content, path)


def parse_vocabulary(content: object, path: Path, fix: str = _FIX) -> Vocabulary:
    """The vocabulary that a file's JSON holds.

    Args:
        content: What the JSON holds.
        path: The file, for messages.
        fix: What to do about a file that holds none, for messages.

    Raises:
        FgvrError: It lacks a key, or holds one spelling in two classes.
    """
    try:
        return _parsed(content)
    except _BrokenError as error:
        raise _broken(path, str(error), fix) from None


def _parsed(content: object) -> Vocabulary:
    if not isinstance(content, dict) or not isinstance(content.get("classes"), list) or not content["classes"]:
        raise _BrokenError("the list 'classes' is missing or empty")
    if content.get("version") != _VERSION:
        raise _BrokenError(f"'version' is {visible(repr(content.get('version')), 60)}, expected {_VERSION}")
    members: dict[str, int] = {}
    owner: dict[str, int] = {}
    for index, entry in enumerate(content["classes"]):
        _check(index, entry)
        for spelling in dict.fromkeys([entry["name"], *entry["spellings"]]):
            if owner.setdefault(fold_name(spelling), index) != index:
                first = content["classes"][owner[fold_name(spelling)]]["name"]
                raise _BrokenError(f"{spelling!r:.60} of class {index} is also a spelling of class {first!r:.60}")
            members[spelling] = index
    classes = content["classes"]
    return Vocabulary(
        names=tuple(entry["name"] for entry in classes),
        members=members,
        scientific_names=tuple(entry["scientific_name"] for entry in classes),
        counts=tuple(entry["count"] for entry in classes),
        joins=_joins(content.get("joins", [])),
    )


def _joins(entries: object) -> tuple[Join, ...]:
    keys = [field.name for field in fields(Join) if field.name != "count"]
    valid = isinstance(entries, list) and all(
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), str) for key in keys)
        and (entry.get("count") is None or _is_count(entry["count"]))
        for entry in entries
    )
    if not valid:
        raise _BrokenError(f"'joins' is not a list of objects with the texts {', '.join(keys)} and the number count")
    assert isinstance(entries, list), "that was checked"
    return tuple(Join(**{key: entry[key] for key in keys}, count=entry.get("count")) for entry in entries)


def _check(index: int, entry: object) -> None:
    if not isinstance(entry, dict):
        raise _BrokenError(f"class {index} is a {type(entry).__name__}, expected an object")
    count, latin, spellings = entry.get("count"), entry.get("scientific_name", ""), entry.get("spellings")
    checks = (
        ("name", _is_name(entry.get("name")), "a text that is not blank"),
        ("count", _is_count(count), "a whole number of 0 or more"),
        ("scientific_name", latin is None or _is_name(latin), "a text or null"),
        ("spellings", isinstance(spellings, list) and all(map(_is_name, spellings)), "a list of texts"),
    )
    for key, holds, expected in checks:
        if not holds:
            raise _BrokenError(
                f"{key!r} of class {index} is {visible(repr(entry.get(key, 'missing')), 60)}, expected {expected}"
            )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_name(value: object) -> bool:
    return isinstance(value, str) and fold_name(value) != ""


def _broken(path: Path, problem: str, fix: str = _FIX) -> FgvrError:
    return FgvrError(f"{path} is not a vocabulary: {problem}. {fix}")
