"""Specificity: how deep in WordNet predicted names are."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fgvr.errors import FgvrError
from fgvr.text import counted
from fgvr.vocabulary.build import fold_name
from fgvr.wordnet import Synset, WordNet


@dataclass(frozen=True)
class Specificity:
    """How fine names are.

    Attributes:
        depth: Mean depth in WordNet of the predicted names that it has, ``entity`` having 0; NaN where it has none.
        found: Share of the photos whose predicted name WordNet has, from 0 to 100.
        above_truth: By how many steps the predicted names are above the true ones, mean over the photos whose two
            names WordNet has: positive where predictions are more generic, negative where they are finer. NaN where
            there is no such photo, or true names were not given.
        compared: Share of the photos of which this is, from 0 to 100; NaN where true names were not given.
    """

    depth: float
    found: float
    above_truth: float = math.nan
    compared: float = math.nan

    def figures(self) -> dict[str, float]:
        """Those that there are, by the names that tables and ``metrics.json`` have for them."""
        named = {
            "wordnet_depth": self.depth,
            "wordnet_found": self.found,
            "wordnet_above_truth": self.above_truth,
            "wordnet_compared": self.compared,
        }
        return {name: round(figure, 4) for name, figure in named.items() if not math.isnan(figure)}


def specificity(names: Sequence[str], wordnet: WordNet, truth: Sequence[str] | None = None) -> Specificity:
    """How deep predicted names are in WordNet, where it has them, and how deep beside the true ones.

    The depth of a name is that of its synset: hypernyms up to ``entity``, along the shortest path. Of a name with
    several meanings one is taken: the commonest in the lexicographer file that most of the different names have a
    meaning in. So among names of birds, a crane is neither a machine nor Stephen Crane.

    WordNet has names of dogs, of few birds and of no cars (114 of 120 dogs, 71 of CUB's 200 birds, 0 of 196 cars), and
    it is not equally deep everywhere: look at ``found`` and ``compared`` first, and compare rows of one data set.

    Args:
        names: The predicted names of N photos.
        wordnet: Where they are looked up; spelled in any way.
        truth: Their true names.

    Raises:
        FgvrError: There are no photos, or not as many true names as predicted ones.

    Example:
        >>> from pathlib import Path
        >>> entity, bird = Synset(1, "noun.Tops", ("entity",), (), ""), Synset(2, "noun.animal", ("bird",), (1,), "")
        >>> jay = Synset(3, "noun.animal", ("jay",), (2,), "")
        >>> tiny = WordNet((entity, bird, jay), {"bird": (2,), "jay": (3,)}, "3.0", Path("tiny"))
        >>> specificity(["Bird", "Bird", "car"], tiny, ["jay", "bird", "jay"])
        Specificity(depth=1.0, found=66.66666666666667, above_truth=0.5, compared=66.66666666666667)
    """
    if not names:
        raise FgvrError("There are no photos whose names WordNet could have.")
    if truth is not None and len(truth) != len(names):
        raise FgvrError(
            f"There are {counted(len(names), 'predicted name')}, but {counted(len(truth), 'true name')}; expected one "
            "of each for every photo."
        )
    depths = _depths({*names, *(truth or ())}, wordnet)
    found = [depths[name] for name in names if name in depths]
    depth, share = _mean(found), 100 * len(found) / len(names)
    if truth is None:
        return Specificity(depth, share)
    both = [
        depths[true] - depths[name]
        for name, true in zip(names, truth, strict=True)
        if name in depths and true in depths
    ]
    return Specificity(depth, share, _mean(both), 100 * len(both) / len(names))


def _depths(names: Collection[str], wordnet: WordNet) -> dict[str, int]:
    """Name -> its depth, of the names that WordNet has."""
    meanings = {name: synsets for name in names if (synsets := wordnet.find(name))}
    # spellings of one name count once
    once = {fold_name(name): {synset.lexname for synset in synsets} for name, synsets in meanings.items()}
    counts = Counter(lexname for lexnames in once.values() for lexname in lexnames)
    return {name: wordnet.depth(_meant(synsets, counts)) for name, synsets in meanings.items()}


def _meant(synsets: Sequence[Synset], counts: Counter[str]) -> Synset:
    """The first of those in the commonest file, so the commonest one where files are equally common."""
    return max(synsets, key=lambda synset: counts[synset.lexname])


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else math.nan
