"""Fine-grained visual recognition without human labels.

Everything that the command line does is here, too::

    import fgvr

    run = fgvr.fit("quickstart.yaml", data={"shots": 2})
    print(run.table)
    model = fgvr.load(run.folder.path)
    model.predict("photos/", top_k=5)
"""

from typing import TYPE_CHECKING, Any

from fgvr.moved import accept_old_names

__version__ = "0.1.0a1"
__all__ = [
    "Doubts",
    "Effect",
    "Evaluation",
    "FgvrError",
    "ImageNames",
    "Judgement",
    "ResultTable",
    "Run",
    "SweepResult",
    "TrainedModel",
    "configure",
    "correct",
    "describe",
    "doubtful",
    "evaluate",
    "fit",
    "judge",
    "label",
    "load",
    "open_run",
    "sweep",
    "table",
]

accept_old_names()

if TYPE_CHECKING:
    from fgvr.api import (
        Doubts,
        Effect,
        Evaluation,
        ImageNames,
        Judgement,
        ResultTable,
        Run,
        SweepResult,
        TrainedModel,
        configure,
        correct,
        describe,
        doubtful,
        evaluate,
        fit,
        judge,
        label,
        load,
        open_run,
        sweep,
        table,
    )
    from fgvr.errors import FgvrError


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is: torch and Lightning take seconds, and the command line need not wait."""
    if name not in __all__:
        raise AttributeError(f"module 'fgvr' has no attribute {name!r}")
    if name == "FgvrError":
        from fgvr.errors import FgvrError

        return FgvrError
    from fgvr import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
