"""Names from OpenAI's models, or from any server that speaks their protocol."""

from collections.abc import Iterator, Sequence
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.base import PAPER_PROMPT, Labeler, LabelRequest, Reply


class OpenAILabeler(Labeler):
    """Asks a multimodal model of OpenAI. This version of fgvr cannot call it yet: it only says what it would ask.

    Args:
        model: Model id with its date, so that replies of different snapshots are kept apart.
        prompt: What is asked of each photo.
        answers: How many answers are wanted for a photo.
        base_url: Address of another server of the same protocol; ``None`` is OpenAI's own.
        temperature: Sampling temperature; ``None`` leaves it to the server.
    """

    def __init__(
        self,
        model: str = "gpt-4o-2024-11-20",
        prompt: str = PAPER_PROMPT,
        answers: int = 1,
        base_url: str | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__(prompt, answers)
        self.model = model
        self.base_url = base_url
        self.temperature = temperature

    def identity(self) -> dict[str, Any]:
        """The server, the model and the sampling parameters."""
        return {
            "labeler": "openai",
            "base_url": self.base_url,
            "model": self.model,
            # 0 and 0.0 are one temperature, and must be one key in the label store
            "temperature": None if self.temperature is None else float(self.temperature),
        }

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """Not known yet."""
        return None

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Not there yet.

        Raises:
            FgvrError: Always.
        """
        raise FgvrError(
            f"This version of fgvr cannot call {self.model} yet. Replies that were recorded elsewhere can be replayed: "
            "--data.labeler recorded --data.labeler.path FILE.jsonl, with the fields image and raw in each line."
        )
