"""Methods: LightningModules that turn a backbone into a classifier over the vocabulary."""

from fgvr.registry import METHODS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.methods", METHODS, "fgvr.methods.base.Method")
