"""The run folder: where each stage leaves a file that a person can open and another tool can read."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from fgvr.errors import FgvrError


class _Place:
    """Where a file or folder is in a run folder: read as an attribute, the path."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: "RunFolder", kind: type["RunFolder"]) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of one run.

    Attributes:
        path: ``runs/<name>/<version>``.
    """

    path: Path

    config = _Place("config.yaml")
    """The resolved configuration."""
    labels = _Place("labels.parquet")
    """What the labeler said of each support photo."""
    vocabulary = _Place("vocabulary.json")
    """The vocabulary, and the names that went into it."""
    candidates = _Place("candidates.parquet")
    """The candidate set of each support photo."""
    relabelling = _Place("relabelling.parquet")
    """What each support photo was said to show, and is after relabelling."""
    neighbours = _Place("neighbours.parquet")
    """The support photos that look most like each support photo."""
    descriptions = _Place("descriptions.parquet")
    """What was said of each support photo, and of groups of them."""
    predictions = _Place("predictions.parquet")
    """What each row of the result table says of each photo."""
    metrics = _Place("metrics.json")
    """The result table."""
    report = _Place("report.html")
    """The report, one HTML file."""
    checkpoints = _Place("checkpoints")
    """Folder of the checkpoints; ``last.ckpt`` is the newest."""

    def __fspath__(self) -> str:
        return str(self.path)


def new_run_folder(root: Path, name: str, version: str | None = None) -> RunFolder:
    """Make ``root/name/version``, where ``version`` is the next free number unless it is given.

    Raises:
        FgvrError: The given version holds a run already.
    """
    if version is not None:
        folder = RunFolder(root / name / version)
        if folder.config.exists():
            raise FgvrError(
                f"{str(folder.path)!r} holds a run already. Choose another run.version, or go on with that run: "
                f"config={folder.config}, ckpt_path={folder.checkpoints / 'last.ckpt'}"
            )
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder
    parent = root / name
    parent.mkdir(parents=True, exist_ok=True)
    number = max((int(entry.name) for entry in parent.iterdir() if entry.name.isdecimal()), default=-1) + 1
    while True:
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:  # another run was started at the same moment
            number += 1
        else:
            return RunFolder(parent / str(number))


def find_run(path: Path, trained: bool = False) -> RunFolder:
    """The run that a path means: that folder, or the newest version in it.

    Args:
        path: ``runs/NAME`` or ``runs/NAME/VERSION``.
        trained: Prefer the newest version that has a checkpoint to those that have none.

    Raises:
        FgvrError: There is none; the message has the closest name.
    """
    if path.name == "report.html" or path.name == "config.yaml":
        path = path.parent
    if RunFolder(path).config.is_file():
        return RunFolder(path)
    versions = [RunFolder(config.parent) for config in path.glob("*/config.yaml")]
    if trained:
        versions = [version for version in versions if version.checkpoints.is_dir()] or versions
    if versions:
        return max(versions, key=_age)
    if path.is_dir():
        raise FgvrError(f"{str(path)!r} is no run: expected config.yaml in it, as fit leaves one in runs/NAME/VERSION.")
    there = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    hint = f"Did you mean {str(path.parent / near[0])!r}?" if near else "fit makes one, as runs/NAME/VERSION."
    raise FgvrError(f"There is no run {str(path)!r}. {hint}")


def _age(folder: RunFolder) -> tuple[float, int]:
    """What the newest version has most of: its configuration is written when it starts."""
    number = int(folder.path.name) if folder.path.name.isdecimal() else -1
    return folder.config.stat().st_mtime, number
