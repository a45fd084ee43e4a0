"""Which photos of the support set are shown to the labeler: one file a way to choose."""

from fgvr.registry import SELECTIONS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.selections", SELECTIONS, "fgvr.selections.base.Selection")
