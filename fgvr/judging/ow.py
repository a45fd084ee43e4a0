"""Open world: free text, which becomes the class with the nearest name."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.judging.base import DEFAULT_ENCODER, Protocol, each_photo
from fgvr.judging.world import World
from fgvr.labelers.tasks.wording import phrase

_EXAMPLES = ("golden retriever", "monarch butterfly", "espresso maker", "convertible")
_GENERAL = ("animal", "plant", "vehicle")


class OwProtocol(Protocol):
    """Open world (OW): the labeler names the photo in its own words, and never sees the class list.

    The question asks for the most specific label of the main object, shows examples of how specific, forbids general
    words, and takes a short description where the labeler is unsure: arXiv 2603.06578, in words of our own.

    Args:
        encoder: Text encoder that finds the nearest class: a sentence encoder, by name or folder, or ``backbone`` for
            the text tower of ``model.backbone``.
        templates: Templates of class names for it, each with ``{}``; a class is the mean over them. The seven that
            CLIP's authors chose if not given.
        mapped: Whether answers become classes by the encoder; ``false`` scores them as they are, and only an answer
            that is a class name can be right.
        category: What all photos show, such as ``dog``; it is said, and forbidden as an answer.
        examples: Labels that show how specific an answer should be. None of the class list may be among them; of those
            that are shown where none are given, what is in the list is left out.
        question: ``protocol`` asks as above; ``labeler`` takes the replies to the labeler's own prompt, such as those
            that were stored for a run.

    Raises:
        FgvrError: ``category`` or an example is blank, or a template has no ``{}``.
    """

    row: ClassVar[str] = "ow"
    free_text: ClassVar[bool] = True

    def __init__(
        self,
        encoder: str = DEFAULT_ENCODER,
        templates: list[str] | None = None,
        mapped: bool = True,
        category: str | None = None,
        examples: list[str] | None = None,
        question: Literal["protocol", "labeler"] = "protocol",
    ) -> None:
        super().__init__(encoder, templates)
        self.mapped = mapped
        self.maps = mapped
        self.category = None if category is None else phrase(category, "protocol.category")
        if examples is not None and not examples:
            raise FgvrError("protocol.examples is empty: give one or more, or leave it out.")
        self.examples = examples and [phrase(example, "protocol.examples") for example in examples]
        self.given_question = question

    def question(self, world: World, options: Sequence[tuple[str, ...]]) -> str:
        """See the base class; the class list is not said.

        Raises:
            FgvrError: An example is a class.
        """
        if given_away := [example for example in self.examples or () if world.find(example) >= 0]:
            raise FgvrError(
                f"protocol.examples has {given_away[0]!r}, which is a class of the list: the labeler must not see it. "
                "Give names of other things."
            )
        examples = self.examples or [example for example in _EXAMPLES if world.find(example) < 0]
        subject = f"main {self.category or 'object'}"
        general = [self.category] if self.category else list(_GENERAL)
        return (
            f"Name the {subject} in {each_photo(len(options))} with the most specific label that you can give. "
            f"Examples of how specific: {', '.join(examples)}. Do not use a general word such as "
            f"{' or '.join(general)}. If you are not sure of the label, describe the {subject} in a few words instead."
        )
