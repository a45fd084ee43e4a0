"""Which photo a path means that a person, a spreadsheet or an annotation tool wrote."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from fgvr.text import composed

_UPLOAD = re.compile(r"^(.*/upload/\d+/)?[0-9a-f]{8}-(?=[^/]+$)")
"""What Label Studio puts in front of the name of a file that was uploaded to it."""
_EXPORT = re.compile(r"_(jpe?g|png|webp|bmp|tiff?|gif|avif|heic)\.rf\.[0-9A-Za-z]+\.\w+$", re.IGNORECASE)
"""What Roboflow makes of the ending of a file that it exports."""


def posix_path(text: str) -> str:
    r"""A photo's path as fgvr writes it, so that files from every system name a photo alike.

    Example:
        >>> posix_path(" .\\herons\\a.jpg")
        'herons/a.jpg'
    """
    return composed(str(PurePosixPath(text.strip().replace("\\", "/"))))


def shared_ending(one: str, two: str) -> int:
    """How many names, from the last one on, two paths share.

    Example:
        >>> shared_ending("/data/train/heron/a.jpg", "train/heron/a.jpg")
        3
    """
    pairs = zip(reversed(one.split("/")), reversed(two.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class PhotoPaths:
    r"""Finds photos by paths that others wrote: from another folder, another machine, or an annotation tool.

    A written path means the photo whose ``sample_id`` it is. Else it means the photo with the same ending: all of the
    ``sample_id`` stands at its end (``/home/me/birds/heron/a.jpg`` for ``heron/a.jpg``), or all of it stands at the
    end of the ``sample_id`` (``a.jpg``). Where no photo fits, it is tried once more without what an annotation tool
    adds (an address, ``%20``, letters before the name of an uploaded file or after that of an exported one), and with
    capitals as small letters.

    Args:
        sample_ids: The photos.

    Example:
        >>> PhotoPaths(["heron/a.jpg", "stork/a.jpg"]).find(r"C:\birds\stork\a.jpg")
        ['stork/a.jpg']
        >>> PhotoPaths(["heron/a.jpg", "stork/a.jpg"]).find("a.jpg")
        ['heron/a.jpg', 'stork/a.jpg']
    """

    def __init__(self, sample_ids: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._ids = frozenset(sample_ids)
        for sample_id in sorted(self._ids):
            self._by_name[_name(sample_id).casefold()].append(sample_id)

    def find(self, written: str) -> list[str]:
        """The photos that the path may mean: none, one, or several that it does not tell apart.

        Args:
            written: The path as it was written.
        """
        path = posix_path(written)
        if path in self._ids:
            return [path]
        namesakes = self._by_name.get(_name(path).casefold(), [])
        if found := _ending_alike(path, namesakes):
            return found
        for variant in _variants(written):
            namesakes = self._by_name.get(_name(variant).casefold(), [])
            if found := _ending_alike(variant, namesakes):
                return found
            folded = {each.casefold(): each for each in namesakes}
            if len(folded) == len(namesakes) and (found := _ending_alike(variant.casefold(), folded)):
                return sorted(folded[each] for each in found)
        return []


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _ending_alike(path: str, sample_ids: Iterable[str]) -> list[str]:
    """The ids that end in the path or, where none does, the longest one in which the path ends."""
    tail = "/" + "/".join(part for part in path.split("/") if part not in ("", ".."))
    if found := [each for each in sample_ids if f"/{each}".endswith(tail)]:
        return found
    whole = [each for each in sample_ids if tail.endswith(f"/{each}")]
    return [max(whole, key=len)] if whole else []


def _variants(written: str) -> Iterator[str]:
    """What the path may have been before an annotation tool wrote it down."""
    texts = [written]
    if "://" in written or "?" in written or "%" in written:
        try:
            address = urlsplit(written.strip())
            texts += [unquote(address.path), *parse_qs(address.query).get("d", [])]
        except ValueError:  # a bracket where a host should be
            pass
        texts.append(unquote(written))
    for text in texts:
        path = posix_path(text)
        yield path
        for added, before in ((_UPLOAD, ""), (_EXPORT, r".\1")):
            if (name := added.sub(before, path)) != path:
                yield name
