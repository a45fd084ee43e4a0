"""Which true name a name stands for, where the vocabulary is not the list of true names."""

from collections.abc import Sequence

import numpy as np

from fgvr.metrics.matching import best_matching
from fgvr.vocabulary.build import fold_name


class TrueNames:
    """The true name that a name stands for, or none.

    A name stands for the true name that it equals, but for spelling (``fold_name``). Of the other names, cACC's
    one-to-one matching with the true names that are left decides, and only where more than half of the photos that
    were given a name have that true name: a name that is given to all kinds of photos stands for none.

    Args:
        given: Names as they were given to photos, by any voice; ``""`` where there is none.
        true: The true name of the photo, as many.

    Example:
        >>> names = TrueNames(["alsatian", "Pug", "dog", "dog"], ["German Shepherd", "pug", "pug", "Boxer"])
        >>> names.of("Alsatian"), names.of("PUG"), names.of("dog")
        ('German Shepherd', 'pug', None)
    """

    def __init__(self, given: Sequence[str], true: Sequence[str]) -> None:
        self._true: dict[str, str] = {}
        for name in sorted(set(true)):
            self._true.setdefault(fold_name(name), name)
        folded: dict[str, str] = {name: fold_name(name) for name in set(given)}
        equal = {key for key in folded.values() if key in self._true}
        rest = [
            (folded[name], fold_name(of))
            for name, of in zip(given, true, strict=True)
            if folded[name] and folded[name] not in self._true
        ]
        self._true |= self._matched([pair for pair in rest if pair[1] not in equal], rest)

    def of(self, name: str) -> str | None:
        """The true name that ``name`` stands for; ``None`` where it stands for none."""
        return self._true.get(fold_name(name))

    def _matched(self, free: Sequence[tuple[str, str]], given: Sequence[tuple[str, str]]) -> dict[str, str]:
        if not free:
            return {}
        names, predicted = np.unique([name for name, _ in free], return_inverse=True)
        classes, true = np.unique([name for _, name in free], return_inverse=True)
        photos: dict[str, int] = {}
        for name, _ in given:
            photos[name] = photos.get(name, 0) + 1
        return {
            str(names[name]): self._true[str(classes[of])]
            for name, of, shared in zip(*(each.tolist() for each in best_matching(predicted, true)), strict=True)
            if 2 * shared > photos[str(names[name])]
        }
