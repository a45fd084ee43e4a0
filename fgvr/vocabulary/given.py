"""Vocabularies that are given and not asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fgvr.errors import FgvrError
from fgvr.records import Vocabulary
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import read_vocabulary


def given_vocabulary(class_names: Literal["dataset"] | list[str] | Path, known_names: Sequence[str]) -> Vocabulary:
    """The vocabulary that ``data.class_names`` states.

    Args:
        class_names: ``dataset``, a list of names, a ``vocabulary.json``, or a text with one name per line.
        known_names: The class names that the data set states.

    Raises:
        FgvrError: There is no such file, or the data set states no names.
    """
    if isinstance(class_names, list):
        return known_vocabulary(class_names)
    if class_names == "dataset":
        if not known_names:
            raise FgvrError("data.class_names is 'dataset', but the data set states no class names.")
        return known_vocabulary(known_names)
    path = Path(class_names)
    if path.suffix == ".json":
        return replace(read_vocabulary(path), joins=())  # what a person made of it counts, not how it came about
    if not path.is_file():
        raise FgvrError(
            f"data.class_names is {str(path)!r}, which is no file; expected 'labels', 'dataset', a list of names, a "
            "vocabulary.json, or a text file with one name per line."
        )
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return known_vocabulary([line.strip() for line in lines if line.strip()])
