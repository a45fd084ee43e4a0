"""A photo in words, or one attribute of what it shows."""

from typing import ClassVar

from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import read_description
from fgvr.labelers.tasks.wording import phrase
from fgvr.reading.replies import ParsedReply


class DescribeAttributeTask(Task):
    """Asks for one attribute of what a photo shows; the labeler ``finer`` asks it for each attribute.

    FineR (arXiv 2401.13837) asks BLIP-2, which answers in a few words, and first for a description of the whole photo.
    These words are others.

    Args:
        category: What the photo shows, in the singular, such as ``bird``.
        attribute: The attribute, such as ``tail shape``; a description of the whole if not given.

    Raises:
        FgvrError: ``category`` or ``attribute`` is blank.
    """

    registry_name: ClassVar[str] = "describe_attribute"
    names_classes: ClassVar[bool] = False
    max_output_tokens: ClassVar[int] = 200

    def __init__(self, category: str = "object", attribute: str | None = None) -> None:
        self.category = phrase(category, "category")
        self.attribute = None if attribute is None else phrase(attribute, "attribute")

    def topic(self) -> str:
        """See the base class: ``description``, or ``attribute: tail shape``."""
        return "description" if self.attribute is None else f"attribute: {self.attribute}"

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        if self.attribute is None:
            return f"Describe what can be seen of the {self.category} in this photo, in two or three sentences."
        return (
            f"Describe this attribute of the {self.category} in this photo in a short phrase: {self.attribute}. Say "
            "only what can be seen."
        )

    def read(self, raw: str) -> ParsedReply:
        """The description, in one line, as the only name."""
        return read_description(raw)
