"""The configuration in the run folder: what the newest checkpoint, the predictions and the table come from."""

import os

from lightning.pytorch import Callback, LightningModule, Trainer

from fgvr.runs import RunFolder, run_config, write_run_config


class ConfigFile(Callback):
    """Writes the configuration of a run that goes on over that of before, as soon as something comes of it.

    That is when the checkpoint was taken and the training begins or, where nothing is left to train, when the test
    does: an earlier refusal changes nothing. The configuration of the epochs of before is kept as
    ``config_to_epoch_N.yaml``.

    Args:
        folder: The run, which has a configuration.
        config: The new one, as YAML.
    """

    def __init__(self, folder: RunFolder, config: str) -> None:
        self.folder = folder
        self.config = config

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it: the first epoch begins."""
        self._write(trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it: predictions and table are about to be written."""
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        before = self.folder.config.read_text(encoding="utf-8")
        if run_config(before) == run_config(self.config):
            return
        epochs = trainer.current_epoch
        kept = self.folder.path / f"config_to_epoch_{epochs}.yaml"
        if epochs and not kept.exists():
            write_run_config(kept, run_config(before))
        # which of several runs is the newest is told by when they were begun
        begun = self.folder.config.stat().st_mtime_ns
        write_run_config(self.folder.config, self.config)
        os.utime(self.folder.config, ns=(begun, begun))
