"""Checksums of the files of a run folder that fgvr reads again: ``checksums.txt``, as ``sha256sum`` writes it."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.files import replacing

FILE = "checksums.txt"
"""Name of the file, in the run folder."""
_RUN_AGAIN = "Remove labels.parquet, vocabulary.json and candidates.parquet: going on with the run makes them again."
_TEST_AGAIN = "Remove it: going on with a trained run makes it again; a test or a prediction is run again."
_AGAIN = {
    "labels.parquet": _RUN_AGAIN,
    "vocabulary.json": _RUN_AGAIN,
    "candidates.parquet": _RUN_AGAIN,
    "relabelling.parquet": f"Remove it, too. {_RUN_AGAIN}",
    "neighbours.parquet": "Remove it: reports do without it.",
    "descriptions.parquet": "Remove it, and go on with the run: what was said is in the label store.",
    "doubt.parquet": "Remove it: the label stage with the selection uncertain makes it again.",
    "predictions.parquet": _TEST_AGAIN,
    "metrics.json": _TEST_AGAIN,
    "sweep_run.json": "Remove the folder, and run the sweep again: it begins this run anew.",
}
"""The files that have a checksum -> how one is made again."""
_CONFIG = "config.yaml"
"""Of a run; people edit it, so that a change is remarked on and not refused."""
_BEGIN_A_FOLDER = ("sweep_run.json", _CONFIG)
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_TRIES = 20


@contextmanager
def replacing_noted(path: Path) -> Iterator[Path]:
    """As :func:`fgvr.files.replacing`; the checksum of a file of a run is noted beside it.

    Its line is there before the file is, and the line of the file of before goes last: whenever this is killed, the
    file that is there has a line. Only one process may write in a folder.

    Args:
        path: The file. A name that no run has, and a folder that is no run, get no checksum.

    Raises:
        FgvrError: ``checksums.txt`` of the folder is damaged.
    """
    noted = path.name in (*_AGAIN, _CONFIG) and _is_run(path)
    with replacing(path) as temporary:
        yield temporary
        if noted:
            digest, lines = _digest(temporary), _lines(path.parent)
            if path.is_file() and all(name != path.name for name, _ in lines):
                lines.append((path.name, _digest(path)))  # of an older version of fgvr
            _write(path.parent, [*(line for line in lines if line != (path.name, digest)), (path.name, digest)])
    if noted:
        kept = [line for line in _lines(path.parent) if line[0] != path.name or line[1] == digest]
        _write(path.parent, kept)


def check(path: Path) -> None:
    """Refuse a file that is not as fgvr left it; one without a checksum is not looked at.

    Args:
        path: A file that is about to be read.

    Raises:
        FgvrError: It has another checksum than the one that is noted, or ``checksums.txt`` is damaged.
    """
    if path.name in _AGAIN and path.is_file() and differs(path):
        raise FgvrError(
            f"{path} is damaged, or was changed since fgvr wrote it: {path.parent / FILE} has another checksum. "
            f"{_AGAIN[path.name]} If you have changed it yourself, remove its line there."
        )


def differs(path: Path) -> bool:
    """Whether a file is not as fgvr left it; one without a checksum does not.

    Raises:
        FgvrError: ``checksums.txt`` is damaged.
    """
    before = None
    for _ in range(_TRIES):
        # in this order a run that writes meanwhile is not taken for damage, unless it writes each time
        found = {digest for name, digest in _lines(path.parent) if name == path.name}
        if not found:
            return False
        digest = _digest(path)
        if digest in found:
            return False
        if before == (digest, found):
            break
        before = digest, found
    return True


def _is_run(path: Path) -> bool:
    return path.name in _BEGIN_A_FOLDER or any((path.parent / name).is_file() for name in (FILE, _CONFIG))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lines(folder: Path) -> list[tuple[str, str]]:
    """Name and checksum of each line."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except UnicodeDecodeError:
        text = "\N{REPLACEMENT CHARACTER}"
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise FgvrError(
                f"{path}, line {number}: expected a SHA-256 and a name, as sha256sum writes them. Remove the file: "
                "those beside it are read unchecked then."
            )
        found.append((match[2], match[1]))
    return found


def _write(folder: Path, lines: list[tuple[str, str]]) -> None:
    text = "".join(f"{digest}  {name}\n" for name, digest in lines)
    path = folder / FILE
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
