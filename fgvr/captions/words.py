"""From captions to the words that a photo may be named by: the filters of CaSED (Conti et al., NeurIPS 2023)."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from fgvr.captions.singular import singular
from fgvr.wordnet import read_forms

_TOKEN = re.compile(r"<[^>]+>")
_URL = re.compile(r"http\S+")
_SPECIAL = re.compile(r"[^\w\s\-.'&]")
_EXTENSION = re.compile(r"\.\w+")
_SEPARATOR = re.compile(r"[_\-]")
_NO_LETTER = re.compile(r"[^a-zA-Z\s]")
_SHORTEST = 3  # letters
_DROPPED = frozenset(
    (
        *("image", "photo", "picture", "thumbnail", "logo", "symbol", "clipart", "portrait", "painting"),
        *("illustration", "icon", "profile"),
    )
)
# closed classes of English, of which WordNet has some as nouns (an are, the WHO) and adjectives (more, such)
_FUNCTION_WORDS = frozenset(
    (
        *("about", "above", "across", "after", "all", "and", "another", "any", "anyone", "anything", "are"),
        *("around", "away", "been", "before", "behind", "below", "beside", "but", "can", "could", "did", "does"),
        *("down", "each", "eight", "either", "else", "ever", "every", "everyone", "everything", "few", "five"),
        *("for", "four", "from", "get", "got", "had", "has", "have", "having", "her", "here", "hers", "him", "his"),
        *("how", "inside", "into", "its", "just", "least", "less", "like", "made", "make", "many", "may", "might"),
        *("more", "most", "much", "must", "near", "neither", "next", "nine", "nor", "not", "now", "off", "once"),
        *("one", "only", "other", "others", "our", "out", "outside", "over", "own", "per", "same", "seven"),
        *("several", "shall", "she", "should", "since", "six", "some", "somebody", "someone", "something"),
        *("sometime", "such", "ten", "than", "that", "the", "their", "them", "then", "there", "these", "they"),
        *("this", "those", "three", "through", "together", "too", "two", "under", "until", "upon", "use", "used"),
        *("very", "was", "well", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why"),
        *("will", "with", "within", "without", "would", "yet", "you", "your"),
    )
)
_singular = lru_cache(maxsize=2**18)(singular)


def cleaned(text: str) -> list[str]:
    """The words of a caption as CaSED counts them, in their order, with repetitions.

    The steps of the public code (``default_vocab_transform``) in its order: out go tokens in ``<>``, URLs, special
    characters, what follows a full stop without a space (as file extensions do); underscores and hyphens become spaces;
    words shorter than three characters go, then all that is no letter from A to Z; what is left in lower case and the
    singular (:func:`fgvr.captions.singular.singular`), without words for pictures such as *photo*.

    Example:
        >>> cleaned("A photo of two house-finches <b>, http://a.org IMG_1.jpg")
        ['two', 'house', 'finch', 'img']
    """
    for pattern in (_TOKEN, _URL, _SPECIAL, _EXTENSION):
        text = pattern.sub("", text)
    long = [word for word in _SEPARATOR.sub(" ", text).split() if len(word) >= _SHORTEST]
    words = (_singular(word) for word in _NO_LETTER.sub("", " ".join(long)).lower().split())
    return [word for word in words if word not in _DROPPED]


def candidate_words(captions: Sequence[str], keeps: Callable[[str], bool], least: int = 2) -> tuple[str, ...]:
    """The words by which a photo with these captions may be named, each once, in the order in which they first come.

    Each caption is cleaned alone, so that every word is one of ``CaptionIndex.words``. The public code joins them
    first, which differs only where a ``<`` of one is closed in another.

    Args:
        captions: Those nearest to the photo.
        keeps: Whether a word is of the right part of speech, such as ``WordnetWords.keeps``.
        least: How often a word must occur in all of them together; where none does, as often as the commonest.

    Returns:
        None, where the captions have no words or ``keeps`` none of them.

    Example:
        >>> candidate_words(["a finch on the branch", "finches, red ones"], lambda word: word != "the")
        ('finch',)
    """
    # no token can reach from one caption into another where none begins
    joined = [" ".join(captions)] if not any("<" in caption for caption in captions) else captions
    counts = Counter(word for caption in joined for word in cleaned(caption))
    least = min(least, max(counts.values(), default=0))
    return tuple(word for word, count in counts.items() if count >= least and keeps(word))


def distinct(features: Tensor, threshold: float = 0.94) -> Tensor:
    """Which captions stay, of those that say nearly the same.

    Captions whose cosine reaches the threshold are joined, also by way of others (connected components), and the first
    of each component stays: so the public code does it, with faiss.

    Args:
        features: L2-normalised, shape ``(k, D)``, or of many photos, ``(B, k, D)``.
        threshold: Cosine, in [-1, 1]; 0.94 is the public code's.

    Returns:
        Boolean, shape ``(k,)`` or ``(B, k)``.

    Example:
        >>> distinct(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.96, 0.28]])).tolist()
        [True, True, False]
    """
    rows = torch.arange(features.shape[-2], device=features.device)
    alike = (features @ features.mT >= threshold) | torch.eye(len(rows), dtype=torch.bool, device=features.device)
    first = rows.expand(features.shape[:-1])
    while True:
        # each takes the lowest row that any of its neighbours has taken, until nothing changes
        lower = torch.where(alike, first.unsqueeze(-2), len(rows)).amin(-1)
        if torch.equal(lower, first):
            return first == rows
        first = lower


class WordnetWords:
    """Tells nouns, adjectives and participles from other words, by WordNet.

    CaSED's public code has a tagger (flair's ``pos-english-fast``) look at all words of a photo in a row and keeps
    nouns, adjectives and the participles of verbs. This has no hub to download one from: a word is kept if WordNet has
    it as a noun or an adjective, or as a form of one (*geese*, *smaller*), or as a verb's form in -ing or -ed
    (*flying*). It does not see the sentence, so a word that is more often something else (*run*) is kept, too.
    Auxiliaries, prepositions, numerals and the like, which WordNet has as nouns (*are*, *who*, *two*), are not.

    Args:
        wordnet: Folder of an installed WordNet, or NLTK's ``wordnet.zip``; if not given, one is found by itself.
        option: The option by which the user names it, for messages.

    Raises:
        FgvrError: No WordNet is found, it lacks adjectives, verbs or exceptions, or its files are damaged.
    """

    def __init__(self, wordnet: Path | None = None, option: str = "model.wordnet") -> None:
        self._forms = read_forms(wordnet, option)

    def keeps(self, word: str) -> bool:
        """Whether a word, in lower case, may name what a photo shows."""
        if len(word) < _SHORTEST or word in _FUNCTION_WORDS:
            return False
        forms = self._forms
        if forms.has(word, "noun") or forms.has(word, "adj"):
            return True
        return word.endswith(("ing", "ed")) and forms.has(word, "verb")
