"""Readers of data sets: files and official lists, as photos with splits."""

from fgvr.registry import DATASETS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.datasets", DATASETS, "fgvr.datasets.base.ImageDataset")
