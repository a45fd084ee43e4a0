"""A labeler judged as a classifier by a protocol: what is asked, asking for it, and what comes out."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fgvr.backbones.base import Backbone
from fgvr.data.datamodule import FgvrDataModule
from fgvr.datasets.base import split_name
from fgvr.errors import FgvrError
from fgvr.judging.answers import JudgedAnswer, judge_answers, read_part, said_in_the_open
from fgvr.judging.base import Protocol
from fgvr.judging.confusions import count_confusions, read_confusions
from fgvr.judging.encoders import encoder_title, text_encoder
from fgvr.judging.figures import by_group, by_option, by_position, by_repeat, figures
from fgvr.judging.mc import McProtocol
from fgvr.judging.options import JudgeOptions
from fgvr.judging.ow import OwProtocol
from fgvr.judging.requests import AskedImage, JudgePart, make_parts
from fgvr.judging.truth import JudgedImage, judged_images
from fgvr.judging.world import World, drawn_order
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.base import Labeler
from fgvr.labelers.batch import BatchLabeler
from fgvr.labelers.tasks.judge import JudgeTask
from fgvr.labelling.batch_run import BatchRun, label_batch
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.plan import LabelPlan, add_plans
from fgvr.labelling.requests import Asker, ask_requests, missing_requests, plan_requests, without_truth
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import ImageRecord
from fgvr.registry import LABELERS
from fgvr.text import counted, none_of
from fgvr.vocabulary.given import given_vocabulary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What came of judging.

    Attributes:
        row: Name of the row: protocol and labeler.
        record: The row as ``metrics.json`` has it.
        answers: Every answer, in the order in which photos were asked about.
        names: The class list.
    """

    row: str
    record: Mapping[str, Any]
    answers: Sequence[JudgedAnswer]
    names: tuple[str, ...]


class Judge:
    """Judges a labeler by a protocol, through the label store: nothing is asked twice, and a stopped run goes on.

    A labeler that cannot be given a question, such as one that reads a file, is judged by its replies to its own, an
    open one, where the protocol allows it; the result says so.

    Args:
        data: Has the photos, the class list, the labeler and the label store.
        backbone: Whose text tower may compare names.
        protocol: What is asked, and which class an answer means.
        options: Which photos, and in which requests.
    """

    def __init__(
        self, data: FgvrDataModule, backbone: Backbone, protocol: Protocol, options: JudgeOptions | None = None
    ) -> None:
        self.data = data
        self.backbone = backbone
        self.protocol = protocol
        self.options = options or JudgeOptions()

    @cached_property
    def labeler(self) -> Labeler:
        """Who is judged.

        Raises:
            FgvrError: Nobody.
        """
        if self.data.labeler is None:
            raise FgvrError(
                "Nobody is there to be judged: set data.labeler (the command `fgvr list labelers` shows what there is)."
            )
        return self.data.labels.labeler

    @property
    def row(self) -> str:
        """Name of the row of the result."""
        return f"{self.protocol.row}_{LABELERS.short_name(type(self.labeler))}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The class list.

        Raises:
            FgvrError: It is to be made of labels.
        """
        if self.data.class_names == "labels":
            raise FgvrError(
                "data.class_names is labels, and a protocol needs the true class list: set it to dataset, or to a file."
            )
        return given_vocabulary(self.data.class_names, self.data.images.known_names).names

    @cached_property
    def images(self) -> list[JudgedImage]:
        """The judged photos, with what is right about them.

        Raises:
            FgvrError: There are none, or a true name is missing or not in the class list.
        """
        options, found = self.options, self.data.images
        split = found.evaluated_split if options.split is None else split_name(options.split) or options.split
        found.require_split(split)
        by_split = {**found.splits, "support": self.data.support}
        images: Sequence[ImageRecord] = by_split[split]
        self._check_labeler(images, {other: by_split[other] for other in by_split if other != split})
        judged = judged_images(images, found.truth, self.names, options.truth, options.equivalents)
        if options.empty == "skip":
            judged = [each for each in judged if each.labels]
        if not judged:
            raise FgvrError("No photo has a label, and judge.empty is skip: there is nothing to judge.")
        if options.photos is not None and options.photos < len(judged):
            order = drawn_order(options.seed, -1, [each.image.sample_id for each in judged])
            judged = [judged[number] for number in sorted(order[: options.photos])]
        return judged

    def _check_labeler(self, images: Sequence[ImageRecord], others: Mapping[str, Sequence[ImageRecord]]) -> None:
        """Say which split a labeler's file is about, where it is not the judged one."""
        if (problem := self._problem_of(images)) is None:
            return
        for split, of_split in others.items():
            if of_split and self._problem_of(of_split) is None:
                raise FgvrError(f"{problem} Or judge those of split {split}, which it has: set judge.split to {split}.")
        raise problem

    def _problem_of(self, images: Sequence[ImageRecord]) -> FgvrError | None:
        try:
            self.labeler.check_images([without_truth(image) for image in images])
        except FgvrError as error:
            return error
        return None

    @cached_property
    def world(self) -> World:
        """The classes, and which are alike or confused."""
        protocol = self.protocol
        return World(
            self.names,
            None if protocol.encoder is None else text_encoder(protocol.encoder, self.backbone),
            protocol.class_templates,
            self.options.seed,
            self._confusions,
        )

    @cached_property
    def is_open(self) -> bool:
        """Whether the replies answer the labeler's own question, and not the protocol's.

        Raises:
            FgvrError: The protocol or an option does not allow that.
        """
        own = isinstance(self.protocol, OwProtocol) and self.protocol.given_question == "labeler"
        if not own and self.labeler.for_task(JudgeTask()) is not None:
            return False
        name = LABELERS.short_name(type(self.labeler))
        if not self.protocol.takes_open_replies:
            raise FgvrError(
                f"{name} cannot be asked the question of the protocol {self.protocol.row!r}: set data.labeler to a "
                "model, such as openai, or protocol to ow."
            )
        for key in ("photos_per_request", "repeats"):
            if getattr(self.options, key) != 1:
                raise FgvrError(
                    f"judge.{key} is {getattr(self.options, key)}, and the replies of {name} answer its own question, "
                    "about one photo each: leave it at 1."
                )
        return True

    @cached_property
    def parts(self) -> list[JudgePart]:
        """The requests of the protocol; none where replies answer another question.

        Raises:
            FgvrError: The labeler cannot be shown so many photos, or there are too few classes.
        """
        if self.is_open:
            return []
        return make_parts(self.labeler, self.protocol, self.world, self.images, self.options)

    def plan(self) -> LabelPlan:
        """What asking would ask and cost; asks nothing.

        Raises:
            FgvrError: The labeler cannot be asked this.
        """
        if self.is_open:
            return self.data.labels.plan((self._asked_images,))
        with LabelStore(self.data.label_store) as store:
            plans = [plan_requests(part.labeler, part.different, store, 0) for part in self.parts]
        return add_plans(plans, len(self.images))

    def confusion_plan(self) -> LabelPlan | None:
        """The same of the labeler whose confusions are counted; ``None`` where there is none."""
        if (labeler := self._confusion_labeler) is None:
            return None
        with LabelStore(self.data.label_store) as store:
            return plan(labeler, self._asked_images, store)

    def ask(self, asker: Asker | None = None) -> None:
        """Ask for what is missing, and store every reply as it comes.

        Args:
            asker: Asks in another way than the labeler's own, where that is not behind a network.

        Raises:
            FgvrError: The labeler cannot go on, ``data.max_cost_usd`` is reached, or not one photo has a reply. What
                was paid for is stored.
        """
        left = self._prepare()
        if self.is_open:
            self.data.labels.ask((self._asked_images,), asker)
            return
        budget, first_error = Budget(left), ""
        with LabelStore(self.data.label_store) as store:
            for part in self.parts:
                run = ask_requests(part.labeler, part.different, store, budget, asker=asker)
                first_error = first_error or run.first_error
                if run.failed:
                    log.warning(
                        "%d of %s failed; the first: %s", run.failed, counted(run.asked, "request"), run.first_error
                    )
        self.require_replies(first_error)

    def ask_batch(self) -> list[BatchRun]:
        """Ask for what is missing by the batch API of the labeler's server, and collect what earlier calls have sent.

        Raises:
            FgvrError: The labeler has no batch API, the server cannot be asked, or ``data.max_cost_usd`` is reached.
        """
        left = self._prepare()
        if self.is_open:
            return [self.data.labels.ask_batch(self._asked_images)]
        runs: list[BatchRun] = []
        with LabelStore(self.data.label_store) as store:
            for part in self.parts:
                batches = _batch_labeler(part.labeler)
                runs.append(label_batch(batches, part.different, store, Budget(left), report=log.info))
                left = None if left is None else max(0.0, left - runs[-1].cost_usd)
        return runs

    def estimate_batch_usd(self) -> float | None:
        """Expected cost of ``ask_batch``; ``None`` where it is not known.

        Raises:
            FgvrError: The labeler has no batch API.
        """
        if self.is_open:
            return self.data.labels.estimate_batch_usd(self._asked_images)
        total = 0.0
        with LabelStore(self.data.label_store) as store:
            for part in self.parts:
                found, _ = stored_replies(part.labeler, part.different, store)
                missing = missing_requests(part.labeler, part.different, found)
                usd = _batch_labeler(part.labeler).estimate_batch_usd(missing) if missing else 0.0
                if usd is None:
                    return None
                total += usd
        return total

    def require_replies(self, first_error: str = "") -> None:
        """Raise ``FgvrError`` where not one request has a reply.

        Args:
            first_error: Why the first one has none.
        """
        plan = self.plan()
        if not plan.stored:
            why = f" The first failure is {first_error.rstrip('.')}." if first_error else ""
            again = " Let those that were given up be asked again with `fgvr store retry-failed`." * (
                plan.exhausted > 0
            )
            raise FgvrError(
                f"{none_of(plan.requests, 'request')} has a reply of {LABELERS.short_name(type(self.labeler))}.{why}"
                f"{again} When what is wrong is mended, judge with the same options again."
            )

    def read(self) -> Verdict:
        """The verdict on what the store has; a photo without a reply has no answer.

        Raises:
            FgvrError: The store cannot be read, or the encoder is not on this machine.
        """
        if self.is_open:
            labels = self.data.labels.read(self._asked_images)
            said = [
                said_in_the_open(AskedImage(judged, request=number), record)
                for number, (judged, record) in enumerate(zip(self.images, labels, strict=True))
            ]
        else:
            with LabelStore(self.data.label_store) as store:
                said = [each for part in self.parts for each in read_part(part, store)]
            said.sort(key=lambda each: (each.asked.repeat, each.asked.request, each.asked.position))
        answers = judge_answers(said, self.protocol, self.world)
        return Verdict(self.row, self._record(answers), answers, self.names)

    def _record(self, answers: Sequence[JudgedAnswer]) -> dict[str, Any]:
        protocol, options = self.protocol, self.options
        encoder = protocol.encoder if protocol.compares_names else None
        splits: dict[str, Callable[[Sequence[JudgedAnswer]], Any]] = {}
        if options.truth is not None:
            splits["by_group"] = by_group
        if options.photos_per_request > 1:
            splits["by_position"] = by_position
        if options.repeats > 1:
            splits["by_repeat"] = by_repeat
        if any(each.said.asked.options for each in answers):
            splits["by_option"] = lambda found: by_option(found, self.names)
        return {
            **figures(answers, protocol.maps),
            "cost_usd": sum(each.said.cost_usd for each in answers),
            "label_seconds": sum(each.said.seconds for each in answers),
            "protocol": protocol.row,
            "question": "open" if self.is_open else "protocol",
            "encoder": None if encoder is None else encoder_title(encoder, self.backbone),
            "templates": list(protocol.class_templates) if encoder is not None else None,
            "simulated": self.labeler.simulated,
            "judged": {
                "photos": len(self.images),
                "classes": len(self.names),
                "split": self.images[0].image.split,
                "photos_per_request": options.photos_per_request,
                "order": options.order,
                "seed": options.seed,
                "repeats": options.repeats,
                "empty": options.empty,
            },
            **{name: split(answers) for name, split in splits.items()},
        }

    @property
    def _asked_images(self) -> tuple[ImageRecord, ...]:
        return tuple(without_truth(each.image) for each in self.images)

    def _prepare(self) -> float | None:
        """Find out what is wrong before anything is paid for, and what requests depend on; what may be spent then."""
        if self.protocol.compares_names:
            self.backbone.check()
            self.world.load()
        left, labeler = self.data.max_cost_usd, self._confusion_labeler
        if labeler is None:
            return left
        with LabelStore(self.data.label_store) as store:
            run = label(labeler, self._asked_images, store, left)
        for made_before in ("parts", "world"):  # without the confusions, for a plan
            self.__dict__.pop(made_before, None)
        return None if left is None else max(0.0, left - run.cost_usd)

    @property
    def _confusion_labeler(self) -> Labeler | None:
        return self.protocol.confusion_labeler if isinstance(self.protocol, McProtocol) else None

    def _confusions(self) -> Mapping[int, Sequence[int]]:
        """Counted from a file or from a labeler's stored names; nothing where it was not asked yet."""
        if isinstance(self.protocol, McProtocol) and self.protocol.confusions is not None:
            return read_confusions(self.protocol.confusions, self.names)
        if (labeler := self._confusion_labeler) is None:
            return {}
        with LabelStore(self.data.label_store) as store:
            labels = read_labels(labeler, self._asked_images, store)
        pairs = (
            (self.names[judged.asked], name)
            for judged, record in zip(self.images, labels, strict=True)
            if judged.asked >= 0
            for name in record.names
        )
        return count_confusions(pairs, self.names)


def _batch_labeler(labeler: Labeler) -> BatchLabeler:
    if not isinstance(labeler, BatchLabeler):
        raise FgvrError(
            f"{LABELERS.short_name(type(labeler))} cannot be asked by batch; openai and gemini can. Leave out the "
            "option batch, or set data.labeler to openai."
        )
    return labeler
