"""What a run tells its data module and its method, and its seed."""

import os
from dataclasses import dataclass

from fgvr.backbones.base import Backbone
from fgvr.records import Vocabulary
from fgvr.runs import RunFolder


@dataclass(frozen=True)
class RunState:
    """Handed to :meth:`~fgvr.data.datamodule.FgvrDataModule.begin` once, before anything is labelled or prepared.

    Attributes:
        folder: Where each stage leaves its file; ``None`` for labelling, which leaves none.
        backbone: Whose image features labelers and selections look at before there is a trainer.
        config: The resolved configuration as YAML, for checkpoints; ``""`` where there is none.
        resuming: Whether training goes on: vocabulary and candidate sets are those of the folder.
        vocabulary: That of the checkpoint that is evaluated; ``None`` where the run makes its own.
        simulated: Whether the checkpoint rests on replies that were made up.
        oracle: Whether true names may choose the checkpoint.
        asks_support: Whether the labeler is asked about support photos.
        direct: Whether the method asks about evaluated photos, as ``data.direct`` does.
        asks_evaluated: Whether these two count: where nothing is scored, nothing is compared with the labeler.
        evaluates_support: Whether figures are computed on support photos after each epoch.
    """

    folder: RunFolder | None = None
    backbone: Backbone | None = None
    config: str = ""
    resuming: bool = False
    vocabulary: Vocabulary | None = None
    simulated: bool = False
    oracle: bool = False
    asks_support: bool = True
    direct: bool = False
    asks_evaluated: bool = True
    evaluates_support: bool = False


def run_seed() -> int:
    """The seed of this run, as given to ``seed_everything``; 0 without it."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))  # what seed_everything leaves behind
