"""What is done before there is a trainer: what cannot work is refused, and what is missing is asked for."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from fgvr.checkpoints.callbacks import check_resumed, warn_of_best
from fgvr.checkpoints.checkpoint_io import WholeCheckpointIO
from fgvr.checkpoints.files import epochs_done
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.run_state import RunState
from fgvr.datasets.duplicates import refuse_equal_bytes, warn_of_near_duplicates
from fgvr.errors import FgvrError
from fgvr.methods.schedules import default_epochs
from fgvr.pipeline.descriptions import describe_before_training
from fgvr.pipeline.loggers import check_loggers, make_loggers
from fgvr.pipeline.parts import RunParts, as_list
from fgvr.pipeline.process_watch import ProcessWatch
from fgvr.pipeline.processes import SKIP_FAILED, external_processes, is_rank_zero
from fgvr.reports.run_files import simulates
from fgvr.runs import RunFolder
from fgvr.text import counted, visible
from fgvr.vocabulary.build import known_vocabulary
from fgvr.yaml_text import load_yaml

log = logging.getLogger(__name__)

_MOST_PROCESSES = 10_000  # with more, PyTorch fails in ways of its own
_PRECISIONS = ("32", "32-true", "16", "16-mixed", "bf16", "bf16-mixed")


def state_of(parts: RunParts, folder: RunFolder, command: str) -> RunState:
    """What the run tells its data module: with the vocabulary and the marks of the checkpoint that it starts from.

    Args:
        parts: The run's.
        folder: The run folder.
        command: ``fit``, ``validate``, ``test`` or ``predict``.

    Raises:
        FgvrError: There is no checkpoint and one is needed, or it does not go with the options.
    """
    fitting, loaded, method, data = command == "fit", parts.loaded, parts.method, parts.data
    resuming = fitting and loaded is not None
    state = RunState(folder, method.backbone, parts.config, resuming, oracle=parts.checkpoints.allow_true_names)
    asks = command in ("fit", "test") or (command == "predict" and method.asks_evaluated)
    state = replace(state, direct=method.asks_evaluated, asks_evaluated=asks)
    if loaded is not None and parts.ckpt_path is not None:
        trained_with = load_yaml(loaded["fgvr"]["config"]) or {}
        if resuming:
            check_resumed(parts.checkpoints, trained_with)
            _check_epochs(parts, trained_with)
        else:
            simulated = simulates(trained_with) or loaded["fgvr"].get("simulated", False)
            vocabulary = known_vocabulary(loaded["fgvr"]["class_names"])
            state = replace(state, vocabulary=vocabulary, simulated=simulated)
            warn_of_best(parts.ckpt_path)
    elif not fitting and method.trains:
        raise FgvrError(
            f"{command} needs the trained parameters of the method {method.row!r}: set ckpt_path to their "
            "file, or choose the method zero_shot."
        )
    if command == "validate":
        data.images.require_split("val")
    return replace(state, asks_support=state.vocabulary is None and not resuming and data.needs_labels(method))


def _check_epochs(parts: RunParts, trained_with: Mapping[str, Any]) -> None:
    """Refuse to go on with a checkpoint that has all epochs that are asked for, or more, with other options.

    Raises:
        FgvrError: It has, so that nothing would be learned with them.
    """
    given, method = parts.trainer.get("max_epochs"), parts.method
    assert parts.loaded is not None, "there is a checkpoint"
    done = epochs_done(parts.loaded)
    if given is None or not 0 <= given <= done or not method.trains or method.closed_form:
        return
    more = f"To train on, set trainer.max_epochs to more than {done}"
    if given < done:
        raise FgvrError(
            f"The run is complete: {parts.ckpt_path} has {counted(done, 'epoch')}, and trainer.max_epochs is {given}. "
            f"{more}; to evaluate it with other options, test it."
        )
    now = load_yaml(parts.config) if parts.config else {}
    if (changed := _changed(trained_with.get("model"), now.get("model"), "model")) is not None:
        raise FgvrError(
            f"The run is complete: {parts.ckpt_path} has all epochs of trainer.max_epochs, {done}, and {changed}. "
            f"{more}; to begin anew, leave out ckpt_path."
        )


def _changed(then: Any, now: Any, key: str) -> str | None:
    """The first option that has another value now, of those that there were then."""
    if isinstance(then, dict) and isinstance(now, dict):
        # a class may have moved since
        found = (_changed(then[inner], now[inner], f"{key}.{inner}") for inner in then if inner in now)
        return next((change for change in found if change is not None), None)
    if then == now or key.endswith(".class_path"):
        return None
    return f"{key.replace('.init_args', '')} is {now!r:.60}, but was {then!r:.60}"


def ask_before_training(parts: RunParts, folder: RunFolder, fitting: bool) -> None:
    """Ask for the labels and descriptions that are missing.

    Args:
        parts: The run's; its data module has begun.
        folder: The run folder, which gets the descriptions.
        fitting: Whether it trains.

    Raises:
        FgvrError: Photos are trained on and evaluated, nobody can be asked, this is one of several processes, or asking
            cannot go on.
    """
    data, method = parts.data, parts.method
    if fitting and parts.loaded is None and (method.trains or data.state.asks_support):
        guard_against_duplicates(data, folder)
    spent_usd = 0.0
    if data.asks_evaluated or data.state.asks_support:
        data.labels.require_names()
        spent_usd = label_before_training(data)
    if fitting and is_rank_zero():
        alone, again = external_processes() == 1, SKIP_FAILED.items() <= os.environ.items()
        describe_before_training(data, method, folder, alone, again, spent_usd)


def guard_against_duplicates(data: FgvrDataModule, folder: RunFolder) -> None:
    """Refuse to train on evaluated photos, and warn of support photos that look nearly the same as one.

    Args:
        data: The run's.
        folder: The run folder, which gets the list of near-duplicates.

    Raises:
        FgvrError: A support photo has the bytes of an evaluated one, and ``data.duplicates`` does not allow it.
    """
    split = data.images.evaluated_split
    if split == "support":
        return
    evaluated = data.images.splits[split]
    if data.duplicates == "refuse":
        refuse_equal_bytes(data.support, evaluated, split)
    if is_rank_zero():
        warn_of_near_duplicates(data.support, evaluated, split, data.cache_dir, folder.near_duplicates)


def label_before_training(data: FgvrDataModule) -> float:
    """Ask for what is missing; after another process has done so, only where a photo was never asked about.

    So the runs of a sweep and compared rows do not all ask again for what failed; see :data:`SKIP_FAILED`.

    Returns:
        What that cost in US dollars, replies of earlier runs not counted.
    """
    if not is_rank_zero():
        return 0.0
    plan = data.label_plan()
    log.info("%s", plan)
    if plan.unasked and external_processes() > 1:
        raise FgvrError(
            f"{counted(plan.unasked, 'photo was', 'photos were')} not asked for yet, and a job of several processes "
            "does not ask for labels. Run the label stage with the same options first, in one process."
        )
    asked_before = SKIP_FAILED.items() <= os.environ.items()
    if not (plan.unasked if asked_before else plan.missing):
        return 0.0
    before = sum(label.cost_usd for label in data.read_labels(data.asked))
    return max(0.0, sum(label.cost_usd for label in data.label()) - before)


def with_loggers(options: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """The trainer's arguments with its loggers made: before anything is paid for.

    Raises:
        FgvrError: A logger cannot be made.
    """
    check_loggers(options.get("logger"))
    try:
        return {**options, "logger": make_loggers(options.get("logger"), folder)}
    except (ImportError, TypeError, ValueError, OSError, MisconfigurationException) as error:
        raise FgvrError(f"trainer.logger cannot be made: {_sentence(error)}") from error


def build_trainer(options: dict[str, Any]) -> Trainer:
    """Lightning's trainer.

    Raises:
        FgvrError: An accelerator, a strategy or a precision is not available here.
    """
    check_precision(options.get("precision"))
    for key in ("devices", "num_nodes"):
        if isinstance(count := options.get(key), int) and count > _MOST_PROCESSES:
            raise FgvrError(f"trainer.{key} is {count:,}; expected at most {_MOST_PROCESSES:,}.")
    try:
        trainer = Trainer(**{**options, "callbacks": [*as_list(options.get("callbacks")), ProcessWatch()]})
    except (MisconfigurationException, ImportError, TypeError, ValueError, RuntimeError) as error:
        raise FgvrError(f"The trainer cannot be built: {_sentence(error)}") from error
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # no plugin of the user's own
        trainer.strategy.checkpoint_io = WholeCheckpointIO()
    check_precision(trainer.precision)  # a plugin of the trainer's may bring another one
    return trainer


def check_precision(given: object) -> None:
    """Refuse a precision in which weights and features themselves are not float32.

    Features are compared, and losses computed, in float32; half of that, or twice, ends in an error of torch, or in
    names that are wrong.

    Args:
        given: ``trainer.precision``; ``None`` where it is left to Lightning.

    Raises:
        FgvrError: It is another one.
    """
    if given is not None and str(given) not in _PRECISIONS:
        raise FgvrError(
            f"trainer.precision is {str(given)!r}, and weights stay in float32 here: set it to 32-true, to bf16-mixed, "
            "or on a GPU to 16-mixed."
        )


def _sentence(error: BaseException) -> str:
    """What a library says, in one line that ends with one full stop."""
    return f"{visible(str(error)).rstrip('. ') or type(error).__name__}."


def epochs_of(parts: RunParts, options: dict[str, Any]) -> int | None:
    """The epochs that are asked for; where none are, enough for few photos to be learned from, too."""
    data, method, given = parts.data, parts.method, options.get("max_epochs")
    if method.closed_form:
        return 1
    if given is not None or options.get("max_steps", -1) != -1 or options.get("max_time") is not None:
        return None if given is None else int(given)
    if not method.trains:
        return None
    images = round(len(data.support) * (1 - data.holdout))
    epochs = default_epochs(max(round(images / data.batch_size), 1))
    log.info("Training for %s; trainer.max_epochs states another number", counted(epochs, "epoch"))
    return epochs
