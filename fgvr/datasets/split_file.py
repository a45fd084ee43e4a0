"""The fixed splits that CoOp published, which papers on adapting CLIP have used since: ``split_zhou_NAME.json``."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fgvr.errors import FgvrError
from fgvr.tables import decode_text
from fgvr.yaml_text import load_json

PARTS = ("train", "val", "test")
_NOT_PLAIN = frozenset(("", ".", ".."))


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One line of a list of photos.

    Attributes:
        part: ``"train"``, ``"val"`` or ``"test"``.
        file: Path below the image folder, in POSIX form.
        class_name: The class name as it is shown: words with spaces between them.
    """

    part: str
    file: str
    class_name: str

    @property
    def problem(self) -> str:
        """What is wrong with it, for a message; ``""`` if nothing is."""
        if not _NOT_PLAIN.isdisjoint(self.file.split("/")):  # a Path of each would take seconds for 100,000 photos
            return "is not a plain path below the image folder, such as 'chair/image_0001.jpg'"
        if not self.file.isprintable():
            return "has a character that cannot be printed"
        if not (self.class_name and self.class_name.isprintable()):
            return f"has the class name {self.class_name!r}, which cannot be printed"
        return ""


def read_split_file(path: Path) -> list[ListedImage]:
    """Read one of CoOp's split files.

    It is a JSON object with the keys ``train``, ``val`` and ``test``; each holds a list of
    ``[path below the image folder, class number, class name]``. The number is not used: a class is its name.

    Args:
        path: The file, which is there.

    Raises:
        FgvrError: It is not such a file. The message names the entry.
    """
    try:
        content = load_json(decode_text(path.read_bytes(), path))
    except json.JSONDecodeError as error:
        raise FgvrError(f"{path}, line {error.lineno}: not JSON ({error.msg}); download the file again.") from None
    except (ValueError, RecursionError) as error:  # endless numbers, and lists in lists without end
        raise FgvrError(f"{path}: not a split file ({error}); download the file again.") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        raise FgvrError(f"{path}: expected a JSON object with the lists 'train', 'val' and 'test'.")
    return [_image(path, part, number, entry) for part in PARTS for number, entry in enumerate(content[part])]


@cache
def spaced(name: str) -> str:
    """The class name with spaces for underscores, as CoOp's prompts have it.

    Example:
        >>> spaced("Apply_Eye_Makeup")
        'Apply Eye Makeup'
    """
    return " ".join(name.replace("_", " ").split())


def _image(path: Path, part: str, number: int, entry: Any) -> ListedImage:
    match entry:
        case [str(file), int(), str(name)] if spaced(name):
            image = ListedImage(part, file.replace("\\", "/"), spaced(name))
            if image.problem:
                raise FgvrError(f"{path}, {part}[{number}]: {file!r} {image.problem}.")
            return image
    found = type(entry).__name__ if isinstance(entry, dict) else json.dumps(entry)[:80]
    raise FgvrError(f"{path}, {part}[{number}]: expected [path, class number, class name], found {found}.")
