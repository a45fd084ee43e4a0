"""The run folder: where each stage leaves a file that a person can open and another tool can read."""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fgvr import checksums
from fgvr.errors import FgvrError
from fgvr.files import remove_temporaries
from fgvr.yaml_text import MOST_YAML_CHARACTERS

log = logging.getLogger(__name__)

_WAIT_SECONDS = 10.0
_BEGIN = "# The configuration of a run of fgvr."
_END = "# End of the configuration of a run of fgvr."


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
    near_duplicates = _Place("near_duplicates.csv")
    """The evaluated photos that look nearly the same as a support photo, where there are any."""
    predictions = _Place("predictions.parquet")
    """What each row of the result table says of each photo."""
    doubt = _Place("doubt.parquet")
    """How doubtful what was learned finds each support photo, where it was asked which ones to ask about next."""
    pseudo_labels = _Place("pseudo_labels.parquet")
    """Which labels of its own making each model of the method learned, in each stage of the training."""
    metrics = _Place("metrics.json")
    """The result table."""
    report = _Place("report.html")
    """The report, one HTML file."""
    checkpoints = _Place("checkpoints")
    """Folder of the checkpoints; ``last.ckpt`` is the newest."""
    adapter = _Place("adapter")
    """Folder of the low-rank adapters, where they were trained; in PEFT's format."""

    checksums = _Place(checksums.FILE)
    """Checksums of the files that are read again."""
    lock = _Place(".lock")
    """Held by the process that writes here."""

    def __fspath__(self) -> str:
        return str(self.path)


def new_run_folder(root: Path, name: str, version: str | None = None) -> tuple[RunFolder, FileLock]:
    """Make ``root/name/version``, where ``version`` is the next free number unless it is given.

    Returns:
        The folder, and the right to write there; see :func:`only_writer`.

    Raises:
        FgvrError: The given version holds a run already, or another process has just begun one there.
    """
    if version is None:
        with _explained(root / name):
            folder = _numbered_folder(root / name)
        return folder, only_writer(folder)
    folder = RunFolder(root / name / version)
    lock = only_writer(folder)
    if folder.config.exists():
        lock.release()
        raise FgvrError(
            f"{str(folder.path)!r} holds a run already. Choose another run.version, or go on with that run: "
            f"config={folder.config}, ckpt_path={folder.checkpoints / 'last.ckpt'}"
        )
    return folder, lock


def only_writer(folder: RunFolder) -> FileLock:
    """The right to write into a run folder, which is made where there is none.

    The operating system takes it back when the process ends, however that ends. What a killed process was writing is
    removed.

    Raises:
        FgvrError: Another process has it, or the folder cannot be written.
    """
    lock = FileLock(folder.lock, thread_local=False)
    with _explained(folder.path):
        while True:
            folder.path.mkdir(parents=True, exist_ok=True)
            try:
                # the loader processes of one that was killed go on for some seconds
                lock.acquire(timeout=_WAIT_SECONDS, poll_interval=0.1)
            except Timeout:
                raise FgvrError(
                    f"Another process writes into {str(folder.path)!r}: wait until it has ended, or choose another "
                    "run.version."
                ) from None
            except FileNotFoundError:  # whoever had it before has taken an empty folder away
                continue
            if folder.lock.exists():
                break
            lock.release()
    for each in (folder.path, folder.checkpoints):
        remove_temporaries(each)
    return lock


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FgvrError(
            f"The run folder {str(path)!r} cannot be written ({error.strerror or error}): choose another run.root, or "
            "check its permissions and the space on the disk."
        ) from error


def _numbered_folder(parent: Path) -> RunFolder:
    parent.mkdir(parents=True, exist_ok=True)
    number = max((int(entry.name) for entry in parent.iterdir() if entry.name.isdecimal()), default=-1) + 1
    while True:
        try:
            (parent / str(number)).mkdir()
        except FileExistsError:  # another run was started at the same moment
            number += 1
        else:
            return RunFolder(parent / str(number))


def write_run_config(path: Path, config: str) -> None:
    """Write the configuration of a run, between a line that says what it is and one that says that it is whole.

    In the folder of a run, its checksum is noted.

    Args:
        path: Usually ``RunFolder.config``.
        config: YAML.

    Raises:
        FgvrError: It is longer than what is read again.
    """
    if len(config) > MOST_YAML_CHARACTERS:
        raise FgvrError(
            f"The configuration of this run has {len(config) / 1e6:.1f} MB, and at most "
            f"{MOST_YAML_CHARACTERS / 1e6:.0f} are read again. Give long lists as files: data.class_names and the "
            "options of the task choose take one with a name per line."
        )
    with checksums.replacing_noted(path) as temporary:
        temporary.write_text(f"{_BEGIN}\n{config.rstrip()}\n{_END}\n", encoding="utf-8")


def check_run_config(path: Path, text: str) -> None:
    """Refuse the configuration of a run whose end is missing, and say so where it was changed since it was written.

    Other configurations, and those of runs of fgvr up to 0.1, have no such line and no checksum.

    Args:
        path: Its file.
        text: What is in it.

    Raises:
        FgvrError: Its end is missing.
    """
    lines = text.strip().splitlines()
    if lines[:1] == [_BEGIN] and lines[-1] != _END:
        raise FgvrError(
            f"{path} is cut off: its last line, {_END!r}, is missing. The run's checkpoint has the whole text, as "
            "torch.load(FILE)['fgvr']['config']; if it was you who took the line away, take the first line away, too."
        )
    if checksums.differs(path):
        log.warning("%s was changed since the run wrote it. If it was not you, it is damaged", path)


def run_config(text: str) -> str:
    """The configuration in the file of a run, without the lines around it."""
    lines = text.strip().splitlines()
    return "\n".join(line for line in lines if line not in (_BEGIN, _END)) + "\n"


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
