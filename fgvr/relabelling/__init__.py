"""Between candidate sets and the method: what support photos show, said anew by what they look like."""

from fgvr.registry import RELABELLINGS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.relabelling", RELABELLINGS, "fgvr.relabelling.base.Relabelling")
