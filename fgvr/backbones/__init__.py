"""Backbones: an image tower and a text tower into one space."""

from fgvr.registry import BACKBONES, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.backbones", BACKBONES, "fgvr.backbones.base.Backbone")
