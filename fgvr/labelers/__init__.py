"""Labelers: who names the photos."""

from fgvr.registry import LABELERS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.labelers", LABELERS, "fgvr.labelers.base.Labeler")
