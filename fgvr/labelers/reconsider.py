"""A labeler that is asked again, to choose among the names that it has given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.cascade import confirmations
from fgvr.labelers.combined import CombinedLabeler, first_classes, first_name
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.same_class import SameClassTask
from fgvr.records import LabelRecord, Space, Vocabulary, check_space
from fgvr.registry import LABELERS
from fgvr.vocabulary.build import build_vocabulary, fold_name, labels_as_indices

_UNKNOWN = ("a name", "another name")
"""Stand for the names before they are known."""
_NEAR = 20


class ReconsiderLabeler(CombinedLabeler):
    """Asks a labeler for names, and then to choose among all of these names where a photo's own one is rare or doubted.

    A labeler that names each photo for itself gives one class many names: 294 photos of 98 car models were given 222.
    Shown the names that it has given, it may see which of them the photo's is. It is asked about photos without a
    usable name, about those whose name was given to fewer than ``shared`` photos and, with ``neighbours``, about those
    whose name none of the photos that look most like it was given. What it chooses takes the place of the name, which
    is kept among the label's ``alternatives``; where it chooses nothing, the name stays.

    All names stand in the prompt, so that another set of names is another question, which is asked and paid for anew.

    Without ``show_photo`` the question is one of words: which of the names that are near to a name by text means the
    same class. It is asked once for each name that is rare or that a doubted photo has, and not about photos without a
    name. Names that are said to mean one class become the one of them that most photos were given, on all photos that
    have one of them.

    Args:
        labeler: Names the photos.
        chooser: Chooses: another labeler, with the task ``choose`` where it has tasks. ``labeler`` itself if not given.
        shared: A name that fewer photos were given is rare; at least 1 (none is).
        neighbours: Nearest named photos one of which must have the same name; 0 asks nothing of looks.
        space: Image features in which photos are near: ``visual``, or ``joint``, which images share with texts.
        show_photo: Whether the photo is shown again, with all names. Else only text is sent.
        near: Names that are listed where no photo is shown: the nearest by the text features of the run's backbone, so
            that another backbone may ask other questions. 0 lists all.

    Raises:
        FgvrError: ``shared``, ``neighbours`` or ``near`` is out of its range, or ``labeler`` cannot choose.
    """

    compares_names = True

    def __init__(
        self,
        labeler: Labeler,
        chooser: Labeler | None = None,
        shared: int = 2,
        neighbours: int = 0,
        space: Space = "visual",
        show_photo: bool = True,
        near: int = _NEAR,
    ) -> None:
        if shared < 1:
            raise FgvrError(
                f"data.labeler.shared is {shared}; expected 1 or more, and 2 to ask about names given once."
            )
        if neighbours < 0:
            raise FgvrError(f"data.labeler.neighbours is {neighbours}; expected 0 or more.")
        if near < 0:
            raise FgvrError(f"data.labeler.near is {near}; expected 0 or more.")
        super().__init__(
            [labeler, _chooser(chooser, labeler) if show_photo else _text_chooser(chooser or labeler, near)]
        )
        self.labeler = labeler
        self.chooser = chooser
        self.shared = shared
        self.neighbours = neighbours
        self.space = check_space("data.labeler.space", space)
        self.show_photo = show_photo
        self.near = near
        self.needs_features = neighbours > 0

    def identity(self) -> dict[str, Any]:
        """The parts, and when the second is asked."""
        parts = [self.parts[0], self.parts[1].with_classes(lambda: _UNKNOWN)]
        identities = [{"prompt": part.prompt, **part.identity()} for part in parts]
        rule = {"shared": self.shared, "neighbours": self.neighbours, "space": self.space}
        if not self.show_photo:
            rule |= {"show_photo": False, "near": self.near}
        return {"labeler": "reconsider", "parts": identities, **rule}

    def part(self, number: int, labels: Sequence[Sequence[LabelRecord | None]]) -> Labeler:
        """See the base class: the second one knows the names that the first one gave."""
        if number == 0:
            return self.parts[0]
        if not self.show_photo:
            return self._asked_by_text(labels[0] if labels else ())
        return self.parts[1].with_classes(lambda: _names_of(labels[0]) if labels else _UNKNOWN)

    def wanted(
        self,
        part: int,
        labels: Sequence[Sequence[LabelRecord | None]],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Photos whose name is rare or doubted or, if they are shown, missing; none where there are not two names."""
        names = first_classes(labels[:1])[0]
        if len(np.unique(names[names >= 0])) < 2:
            return [False] * len(names)
        trusted = names >= 0
        trusted[trusted] = np.bincount(names[trusted])[names[trusted]] >= self.shared
        if features is not None and self.neighbours:
            named = np.flatnonzero(names >= 0)
            doubted = confirmations(features[named], names[named], self.neighbours) == 0
            trusted[named[doubted]] = False
        if not self.show_photo:
            trusted |= names < 0
        return [not trust for trust in trusted.tolist()]

    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """What was chosen, or the first name."""
        if not self.show_photo:
            return _renamed(*labels)
        return [_combined(first, choice) for first, choice in zip(*labels, strict=True)]

    def _asked_by_text(self, labels: Sequence[LabelRecord | None]) -> Labeler:
        """The second labeler with what it is asked about each photo that has a name."""
        chooser, vocabulary = self.parts[1], _vocabulary_of(labels)
        assert isinstance(chooser, TaskedLabeler), "the constructor has seen to it"
        if vocabulary is None or len(vocabulary) < 2:
            return chooser
        others = self._others(vocabulary.names)
        tasks = [SameClassTask(name, listed) for name, listed in zip(vocabulary.names, others, strict=True)]
        classes = first_classes([labels])[0].tolist()
        return chooser.for_each(
            {label.sample_id: tasks[own] for label, own in zip(labels, classes, strict=True) if label and own >= 0}
        )

    def _others(self, names: tuple[str, ...]) -> list[list[str]]:
        """The other names that are listed with each, in alphabetical order."""
        if not self.near or self.near >= len(names) - 1 or self.text_features is None:
            return [[other for other in names if other != name] for name in names]
        texts = self.text_features(names).astype(np.float64)
        listed = []
        for number, text in enumerate(texts):
            order = np.argsort(-(texts @ text), kind="stable")
            listed.append([names[other] for other in sorted(order[order != number][: self.near])])
        return listed


def _chooser(chooser: Labeler | None, labeler: Labeler) -> Labeler:
    """The labeler that chooses, shown the photo."""
    if (second := chooser or labeler.for_task(ChooseTask())) is None:
        raise FgvrError(
            f"{LABELERS.short_name(type(labeler))} cannot be asked to choose among names: set data.labeler.chooser "
            "to a labeler that shows photos to a model, with the task choose."
        )
    return second


def _text_chooser(chooser: Labeler, near: int) -> TaskedLabeler:
    """The labeler that chooses, shown no photo."""
    second = chooser.for_task(SameClassTask(_UNKNOWN[0], [_UNKNOWN[1]] * (near or _NEAR)))
    if not isinstance(second, TaskedLabeler):
        raise FgvrError(
            f"{LABELERS.short_name(type(chooser))} cannot be asked about texts: set data.labeler.chooser to a "
            "labeler that can, such as openai, or leave out data.labeler.show_photo."
        )
    return second


def _vocabulary_of(labels: Sequence[LabelRecord | None]) -> Vocabulary | None:
    """The classes of the names that were given first; ``None`` before one is known."""
    named = [label for label in map(first_name, labels) if label is not None]
    return build_vocabulary(named) if named else None


def _names_of(labels: Sequence[LabelRecord | None]) -> Sequence[str]:
    """The names that were given first, each class once; before two are known, one for each photo that may have one."""
    vocabulary = _vocabulary_of(labels)
    names = vocabulary.names if vocabulary else ()
    return names if len(names) >= 2 else [f"{_UNKNOWN[0]} {number}" for number in range(max(len(labels), 2))]


def _combined(first: LabelRecord | None, choice: LabelRecord | None) -> LabelRecord:
    known = [label for label in (first, choice) if label is not None]
    said = choice if choice is not None and choice.names else known[0]
    if said is choice and first is not None:
        said = replace(said, alternatives=tuple(dict.fromkeys((*first.names, *said.alternatives))))
    return replace(said, cost_usd=sum(label.cost_usd for label in known), seconds=sum(label.seconds for label in known))


def _renamed(firsts: Sequence[LabelRecord | None], choices: Sequence[LabelRecord | None]) -> list[LabelRecord]:
    """The first labels, in which names that were said to mean one class are one."""
    vocabulary = _vocabulary_of(firsts)
    # a choice without its names: what it says holds for all photos with the name
    labels = [
        _combined(first, choice and replace(choice, names=(), scientific_names=()))
        for first, choice in zip(firsts, choices, strict=True)
    ]
    if vocabulary is None:
        return labels
    classes = first_classes([firsts])[0].tolist()
    shown = list(range(len(vocabulary)))

    def shown_for(number: int) -> int:
        while shown[number] != number:
            number = shown[number]
        return number

    said = labels_as_indices([choice or LabelRecord("", ()) for choice in choices], vocabulary)
    for own, chosen in zip(classes, said, strict=True):
        if own >= 0 and chosen:
            pair = {shown_for(own), shown_for(chosen[0])}
            commoner = max(pair, key=lambda number: (vocabulary.counts[number], -number))
            for number in pair:
                shown[number] = commoner
    return [
        label if own < 0 or shown_for(own) == own else _named(label, vocabulary.names[shown_for(own)])
        for label, own in zip(labels, classes, strict=True)
    ]


def _named(label: LabelRecord, name: str) -> LabelRecord:
    """The label with another name, and the one that it had among its alternatives."""
    others = (each for each in (*label.names, *label.alternatives) if fold_name(each) != fold_name(name))
    return replace(label, names=(name,), scientific_names=(None,), alternatives=tuple(dict.fromkeys(others)))
