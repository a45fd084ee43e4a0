"""Descriptions as they were read, and in a few numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fgvr.descriptions.files import Origin
from fgvr.descriptions.texts import DescriptionTexts
from fgvr.records import Description


@dataclass(frozen=True)
class DescriptionSummary:
    """What came, in a few numbers.

    Attributes:
        counts: Kind -> flag -> number of descriptions; ``""`` is a usable one.
        missing: Photos and classes without a text, in a sentence; ``""`` where all have one.
        cost_usd: What the replies cost, failures included, and what a file says that its own did.
        simulated: Whether replies and dollars are made up.
        oracle: Whether true names have chosen the photos of a group.
    """

    counts: Mapping[str, Mapping[str, int]]
    missing: str
    cost_usd: float
    simulated: bool = False
    oracle: bool = False

    @property
    def origin(self) -> Origin:
        """What a file of these descriptions says of them."""
        return Origin(self.cost_usd, self.simulated, self.oracle)

    def __str__(self) -> str:
        parts = []
        for kind, flags in self.counts.items():
            numbers = ", ".join(f"{number} {flag or 'usable'}" for flag, number in flags.items())
            parts.append(f"{kind} descriptions: {numbers}")
        kinds = "; ".join(parts)
        marks = f"{' (simulated)' * self.simulated}{' (oracle)' * self.oracle}"
        said = f"{kinds or 'no descriptions'}; ${self.cost_usd:.4f}{marks}"
        return f"{said}\n{self.missing}" if self.missing else said


@dataclass(frozen=True)
class ReadDescriptions:
    """What is known.

    Attributes:
        descriptions: Those of photos in the order of the photos, then those of groups in the order of the classes.
        summary: The same in numbers.
    """

    descriptions: tuple[Description, ...]
    summary: DescriptionSummary

    @cached_property
    def texts(self) -> DescriptionTexts:
        """By photo and by class."""
        return DescriptionTexts(self.descriptions)
