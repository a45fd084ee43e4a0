"""Descriptions of photos and groups: what is to be asked, asking for it, and reading it back."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fgvr.descriptions.asking import Asking
from fgvr.descriptions.files import Origin, read_descriptions, read_origin
from fgvr.descriptions.groups import draw_groups, draw_groups_by_truth
from fgvr.descriptions.options import DescribeOptions
from fgvr.descriptions.parts import DescriptionPart, Kind
from fgvr.descriptions.summary import DescriptionSummary, ReadDescriptions
from fgvr.descriptions.texts import DescriptionTexts, matched
from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.describe_group import DescribeGroupTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelling.requests import without_truth
from fgvr.labelling.store.keys import request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import Description, ImageRecord, LabelRequest
from fgvr.registry import LABELERS

log = logging.getLogger(__name__)


class Descriptions(Asking[DescriptionPart]):
    """Descriptions of support photos, by one or two labelers or from a file, through the label store.

    Replies are kept like those of labels: nothing is asked twice, a run that stops goes on where it was, and ``labels
    show`` shows them. The key of a group's reply covers the bytes of all its photos in their order.

    Args:
        options: What is described, and by whom.
        labeler: The labeler of the run, which describes where the options name neither a labeler nor a file.
        images: The support photos, with digests.
        class_names: Names in class-index order.
        pseudo_labels: Gives the class index of each photo, shape ``(N,)``; called only where groups are drawn or a hint
            is given. See :func:`~fgvr.descriptions.pseudo_labels.zero_shot_labels`.
        store: SQLite file of the replies.
        max_cost_usd: What one call of ``ask`` or ``ask_batch`` may spend, on both kinds together.
        true_labels: The same by true names, -1 where there is none; called for ``right_in_group`` alone.
    """

    batch_advice = "Leave out the option batch, or set data.describe.labeler to openai."

    def __init__(
        self,
        options: DescribeOptions,
        labeler: Labeler | None,
        images: Sequence[ImageRecord],
        class_names: Sequence[str],
        pseudo_labels: Callable[[], NDArray[np.int64]],
        store: Path,
        max_cost_usd: float | None = None,
        true_labels: Callable[[], NDArray[np.int64]] | None = None,
    ) -> None:
        super().__init__(store, max_cost_usd)
        self.options = options
        self.labeler = labeler
        self.images = images
        self.class_names = class_names
        self._pseudo_labels = pseudo_labels
        self._true_labels = true_labels

    @cached_property
    def from_file(self) -> list[Description]:
        """What the file says of these photos and classes; empty where no file is given.

        Raises:
            FgvrError: The file cannot be read.
        """
        if self.options.file is None:
            return []
        wanted = {"image": self.options.images, "group": self.options.groups}
        read = [each for each in read_descriptions(Path(self.options.file)) if wanted[each.kind]]
        return matched(read, [image.sample_id for image in self.images], self.class_names)

    @cached_property
    def parts(self) -> tuple[DescriptionPart, ...]:
        """What is to be asked, of whom; nothing where a file says it.

        Raises:
            FgvrError: Nobody is there to be asked, a labeler cannot describe photos or groups, or there are no groups
                that ``right_in_group`` could be about.
        """
        parts: list[DescriptionPart] = []
        said = {each.kind for each in self.from_file}
        asks = self.options.file is None or self.options.labeler is not None
        if self.options.images and "image" not in said and asks:
            parts.append(self._image_part())
        if self.options.groups and "group" not in said and (asks or self.options.group_labeler is not None):
            parts.append(self._group_part())
        elif self.options.right_in_group is not None:
            raise FgvrError(
                f"data.describe.right_in_group is {self.options.right_in_group}, but no groups are shown to a model: "
                "their texts are those of data.describe.file, are not trained with (model.texts), or not wanted "
                "(data.describe.groups). Leave it out, or have groups described."
            )
        return tuple(parts)

    @cached_property
    def file_origin(self) -> Origin:
        """What the file says that its descriptions cost and are; nothing and real where it does not say."""
        said = read_origin(Path(self.options.file)) if self.from_file and self.options.file is not None else None
        return said or Origin(0.0, simulated=False)

    @property
    def oracle(self) -> bool:
        """Whether true names have chosen the photos of a group, here or for the file."""
        brought = self.file_origin.oracle and any(each.kind == "group" for each in self.from_file)
        return brought or self.options.right_in_group is not None

    @property
    def simulated(self) -> bool:
        """Whether replies and their costs are made up, or those of the file were."""
        return self.file_origin.simulated or any(part.labeler.simulated for part in self.parts)

    def read(self) -> ReadDescriptions:
        """What file and store have. What is missing is said in the summary, and is no error.

        Raises:
            FgvrError: The file or the store cannot be read.
        """
        known: dict[Kind, list[Description]] = {"image": [], "group": []}
        for each in self.from_file:
            known[each.kind].append(each)
        counts: dict[str, Counter[str]] = {kind: Counter({"": len(each)}) for kind, each in known.items() if each}
        cost_usd = self.file_origin.cost_usd
        with LabelStore(self.store) as store:
            for part in self.parts:
                identity = part.labeler.identity()
                keys = request_keys(identity, part.requests)
                replies = dict(zip(keys, store.get(identity, part.requests), strict=True))
                cost_usd += sum(reply.cost_usd for reply in replies.values() if reply is not None)
                flags: Counter[str] = Counter()
                for number, key in enumerate(keys):
                    reply = replies[key]
                    parsed = None if reply is None or reply.error else part.read(reply)
                    flags["failed" if parsed is None else parsed.flag] += 1
                    if parsed is not None and parsed.names:
                        known[part.kind].append(part.description(number, parsed.names[0]))
                counts[part.kind] = Counter(dict(flags.most_common()))
        descriptions = (*self._sorted_images(known["image"]), *known["group"])
        summary = DescriptionSummary(
            counts=counts,
            missing=DescriptionTexts(descriptions).missing(
                [image.sample_id for image in self.images] if self.options.images else [],
                list(self.class_names) if self.options.groups else [],
            ),
            cost_usd=cost_usd,
            simulated=self.simulated,
            oracle=self.oracle,
        )
        return ReadDescriptions(descriptions, summary)

    def _sorted_images(self, descriptions: Iterable[Description]) -> list[Description]:
        by_image = {each.sample_id: each for each in descriptions}
        return [by_image[image.sample_id] for image in self.images if image.sample_id in by_image]

    def _image_part(self) -> DescriptionPart:
        options = self.options
        task = DescribeImageTask(options.domain, with_hint=options.hint)
        labeler = self._describer(options.labeler, task, options.image_prompt)
        hints: list[str | None] = [None] * len(self.images)
        if options.hint and options.image_prompt is None:
            hints = [self.class_names[label] for label in self._class_of_each]
        prompts = {hint: options.image_prompt or task.prompt(hint) for hint in set(hints)}
        requests = [
            LabelRequest(without_truth(image), prompts[hint]) for image, hint in zip(self.images, hints, strict=True)
        ]
        return DescriptionPart("image", labeler, task, tuple(requests))

    def _group_part(self) -> DescriptionPart:
        options = self.options
        task = DescribeGroupTask(options.domain)
        labeler = self._describer(options.group_labeler or options.labeler, task, options.group_prompt)
        if not labeler.of_groups:
            raise FgvrError(
                f"{LABELERS.short_name(type(labeler))} cannot be asked about groups of photos: set "
                "data.describe.group_labeler to another one, bring texts of classes along in data.describe.file, or "
                "leave groups out: set data.describe.groups to false."
            )
        prompt = options.group_prompt or task.prompt()
        size, per_class = options.group_size, options.groups_per_class
        if options.right_in_group is None:
            groups = draw_groups(self.images, self._class_of_each, size, per_class, options.seed)
        else:
            assert self._true_labels is not None, "an oracle needs them"
            truth = self._true_labels()
            groups = draw_groups_by_truth(
                self.images, self._class_of_each, truth, size, options.right_in_group, per_class, options.seed
            )
        requests = []
        for group in groups:
            first, *others = map(without_truth, group.images)
            requests.append(LabelRequest(first, prompt, others=tuple(others)))
        names = tuple(self.class_names[group.label] for group in groups)
        return DescriptionPart("group", labeler, task, tuple(requests), names)

    def _describer(self, given: Labeler | None, task: Task, prompt: str | None) -> Labeler:
        """A labeler of the options, which may replay a file; else the run's, if it can be given a task."""
        labeler = given or self.labeler
        if labeler is None:
            raise FgvrError(
                "Nobody describes the photos: set data.describe.labeler or data.labeler to a model (the command "
                "`fgvr list labelers` shows what there is), or bring descriptions along in data.describe.file."
            )
        if isinstance(labeler, CombinedLabeler):
            raise FgvrError(
                f"{LABELERS.short_name(type(labeler))} compares names, and descriptions cannot be compared: set "
                "data.describe.labeler to one of its parts."
            )
        describer = labeler.for_task(task, prompt)
        if describer is None and given is None:
            raise FgvrError(
                f"{LABELERS.short_name(type(labeler))} names photos and describes none: set data.describe.labeler "
                "to a model, or to recorded with a file of descriptions."
            )
        return describer or labeler

    @cached_property
    def _class_of_each(self) -> NDArray[np.int64]:
        labels = self._pseudo_labels()
        if len(labels) != len(self.images):
            raise ValueError(f"{len(labels)} pseudo-labels for {len(self.images)} photos.")
        return labels

    def check(self, part: DescriptionPart) -> None:
        """Let a labeler refuse a set of photos as a whole; a file of groups alone names no single photo."""
        if part.kind == "image":
            part.labeler.check_images([request.image for request in part.requests])
