"""What a data set's photos are like: how many there are, which cannot be opened, which are in two splits."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgvr.datasets.base import SPLITS, ImageDataset
from fgvr.datasets.near_duplicates import NearDuplicate, near_duplicates
from fgvr.datasets.scan import scan
from fgvr.datasets.standard import StandardDataset
from fgvr.records import ImageRecord


@dataclass(frozen=True)
class SplitCount:
    """How many photos and classes a split has.

    Attributes:
        expected: Photos in the published lists; ``None`` where nobody published any.
        listed: Photos in the lists that were read.
        readable: Those of them that can be opened.
        classes: Classes among the listed photos.
        smallest: Fewest photos of a class; 0 without class names.
        largest: Most photos of a class.
    """

    expected: int | None
    listed: int
    readable: int
    classes: int
    smallest: int
    largest: int


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        splits: Split -> its counts.
        classes: Distinct class names of all splits.
        expected_classes: How many there should be; ``None`` where nobody knows.
        unreadable: Sample id -> why the photo cannot be opened.
        overlaps: Pairs of sample ids in different splits whose files have the same bytes: each photo with the first
            one that it equals.
        repeats: The same for pairs within a split.
        contradictions: Those of all these pairs whose two photos have different class names.
        unknown_names: Class names that the data set does not have.
        missing_names: Class names of the data set that no photo has.
        in_one_split: Split -> classes that no other split has, where there are other splits with class names.
        unlisted: Files in the image folder that are in no list; ``None`` where everything is listed by definition.
        remarks: What the reader of the data set has to say of files that it passed over, in sentences.
        near_duplicates: Photos of other splits that look nearly the same as a support photo, and have other bytes.
    """

    splits: Mapping[str, SplitCount]
    classes: int
    expected_classes: int | None
    unreadable: Mapping[str, str]
    overlaps: Sequence[tuple[str, str]]
    repeats: Sequence[tuple[str, str]]
    contradictions: Sequence[tuple[str, str]]
    unknown_names: Sequence[str]
    missing_names: Sequence[str]
    in_one_split: Mapping[str, Sequence[str]]
    unlisted: Sequence[str] | None
    remarks: Sequence[str] = ()
    near_duplicates: Sequence[NearDuplicate] = ()

    @property
    def sound(self) -> bool:
        """Whether all photos are there, can be opened, have the expected names, and are in one split only.

        A photo twice in one split, a class in one split only and files in no list do not count: they are common, and
        harm no evaluation. Nor do near-duplicates, which a person must look at.
        """
        return (
            not (self.unreadable or self.overlaps or self.unknown_names or self.missing_names)
            and self.expected_classes in (None, self.classes)
            and all(count.expected in (None, count.listed) for count in self.splits.values())
        )


def verify(dataset: ImageDataset, cache_dir: Path) -> Verification:
    """Read every photo of a data set and compare what is there with what should be.

    Files that have not changed since an earlier scan are not read again.

    Args:
        dataset: Reader of the photos.
        cache_dir: Folder that remembers earlier scans.

    Raises:
        FgvrError: The data set cannot be listed, or not one photo can be opened.
    """
    records = dataset.records()
    scanned = scan(records, cache_dir)
    standard = dataset if isinstance(dataset, StandardDataset) else None
    expected = standard.expected() if standard else {}
    names = {record.true_name for record in records if record.true_name is not None}
    known = set(standard.info.names) if standard else set()
    by_split: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_split[record.split].append(record)
    overlaps, repeats, contradictions = _same_bytes(scanned.readable)
    return Verification(
        splits={
            split: _count(by_split[split], scanned.unreadable, expected.get(split, 0) if standard else None)
            for split in SPLITS
            if by_split[split] or split in expected
        },
        classes=len(names),
        expected_classes=standard.info.classes if standard else None,
        unreadable=scanned.unreadable,
        overlaps=overlaps,
        repeats=repeats,
        contradictions=contradictions,
        unknown_names=sorted(names - known) if known else [],
        missing_names=sorted(known - names),
        in_one_split=_in_one_split(by_split),
        unlisted=_unlisted(standard, records) if standard else None,
        remarks=tuple(dataset.remarks),
        near_duplicates=near_duplicates(
            [record for record in scanned.readable if record.split == "support"],
            [record for record in scanned.readable if record.split != "support"],
            cache_dir,
        ),
    )


def _count(records: Sequence[ImageRecord], unreadable: Mapping[str, str], expected: int | None) -> SplitCount:
    sizes = Counter(record.true_name for record in records if record.true_name is not None).values()
    readable = sum(record.sample_id not in unreadable for record in records)
    return SplitCount(expected, len(records), readable, len(sizes), min(sizes, default=0), max(sizes, default=0))


def _same_bytes(
    records: Sequence[ImageRecord],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    """Overlaps, repeats and contradictions: each photo beside the first one of the same bytes."""
    first: dict[str, ImageRecord] = {}
    overlaps: list[tuple[str, str]] = []
    repeats: list[tuple[str, str]] = []
    contradictions: list[tuple[str, str]] = []
    for record in records:
        earlier = first.setdefault(record.digest, record)
        if earlier is not record:
            pair = (earlier.sample_id, record.sample_id)
            (repeats if earlier.split == record.split else overlaps).append(pair)
            if earlier.true_name != record.true_name:
                contradictions.append(pair)
    return overlaps, repeats, contradictions


def _in_one_split(by_split: Mapping[str, Sequence[ImageRecord]]) -> dict[str, list[str]]:
    names = {
        split: {record.true_name for record in records if record.true_name is not None}
        for split, records in by_split.items()
    }
    named = {split: found for split, found in names.items() if found}
    return {
        split: sorted(alone)
        for split, found in named.items()
        if len(named) > 1 and (alone := found - set().union(*(other for key, other in named.items() if key != split)))
    }


def _unlisted(dataset: StandardDataset, records: Sequence[ImageRecord]) -> list[str]:
    folder = dataset.image_folder()
    listed = {record.path for record in records}
    endings = {path.suffix.lower() for path in listed}
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in endings and path not in listed
    )
