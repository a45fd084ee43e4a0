"""What a file of weights is, told by its content: an ending may be wrong, and a download may be something else.

Nothing is loaded here, and nothing that a file says is run.
"""

import json
import zipfile
from pathlib import Path
from typing import Any, Literal

from fgvr.errors import FgvrError
from fgvr.text import visible

WeightsFormat = Literal["safetensors", "torch", "torchscript", "numpy"]
"""``torch`` is what ``torch.save`` writes, ``torchscript`` what ``torch.jit.save`` does, ``numpy`` an ``.npz``."""

WEIGHTS_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".npz")
"""What files of weights are called."""

_TEXT_ENDINGS = (".json", ".jinja", ".txt", ".model")
_BEGINNING = 4096
_BEFORE = b"\xef\xbb\xbf \t\r\n"  # a mark of UTF-8, and blank lines
_LARGEST_HEADER = 20_000_000  # bytes, of one that says what a hundred thousand tensors are
# bits a number; what a later safetensors may have besides is left to it
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_POINTERS = (b"version https://git-lfs.github.com/spec", b"version https://hawser.github.com/spec")
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error", b"<!--", b"<script", b"<meta")
# how other files begin which are not weights, or none that are read here
_OTHERS = {
    b"\x1f\x8b": "is packed by gzip: unpack it, and give the file that was in it",
    b"7z\xbc\xaf\x27\x1c": "is packed by 7-Zip: unpack it, and give the file that was in it",
    b"\xfd7zXZ": "is packed by xz: unpack it, and give the file that was in it",
    b"\x28\xb5\x2f\xfd": "is packed by zstd: unpack it, and give the file that was in it",
    b"BZh": "is packed by bzip2: unpack it, and give the file that was in it",
    b"Rar!": "is packed by RAR: unpack it, and give the file that was in it",
    b"\x89HDF\r\n": "holds weights of Keras or TensorFlow (HDF5), which are not read: choose the weights for PyTorch",
    b"GGUF": "holds weights of llama.cpp (GGUF), which are not read: choose the weights for PyTorch",
    b"\x93NUMPY": "is one array of NumPy: expected is a file with all weights of a model",
    b"%PDF": "is a PDF: give the file with the weights",
    b"\x89PNG": "is a picture: give the file with the weights",
    b"\xff\xd8\xff": "is a picture: give the file with the weights",
}


def weights_format(path: Path, again: str = "download it again") -> WeightsFormat:
    """Which kind of file of weights it is; only its beginning, and the list of what is in an archive, are read.

    Args:
        path: The file.
        again: What to do where the file is not whole.

    Raises:
        FgvrError: It cannot be read, or holds no weights: it is empty, cut off, a pointer of Git LFS, a web page, or
            something else. The message says what it is, and what to do.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_BEGINNING)
    except OSError as error:
        raise FgvrError(f"{path} cannot be read: {error.strerror or error}.") from error
    if size == 0:
        raise _none(path, f"is empty: {again}")
    if not start.strip(b"\0") and size >= len(start):
        raise _none(path, f"begins with {len(start)} zeros, so its place was made but it was not written: {again}")
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _archive_format(path, again)
    if start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") <= _LARGEST_HEADER:
        return _checked_safetensors(path, size, again)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "torch"  # torch.save before PyTorch 1.6 wrote pickles one after the other
    raise _none(path, _what_it_is(start, again))


def stand_in(start: bytes, again: str = "download it again") -> str:
    """What stands in a file's place, and what to do; ``""`` where nothing does: a pointer of Git LFS, or a web page.

    Args:
        start: How the file begins.
        again: What to do where the file is not whole.
    """
    text = start.lstrip(_BEFORE)
    if text.startswith(_POINTERS):
        size = next((line[5:].decode("ascii", "replace") for line in text.splitlines() if line[:5] == b"size "), "")
        stands = f" that stands for {size} bytes" if size.isdigit() else ""
        return (
            f"is a Git LFS pointer{stands}, and not the weights themselves: run `git lfs pull` in its repository, or "
            "download the file by itself"
        )
    if b"/annex/objects/" in text[:200]:
        return "is a git-annex pointer, and not the weights themselves: run `git annex get` in its repository"
    if text.lower().startswith(_PAGES):
        return (
            "is a web page and not weights, as when a download was refused, or the page about a file was saved in its "
            f"place: {again}"
        )
    return ""


def check_model_folder(folder: Path) -> None:
    """Refuse a folder with a model of which a file is missing, cut off, or stands for the file alone.

    Args:
        folder: With files of weights, and with JSON and other texts that go with them.

    Raises:
        FgvrError: There is such a file; the message names it, and says what to do.
    """
    for path in sorted(file for file in folder.iterdir() if file.is_file()):
        if path.suffix == ".safetensors":
            weights_format(path)
        elif path.suffix in (*WEIGHTS_ENDINGS, *_TEXT_ENDINGS):
            with path.open("rb") as file:
                said = stand_in(file.read(_BEGINNING))
            if said:
                raise _none(path, said)
    for index in sorted(folder.glob("*.safetensors.index.json")):
        missing = sorted(name for name in _listed(index) if not (folder / name).is_file())
        if missing:
            raise FgvrError(f"{folder} has no {visible(missing[0], 80)}, which {index.name} lists: download it.")


def _listed(index: Path) -> set[str]:
    """The files that an index says weights are divided into."""
    try:
        return {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise FgvrError(f"{index} is no list of files of weights: download it again.") from None


def _none(path: Path, said: str) -> FgvrError:
    return FgvrError(f"{path} {said}.")


def _archive_format(path: Path, again: str) -> WeightsFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise _none(path, f"is cut off: the end of what torch.save writes is missing, so {again}") from None
    inner = {name.partition("/")[2] for name in names}
    if "data.pkl" in inner:
        return "torchscript" if "constants.pkl" in inner or any(name.startswith("code/") for name in inner) else "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "numpy"
    weights = [name for name in names if name.endswith(WEIGHTS_ENDINGS)]
    if weights:
        raise _none(path, f"is a zip archive: unpack it, and give the file {visible(weights[0], 80)!r} that is in it")
    raise _none(path, "is a zip archive without weights: give the file with the weights")


def _checked_safetensors(path: Path, size: int, again: str) -> WeightsFormat:
    """The header says where each tensor ends, so a download that was cut off is known by it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
    missing = f"is cut off: it has {{}} of {{}} bytes, so {again}"
    if len(header) < length:
        raise _none(path, missing.format(size, f"at least {8 + length}"))
    try:
        content = json.loads(header, object_pairs_hook=_without_doubles)
        entries = {name: entry for name, entry in content.items() if name != "__metadata__"}
        places = sorted((*map(_whole, entry["data_offsets"]), name) for name, entry in entries.items())
        needed = 8 + length + max((end for _, end, _ in places), default=0)
        if size < needed:
            raise _none(path, missing.format(size, needed))
        if not places:
            raise _none(path, "is a safetensors file without a single tensor: give the file with the weights")
        position = 0
        for start, end, name in places:
            if start != position or end < start or not _fits(entries[name], end - start):
                raise _none(path, f"has a header that says of {visible(name, 80)!r} what cannot be: {again}")
            position = end
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise _none(path, f"has a header that is none of safetensors: {again}") from None
    if size > needed:
        raise _none(path, f"is longer than its header says: it has {size} bytes, expected {needed}: {again}")
    return "safetensors"


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a second value of a name would take the place of the first."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name stands there twice")
    return content


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("no whole number from 0")
    return number


def _fits(entry: dict[str, Any], size: int) -> bool:
    """Whether numbers of this kind and shape take so many bytes."""
    bits, shape = _BITS.get(entry["dtype"]), [_whole(number) for number in entry["shape"]]
    if bits is None:
        return True
    total = 0 if 0 in shape else bits
    for number in shape:
        total *= number
        if total > 8 * size:  # a shape that lies must not be multiplied to the end
            return False
    return total == 8 * size


def _what_it_is(start: bytes, again: str) -> str:
    """What a file is that holds no weights, and what to do."""
    stands_for = stand_in(start, again)
    if stands_for:
        return stands_for
    for beginning, said in _OTHERS.items():
        if start.startswith(beginning):
            return said
    if start[257:262] == b"ustar":
        return "is a tar archive: unpack it, and give the file that was in it"
    text = start.lstrip(_BEFORE)
    if text.startswith((b"{", b"[")):
        if b'"weight_map"' in text:
            return "is the list of the files that weights are divided into: give one file with all weights"
        return f"is JSON and not weights: give the file with the weights, or {again}"
    said = _as_text(start)
    if said:
        return f"is a text that begins with {said!r}, and not weights: {again}"
    return f"is neither a safetensors file nor one that torch.save wrote: {again}, or convert it"


def _as_text(start: bytes) -> str:
    """The first words, if these are words."""
    try:
        words = start[:400].decode("utf-8", "ignore" if len(start) > 400 else "strict")
    except UnicodeDecodeError:
        return ""
    seen = sum(char.isprintable() or char in "\r\n\t" for char in words)
    return visible(words, 60) if words and seen == len(words) else ""
