"""The contract of a protocol: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from fgvr.errors import FgvrError
from fgvr.judging.encoders import CLIP_TEMPLATES
from fgvr.judging.truth import JudgedImage
from fgvr.judging.world import World
from fgvr.metrics.sentence_encoder import ENCODERS

DEFAULT_ENCODER = next(iter(ENCODERS))


class Protocol(ABC):
    """One way to judge a labeler as a classifier: what is asked, and which class an answer means.

    A constructor is pure. Photos, requests, replies and figures are the business of :mod:`fgvr.judging.judge`.

    Args:
        encoder: Text encoder of class names and answers: a sentence encoder, by name or folder, or ``backbone`` for the
            text tower of ``model.backbone``; ``None`` where names are not compared.
        templates: Templates of class names for it, each with ``{}``; a class is the mean over them. The seven that
            CLIP's authors chose if not given.

    Raises:
        FgvrError: A template has no ``{}``, or several.
    """

    row: ClassVar[str]
    """Its registry name: what rows of the result are called after."""

    takes_open_replies: ClassVar[bool] = True
    """Whether replies to an open question can be judged, such as those of a file."""

    free_text: ClassVar[bool] = False
    """Whether an answer may be a sentence, out of which the name is read; else it is taken word for word."""

    maps: bool = False
    """Whether an answer that is no class name becomes the class with the nearest name."""

    def __init__(self, encoder: str | None = None, templates: list[str] | None = None) -> None:
        for template in templates or ():
            if template.count("{}") != 1:
                raise FgvrError(f"protocol.templates has {template!r}; expected one {{}} where the class name goes.")
        self.encoder = encoder
        self.templates = templates

    @property
    def class_templates(self) -> tuple[str, ...]:
        """The templates of class names."""
        return tuple(self.templates) if self.templates else CLIP_TEMPLATES

    @property
    def compares_names(self) -> bool:
        """Whether the encoder is needed: to map answers, unless overridden."""
        return self.maps

    @abstractmethod
    def question(self, world: World, options: Sequence[tuple[str, ...]]) -> str:
        """What is asked about the photos of one request; the form of the reply is added.

        Args:
            world: The classes.
            options: The options of each photo, in the order in which the photos are shown.
        """

    def options(self, image: JudgedImage, world: World, repeat: int) -> tuple[str, ...]:
        """What a photo's answer is chosen from, in the order in which it is shown; nothing unless overridden.

        Args:
            image: The photo, and what is right about it.
            world: The classes, and the draws.
            repeat: Number of the repeat, which may draw others.
        """
        return ()

    def find(self, answer: str, options: tuple[str, ...], world: World) -> int:
        """The class that an answer names: lower-case exact match, unless overridden.

        Args:
            answer: One line; not empty.
            options: What it was chosen from.
            world: The classes.

        Returns:
            The class index, or -1 for an answer that is outside.
        """
        return world.find(answer)


def each_photo(number: int) -> str:
    """The photo that a question is about, where it is asked about so many."""
    return "the photo" if number == 1 else "each photo"
