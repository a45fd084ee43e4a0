"""A labeler whose replies are read by a model where the rules are not sure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.restate import RestateTask
from fgvr.records import LabelRecord
from fgvr.registry import LABELERS

_UNKNOWN = "What was replied, which is not known yet. " * 10
"""Stands for a reply before it is known, about as long as one."""


class RestateLabeler(CombinedLabeler):
    """Asks a labeler for names, and a model for the bare name in a reply that the rules find none in.

    The model is shown the text of the reply alone, no photo: a request of a few hundred tokens, which is asked once for
    equal replies. A name that it gives is taken only if it stands in the reply; otherwise what the rules read stays.

    Args:
        labeler: Names the photos: a model, or ``recorded`` for replies that were made elsewhere.
        reader: Finds the names in replies: a labeler that can be asked about texts, such as ``openai`` with a cheaper
            model. ``labeler`` itself if not given.

    Raises:
        FgvrError: ``reader``, or ``labeler`` where there is none, cannot be asked about texts; or ``labeler`` chooses
            from a list.
    """

    def __init__(self, labeler: Labeler, reader: Labeler | None = None) -> None:
        if isinstance(labeler, ModelLabeler) and isinstance(labeler.task, ChooseTask):
            raise FgvrError(
                "data.labeler.labeler has the task choose, and a name in its reply need not be one to choose from: set "
                "its task to name, or data.labeler to the labeler itself."
            )
        second = (reader or labeler).for_task(RestateTask(_UNKNOWN))
        if not isinstance(second, TaskedLabeler):
            raise FgvrError(
                f"{LABELERS.short_name(type(reader or labeler))} cannot be asked about texts: set "
                "data.labeler.reader to a labeler that can, such as openai."
            )
        super().__init__([labeler, second])
        self.labeler = labeler
        self.reader = reader

    def identity(self) -> dict[str, Any]:
        """The parts."""
        return {"labeler": "restate", **super().identity()}

    def for_task(self, task: Task, prompt: str | None = None) -> Labeler | None:
        """The first labeler's: what is asked with another task is read by that task."""
        return self.labeler.for_task(task, prompt)

    def part(self, number: int, labels: Sequence[Sequence[LabelRecord | None]]) -> Labeler:
        """See the base class: the second one is shown what the first one replied."""
        if number == 0:
            return self.parts[0]
        reader = self.parts[1]
        assert isinstance(reader, TaskedLabeler), "the constructor has seen to it"
        doubtful = (label for label in (labels[0] if labels else ()) if label is not None and is_doubtful(label))
        return reader.for_each({label.sample_id: RestateTask(label.raw) for label in doubtful})

    def wanted(
        self,
        part: int,
        labels: Sequence[Sequence[LabelRecord | None]],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Photos whose reply the rules are not sure of."""
        return [label is not None and is_doubtful(label) for label in labels[0]]

    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """The name that was found in the reply, or else what the rules read."""
        firsts = [label for label in labels[0] if label is not None]  # it was asked about all
        return [_combined(first, second) for first, second in zip(firsts, labels[1], strict=True)]


def is_doubtful(label: LabelRecord) -> bool:
    """Whether the rules are not sure what a reply names."""
    return label.flag in ("unparsed", "generic") or label.doubtful


def _combined(first: LabelRecord, second: LabelRecord | None) -> LabelRecord:
    if second is None:
        return first
    if second.names:
        first = replace(first, names=second.names, scientific_names=second.scientific_names, flag="", doubtful=False)
    return replace(first, cost_usd=first.cost_usd + second.cost_usd, seconds=first.seconds + second.seconds)
