"""The simple kind: all that a labeler must do is to yield one reply per request."""

from collections.abc import Iterator, Sequence
from typing import Any

from fgvr.labelers.base import Labeler, LabelRequest, Reply
from PIL import Image

NAMES = ("red", "yellow", "green", "cyan", "blue", "magenta")


class HueLabeler(Labeler):
    """Names a photo after its mean hue.

    Args:
        suffix: What follows the hue, such as ``bird``.
    """

    def __init__(self, suffix: str = "thing") -> None:
        super().__init__()
        self.suffix = suffix

    def identity(self) -> dict[str, Any]:
        """All that a reply depends on, besides the photo and the prompt."""
        return {"labeler": "hue", "version": 1, "suffix": self.suffix}

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """One reply per request; a photo that cannot be read fails by itself."""
        for request in requests:
            try:
                with Image.open(request.image.path) as image:
                    mean = image.convert("RGB").resize((1, 1)).convert("HSV").tobytes()[0]
            except OSError as error:
                yield Reply(request, error=f"the photo cannot be read: {error}")
                continue
            hue = NAMES[round(mean / 256 * len(NAMES)) % len(NAMES)]
            yield Reply(request, raw=hue, names=(f"{hue} {self.suffix}",), model="hue-1")
