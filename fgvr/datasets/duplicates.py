"""The guard against test photos that are trained on: equal bytes are refused, and near-duplicates are listed."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fgvr.datasets.near_duplicates import BOUND, near_duplicates, write_near_duplicates
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.text import counted, verb, visible

log = logging.getLogger(__name__)

Duplicates = Literal["refuse", "leave_out", "allow"]
"""What is done about support photos whose bytes are those of an evaluated photo."""

_SHOWN = 3


def equal_bytes(support: Sequence[ImageRecord], evaluated: Sequence[ImageRecord]) -> list[tuple[str, str]]:
    """Pairs of a support photo and an evaluated one whose files have the same bytes.

    Args:
        support: Support photos, with digests.
        evaluated: Evaluated photos, with digests.

    Returns:
        Sample ids, in the order of ``support``; of several equal evaluated photos the first.
    """
    first: dict[str, str] = {}
    for record in evaluated:
        first.setdefault(record.digest, record.sample_id)
    return [(record.sample_id, first[record.digest]) for record in support if record.digest in first]


def refuse_equal_bytes(support: Sequence[ImageRecord], evaluated: Sequence[ImageRecord], split: str) -> None:
    """Refuse support photos that are evaluated photos, too.

    Args:
        support: The support photos that were drawn.
        evaluated: The evaluated photos.
        split: Name of their split.

    Raises:
        FgvrError: A support photo has the bytes of an evaluated one.
    """
    if pairs := equal_bytes(support, evaluated):
        raise FgvrError(
            f"{counted(len(pairs), 'support photo has', 'support photos have')} the same bytes as a photo of "
            f"{split!r}: {_some([f'{one} = {other}' for one, other in pairs])}. Figures would be too good: set "
            "data.duplicates to leave_out (such support photos are left out), or to allow (they are trained on)."
        )


def warn_of_near_duplicates(
    support: Sequence[ImageRecord], evaluated: Sequence[ImageRecord], split: str, cache_dir: Path, path: Path
) -> None:
    """Warn of evaluated photos that look nearly the same as a support photo, and leave a list of them.

    Args:
        support: The support photos that were drawn.
        evaluated: The evaluated photos.
        split: Name of their split.
        cache_dir: Folder that remembers earlier scans.
        path: CSV file of the list; not written where there are none.
    """
    if not (found := near_duplicates(support, evaluated, cache_dir)):
        return
    write_near_duplicates(found, path)
    pairs = _some([f"{each.sample_id} and {each.support_id}" for each in found])
    log.warning(
        "%s of %r %s nearly the same as a support photo, so figures may be too good: %s. At most %d of 64 bits of "
        "their perceptual hashes differ. Look at them: %s",
        counted(len(found), "photo"),
        split,
        verb(len(found), "looks", "look"),
        pairs,
        BOUND,
        path,
    )


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return visible(", ".join(items[:_SHOWN])) + more
