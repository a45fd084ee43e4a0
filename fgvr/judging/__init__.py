"""Protocols: how a labeler is judged as a classifier."""

from fgvr.registry import PROTOCOLS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.judging", PROTOCOLS, "fgvr.judging.base.Protocol")
