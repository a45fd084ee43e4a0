"""The photos that are asked about next, and the list of them that a person can fill in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fgvr.data.datamodule import FgvrDataModule
from fgvr.doubt.pool import doubts_of_pool
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file
from fgvr.pipeline.trained_model import TrainedModel
from fgvr.records import LabelRecord
from fgvr.runs import RunFolder, only_writer
from fgvr.selections.doubt_table import Asked, DoubtfulPhoto, read_doubt_table, write_doubt_table
from fgvr.selections.uncertain import UncertainSelection
from fgvr.tables import read_csv, write_csv
from fgvr.text import composed, counted

_HEADER = ("file", "name", "predicted", "probability", "p_clean", "asked")
_WHY: dict[Asked, str] = {
    "unasked": "not asked about before",
    "nameless": "without a usable name",
    "named": "named by a model before",
}
_MOST_SHOWN = 8


@dataclass(frozen=True)
class NextPhotos:
    """Whom a selection chose, and of whom it chose.

    Attributes:
        chosen: The photos to ask about, the most doubtful first.
        pool: All support photos.
        given: How many of them have a name that no model gave, and are never chosen.
        named_since: How many of the chosen have a name in the list already, and are not asked about.
    """

    chosen: tuple[DoubtfulPhoto, ...]
    pool: int
    given: int
    named_since: int = 0

    def __str__(self) -> str:
        counts = Counter(photo.asked for photo in self.chosen)
        why = ", ".join(f"{counts[asked]} {words}" for asked, words in _WHY.items() if counts[asked])
        classes = Counter(photo.name for photo in self.chosen).most_common()
        shown = ", ".join(f"{count} {name}" for name, count in classes[:_MOST_SHOWN])
        more = f", and {counted(len(classes) - _MOST_SHOWN, 'more class', 'more classes')}"
        lines = [f"{counted(len(self.chosen), 'photo')} of {self.pool} to ask about next: {why or 'none'}"]
        if classes:
            lines.append(f"as the run names them: {shown}{more * (len(classes) > _MOST_SHOWN)}")
        if self.named_since:
            lines.append(f"not asked about, because the list has a name: {self.named_since}")
        if self.given:
            lines.append(f"never asked about, because a person or a table has named them: {self.given}")
        return "\n".join(lines)


def make_doubts(folder: RunFolder, model: TrainedModel, data: FgvrDataModule) -> None:
    """Leave ``doubt.parquet`` in a run folder: how doubtful the run finds each support photo.

    Args:
        folder: The run's.
        model: What it learned.
        data: Whose support photos may be asked about; more of them than the run had, where options say so.
    """
    labels = {label.sample_id: label for label in read_labels_file(folder.labels)} if folder.labels.is_file() else {}
    photos = doubts_of_pool(model, data, labels)
    lock = only_writer(folder)
    try:
        write_doubt_table(photos, folder.doubt)
    finally:
        lock.release()


def has_doubts(folder: RunFolder, checkpoint: Path | None, sample_ids: Sequence[str]) -> bool:
    """Whether ``doubt.parquet`` is of these photos, and newer than what the run learned last.

    Args:
        folder: The run's.
        checkpoint: What it learned; ``None`` for methods that learn nothing.
        sample_ids: The photos.
    """
    if not folder.doubt.is_file():
        return False
    if checkpoint is not None and checkpoint.stat().st_mtime > folder.doubt.stat().st_mtime:
        return False
    return set(sample_ids) <= {photo.sample_id for photo in read_doubt_table(folder.doubt)}


def next_photos(select: UncertainSelection, sample_ids: Sequence[str], path: Path) -> NextPhotos:
    """Whom a selection would have asked about next; it leaves out of what it chooses those that have a name by now.

    Args:
        select: Its run has its doubts.
        sample_ids: The support photos.
        path: The list; there need not be one yet.

    Raises:
        FgvrError: There is no such run, it has no doubts about some of the photos, or the list is none.
    """
    named = {key for key, row in _written(path).items() if row[1]}
    select.named_since = frozenset(each for each in sample_ids if composed(each) in named)
    found = select.photos(sample_ids)
    chosen = [found[number] for number in select.next(sample_ids, found)]
    chosen.sort(key=lambda photo: (-photo.doubt, photo.sample_id))
    return NextPhotos(
        tuple(chosen),
        pool=len(found),
        given=sum(photo.asked == "given" for photo in found),
        named_since=sum(photo.sample_id in select.named_since for photo in chosen),
    )


def write_list(photos: NextPhotos, path: Path, labels: Mapping[str, LabelRecord] | None = None) -> int:
    """Write the photos as a table of names, which the labeler ``fixed`` reads; what is in it already stays.

    A cell that has a name is never changed, and no row is taken out, so that one list may grow over several rounds.

    Args:
        photos: Whom to ask about.
        path: The CSV file.
        labels: Sample id -> what was said of it, where somebody was asked; names of others are left empty.

    Returns:
        How many of the photos have no name yet.

    Raises:
        FgvrError: There is such a file, and it is no list of photos.
    """
    rows = _written(path)
    for photo in photos.chosen:
        key = composed(photo.sample_id)
        label = (labels or {}).get(photo.sample_id)
        name = rows[key][1] if key in rows else ""
        rows[key] = (
            *(photo.sample_id, name or (label.names[0] if label is not None and label.names else ""), photo.name),
            *(round(float(_probability(photo.confidence)), 4), photo.p_clean and round(photo.p_clean, 4), photo.asked),
        )
    write_csv(path, _HEADER, rows.values())
    return sum(not rows[composed(photo.sample_id)][1] for photo in photos.chosen)


def _written(path: Path) -> dict[str, tuple[str | float | None, ...]]:
    """The rows of a list, by photo, none where there is no list; columns that a person has taken out are empty."""
    if not path.is_file():
        return {}
    table = read_csv(path)
    if lacking := next((column for column in ("file", "name") if column not in table.header), ""):
        raise FgvrError(
            f"{path}, row 1: there is no column {lacking!r}; expected a list that the label stage "
            "wrote with the selection uncertain. Give another file, or rename the column."
        )
    return {
        table.line(row, "file"): tuple(table.line(row, column) if column in table.header else "" for column in _HEADER)
        for row in table.rows
    }


def _probability(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(np.clip(log_odds, -700, 700)))))
