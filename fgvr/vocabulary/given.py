"""Vocabularies that are given and not asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fgvr.errors import FgvrError
from fgvr.records import Vocabulary
from fgvr.text import composed
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.name_files import read_class_names


def given_vocabulary(class_names: Literal["dataset"] | Sequence[str] | Path, known_names: Sequence[str]) -> Vocabulary:
    """The vocabulary that ``data.class_names`` states.

    Args:
        class_names: ``dataset``, a list of names, or a file that :func:`~fgvr.vocabulary.name_files.read_class_names`
            reads.
        known_names: The class names that the data set states.

    Raises:
        FgvrError: There is no such file, it holds no names, an entry of the list is no text, or the data set states no
            names.
    """
    if class_names == "dataset":
        if not known_names:
            raise FgvrError("data.class_names is 'dataset', but the data set states no class names.")
        return known_vocabulary(known_names)
    if isinstance(class_names, str | Path):
        return read_class_names(Path(class_names), "data.class_names", "'labels', 'dataset', a list of names")
    for position, name in enumerate(class_names):
        if not isinstance(name, str):  # from Python; options are checked when they are read
            raise FgvrError(f"data.class_names: name {position} is {name!r:.60}; expected a text.")
    return known_vocabulary([composed(name) for name in class_names])
