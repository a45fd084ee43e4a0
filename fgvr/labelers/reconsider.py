"""A labeler that is asked again, to choose among the names that it has given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.cascade import confirmations
from fgvr.labelers.combined import CombinedLabeler, first_classes
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.records import LabelRecord, Space, check_space
from fgvr.vocabulary.build import build_vocabulary

_UNKNOWN = ("a name", "another name")
"""Stand for the names before they are known."""


class ReconsiderLabeler(CombinedLabeler):
    """Asks a labeler for names, and then to choose among all of these names where a photo's own one is rare or doubted.

    A labeler that names each photo for itself gives one class many names: 294 photos of 98 car models were given 222.
    Shown the names that it has given, it may see which of them the photo's is. It is asked about photos without a
    usable name, about those whose name was given to fewer than ``shared`` photos and, with ``neighbours``, about those
    whose name none of the photos that look most like it was given. What it chooses takes the place of the name, which
    is kept among the label's ``alternatives``; where it chooses nothing, the name stays.

    All names stand in the prompt, so that another set of names is another question, which is asked and paid for anew.

    Args:
        labeler: Names the photos.
        chooser: Chooses: another labeler, with the task ``choose`` where it has tasks. ``labeler`` itself if not given.
        shared: A name that fewer photos were given is rare; at least 1 (none is).
        neighbours: Nearest named photos one of which must have the same name; 0 asks nothing of looks.
        space: Image features in which photos are near: ``visual``, or ``joint``, which images share with texts.

    Raises:
        FgvrError: ``shared`` or ``neighbours`` is out of its range, or ``labeler`` cannot choose.
    """

    def __init__(
        self,
        labeler: Labeler,
        chooser: Labeler | None = None,
        shared: int = 2,
        neighbours: int = 0,
        space: Space = "visual",
    ) -> None:
        if shared < 1:
            raise FgvrError(
                f"data.labeler.shared is {shared}; expected 1 or more, and 2 to ask about names given once."
            )
        if neighbours < 0:
            raise FgvrError(f"data.labeler.neighbours is {neighbours}; expected 0 or more.")
        second = chooser or labeler.for_task(ChooseTask())
        if second is None:
            raise FgvrError(
                f"{type(labeler).__name__} cannot be asked to choose among names: set data.labeler.chooser to a "
                "labeler that shows photos to a model, with the task choose."
            )
        super().__init__([labeler, second])
        self.labeler = labeler
        self.chooser = chooser
        self.shared = shared
        self.neighbours = neighbours
        self.space = check_space("data.labeler.space", space)
        self.needs_features = neighbours > 0

    def identity(self) -> dict[str, Any]:
        """The parts, and when the second is asked."""
        parts = [self.parts[0], self.parts[1].with_classes(lambda: _UNKNOWN)]
        identities = [{"prompt": part.prompt, **part.identity()} for part in parts]
        rule = {"shared": self.shared, "neighbours": self.neighbours, "space": self.space}
        return {"labeler": "reconsider", "parts": identities, **rule}

    def part(self, number: int, labels: Sequence[Sequence[LabelRecord | None]]) -> Labeler:
        """See the base class: the second one knows the names that the first one gave."""
        if number == 0:
            return self.parts[0]
        return self.parts[1].with_classes(lambda: _names_of(labels[0]) if labels else _UNKNOWN)

    def wanted(
        self,
        part: int,
        labels: Sequence[Sequence[LabelRecord | None]],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Photos whose name is missing, rare or doubted; none where there are not two names to choose from."""
        names = first_classes(labels[:1])[0]
        if len(np.unique(names[names >= 0])) < 2:
            return [False] * len(names)
        trusted = names >= 0
        trusted[trusted] = np.bincount(names[trusted])[names[trusted]] >= self.shared
        if features is not None and self.neighbours:
            named = np.flatnonzero(names >= 0)
            doubted = confirmations(features[named], names[named], self.neighbours) == 0
            trusted[named[doubted]] = False
        return [not trust for trust in trusted.tolist()]

    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """What was chosen, or the first name."""
        return [_combined(first, choice) for first, choice in zip(*labels, strict=True)]


def _names_of(labels: Sequence[LabelRecord | None]) -> Sequence[str]:
    """The names that were given first, each class once; before two are known, one for each photo that may have one."""
    named = [
        replace(label, names=label.names[:1], scientific_names=label.scientific_names[:1])
        for label in labels
        if label is not None and label.names
    ]
    names = build_vocabulary(named).names if named else ()
    return names if len(names) >= 2 else [f"{_UNKNOWN[0]} {number}" for number in range(max(len(labels), 2))]


def _combined(first: LabelRecord | None, choice: LabelRecord | None) -> LabelRecord:
    known = [label for label in (first, choice) if label is not None]
    said = choice if choice is not None and choice.names else known[0]
    if said is choice and first is not None:
        said = replace(said, alternatives=tuple(dict.fromkeys((*first.names, *said.alternatives))))
    return replace(said, cost_usd=sum(label.cost_usd for label in known), seconds=sum(label.seconds for label in known))
