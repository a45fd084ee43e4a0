"""Species of the drawn world: combinations of attributes, named after what sets them apart."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from typing import Literal, get_args

from fgvr.errors import FgvrError

COLOURS = ("red", "orange", "yellow", "green", "blue", "violet", "brown", "grey", "black", "white")

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "build": ("bunting", "shrike", "plover", "jay"),
    "body": COLOURS,
    "wing": COLOURS,
    "crown": COLOURS,
    "bill": ("plain", "long", "hook", "curve"),
    "tail": ("plain", "long", "fork", "fan"),
    "breast": ("plain", "spotted", "streaked", "barred", "collared"),
}
"""Attribute -> its values; ``plain``, and a wing or a crown in the body's colour, go without saying in a name."""

Part = Literal["training", "development", "benchmark"]
"""The weights of ``fieldguide-clip`` saw species of ``training`` only; settings are chosen on ``development``."""

_MARKS = ("breast", "bill", "tail")
_MAX_MARKS = 2
_MAX_NAME_LENGTH = 60  # what a reply's parser takes for a name
_FAMILY = 4
_MAX_SPECIES = 5000  # the smallest part has 13,000

_GENUS = {"bunting": "emberiza", "shrike": "lanius", "plover": "charadrius", "jay": "pica"}
_BILL_LATIN = {"plain": "", "long": "longi", "hook": "unci", "curve": "curvi"}
_COLOUR_LATIN = {
    "red": "rubi", "orange": "auri", "yellow": "flavi", "green": "viri", "blue": "cyani", "violet": "viola",
    "brown": "fusci", "grey": "cani", "black": "nigri", "white": "albi",
}  # fmt: skip
_BREAST_LATIN = {"plain": "", "spotted": "gutta", "streaked": "stria", "barred": "fascia", "collared": "torqua"}
_TAIL_LATIN = {"plain": "ta", "long": "cauda", "fork": "furca", "fan": "flabella"}


@dataclass(frozen=True, slots=False)
class Species:
    """One bird.

    Attributes:
        build: Its kind, the noun of its name; with the other attributes, a value of ``ATTRIBUTES``.
        body: Colour.
        wing: Colour.
        crown: Colour.
        bill: Shape.
        tail: Shape.
        breast: Pattern.

    Raises:
        FgvrError: An attribute has a value that the world does not know.

    Example:
        >>> bird = Species("jay", "grey", "blue", "grey", "plain", "fork", "spotted")
        >>> bird.name
        'Spotted Fork-tailed Blue-winged Grey Jay'
        >>> bird.latin_name
        'Pica cyanicanicaniguttafurca'
    """

    build: str
    body: str
    wing: str
    crown: str
    bill: str
    tail: str
    breast: str

    def __post_init__(self) -> None:
        for attribute, values in ATTRIBUTES.items():
            if getattr(self, attribute) not in values:
                raise FgvrError(
                    f"A bird's {attribute} is {getattr(self, attribute)!r}; expected one of {', '.join(values)}."
                )

    @cached_property
    def name(self) -> str:
        """What sets it apart, in words: a different name for every combination of attributes."""
        words = [] if self.breast == "plain" else [self.breast]
        words += [] if self.bill == "plain" else [f"{self.bill}-billed"]
        words += [] if self.tail == "plain" else [f"{self.tail}-tailed"]
        words += [] if self.crown == self.body else [f"{self.crown}-crowned"]
        words += [] if self.wing == self.body else [f"{self.wing}-winged"]
        return " ".join(word.capitalize() for word in (*words, self.body, self.build))

    @cached_property
    def latin_name(self) -> str:
        """A made-up binomial, a different one for every combination of attributes."""
        genus = f"{_BILL_LATIN[self.bill]}{_GENUS[self.build]}".capitalize()
        colours = "".join(_COLOUR_LATIN[colour] for colour in (self.wing, self.crown, self.body))
        return f"{genus} {colours}{_BREAST_LATIN[self.breast]}{_TAIL_LATIN[self.tail]}"

    @cached_property
    def exists(self) -> bool:
        """Whether there is such a bird: at most two of breast, bill and tail are special, and its name is short."""
        marks = sum(getattr(self, mark) != "plain" for mark in _MARKS)
        return marks <= _MAX_MARKS and len(self.name) <= _MAX_NAME_LENGTH

    @cached_property
    def part(self) -> Part:
        """The part of the world that the species belongs to, by a hash of its attributes: 70, 10 and 20 per cent."""
        text = json.dumps(asdict(self), sort_keys=True)
        bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 10
        return "benchmark" if bucket < 2 else "development" if bucket < 3 else "training"

    def siblings(self) -> Iterator["Species"]:
        """The existing species that differ from this one in one attribute."""
        for attribute, values in ATTRIBUTES.items():
            for value in values:
                other = replace(self, **{attribute: value})
                if other != self and other.exists:
                    yield other

    def distance(self, other: "Species") -> int:
        """In how many attributes the two differ."""
        return sum(getattr(self, attribute) != getattr(other, attribute) for attribute in ATTRIBUTES)


def random_species(draw: random.Random) -> Species:
    """Any existing species."""
    while True:
        bird = Species(**{attribute: draw.choice(values) for attribute, values in ATTRIBUTES.items()})
        if bird.exists:
            return bird


@cache
def draw_guide(count: int, seed: int, part: Part) -> tuple[Species, ...]:
    """A field guide: families of up to four species, in which each differs from the first in one attribute.

    Args:
        count: Number of species; with a larger one, the smaller guide's species come first.
        seed: Another seed is another guide.
        part: The part of the world to draw from.

    Raises:
        FgvrError: ``count`` is not from 1 to 5,000, or there is no such part.
    """
    if not 1 <= count <= _MAX_SPECIES or part not in get_args(Part):
        raise FgvrError(
            f"A field guide of {count} species of the part {part!r} cannot be drawn; expected 1 to {_MAX_SPECIES}, of "
            f"{', '.join(get_args(Part))}."
        )
    draw = random.Random(f"{part}:{seed}")
    guide: dict[Species, None] = {}
    while len(guide) < count:
        first = random_species(draw)
        if first.part != part:
            continue
        siblings = [bird for bird in first.siblings() if bird.part == part]
        guide.update(dict.fromkeys([first, *draw.sample(siblings, min(_FAMILY - 1, len(siblings)))]))
    return tuple(guide)[:count]
