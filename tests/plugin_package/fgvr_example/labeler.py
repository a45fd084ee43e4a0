"""A labeler that needs no model."""

from collections.abc import Iterator, Sequence
from typing import Any

from fgvr.labelers.base import Labeler, LabelRequest, Reply


class FileStemLabeler(Labeler):
    """Names a photo after its file: ``house_finch_12.png`` is a house finch.

    Args:
        suffix: Added to every name.
    """

    def __init__(self, suffix: str = "") -> None:
        super().__init__()
        self.suffix = suffix

    def identity(self) -> dict[str, Any]:
        """The suffix is all that a reply depends on, besides the photo."""
        return {"provider": "file_stem", "suffix": self.suffix}

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Answer at once."""
        for request in requests:
            name = request.image.path.stem.rstrip("0123456789_").replace("_", " ")
            yield Reply(request, raw=f"This is a {name}{self.suffix}.", model="file_stem-1")
