"""What every stage of a run begins and ends with."""

import functools
import warnings
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import seed_everything

from fgvr.errors import FgvrError
from fgvr.pipeline.parts import RunParts
from fgvr.pipeline.process_watch import end_children, lost_process
from fgvr.pipeline.quiet import silence


class Staged(Protocol):
    """What has stages."""

    parts: RunParts

    def discard_empty_folder(self) -> None:
        """Take the run folder away again if there is nothing in it."""

    def end_writing(self) -> None:
        """Let other processes write into the run folder."""


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=Staged)


def stage(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Begin a stage with the run's own seed, and end it as a user expects.

    What other packages say that tells a user nothing is left out; what Lightning raises for a wrong option is a user's
    error, and what it makes of Control-C is an interruption again; the end of another process is said in a line; no
    folder is left in which there is nothing, and its lock is let go.
    """

    @functools.wraps(method)
    def wrapped(run: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if run.parts.refused:
            raise FgvrError(run.parts.refused)
        with warnings.catch_warnings():
            silence()
            if run.parts.seed is not None:
                seed_everything(run.parts.seed, workers=True)
            try:
                return _explained(method, run, *args, **kwargs)
            except BaseException:
                end_children()
                raise
            finally:
                run.end_writing()

    return wrapped


def _explained(method: Callable[Concatenate[S, P], R], run: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return method(run, *args, **kwargs)
    except FgvrError:
        run.discard_empty_folder()
        raise
    except MisconfigurationException as error:
        run.discard_empty_folder()
        raise FgvrError(str(error)) from error
    except RuntimeError as error:
        if (lost := lost_process(error)) is None:
            raise
        raise lost from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
