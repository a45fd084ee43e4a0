"""Losses over candidate sets."""

from fgvr.registry import LOSSES, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.losses", LOSSES, "fgvr.losses.base.Loss")
