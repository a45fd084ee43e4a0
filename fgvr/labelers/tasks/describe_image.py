"""A short description of one photo, as LatteCLIP asks for it."""

from typing import ClassVar

from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import read_description
from fgvr.labelers.tasks.wording import phrase
from fgvr.reading.replies import ParsedReply


class DescribeImageTask(Task):
    """Asks what a photo shows, in less than 20 words: LatteCLIP's image-description (its section 3.1).

    Args:
        domain: What all photos show, such as ``flower`` or ``car``.
        with_hint: Say the pseudo-label of the photo, where one is known, before the domain. The paper does not; its
            released code does, in its own words, for flowers and food. The describe stage says it with
            ``data.describe.hint``; the label stage knows no pseudo-labels, so there the option changes nothing.

    Raises:
        FgvrError: ``domain`` is blank.
    """

    registry_name: ClassVar[str] = "describe_image"
    names_classes: ClassVar[bool] = False

    def __init__(self, domain: str = "object", with_hint: bool = False) -> None:
        self.domain = phrase(domain, "domain")
        self.with_hint = with_hint

    def prompt(self, hint: str | None = None) -> str:
        """LatteCLIP's prompt: that of the paper, or, with a hint, that of its released code."""
        if self.with_hint and hint and hint.strip():
            label = " ".join(hint.split())
            return f"Describe the {label} {self.domain} in the photo concisely, less than 20 words."
        return f"Describe the {self.domain} in the photo concisely, using less than 20 words."

    def read(self, raw: str) -> ParsedReply:
        """The description, in one line, as the only name."""
        return read_description(raw)
