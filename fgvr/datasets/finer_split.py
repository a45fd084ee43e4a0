"""The discovery set of FineR, by which papers on vocabulary-free recognition compare, as the split of a data set."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgvr.datasets.walk import files_below
from fgvr.errors import FgvrError
from fgvr.images import photo_endings
from fgvr.photo_paths import posix_path
from fgvr.records import ImageRecord
from fgvr.tables import decode_text, write_csv
from fgvr.text import counted, visible
from fgvr.yaml_text import load_json

_NUMBER = re.compile(r"(\d{3})\.")
_IMAGE_KEYS = ("image", "file", "image_path")


@dataclass(frozen=True)
class FinerSplit:
    """A data set whose support photos are those of FineR.

    Attributes:
        records: All its photos; the support photos of the discovery set, and the test photos that are not among these.
        from_test: How many support photos are test photos of the data set's own split.
        left_out: How many support photos of the data set's own split are not in the discovery set.
    """

    records: tuple[ImageRecord, ...]
    from_test: int
    left_out: int

    def write(self, path: Path, root: Path) -> None:
        """Write the photos as the list that the data set ``manifest`` reads.

        Args:
            path: The CSV file.
            root: The data set's folder, to which the paths are relative.
        """
        rows = ((posix_path(str(each.path.relative_to(root))), each.true_name, each.split) for each in self.records)
        write_csv(path, ("file", "class_name", "split"), rows)


def read_discovery_set(path: Path) -> list[str]:
    """The files of a discovery set, as FineR and those who build on it publish it.

    Args:
        path: FineR's folder ``images_discovery_all_3``; or a list of its files: a JSON object whose keys they are (as
            FiNDR's ``dogs_qwen.json``), JSON lines with ``image``, ``file`` or ``image_path``, or one path a line.

    Returns:
        Paths as they are written there.

    Raises:
        FgvrError: There is no such file or folder, it names no photo, or it is damaged.
    """
    if path.is_dir():
        endings = photo_endings()
        found = sorted(posix_path(str(each)) for each in files_below(path) if each.suffix.lower() in endings)
    elif path.is_file():
        found = _listed(decode_text(path.read_bytes(), path), path)
    else:
        raise FgvrError(f"There is no {str(path)!r}: give FineR's folder images_discovery_all_3, or a list of files.")
    if not found:
        raise FgvrError(
            f"There is no photo in {path}; expected FineR's folder images_discovery_all_3, or a list of files."
        )
    return found


def finer_split(records: Sequence[ImageRecord], discovered: Sequence[str]) -> FinerSplit:
    """The data set with FineR's discovery set for its support photos.

    FineR calls a copy of a photo ``NUMBER.CLASS_FILE``, where FILE is the photo's own name; of Oxford Pets, CLASS is a
    part of that name. A photo is found by the longest ending that is the name of a photo, letter case aside. Where a
    support photo and a test photo have one name, as in Stanford Cars, the support photo is meant.

    Args:
        records: The photos of the data set, with its own splits.
        discovered: See :func:`read_discovery_set`.

    Raises:
        FgvrError: A file is no photo of the data set, may be several, is there twice, or the photos of one class number
            have several true names.
    """
    by_name: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_name[record.path.name.casefold()].append(record)
    found = {file: _photo(file, by_name) for file in discovered}
    counts = Counter(record.sample_id for record in found.values())
    twice = sorted({*(each for each in counts if counts[each] > 1)})
    if twice or len(found) < len(discovered):
        again = twice[0] if twice else Counter(discovered).most_common(1)[0][0]
        raise FgvrError(f"The discovery set names the photo {visible(again)!r} twice: delete one of the two.")
    _check_classes(found)
    support = set(counts)
    kept = [record for record in records if record.sample_id in support or record.split == "test"]
    return FinerSplit(
        records=tuple(_as_support(record) if record.sample_id in support else record for record in kept),
        from_test=sum(record.split == "test" for record in found.values()),
        left_out=sum(record.split != "test" and record.sample_id not in support for record in records),
    )


def _as_support(record: ImageRecord) -> ImageRecord:
    return ImageRecord(
        sample_id=record.sample_id, path=record.path, split="support", digest=record.digest, true_name=record.true_name
    )


def _photo(file: str, by_name: dict[str, list[ImageRecord]]) -> ImageRecord:
    for ending in _endings(posix_path(file).rpartition("/")[2].casefold()):
        meant = by_name.get(ending, [])
        if len(meant) > 1:
            meant = [record for record in meant if record.split != "test"] or meant
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise FgvrError(
                f"{visible(file)!r} of the discovery set may be {meant[0].sample_id!r} or {meant[1].sample_id!r}."
            )
    raise FgvrError(
        f"{visible(file)!r} of the discovery set is no photo of this data set: give the list of this data set, and as "
        "root the folder with all its photos."
    )


def _endings(name: str) -> Iterator[str]:
    """What the name of the copied photo may be, the longest first."""
    yield name
    name = _NUMBER.sub("", name, count=1) if _NUMBER.match(name) else name
    while name:
        yield name
        name = name.partition("_")[2]


def _check_classes(found: dict[str, ImageRecord]) -> None:
    """Refuse a list of another data set, whose names happen to be there."""
    names: dict[str, set[str]] = defaultdict(set)
    for file, record in found.items():
        numbered = _NUMBER.match(posix_path(file).rpartition("/")[2])
        if numbered is not None and record.true_name is not None:
            names[numbered[1]].add(record.true_name)
    mixed = [(number, sorted(each)) for number, each in names.items() if len(each) > 1]
    if mixed:
        number, (one, two, *_) = mixed[0]
        raise FgvrError(
            f"The photos of class {number} of the discovery set are {one!r} and {two!r} in this data set "
            f"({counted(len(mixed), 'such class', 'such classes')}): the list is one of another data set."
        )


def _listed(text: str, path: Path) -> list[str]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not text.lstrip().startswith("{"):
        return lines
    try:
        if len(lines) > 1 and lines[0].endswith("}"):
            return [_image_of(load_json(line), path) for line in lines]
        return list(load_json(text))
    except ValueError as error:
        said = visible(str(error), 100)
        raise FgvrError(f"{path} is not JSON ({said}); expected an object whose keys are files.") from None


def _image_of(line: object, path: Path) -> str:
    image = next((line[key] for key in _IMAGE_KEYS if key in line), None) if isinstance(line, dict) else None
    if not isinstance(image, str):
        raise FgvrError(f"{path}: expected {', '.join(_IMAGE_KEYS)} in each line, found {visible(str(line), 60)!r}.")
    return image
