"""The parts that a run is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgvr.checkpoints.options import CheckpointOptions
from fgvr.data.datamodule import FgvrDataModule
from fgvr.methods.base import Method
from fgvr.pipeline.options import RunOptions


@dataclass(frozen=True)
class RunParts:
    """Objects and options of one run.

    Attributes:
        data: From photos to batches.
        method: What is trained or evaluated.
        trainer: Arguments of Lightning's ``Trainer``. A logger may be given as ``class_path`` and ``init_args``, to be
            made when there is a folder that it can write into.
        options: Where the run folder is made.
        checkpoints: Which epoch is kept and tested.
        config: The resolved configuration as YAML; ``""`` where there is none.
        seed: Seed of all random numbers, set when a stage begins; ``None`` leaves them as they are.
        ckpt_path: The checkpoint that is evaluated, or gone on with.
        loaded: Its content.
        weights_only: As Lightning's: whether nothing but weights may be read from it.
        refused: Why no stage may be begun; ``""`` where any may.
    """

    data: FgvrDataModule
    method: Method
    trainer: Mapping[str, Any] = field(default_factory=dict)
    options: RunOptions = field(default_factory=RunOptions)
    checkpoints: CheckpointOptions = field(default_factory=CheckpointOptions)
    config: str = ""
    seed: int | None = None
    ckpt_path: Path | None = None
    loaded: Mapping[str, Any] | None = None
    weights_only: bool | None = None
    refused: str = ""


def as_list(value: Any) -> list[Any]:
    """The items of an option that takes one or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
