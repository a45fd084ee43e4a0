"""Heads: what is learned on top of a backbone."""

from fgvr.registry import HEADS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.heads", HEADS, "fgvr.heads.base.Head")
