"""Multiple choice: the right name among a few others."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.judging.base import DEFAULT_ENCODER, Protocol, each_photo
from fgvr.judging.truth import JudgedImage
from fgvr.judging.world import World
from fgvr.labelers.base import Labeler
from fgvr.text import counted

Distractors = Literal["random", "near", "confused"]

_LETTER = re.compile(r"[(\[]?([A-Za-z])(?:[)\].:]+.*)?")


class McProtocol(Protocol):
    """Multiple choice (MC): the labeler chooses the right name among wrong ones, the distractors.

    No distractor is a label of the photo, or equivalent to one. Each repeat draws the order anew, and random
    distractors, too. An answer that is no option is outside and wrong: arXiv 2603.06578.

    Args:
        choices: How many options a photo has, the right one included: 2 to 26.
        distractors: ``random``; ``near``, the classes with the nearest names by the encoder; or ``confused``, the
            classes that photos of this one are most often taken for. Where a class was confused with fewer, random ones
            fill up.
        form: ``names`` lists names and asks for one; ``letters`` puts A), B), ... before them and asks for the letter.
        encoder: Text encoder for ``near``: a sentence encoder, by name or folder, or ``backbone`` for the text tower of
            ``model.backbone``.
        templates: Templates of class names for it, each with ``{}``; a class is the mean over them. The seven that
            CLIP's authors chose if not given.
        confusions: For ``confused``: an earlier run's ``predictions.parquet``, or a CSV of the same columns.
        confusion_labeler: For ``confused``: a labeler whose names for the judged photos are counted, such as
            ``classifier``.

    Raises:
        FgvrError: A value is out of range, or ``confused`` has nothing to count, or two things.
    """

    row: ClassVar[str] = "mc"
    takes_open_replies: ClassVar[bool] = False

    def __init__(
        self,
        choices: int = 4,
        distractors: Distractors = "random",
        form: Literal["names", "letters"] = "names",
        encoder: str = DEFAULT_ENCODER,
        templates: list[str] | None = None,
        confusions: Path | None = None,
        confusion_labeler: Labeler | None = None,
    ) -> None:
        super().__init__(encoder, templates)
        if not 2 <= choices <= len(ascii_uppercase):
            raise FgvrError(f"protocol.choices is {choices}; expected 2 to {len(ascii_uppercase)}.")
        given = (confusions is not None) + (confusion_labeler is not None)
        if distractors == "confused" and given != 1:
            raise FgvrError(
                "protocol.distractors is confused, which needs one source: a file in protocol.confusions, or a labeler "
                "in protocol.confusion_labeler, such as classifier."
            )
        if distractors != "confused" and given:
            raise FgvrError(f"Confusions are given, but protocol.distractors is {distractors}: set it to confused.")
        self.choices = choices
        self.distractors = distractors
        self.form = form
        self.confusions = None if confusions is None else Path(confusions)
        self.confusion_labeler = confusion_labeler

    @property
    def compares_names(self) -> bool:
        """See the base class: for the nearest names."""
        return self.distractors == "near"

    def question(self, world: World, options: Sequence[tuple[str, ...]]) -> str:
        """See the base class."""
        which = "the letter of the option" if self.form == "letters" else "the option, spelled as it is there,"
        head = (
            f"Which of its options fits the main object in {each_photo(len(options))} best? Answer with {which} alone."
        )
        if len(options) == 1:
            return f"{head}\n\nOptions:\n{self._listed(options[0])}"
        return f"{head}\n\n" + "\n\n".join(
            f"Options for photo {number}:\n{self._listed(each)}" for number, each in enumerate(options, 1)
        )

    def options(self, image: JudgedImage, world: World, repeat: int) -> tuple[str, ...]:
        """See the base class; a photo without any right class has distractors alone."""
        right = [image.asked] if image.asked >= 0 else []
        wanted = self.choices - len(right)
        banned = {*image.accepted, *image.labels, *right}
        if len(world.names) - len(banned) < wanted:
            raise FgvrError(
                f"protocol.choices is {self.choices}, and {counted(len(world.names), 'class', 'classes')} leave fewer "
                f"wrong ones for {image.image.sample_id!r}: lower it."
            )
        wrong = list(islice((other for other in self._ranked(image, world) if other not in banned), wanted))
        draw = world.draw("distractors", repeat, image.image.sample_id)
        while len(wrong) < wanted:
            other = int(draw.random() * len(world.names))
            if other not in banned and other not in wrong:
                wrong.append(other)
        draw = world.draw("order", repeat, image.image.sample_id)
        keyed = sorted((draw.random(), other) for other in (*right, *wrong))
        return tuple(world.names[other] for _, other in keyed)

    def find(self, answer: str, options: tuple[str, ...], world: World) -> int:
        """See the base class: an option, or its letter."""
        if any(answer.strip().lower() == option.lower() for option in options):
            return world.find(answer)
        if self.form == "letters" and (match := _LETTER.fullmatch(answer.strip())):
            number = ascii_uppercase.index(match[1].upper())
            return world.find(options[number]) if number < len(options) else -1
        return -1

    def _ranked(self, image: JudgedImage, world: World) -> Iterable[int]:
        if image.asked < 0 or self.distractors == "random":
            return ()
        if self.distractors == "near":
            return (int(other) for other in world.alike(image.asked))
        return world.confused(image.asked)

    def _listed(self, options: Sequence[str]) -> str:
        if self.form == "names":
            return "\n".join(options)
        return "\n".join(f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False))
