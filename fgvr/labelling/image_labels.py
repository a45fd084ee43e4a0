"""What a labeler says of photos: whom it is asked about, and its replies, through the label store."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.base import Labeler
from fgvr.labelers.batch import BatchLabeler
from fgvr.labelers.combined import CombinedLabeler, TextFeatures
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelling.batch_run import BatchRun, label_batch
from fgvr.labelling.labelling import Features, NeededRequests, label, needed_requests, plan, read_labels
from fgvr.labelling.plan import LabelPlan, add_plans
from fgvr.labelling.requests import Asker, missing_requests, requests_for, without_truth
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import ImageRecord, LabelRecord
from fgvr.registry import LABELERS, SELECTIONS
from fgvr.selections.base import Selection
from fgvr.text import counted

log = logging.getLogger(__name__)


class ImageLabels:
    """Labels of photos by one labeler.

    Args:
        labeler: Who names them; ``None`` raises when it is needed.
        select: Which support photos it is asked about; ``None`` for all.
        store: SQLite file of the replies.
        max_cost_usd: What one call of ``ask`` may spend.
        features: Gives image features, to a selection or a labeler that looks at them.
        class_names: Gives the vocabulary, to a task that chooses from it; ``None`` where it is made of labels. Called
            when the labeler is first needed, as it may have to be read from the data set.
        text_features: Gives text features, to a labeler that looks at them.
    """

    def __init__(
        self,
        labeler: Labeler | None,
        select: Selection | None,
        store: Path,
        max_cost_usd: float | None,
        features: Features,
        class_names: Callable[[], Sequence[str]] | None = None,
        text_features: TextFeatures | None = None,
    ) -> None:
        self._labeler = labeler
        self._text_features = text_features
        self._class_names = class_names
        self.select = select
        self.store = store
        self.max_cost_usd = max_cost_usd
        self._features = features
        self._chosen: dict[tuple[str, ...], tuple[ImageRecord, ...]] = {}

    @property
    def has_labeler(self) -> bool:
        """Whether there is anybody to ask."""
        return self._labeler is not None

    @cached_property
    def labeler(self) -> Labeler:
        """Who names the photos.

        Raises:
            FgvrError: Nobody.
        """
        if self._labeler is None:
            raise FgvrError(
                "No labeler is set, and this run needs names for its support photos: set data.labeler (the "
                "command `fgvr list labelers` shows what there is), or give known names in data.class_names."
            )
        labeler = self._labeler if self._class_names is None else self._labeler.with_classes(self._class_names)
        if self._text_features is not None and isinstance(labeler, CombinedLabeler):
            labeler = labeler.with_text_features(self._text_features)
        return labeler

    def require_names(self) -> None:
        """Refuse a labeler that describes photos where class names are needed.

        Raises:
            FgvrError: It was given such a task.
        """
        labeler = self.labeler
        parts = [labeler.parts[each] for each in labeler.naming] if isinstance(labeler, CombinedLabeler) else [labeler]
        for part in parts:
            if isinstance(part, TaskedLabeler) and not part.task.names_classes:
                raise FgvrError(
                    f"The task {part.task.registry_name!r} gives no class names, and this run needs some: set "
                    "data.labeler.task to name, or run the label stage alone, which asks for descriptions."
                )

    @property
    def needs_features(self) -> bool:
        """Whether it depends on image features which photos are asked about."""
        return self._uses_features or (self.select is not None and self.select.needs_features)

    def choose(self, support: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
        """The support photos that the labeler is asked about."""
        if self.select is None:
            return tuple(support)
        sample_ids = tuple(record.sample_id for record in support)
        if sample_ids not in self._chosen:
            features = (
                self._features(support, self.select.space)
                if self.select.needs_features
                else np.zeros((0, 0), np.float32)
            )
            numbers = self.select.choose(sample_ids, features)
            log.info(
                "Asking about %d of %s (%s)",
                len(numbers),
                counted(len(support), "support photo"),
                SELECTIONS.short_name(type(self.select)),
            )
            self._chosen[sample_ids] = tuple(support[number] for number in numbers)
        return self._chosen[sample_ids]

    def plan(self, groups: Sequence[Sequence[ImageRecord]]) -> LabelPlan:
        """What asking about the photos of ``groups`` would ask and cost; asks nothing."""
        groups = self._grouped(groups)
        with LabelStore(self.store) as store:
            plans = [plan(self.labeler, images, store, self._for_labeler()) for images in groups]
        return add_plans(plans, sum(map(len, groups)))

    def needed(self, groups: Sequence[Sequence[ImageRecord]]) -> list[NeededRequests]:
        """What asking about the photos of ``groups`` needs, stored or not; asks nothing."""
        with LabelStore(self.store) as store:
            return [
                each
                for images in self._grouped(groups)
                for each in needed_requests(self.labeler, images, store, self._for_labeler())
            ]

    def ask(self, groups: Sequence[Sequence[ImageRecord]], asker: Asker | None = None) -> None:
        """Ask for what is missing, and store every reply.

        Args:
            groups: The photos to ask about, no photo twice. A labeler that looks at neighbours, or at other photos'
                names, looks within a group, so that the labels of support photos do not depend on which evaluated
                photos there are.
            asker: Asks in another way than the labeler's own.

        Raises:
            FgvrError: The labeler cannot go on, or ``max_cost_usd`` is reached; what was paid for is stored.
        """
        left = self.max_cost_usd
        with LabelStore(self.store) as store:
            for images in self._grouped(groups):
                run = label(self.labeler, images, store, left, features=self._for_labeler(), asker=asker)
                left = None if left is None else left - run.cost_usd
                if run.failed:
                    log.warning(
                        "%d of %s failed; the first: %s", run.failed, counted(run.asked, "request"), run.first_error
                    )

    def ask_batch(self, images: Sequence[ImageRecord], wait: bool = True) -> BatchRun:
        """Ask for what is missing by the batch API of the labeler's server, and collect what earlier calls have sent.

        Args:
            images: The photos to ask about.
            wait: Whether to wait for the server.

        Raises:
            FgvrError: The labeler has no batch API, the server cannot be asked, or ``max_cost_usd`` is reached.
        """
        labeler = self._batch_labeler()
        labeler.check_images([without_truth(image) for image in images])
        with LabelStore(self.store) as store:
            requests = requests_for(labeler, images)
            return label_batch(labeler, requests, store, Budget(self.max_cost_usd), wait=wait, report=log.info)

    def estimate_batch_usd(self, images: Sequence[ImageRecord]) -> float | None:
        """Expected cost of ``ask_batch``; ``None`` where it is not known.

        Raises:
            FgvrError: The labeler has no batch API.
        """
        labeler = self._batch_labeler()
        requests = requests_for(labeler, images)
        with LabelStore(self.store) as store:
            missing = missing_requests(labeler, requests, stored_replies(labeler, requests, store)[0])
        return labeler.estimate_batch_usd(missing) if missing else 0.0

    def read(self, images: Sequence[ImageRecord], groups: Sequence[Sequence[ImageRecord]] = ()) -> list[LabelRecord]:
        """What the store has for each of ``images``; ``flag`` is ``"failed"`` where it has nothing.

        Args:
            images: The photos.
            groups: As given to ``ask``, for labelers that look at neighbours or at other photos' names.
        """
        if not self._looks_at_others:
            groups = [images]
        known: dict[str, LabelRecord] = {}
        with LabelStore(self.store) as store:
            wanted = {image.sample_id for image in images}
            for group in (*groups, images):
                if not wanted.isdisjoint(image.sample_id for image in group) and not wanted <= known.keys():
                    for label_record in read_labels(self.labeler, group, store, self._for_labeler()):
                        known.setdefault(label_record.sample_id, label_record)
        return [known[image.sample_id] for image in images]

    def read_support(
        self, support: Sequence[ImageRecord], groups: Sequence[Sequence[ImageRecord]] = ()
    ) -> list[LabelRecord]:
        """The same for the support photos; those that were not chosen have the flag ``"unasked"``."""
        labels = {record.sample_id: record for record in self.read(self.choose(support), groups)}
        return [
            labels.get(image.sample_id) or LabelRecord(image.sample_id, names=(), flag="unasked") for image in support
        ]

    def _grouped(self, groups: Sequence[Sequence[ImageRecord]]) -> list[Sequence[ImageRecord]]:
        """The groups that are asked about on their own; a labeler that looks at each photo alone needs only one."""
        if self._looks_at_others:
            return [group for group in groups if group]
        return [[image for group in groups for image in group]]

    def _batch_labeler(self) -> BatchLabeler:
        if not isinstance(self.labeler, BatchLabeler):
            raise FgvrError(
                f"{LABELERS.short_name(type(self.labeler))} cannot be asked by batch; openai and gemini can. Leave "
                "out the option batch, or set data.labeler to openai."
            )
        return self.labeler

    @property
    def _uses_features(self) -> bool:
        return any(labeler.needs_features for labeler in self._combined)

    @property
    def _looks_at_others(self) -> bool:
        return self._uses_features or any(labeler.compares_names for labeler in self._combined)

    @property
    def _combined(self) -> tuple[CombinedLabeler, ...]:
        return self._labeler.combined if isinstance(self._labeler, CombinedLabeler) else ()

    def _for_labeler(self) -> Features | None:
        return self._features if self._uses_features else None
