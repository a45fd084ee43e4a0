"""OpenAI, and servers that speak its API: the labeler, its batches, and what its errors mean."""

from fgvr.labelers.openai.labeler import OpenAILabeler

__all__ = ["OpenAILabeler"]
