"""The contract of a kind of reply: how it is told from others, and how it is read."""

from abc import ABC, abstractmethod
from typing import ClassVar

from fgvr.reading.names import Reading


class ReplyKind(ABC):
    """A kind of reply.

    Attributes:
        examples: Replies of this kind, each with the name that is read out of it; ``""`` where there is none. Tests
            read every one of them.
    """

    examples: ClassVar[tuple[tuple[str, str], ...]]

    @abstractmethod
    def read(self, text: str) -> list[Reading] | None:
        """The names, best first.

        Args:
            text: A reply without thoughts. Kinds of structure see its tags; kinds of text see none.

        Returns:
            ``None`` where the reply is not of this kind, so that the next kind is tried. A reading without a name
            says that it is of this kind, and why it has none.
        """
