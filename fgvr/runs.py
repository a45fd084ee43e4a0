"""The run folder: where each stage leaves a file that a person can open and another tool can read."""

from dataclasses import dataclass
from pathlib import Path

from fgvr.errors import FgvrError


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of one run.

    Attributes:
        path: ``runs/<name>/<version>``.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def labels(self) -> Path:
        """What the labeler said of each support photo."""
        return self.path / "labels.parquet"

    @property
    def vocabulary(self) -> Path:
        """The label space, and the names that went into it."""
        return self.path / "vocabulary.json"

    @property
    def candidates(self) -> Path:
        """The candidate set of each support photo."""
        return self.path / "candidates.parquet"

    @property
    def neighbours(self) -> Path:
        """The support photos that look most like each support photo."""
        return self.path / "neighbours.parquet"

    @property
    def descriptions(self) -> Path:
        """What was said of each support photo, and of groups of them."""
        return self.path / "descriptions.parquet"

    @property
    def predictions(self) -> Path:
        """What each row of the result table says of each photo."""
        return self.path / "predictions.parquet"

    @property
    def metrics(self) -> Path:
        """The result table."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The report, one HTML file."""
        return self.path / "report.html"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints; ``last.ckpt`` is the newest."""
        return self.path / "checkpoints"


def new_run_folder(root: Path, name: str, version: str | None = None) -> RunFolder:
    """Make ``root/name/version``, where ``version`` is the next free number unless it is given.

    Raises:
        FgvrError: The given version holds a run already.
    """
    if version is not None:
        folder = RunFolder(root / name / version)
        if folder.config.exists():
            raise FgvrError(
                f"{str(folder.path)!r} holds a run already. Choose another --run.version, or go on with that run: "
                f"fgvr fit --config {folder.config} --ckpt_path {folder.checkpoints / 'last.ckpt'}"
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
