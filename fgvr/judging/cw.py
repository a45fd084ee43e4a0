"""Closed world: the whole class list is in the prompt, and nothing else counts."""

from collections.abc import Sequence
from typing import ClassVar

from fgvr.judging.base import Protocol, each_photo
from fgvr.judging.world import World


class CwProtocol(Protocol):
    """Closed world (CW): the labeler chooses from all class names, and any other answer is outside and wrong.

    An answer is a class name if it is the same, letter case aside: arXiv 2603.06578.
    """

    row: ClassVar[str] = "cw"

    def __init__(self) -> None:
        super().__init__()

    def question(self, world: World, options: Sequence[tuple[str, ...]]) -> str:
        """See the base class: the same as of ``cw_plus``, so that each reply is asked for once."""
        return (
            f"Which class of the list below does the main object in {each_photo(len(options))} belong to? Answer with "
            "one name of the list, spelled as it is there, even if you are not sure.\n\nClasses:\n"
            + "\n".join(world.names)
        )
