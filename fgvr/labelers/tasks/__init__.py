"""What a model is asked about photos: one file a task."""

from fgvr.registry import TASKS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.labelers.tasks", TASKS, "fgvr.labelers.tasks.base.Task")
