"""What a person says of replies, which counts instead of what was parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import LabelRecord
from fgvr.vocabulary.build import fold_name


def correct(labels: Sequence[LabelRecord], keys: Sequence[str], store: LabelStore) -> list[LabelRecord]:
    """The labels with a person's names where one corrected them, and with aliases put in for all names.

    Args:
        labels: What the replies say.
        keys: One a label: the key of the photo's first answer.
        store: Where a person's corrections and aliases are; the replies in it are not changed.

    Returns:
        One label for each of ``labels``. A corrected one has the flag ``""``, or ``"empty"`` where the person says
        that there is no name. Names that an alias makes equal are given once.

    Raises:
        FgvrError: The store cannot be read.
    """
    corrections = store.corrections(keys)
    rename = Renaming(store.aliases())
    if not corrections and not rename.aliases:
        return list(labels)
    corrected = []
    for label, key in zip(labels, keys, strict=True):
        if (names := corrections.get(key)) is not None:
            label = replace(
                label,
                names=names,
                scientific_names=(None,) * len(names),
                flag="" if names else "empty",
                confidence=None,
                alternatives=(),
                corrected=True,
                genus=None,
                individual="",
                doubtful=False,
            )
        corrected.append(rename.label(label))
    return corrected


class Renaming:
    """Gives the name that a person chose for others.

    Args:
        aliases: Folded name -> name in its place. One that leads to another is followed to the end.
    """

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.aliases = aliases
        self._known: dict[str, str] = {}

    def name(self, name: str) -> str:
        """The name to use for ``name``."""
        if name not in self._known:
            self._known[name] = self._follow(name)
        return self._known[name]

    def label(self, label: LabelRecord) -> LabelRecord:
        """The label with these names, none twice; a Latin name stays with the name that it was given for."""
        names = {name: self.name(name) for name in (*label.names, *label.alternatives)}
        if all(name == renamed for name, renamed in names.items()):
            return label
        shown: dict[str, str] = {}
        latin: dict[str, str | None] = {}
        for name, scientific_name in zip(
            label.names, label.scientific_names or (None,) * len(label.names), strict=True
        ):
            key = fold_name(names[name])
            shown.setdefault(key, names[name])
            latin[key] = latin.get(key) or scientific_name
        others = {fold_name(names[name]): names[name] for name in reversed(label.alternatives)}
        return replace(
            label,
            names=tuple(shown.values()),
            scientific_names=tuple(latin.values()),
            alternatives=tuple(name for key, name in reversed(others.items()) if key not in shown),
        )

    def _follow(self, name: str) -> str:
        key = fold_name(name)
        passed = {key}
        while key in self.aliases:
            name = self.aliases[key]
            key = fold_name(name)
            if key in passed:  # two names that stand for each other, or a name for another spelling of itself
                break
            passed.add(key)
        return name
