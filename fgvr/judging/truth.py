"""What is right about each photo: one true name, or a set of them, and names that are equivalent."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.photo_paths import PhotoPaths
from fgvr.records import ImageRecord
from fgvr.tables import Table, read_csv
from fgvr.text import counted, none_of
from fgvr.vocabulary.build import fold_name

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JudgedImage:
    """A photo with what is right about it.

    Attributes:
        image: The photo, without its true name.
        labels: Classes that it is labelled with, in the order of the file; empty where it shows none of them.
        accepted: The same and what is equivalent to one of them: an answer among these is right.
        own: The class that the data set states; -1 where it states none.
    """

    image: ImageRecord
    labels: tuple[int, ...]
    accepted: frozenset[int]
    own: int

    @property
    def asked(self) -> int:
        """The label that multiple choice offers as the right one: the data set's where it is right, else the first.

        Of a photo without labels that is the data set's, or -1.
        """
        return self.own if self.own in self.labels or not self.labels else self.labels[0]

    @property
    def group(self) -> str:
        """``S`` (one label), ``M`` (several) or ``N`` (none)."""
        return "N" if not self.labels else "S" if len(self.labels) == 1 else "M"


def judged_images(
    images: Sequence[ImageRecord],
    truth: Mapping[str, str],
    names: Sequence[str],
    labels: Path | None = None,
    equivalents: Path | None = None,
) -> list[JudgedImage]:
    """The photos with what is right about them.

    Args:
        images: The photos.
        truth: Sample id -> the name that the data set states, where it states one.
        names: The class list.
        labels: CSV with the columns ``sample_id`` (or ``file``) and ``class_name``: a row for each label of a photo,
            and a row with an empty name for a photo without any. Photos that it lacks are left out. Without it, the
            data set's name is the only label.
        equivalents: CSV with the columns ``name`` and ``equivalent``: pairs of classes, each right for the other.

    Raises:
        FgvrError: A file cannot be read or names something that is not in the list, a photo has no true name, or there
            is none left.
    """
    index = {fold_name(name): number for number, name in enumerate(names)}
    equal = {} if equivalents is None else _equivalents(equivalents, index)
    own = {image.sample_id: _own(image, truth, index) for image in images}
    stated = None if labels is None else _labels(labels, index, [image.sample_id for image in images])
    if stated is None:
        if lacking := [image.sample_id for image in images if own[image.sample_id] < 0]:
            raise FgvrError(
                f"{counted(len(lacking), 'photo has', 'photos have')} no true name, the first {lacking[0]!r}: name "
                "them in the data set, or give a table of labels in judge.truth."
            )
        stated = {sample_id: (label,) for sample_id, label in own.items()}
    found = []
    for image in images:
        if (given := stated.get(image.sample_id)) is not None:
            accepted = frozenset(given).union(*(equal.get(label, frozenset()) for label in given))
            found.append(JudgedImage(image, given, accepted, own[image.sample_id]))
    if labels is not None and len(found) < len(images):
        left_out = counted(len(images) - len(found), "photo is", "photos are")
        log.warning("%s left out: %s has no label of it", left_out, labels)
    if not found:
        raise FgvrError(f"{none_of(len(images), 'photo')} is in {labels}: give the table of this data set.")
    return found


def _own(image: ImageRecord, truth: Mapping[str, str], index: Mapping[str, int]) -> int:
    name = truth.get(image.sample_id)
    if name is None:
        return -1
    if (label := index.get(fold_name(name))) is None:
        raise FgvrError(
            f"The true name {name!r} of {image.sample_id!r} is not in the class list: add it to data.class_names, or "
            "set that to dataset."
        )
    return label


def _labels(path: Path, index: Mapping[str, int], sample_ids: Sequence[str]) -> dict[str, tuple[int, ...]]:
    table = read_csv(path, "Give the file with the labels in judge.truth.")
    column = _column(table, "sample_id", "file")
    _column(table, "class_name")
    paths = PhotoPaths(sample_ids)
    found: dict[str, dict[int, None]] = {}
    empty: dict[str, int] = {}
    for row in table.rows:
        written = table.line(row, column)
        meant = paths.find(written)
        if len(meant) > 1:
            raise FgvrError(
                f"{table.place(row)}: {written!r} may be {meant[0]!r} or {meant[1]!r}; give the whole path."
            )
        if not meant:
            continue
        name = table.line(row, "class_name").strip()
        given = found.setdefault(meant[0], {})
        if name:
            given[_label(name, "class_name", table, row.number, index)] = None
        else:
            empty[meant[0]] = row.number
    for sample_id, number in empty.items():
        if found[sample_id]:
            raise FgvrError(
                f"{path}, row {number}: {sample_id!r} has no name here and one in another row. Delete one of the two."
            )
    return {sample_id: tuple(given) for sample_id, given in found.items()}


def _equivalents(path: Path, index: Mapping[str, int]) -> dict[int, frozenset[int]]:
    table = read_csv(path, "Give the file with pairs of names in judge.equivalents.")
    pairs: dict[int, set[int]] = {}
    for column in ("name", "equivalent"):
        _column(table, column)
    for row in table.rows:
        one, two = (
            _label(table.line(row, column).strip(), column, table, row.number, index)
            for column in ("name", "equivalent")
        )
        pairs.setdefault(one, set()).add(two)
        pairs.setdefault(two, set()).add(one)
    return {label: frozenset(others) for label, others in pairs.items()}


def _label(name: str, column: str, table: Table, number: int, index: Mapping[str, int]) -> int:
    if (label := index.get(fold_name(name))) is None:
        raise FgvrError(
            f"{table.path}, row {number}: the {column} {name[:80]!r} is not in the class list. Mend its spelling, or "
            "give a list that has it in data.class_names."
        )
    return label


def _column(table: Table, *columns: str) -> str:
    for column in columns:
        if column in table.header:
            return column
    raise FgvrError(f"{table.path} has no column {' or '.join(columns)}; it has: {', '.join(table.header)}.")
