"""The trained model of a run, from its configuration and its checkpoint."""

import torch

from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.whole import chosen_checkpoint
from fgvr.config.cli import ParsedCLI
from fgvr.config.guard import ImportGuard, read_run_config
from fgvr.errors import FgvrError
from fgvr.pipeline.trained_model import TrainedModel
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import read_vocabulary


def trained_model(
    folder: RunFolder,
    row: str | None = None,
    device: torch.device | str | None = None,
    *,
    trust: bool = False,
    how: str = "give trust=True to fgvr.load",
) -> TrainedModel:
    """The model of a run.

    Args:
        folder: The run.
        row: The row of its table whose classifier is used; the method's own if not given.
        device: Where it computes; a GPU where there is one if not given.
        trust: Whether its method may be any class; without, only those of fgvr and of installed plugins are imported.
        how: What the user can do to trust it, for messages.

    Raises:
        FgvrError: It has trained nothing that could be loaded, or names a class that it must be trusted for.
    """
    # of its configuration, nothing else is looked at
    config = {key: value for key, value in read_run_config(folder).items() if key == "model"}
    guard = None if trust else ImportGuard(config, folder.config, how)
    method = ParsedCLI(["--data.dataset=fieldguide"], config=config, guard=guard).method
    checkpoint = chosen_checkpoint(folder.checkpoints)
    if checkpoint is None and method.trains:
        raise FgvrError(f"{str(folder.path)!r} has no checkpoint: its training did not come so far, or wrote none.")
    loaded = None if checkpoint is None else read_checkpoint(checkpoint)
    if loaded is None:
        vocabulary = read_vocabulary(folder.vocabulary)
    else:
        vocabulary = known_vocabulary(loaded["fgvr"]["class_names"])
    method.backbone.load()
    method.build(vocabulary, None)
    method.vocabulary = vocabulary
    if loaded is not None:
        method.load_state_dict(loaded["state_dict"])
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return TrainedModel(method, vocabulary, row, device)
