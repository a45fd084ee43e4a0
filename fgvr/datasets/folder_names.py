"""What folders are called: after splits, after classes, or after what everything in them is."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache

from fgvr.datasets.base import split_name

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_SPLIT_WORDS = {"testing": "test", "dev": "val"}  # beside those that may stand in a table
_CONTENT = frozenset(
    _WORD.findall(
        "data dataset datasets file files folder folders image images img imgs jpeg jpegs jpg jpgs photo photos pic "
        "pics picture pictures png pngs sample samples set sets split splits subset"
    )
)
_LIST_WORDS = frozenset(_WORD.findall("annos annotation annotations class classes id ids label labels list lists name"))
# pictures of photos, where whatever is drawn into them is no photo
_BESIDE = frozenset(
    _WORD.findall(
        "annotation annotations annots bbox bboxes depth depths groundtruth gt label labels mask masks segmentation "
        "segmentations trimap trimaps"
    )
)
_FOLD = frozenset(("cv", "fold", "folds", "kfold", "set", "split", "trial"))
_INDEX = re.compile(r"^(\d+)[._\- ]+(?=\D)")  # CUB's "001.Black_footed_Albatross"
_WORDNET_ID = re.compile(r"^n\d{8}[._\- ]+")  # ImageNet's "n02085620-Chihuahua"


def class_name(folder: str) -> str:
    """The class name that a folder's name stands for, where a leading number is known to be an index.

    Example:
        >>> class_name("001.Black_footed_Albatross")
        'Black footed Albatross'
    """
    return _spaced(_INDEX.sub("", folder))


def wordnet_class_name(folder: str) -> str:
    """The class name of a folder that is called by WordNet id and name.

    Example:
        >>> wordnet_class_name("n02088094-Afghan_hound")
        'Afghan hound'
    """
    return _spaced(_WORDNET_ID.sub("", folder))


def class_names(folders: Collection[str]) -> dict[str, str]:
    """Class folder -> class name, for all class folders of a data set together.

    A leading number is an index, and is dropped, where every folder has one of its own and names differ without it. So
    is a WordNet id. Underscores become spaces.

    Example:
        >>> class_names(["1_Euro", "2_Euro"])
        {'1_Euro': '1 Euro', '2_Euro': '2 Euro'}
        >>> class_names(["1_Pug", "2_Boxer"])
        {'1_Pug': 'Pug', '2_Boxer': 'Boxer'}
    """
    names = {folder: folder for folder in folders}
    for pattern in (_INDEX, _WORDNET_ID):
        names = _without(pattern, names)
    return {folder: _spaced(name) or folder for folder, name in names.items()}


def doubtful_classes(names: Mapping[str, str]) -> list[str]:
    """What may be wrong about class names, in sentences for a person.

    Args:
        names: Class folder -> class name, as :func:`class_names` gives them.

    Example:
        >>> doubtful_classes({"1_Pug": "1 Pug", "Pug": "Pug"})
        ["'Pug' and '1 Pug' are classes of their own. If they are one, give their folders one name."]
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names.values()), key=lambda name: (bool(_INDEX.match(name)), name)):
        key = _folded(name)
        unnumbered = _folded(class_name(name))
        spellings[unnumbered if unnumbered in spellings else key].append(name)
    doubts = []
    for one, two, *_ in (alike for alike in spellings.values() if len(alike) > 1):
        doubts.append(f"{one!r} and {two!r} are classes of their own. If they are one, give their folders one name.")
    numbered = sorted(folder for folder, name in names.items() if _INDEX.match(folder) and name == class_name(folder))
    numbers = [int(match[1]) for folder in numbered if (match := _INDEX.match(folder))]
    counts = numbers and max(numbers) - min(numbers) < 2 * len(set(numbers))
    if numbered and not counts and not any(folder.startswith("0") for folder in numbered):
        doubts.append(
            f"The numbers of class folders are taken for an index: {numbered[0]!r} is the class "
            f"{names[numbered[0]]!r}. If they belong to the names, list the photos in a CSV and read it with manifest."
        )
    return doubts


def split_folders(names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of the folders beside each other that are called after splits, with their splits.

    Args:
        names: Names of all folders that are beside each other.
        given: Folder name -> split; where it is given, no other folder is one.

    Example:
        >>> split_folders(["train_images", "Testing", "Pug"])
        {'train_images': 'support', 'Testing': 'test'}
        >>> split_folders(["cars_train", "cars_test"])
        {'cars_train': 'support', 'cars_test': 'test'}
    """
    if given is not None:
        return {name: given[name] for name in names if name in given}
    found: dict[str, str] = {}
    others: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        split, rest = _split_and_rest(name)
        if split and not rest:
            found[name] = split
        elif split:
            others[rest][name] = split
    for alike in others.values():
        if len(set(alike.values())) > 1:
            found |= alike
    return found


def held_out(name: str) -> bool:
    """Whether a file is called after test or validation photos, as ``train_test_split.txt`` and ``test.csv`` are."""
    lower = name.lower()
    if "test" not in lower and "val" not in lower and "dev" not in lower:
        return False
    words = [word for word in _words(name) if word not in _CONTENT and word not in _LIST_WORDS and not word.isdigit()]
    splits = [_word_split(word) for word in words]
    return all(splits) and any(split in ("test", "val") for split in splits)


def is_wordnet_id(name: str) -> bool:
    """Whether a folder's name is ImageNet's id of a class, and nothing else: ``n02085620``."""
    return _WORDNET_ID.fullmatch(f"{name}-") is not None


def is_content(name: str) -> bool:
    """Whether a folder's name says only that there are photos in it: ``images``, ``Image_data``, ``JPEGImages``."""
    words = _words(name)
    return any(word in _CONTENT for word in words) and all(word in _CONTENT or word.isdigit() for word in words)


def is_beside_photos(name: str) -> bool:
    """Whether a folder is called after what is kept beside photos: ``labels``, ``annotations``, ``masks``."""
    words = [word for word in _words(name) if word not in _CONTENT]
    return bool(words) and all(word in _BESIDE for word in words)


def is_fold(name: str) -> bool:
    """Whether a folder is called after one of several divisions of the same photos: ``fold_1``, ``split2``."""
    words = _words(name)
    numbers = [word for word in words if word.isdigit()]
    return 0 < len(numbers) < len(words) and all(word in _FOLD for word in words if word not in numbers)


def _folded(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name.casefold()))


def _spaced(name: str) -> str:
    return name.replace("_", " ").strip()


def _without(pattern: re.Pattern[str], names: Mapping[str, str]) -> dict[str, str]:
    """The names without what the pattern finds at their beginning, if that numbers them all; else as they are."""
    numbers: dict[str, str] = {}
    rests: dict[str, str] = {}
    for folder, name in names.items():
        match = pattern.match(name)
        rest = name[match.end() :] if match else ""
        if match is None or not any(character.isalpha() for character in rest):
            return dict(names)
        number = match[0].rstrip("._- ").lstrip("0")
        # one name with two numbers, or two names with one number: then the number is no index
        key = _spaced(rest).casefold()
        if numbers.setdefault(key, number) != number:
            return dict(names)
        rests[folder] = rest
    return rests if len(set(numbers.values())) == len(numbers) else dict(names)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


@cache
def _word_split(word: str) -> str | None:
    """The split that a word names, alone or together with a word of content: ``testset``, ``trainimages``."""
    whole = split_name(word) or _SPLIT_WORDS.get(word)
    if whole:
        return whole
    for content in _CONTENT:
        for part in (word.removesuffix(content), word.removeprefix(content)):
            if part != word and (split := split_name(part) or _SPLIT_WORDS.get(part)):
                return split
    return None


def _split_and_rest(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The one split that a name names, if it does so, and what else it says."""
    splits: set[str] = set()
    rest = []
    for word in _words(name):
        if split := _word_split(word):
            splits.add(split)
        elif word == "trainval":
            splits.add("support")
        elif word not in _CONTENT and not word.isdigit():
            rest.append(word)
    if splits == {"support", "val"}:  # "train_val": both, to learn from
        splits = {"support"}
    return (splits.pop() if len(splits) == 1 else None), tuple(rest)
