"""The local kind: a model is loaded once, and answers photos in batches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fgvr.labelers.base import Reply
from fgvr.labelers.local import LocalLabeler, LocalQuestion

if TYPE_CHECKING:
    import torch

MODELS = {
    "birds": {"Scarlet Ibis": (200, 50, 40), "Blue Jay": (60, 90, 190), "Monk Parakeet": (80, 160, 70)},
    "fruit": {"Meyer Lemon": (230, 210, 70), "Granny Smith Apple": (140, 180, 60), "Damson Plum": (70, 50, 110)},
}


class PrototypeLabeler(LocalLabeler):
    """Names a photo after the nearest of a few mean colours.

    Args:
        model: ``birds`` or ``fruit``.
        batch_size: Photos at a time.
        **kwargs: Arguments of ``LocalLabeler``.
    """

    def __init__(self, model: str = "birds", batch_size: int = 32, **kwargs: Any) -> None:
        super().__init__(model, batch_size=batch_size, **kwargs)

    def identity(self) -> dict[str, Any]:
        """Model, task and pictures are there already; batch size and device change no reply."""
        return {**super().identity(), "provider": "prototype"}

    def load(self, device: "torch.device") -> "torch.Tensor":
        """Heavy packages and weights come here, not in the constructor."""
        import torch

        return torch.tensor(list(MODELS[self.model].values()), dtype=torch.float32, device=device)

    def answer(self, loaded: "torch.Tensor", questions: Sequence[LocalQuestion]) -> list[Reply]:
        """One reply per question, in their order."""
        import torch

        means = [question.pictures[0].resize((1, 1)).getpixel((0, 0)) for question in questions]
        colours = torch.tensor(means, dtype=torch.float32, device=loaded.device)
        nearest = torch.cdist(colours, loaded).argmin(dim=1).tolist()
        names = list(MODELS[self.model])
        return [
            Reply(question.request, raw=names[number], model=f"prototype {self.model}")
            for question, number in zip(questions, nearest, strict=True)
        ]
