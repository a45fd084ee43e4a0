"""The list of photos in doubt as a CSV file, and the decisions that a person writes into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fgvr.doubt.find import Doubts
from fgvr.errors import FgvrError
from fgvr.tables import read_csv, write_csv
from fgvr.text import counted, visible

Decision = Literal["", "keep", "other", "both", "neither"]
"""What a person says of a photo in doubt; ``""`` is not decided yet, and changes nothing."""

_HEADER = ("number", "sample_id", "true_name", "other_name", "who", "said", "score", "decision")


@dataclass(frozen=True)
class Correction:
    """What a person has decided on a photo.

    Attributes:
        sample_id: The photo.
        other_name: The other name; a person may have written another one into the list.
        decision: Whether the true name stays, the other one takes its place, both are right, or neither is.
        place: File and row, for messages.
    """

    sample_id: str
    other_name: str
    decision: Decision
    place: str


def write_doubts(doubts: Doubts, path: Path) -> None:
    """Write the list, whole or not at all.

    Args:
        doubts: What was found.
        path: The CSV file.

    Raises:
        FgvrError: There is one with decisions already.
    """
    require_undecided(path)
    rows = (
        (
            *(number, each.sample_id, each.true_name, each.other_name, "; ".join(each.who), "; ".join(each.said)),
            *(None if each.score is None else round(each.score, 4), ""),
        )
        for number, each in enumerate(doubts.images, start=1)
    )
    write_csv(path, _HEADER, rows)


def require_undecided(path: Path) -> None:
    """Refuse to write a list in the place of one that a person has begun to decide.

    Args:
        path: The CSV file.

    Raises:
        FgvrError: There is one with decisions.
    """
    if path.is_file() and (decided := [each for each in read_corrections(path).values() if each.decision]):
        raise FgvrError(
            f"{path} has {counted(len(decided), 'decision')} already, and is not written again. Take them as "
            f"corrections={path}; for a new list, move the file or give another output."
        )


def read_corrections(path: Path) -> Mapping[str, Correction]:
    """Read what a person made of the list.

    Args:
        path: The CSV file; it needs ``sample_id``, ``other_name`` and ``decision``.

    Returns:
        Sample id -> its correction.

    Raises:
        FgvrError: It is no such file, a decision is none, or a photo is there twice; the message names the row.
    """
    table = read_csv(path, missing="Write the list with doubt, and decide in its last column.")
    missing = [column for column in ("sample_id", "other_name", "decision") if column not in table.header]
    if missing:
        raise FgvrError(f"{path}, row 1: there is no column {missing[0]!r}; expected the list that doubt writes.")
    found: dict[str, Correction] = {}
    for row in table.rows:
        place = table.place(row)
        sample_id, name = table.line(row, "sample_id"), table.line(row, "other_name")
        decision = row.cells["decision"].strip().lower()
        if decision not in get_args(Decision):
            raise FgvrError(
                f"{place}: the decision is {visible(decision, 40)!r}; expected keep, other, both, neither, or nothing."
            )
        if decision in ("other", "both") and not name:
            raise FgvrError(f"{place}: the decision is {decision!r}, but there is no other_name.")
        if sample_id in found:
            raise FgvrError(f"{place}: {visible(sample_id)!r} is there twice. Delete one of the two rows.")
        found[sample_id] = Correction(sample_id, name, decision, place)  # type: ignore[arg-type]  # it is one of them
    return found
