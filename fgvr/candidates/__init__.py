"""Candidate strategies: noisy names become candidate sets."""

from fgvr.registry import CANDIDATES, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.candidates", CANDIDATES, "fgvr.candidates.base.CandidateStrategy")
