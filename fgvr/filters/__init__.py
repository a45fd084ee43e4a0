"""Which pseudo-labels are likely right, and which photos to ask about next: one file a rule."""

from fgvr.registry import FILTERS, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.filters", FILTERS, "fgvr.filters.base.Filter")
