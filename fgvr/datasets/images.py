"""The photos of a run, with what is known of them kept apart from what may be learned from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from fgvr.datasets.base import ImageDataset
from fgvr.datasets.duplicates import equal_bytes
from fgvr.datasets.scan import scan
from fgvr.datasets.support import sample_support
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.text import counted

log = logging.getLogger(__name__)
_SHOWN = 5


@dataclass(frozen=True)
class Images:
    """The photos of a run. No record in ``splits`` has a true name.

    Attributes:
        splits: Split -> its photos, sorted by sample id; ``"support"`` holds all that a support set may be drawn from.
        truth: Sample id -> true class name, where known: for evaluation only.
        known_names: The distinct true names, sorted: a list of classes, without saying which photo is which.
        unreadable: Sample id -> why the photo was left out.
        remarks: What the reader of the data set has to say of files that it passed over, in sentences.
    """

    splits: Mapping[str, tuple[ImageRecord, ...]]
    truth: Mapping[str, str]
    known_names: tuple[str, ...]
    unreadable: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    @property
    def evaluated_split(self) -> str:
        """The split that ``test`` and ``predict`` run on: ``"test"``, or what there is without one."""
        return next(split for split in ("test", "support", "val") if self.splits.get(split))

    def require_split(self, split: str) -> None:
        """Raise ``FgvrError`` unless there are photos in ``split``."""
        if not self.splits.get(split):
            there = ", ".join(f"{len(records)} in {name!r}" for name, records in self.splits.items())
            raise FgvrError(
                f"This needs photos in the split {split!r}, but there are {there}. Splits are folders of that name, or "
                "the column 'split' of a manifest."
            )

    def without_evaluated_bytes(self) -> "Images":
        """The photos without support photos whose files have the same bytes as an evaluated photo.

        Raises:
            FgvrError: No support photo is left.
        """
        split, support = self.evaluated_split, self.splits.get("support", ())
        if split == "support" or not (pairs := equal_bytes(support, self.splits[split])):
            return self
        out = {support_id for support_id, _ in pairs}
        kept = tuple(record for record in support if record.sample_id not in out)
        if not kept:
            raise FgvrError(
                f"Every support photo has the same bytes as a photo of {split!r}, so that data.duplicates=leave_out "
                "leaves none: give photos that are in one split only, or set data.duplicates to allow."
            )
        if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            what = counted(len(out), "support photo is left out, whose", "support photos are left out, whose")
            log.warning("%s bytes are those of a photo of %r", what, split)
        return replace(self, splits={**self.splits, "support": kept})

    def draw_support(self, shots: int | None, size: int | None, seed: int) -> tuple[ImageRecord, ...]:
        """Draw the support photos; see ``sample_support``.

        Raises:
            FgvrError: There are none to draw from, or the draw cannot be made.
        """
        self.require_split("support")
        named = [replace(record, true_name=self.truth.get(record.sample_id)) for record in self.splits["support"]]
        drawn = sample_support(named, shots, size, seed)
        return tuple(replace(record, true_name=None) for record in drawn)


def read_images(dataset: ImageDataset, cache_dir: Path) -> Images:
    """List the photos, check that each can be opened, and take the true names off.

    Args:
        dataset: Reader of the photos.
        cache_dir: Folder that remembers earlier scans.

    Raises:
        FgvrError: The data set cannot be read, or not one photo can be opened.
    """
    records = _with_own_ids(dataset.records())
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]  # Lightning sets it
        for remark in dataset.remarks:
            log.warning("%s", remark)
    scanned = scan(records, cache_dir)
    if scanned.unreadable and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        left_out = counted(
            len(scanned.unreadable), "photo that cannot be read is left out", "photos that cannot be read are left out"
        )
        log.warning("%s: %s", left_out, _by_reason(scanned.unreadable))
    by_split: dict[str, list[ImageRecord]] = {}
    truth: dict[str, str] = {}
    for record in scanned.readable:
        by_split.setdefault(record.split, []).append(replace(record, true_name=None))
        if record.true_name is not None:
            truth[record.sample_id] = record.true_name
    return Images(
        splits={split: tuple(records) for split, records in by_split.items()},
        truth=truth,
        known_names=tuple(sorted(set(truth.values()))),
        unreadable=scanned.unreadable,
        remarks=tuple(dataset.remarks),
    )


def _with_own_ids(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The photos, sorted by sample id.

    Raises:
        FgvrError: Two have one id.
    """
    ordered = sorted(records, key=lambda record: record.sample_id)
    for one, two in pairwise(ordered):
        if one.sample_id == two.sample_id:
            raise FgvrError(
                f"Two photos are {one.sample_id!r}: {str(one.path)!a} and {str(two.path)!a}. An accent that is "
                "written apart from its letter does not make another name; rename or remove one of the two."
            )
    return ordered


def _by_reason(unreadable: Mapping[str, str]) -> str:
    """The first few names of each of the first few reasons."""
    names: dict[str, list[str]] = {}
    for name, why in unreadable.items():
        names.setdefault(why, []).append(name)
    shown = [
        f"{', '.join(alike[:_SHOWN])}{f' and {len(alike) - _SHOWN:,} more' if len(alike) > _SHOWN else ''} ({why})"
        for why, alike in list(names.items())[:_SHOWN]
    ]
    more = sum(len(alike) for alike in list(names.values())[_SHOWN:])
    return "; ".join(shown) + (f"; and {more:,} more" if more else "")
