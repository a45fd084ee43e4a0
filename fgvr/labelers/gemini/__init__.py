"""Gemini: the labeler, its batches, and what its errors mean."""

from fgvr.labelers.gemini.labeler import GeminiLabeler

__all__ = ["GeminiLabeler"]
