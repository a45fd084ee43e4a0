"""The true names that FineR's public evaluation compares with on Stanford Cars: each photo's is another class's."""

from functools import cache
from importlib.resources import files

import numpy as np

from fgvr.errors import FgvrError
from fgvr.metrics.name_pairs import NamePairs
from fgvr.text import counted, visible
from fgvr.vocabulary.build import fold_name


@cache
def stanford_cars() -> tuple[str, ...]:
    """The 196 class names of Stanford Cars in the data set's order, spelled as FineR spells them."""
    return tuple((files("fgvr.metrics") / "stanford_cars.txt").read_text(encoding="utf-8").splitlines())


def shifted_names(pairs: NamePairs) -> NamePairs:
    """The same photos with the true names that FineR's evaluation has for them.

    Its loader takes 1 off the number of a class twice. So the name of a photo is that of the class before its own in
    the data set's order, and for the first class that of the last.

    Args:
        pairs: Names of photos of Stanford Cars; the year may stand first or last.

    Raises:
        FgvrError: A true name is none of Stanford Cars'.

    Source:
        FineR (Liu et al., ICLR 2024), ``data/car196.py``; E-FineR and FiNDR have the same lines.
    """
    listed = stanford_cars()
    number = {_key(name): index for index, name in enumerate(listed)}
    own = [number.get(_key(name), -1) for name in pairs.classes]
    if -1 in own:
        other = pairs.classes[own.index(-1)]
        raise FgvrError(
            f"finer_compat repeats what FineR's evaluation does with Stanford Cars, and {visible(repr(other), 60)} is "
            f"none of its {counted(len(listed), 'class', 'classes')} "
            f"({counted(own.count(-1), 'true name is', 'true names are')} not). Leave it out."
        )
    shifted = [listed[index - 1] for index in own]
    # several spellings of one class stay apart, which changes no figure
    order = np.array(sorted(range(len(shifted)), key=shifted.__getitem__), dtype=np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    moved = np.stack([pairs.pairs[:, 0], place[pairs.pairs[:, 1]]], axis=1)
    return NamePairs(
        pairs.names, tuple(shifted[index] for index in order), pairs.predicted, place[pairs.true], moved, pairs.pair
    )


def _key(name: str) -> str:
    """What spellings of one class have in common: letters and digits, with a year at the end."""
    first, _, rest = name.strip().partition(" ")
    if len(first) == 4 and first.isdigit():
        name = f"{rest} {first}"
    return fold_name(name.replace("/", ""))
