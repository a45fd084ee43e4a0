"""The newest checkpoint of a run."""

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint


class RunCheckpoint(ModelCheckpoint):
    """Keeps ``last.ckpt``, after each epoch; a ``ModelCheckpoint`` of the user's own may stand beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)

    @property
    def state_key(self) -> str:
        """Another one than that of any other checkpoint callback."""
        return "RunCheckpoint"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing: the newest needs no memory, and Lightning would warn of a run folder that was moved."""
