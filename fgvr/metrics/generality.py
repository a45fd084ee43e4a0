"""Over-generic answers: those that name a kind of thing to which the true class belongs, and not the class."""

from dataclasses import dataclass
from typing import Self

from fgvr.metrics.siou import words_in
from fgvr.reading.names import is_generic


@dataclass(frozen=True)
class NameWords:
    """The words of a name.

    Attributes:
        words: The different ones, as ``siou_hyphen`` compares them.
        head: The last one that is no number; ``""`` where there is none.
        is_kind: Whether the name says no more than a kind of thing, as replies are read.
    """

    words: frozenset[str]
    head: str
    is_kind: bool

    @classmethod
    def of(cls, name: str) -> Self:
        """Take a name apart."""
        words = words_in(name, "hyphen_split")
        head = next((word for word in reversed(words) if not word.isdigit()), "")
        return cls(frozenset(words), head, is_generic(name))


def is_too_general(answer: NameWords, true: NameWords) -> bool:
    """Whether an answer is more general than the true name, as far as their words tell.

    It is where one of these holds:

    - Its words are some of the true name's, but not all, and the head word is among them: the last word that is no
      number. "Retriever" for "Golden Retriever", "Audi Coupe" for "Audi S5 Coupe 2012".
    - It is a word for a kind of thing, as replies are read (:func:`fgvr.reading.names.is_generic`): "bird", "terrier",
      "domestic cat". What equals the true name, as in "Dog" for "dog", is none.

    It is a lower bound, since nothing is known of what names mean: "finch" for "Cardinal" is found by its word only,
    and "BMW M3" for "BMW M3 Coupe 2012" is not found, as "German Shepherd" for "German Shepherd Dog" rightly is not.
    An empty answer is no name, and so not too general.

    Args:
        answer: The answer.
        true: The true name.

    Example:
        >>> answers = map(NameWords.of, ("Retriever", "dog", "Golden Retriever", "Golden"))
        >>> [is_too_general(answer, NameWords.of("Golden Retriever")) for answer in answers]
        [True, True, False, False]
    """
    if not answer.words or answer.words == true.words:
        return False
    return answer.is_kind or (true.head in answer.words and answer.words < true.words)
