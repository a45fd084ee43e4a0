"""What the folders of a data set mean: which one is a split, which one a class, which one only holds the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fgvr.datasets.folder_names import is_beside_photos, is_content, is_fold, split_folders
from fgvr.errors import FgvrError

Parts = tuple[str, ...]
LEVELS = ("class", "split", "any")
_ROOT: Parts = ()
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder says of the photos in it.

    Attributes:
        split: Their split.
        class_folder: The folder on the way to them that is called after their class; ``None`` where there is none.
    """

    split: str
    class_folder: str | None


@dataclass
class Layout:
    """What all folders with photos mean.

    Attributes:
        places: Folder -> what it says; ``None`` if its photos are left out.
        left_out: The folders whose photos are left out with all below them.
        loose: Folders whose photos are support photos only because they are in no split folder, beside such.
        wrapper: A folder that holds all others and is taken for no class, though it might be one; ``()`` if none is.
    """

    places: dict[Parts, Place | None] = field(default_factory=dict)
    left_out: list[Parts] = field(default_factory=list)
    loose: list[Parts] = field(default_factory=list)
    wrapper: Parts = ()


class AmbiguousLayoutError(FgvrError):
    """Folders can be read in two ways; the message says in which, and what decides."""


def layout_levels(text: str) -> tuple[str, ...]:
    """The levels of a layout that is given as ``split/class``.

    Raises:
        FgvrError: It is none.
    """
    levels = tuple(text.strip().strip("/").lower().split("/"))
    named = [level for level in levels if level != "any"]
    if set(levels) <= set(LEVELS) and len(named) == len(set(named)):
        return levels
    raise FgvrError(
        f"data.dataset.layout is {text!r}; expected what the folders are from the root on, such as split/class, "
        "class/split, class, split or any/split/class, where any stands for a folder that is neither."
    )


def given_layout(folders: Iterable[Parts], levels: Sequence[str], splits: Mapping[str, str] | None = None) -> Layout:
    """Read folders as a person says.

    Args:
        folders: All folders with photos of their own, as names from the root.
        levels: What the folders are, from the root on.
        splits: Folder name -> split, where names do not say it.
    """
    layout = Layout()
    folders = list(folders)
    split_level = levels.index("split") if "split" in levels else None
    class_level = levels.index("class") if "class" in levels else None
    known: dict[str, str] = {}
    if split_level is not None:
        names = dict.fromkeys(parts[split_level] for parts in folders if len(parts) > split_level)
        known = split_folders(names, splits)
        if names and not known:
            raise FgvrError(
                f"data.dataset.layout says that {_listed(names)} are splits, but no name of a folder there says which. "
                "Say it with data.dataset.splits, such as {first: support, second: test}."
            )
    out: set[Parts] = set()
    for parts in folders:
        split: str | None = "support"
        if split_level is not None:
            if len(parts) > split_level:
                split = known.get(parts[split_level])
            elif known:
                layout.loose.append(parts)
        if split is None:
            layout.places[parts] = None
            out.add(parts[: (split_level or 0) + 1])
            continue
        named = class_level is not None and len(parts) > class_level
        layout.places[parts] = Place(split, parts[class_level or 0] if named else None)
    layout.left_out = sorted(out)
    return layout


def found_layout(folders: Iterable[Parts], splits: Mapping[str, str] | None = None) -> Layout:
    """Read folders by their names and by what is in them.

    Args:
        folders: All folders with photos of their own, as names from the root.
        splits: Folder name -> split, where names do not say it.

    Raises:
        AmbiguousLayoutError: They can be read in two ways, and test photos would be support photos in one of them.
    """
    return _Reader(folders, splits).read()


class _Node:
    """A folder with photos in it or below it."""

    __slots__ = ("inner", "photos")

    def __init__(self) -> None:
        self.inner: dict[str, _Node] = {}
        self.photos = False

    def add(self, parts: Parts) -> None:
        node = self
        for name in parts:
            node = node.inner.setdefault(name, _Node())
        node.photos = True

    def folders(self, above: Parts = ()) -> Iterable[Parts]:
        if self.photos:
            yield above
        for name, node in self.inner.items():
            yield from node.folders((*above, name))


class _Reader:
    """Reads one tree of folders."""

    def __init__(self, folders: Iterable[Parts], splits: Mapping[str, str] | None) -> None:
        self.tree = _Node()
        for parts in folders:
            self.tree.add(parts)
        self.given = splits
        self.layout = Layout()

    def read(self) -> Layout:
        """Finds the folder that has splits or classes in it, and reads these."""
        node, above = self.tree, _ROOT
        while only := self._only(node):
            if not self._is_wrapper(only, node.inner[only]):
                if node.photos or not self._looks_like_a_wrapper(only, node.inner[only]):
                    break
                self.layout.wrapper = self.layout.wrapper or (*above, only)
            self._loose(node, above)
            self._leave_out(node, above, keep=(only,))
            node, above = node.inner[only], (*above, only)
        self._loose(node, above)
        inner = self._inner(node)
        splits = self._splits(inner)
        others = [name for name in inner if name not in splits]
        if splits and others and self.given is None:
            self._refuse_others(above, splits, others)
        if splits:
            self._leave_out(node, above, keep=splits)
            self._read_splits(node, above, splits)
            if node.photos:
                self.layout.loose.append(above)
        elif self._has_split_classes(inner):
            self._read_split_classes(inner, above)
            if node.photos:
                self.layout.loose.append(above)
        else:
            for name in node.inner:
                self._place(node.inner[name], (*above, name), "support", len(above))
        return self.layout

    def _splits(self, names: Iterable[str]) -> dict[str, str]:
        return split_folders(names, self.given)

    def _inner(self, node: _Node) -> dict[str, _Node]:
        """The folders in a folder, without what is kept beside photos, if all others are splits or plain content."""
        beside = [name for name in node.inner if is_beside_photos(name)]
        others = [name for name in node.inner if name not in beside]
        splits = self._splits(others)
        if beside and others and all(name in splits or is_content(name) for name in others):
            return {name: node.inner[name] for name in others}
        return node.inner

    def _only(self, node: _Node) -> str | None:
        inner = self._inner(node)
        return next(iter(inner)) if len(inner) == 1 else None

    def _is_wrapper(self, name: str, node: _Node) -> bool:
        """Whether a folder that has all others in it says nothing of them."""
        within = self._splits(self._inner(node))
        if name in self._splits([name]):
            return len(set(within.values())) > 1 and len(within) == len(self._inner(node))
        return is_content(name) or self._leads_to_splits(node)

    def _looks_like_a_wrapper(self, name: str, node: _Node) -> bool:
        """Whether many classes in a folder are likelier than one class, sorted into folders, which is of no use."""
        if self._splits([name]):
            return False
        while not node.photos and (only := self._only(node)) and is_content(only):
            node = node.inner[only]
        return len(node.inner) > 1 and not node.photos

    def _leads_to_splits(self, node: _Node) -> bool:
        inner = self._inner(node)
        if inner and len(self._splits(inner)) == len(inner):
            return True
        only = self._only(node)
        return only is not None and self._leads_to_splits(node.inner[only])

    def _loose(self, node: _Node, above: Parts) -> None:
        if node.photos:
            self.layout.places[above] = Place("support", None)

    def _leave_out(self, node: _Node, above: Parts, keep: Iterable[str]) -> None:
        kept = set(keep)
        for name, inner in node.inner.items():
            if name not in kept:
                self.layout.left_out.append((*above, name))
                for parts in inner.folders((*above, name)):
                    self.layout.places[parts] = None

    def _read_splits(self, node: _Node, above: Parts, splits: Mapping[str, str]) -> None:
        starts: dict[Parts, tuple[_Node, str]] = {}
        for name, split in splits.items():
            others = {inner for other in splits if other != name for inner in node.inner[other].inner}
            start, path = node.inner[name], (*above, name)
            # "train/images" and, after unpacking twice, "train/train"
            while (only := self._only(start)) and (
                is_content(only)
                or (only not in others and (only == path[-1] or self._splits([only]).get(only) == split))
            ):
                self._loose_in(start, path, split)
                self._leave_out(start, path, keep=(only,))
                start, path = start.inner[only], (*path, only)
            starts[path] = (start, split)
        # "train/birds/finch" and "test/birds/finch": a folder that all have in common, with the classes in it
        while len(common := {name for start, _ in starts.values() for name in start.inner}) == 1:
            only = common.pop()
            inner = [start.inner[only] for start, _ in starts.values() if only in start.inner]
            if any(start.photos for start, _ in starts.values()) or any(below.photos for below in inner):
                break
            if len({name for below in inner for name in below.inner}) < 2:
                break
            starts = {(*path, only): (start.inner[only], split) for path, (start, split) in starts.items()}
        for path, (start, split) in starts.items():
            self._loose_in(start, path, split)
            for name, below in start.inner.items():
                self._place(below, (*path, name), split, len(path))

    def _loose_in(self, node: _Node, path: Parts, split: str) -> None:
        if node.photos:
            self.layout.places[path] = Place(split, None)

    def _has_split_classes(self, inner: Mapping[str, _Node]) -> bool:
        """Whether all folders have their photos in split folders, and in nothing else."""
        return bool(inner) and all(
            not node.photos and len(self._splits(self._inner(node))) == len(self._inner(node)) > 0
            for node in inner.values()
        )

    def _read_split_classes(self, inner: Mapping[str, _Node], above: Parts) -> None:
        any_ = "any/" * len(above)
        if all(is_fold(name) for name in inner) or any(is_content(name) for name in inner):
            self._refuse(
                f"{_listed(inner)} each have split folders in them, and do not look like classes: the same photos may "
                "be in several of them. Set data.dataset.root to one of them, or data.dataset.layout to "
                f"{any_}class/split if they are classes."
            )
        for name, node in inner.items():
            kept = self._inner(node)
            self._leave_out(node, (*above, name), keep=kept)
            for folder, split in self._splits(kept).items():
                path = (*above, name, folder)
                for parts in kept[folder].folders(path):
                    if any(not is_content(further) for further in parts[len(path) :]):
                        self._refuse(
                            f"{'/'.join(parts)!r} has a split folder between two others, either of which may be the "
                            f"class. Set data.dataset.layout to {any_}class/split or {any_}any/split/class."
                        )
                    self.layout.places[parts] = Place(split, name)

    def _place(self, node: _Node, path: Parts, split: str, class_level: int) -> None:
        """Everything in a class folder."""
        for parts in node.folders(path):
            for level in range(class_level, len(parts)):
                says = self._splits([parts[level]]).get(parts[level])
                if says in ("test", "val") and says != split:
                    self._refuse_held_out(parts, level, says, split)
            self.layout.places[parts] = Place(split, parts[class_level])

    def _refuse_others(self, above: Parts, splits: Mapping[str, str], others: Sequence[str]) -> None:
        any_, where = "any/" * len(above), f"{'/'.join(above)!r} " if above else "it "
        self._refuse(
            f"{where}has split folders ({', '.join(sorted(splits)[:_NAMED])}) and others "
            f"({', '.join(sorted(others)[:_NAMED])}) with photos. Set data.dataset.layout to {any_}split/class to "
            f"leave the others out, or to {any_}class if all are classes of support photos; or say with "
            "data.dataset.splits which folder is which split."
        )

    def _refuse_held_out(self, parts: Parts, level: int, says: str, split: str) -> None:
        folder = "/".join(parts[: level + 1])
        self._refuse(
            f"the photos in {folder!r} may belong to the split {says!r}, or to {split!r}, in a folder that happens to "
            "be called so. Set data.dataset.layout to what the folders are, such as class/split, split/class, "
            "any/split/class, or class if none of them is a split."
        )

    def _refuse(self, text: str) -> None:
        raise AmbiguousLayoutError(text)


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(map(repr, ordered[:_NAMED])) + (", ..." if len(ordered) > _NAMED else "")
