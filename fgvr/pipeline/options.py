"""Where the folder of a run is made."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class RunOptions:
    """Where the run folder is made: ``root/name/version``.

    Args:
        root: Folder of all runs.
        name: The configuration file's name if not given, or those of several, as in ``cub_gpt4o``.
        version: The next free number if not given.
    """

    root: Path = Path("runs")
    name: str | None = None
    version: str | None = None
