"""FineR's way to names: a model is questioned about a photo, and another one concludes from the answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.attributes import AttributesTask
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.describe_attribute import DescribeAttributeTask
from fgvr.labelers.tasks.guess_names import GuessNamesTask
from fgvr.labelers.tasks.super_category import SuperCategoryTask
from fgvr.labelers.tasks.wording import phrase
from fgvr.records import LabelRecord
from fgvr.registry import LABELERS
from fgvr.text import visible

_UNKNOWN = "object"
"""Stands for a super-category before it is known."""
_ANSWER = "an answer that is not known yet"
_LONGEST = 100

_Column = Sequence[LabelRecord | None]


class FinerLabeler(CombinedLabeler):
    """Questions a model about each photo, and has a model that sees no photo guess names from the answers.

    The way of FineR (arXiv 2401.13837): (1) ``vqa`` is asked what each photo shows, and what most photos show is the
    super-category; (2) ``llm`` is asked once which attributes tell its classes apart; (3) ``vqa`` is asked to describe
    each photo, and then for each of these attributes of it; (4) ``llm`` is shown the answers, and guesses names. A
    photo whose guess cannot be read has no names, and the flag of its label says why. Every reply is stored, and asked
    for once.

    FineR has BLIP-2 for ``vqa`` and GPT-3.5 for ``llm``, at temperature 0.1 for the attributes and 0.9 for the names; a
    temperature is an option of the labeler that is given. Its attributes are a list for each data set, put together
    from several replies by hand: give them as ``attributes``. On Oxford Pets its super-categories are two.

    Args:
        vqa: Shown the photos: a model such as ``openai``, ``blip2`` or ``llava``, or ``recorded`` with its
            ``question_key``.
        llm: Shown texts alone: such a model that can be asked about texts. ``vqa`` itself if not given.
        super_category: What all photos show, in the singular, such as ``bird``; asked if not given.
        unit: What the classes are, such as ``species``, ``breed`` or ``model``; ``species`` if not given.
        attributes: What is asked about each photo, such as ``tail shape``; asked for if not given.
        max_attributes: How many attributes are asked for, and count; at least 1.
        max_super_categories: How many super-categories count: a photo that shows none of these most frequent ones is
            taken for the most frequent one. Each has attributes of its own.
        guesses: Names a photo, the best first; 1 to 10.

    Raises:
        FgvrError: ``vqa`` cannot be asked a task about photos, or ``llm`` none about texts; a number is out of range;
            or a word that is given is blank.
    """

    compares_names = True
    asks_again = False

    def __init__(
        self,
        vqa: Labeler,
        llm: Labeler | None = None,
        super_category: str | None = None,
        unit: str | None = None,
        attributes: list[str] | None = None,
        max_attributes: int = 30,
        max_super_categories: int = 1,
        guesses: int = 3,
    ) -> None:
        for option, number, least in (
            ("max_attributes", max_attributes, 1),
            ("max_super_categories", max_super_categories, 1),
        ):
            if number < least:
                raise FgvrError(f"data.labeler.{option} is {number}; expected {least} or more.")
        if not 1 <= guesses <= 10:
            raise FgvrError(f"data.labeler.guesses is {guesses}; expected a number from 1 to 10.")
        self.vqa = vqa
        self.llm = llm
        self.super_category = None if super_category is None else phrase(super_category, "data.labeler.super_category")
        self.unit = None if unit is None else phrase(unit, "data.labeler.unit")
        self.attributes = None if attributes is None else _given(attributes)
        self.max_attributes = max_attributes
        self.max_super_categories = max_super_categories
        self.guesses = guesses
        self.compares_names = super_category is None
        self._asks_category = int(super_category is None)
        self._asks_attributes = int(attributes is None)
        first = self._asks_category + self._asks_attributes
        slots = max_attributes if self.attributes is None else len(self.attributes)
        self._description = first
        self._guess = first + 1 + slots
        super().__init__(self._parts(slots))

    def identity(self) -> dict[str, Any]:
        """The parts, and what is given of what is asked."""
        return {
            "labeler": "finer",
            **super().identity(),
            "super_category": self.super_category,
            "unit": self._unit,
            "attributes": self.attributes,
            "max_attributes": self.max_attributes,
            "max_super_categories": self.max_super_categories,
            "guesses": self.guesses,
        }

    def for_task(self, task: Task, prompt: str | None = None) -> Labeler | None:
        """That of ``vqa``, or of ``llm`` where the task is about a text."""
        return (self.vqa if task.shows_photos else self.llm or self.vqa).for_task(task, prompt)

    @property
    def rounds(self) -> Sequence[range]:
        """The super-category, the attributes, all questions about a photo, the names."""
        first = [range(number, number + 1) for number in range(self._description)]
        return [*first, range(self._description, self._guess), range(self._guess, self._guess + 1)]

    @property
    def naming(self) -> Sequence[int]:
        """The last part alone."""
        return (self._guess,)

    def part(self, number: int, labels: Sequence[_Column]) -> Labeler:
        """See the base class: what is asked of a photo depends on its super-category, its attributes and the answers.

        Raises:
            FgvrError: There are replies, and no super-category or no list of attributes can be read out of them.
        """
        part = self.parts[number]
        assert isinstance(part, TaskedLabeler), "the constructor has seen to it"
        if number == 0 and self._asks_category:
            return part
        ids = _sample_ids(labels)
        categories = self._categories(labels)
        if number < self._description:
            known = {category: self._attributes_task(category) for category in {*categories} - {None} if category}
            tasks: Mapping[str, Task] = {
                sample_id: known[category]
                for sample_id, category in zip(ids, categories, strict=True)
                if category is not None
            }
            return part.for_each(tasks, self._attributes_task(self.super_category or _UNKNOWN))
        attributes = self._attributes(labels)
        if number < self._guess:
            place = number - self._description - 1
            return part.for_each(_questions(ids, categories, attributes, place)) if ids else part
        return part.for_each(
            {
                sample_id: GuessNamesTask(category, self._unit, said, self.guesses)
                for sample_id, category, said in zip(ids, categories, self._answers(labels, attributes), strict=True)
                if category is not None and said
            }
        )

    def wanted(
        self,
        part: int,
        labels: Sequence[_Column],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Photos whose super-category and attributes are known; for the names, those whose every question has a reply.

        A question without a reply is asked again by the next run, and the names are then guessed from all answers.
        """
        categories = self._categories(labels)
        if part < self._description:
            return [category is not None for category in categories]
        attributes = self._attributes(labels)
        if part < self._guess:
            place = part - self._description - 1
            return [listed is not None and place < len(listed) for listed in attributes]
        return [bool(said) for said in self._answers(labels, attributes)]

    def combine(self, labels: Sequence[_Column]) -> list[LabelRecord]:
        """What was guessed; where nothing was, the flag says why."""
        return [
            _combined([label for label in said if label is not None], guess)
            for said, guess in zip(zip(*labels, strict=True), labels[self._guess], strict=True)
        ]

    @property
    def _unit(self) -> str:
        return self.unit or "species"

    def _parts(self, slots: int) -> list[Labeler]:
        """Super-category and attributes where they are asked, the description, the attributes, the names."""
        category = self.super_category or _UNKNOWN
        seen, told = (self.vqa, "vqa", "photos"), (self.llm or self.vqa, "llm", "texts")
        parts: list[Labeler] = []
        if self._asks_category:
            parts.append(_with_task(SuperCategoryTask(), *seen))
        if self._asks_attributes:
            parts.append(_with_task(self._attributes_task(category), *told))
        parts.append(_with_task(DescribeAttributeTask(category), *seen))
        for attribute in self.attributes or [_UNKNOWN] * slots:
            parts.append(_with_task(DescribeAttributeTask(category, attribute), *seen))
        said = [(f"attribute {number}", _ANSWER) for number in range(slots + 1)]
        parts.append(_with_task(GuessNamesTask(category, self._unit, said, self.guesses), *told))
        return parts

    def _attributes_task(self, category: str) -> AttributesTask:
        return AttributesTask(category, self._unit, self.max_attributes)

    def _categories(self, labels: Sequence[_Column]) -> list[str | None]:
        """The super-category of each photo; ``None`` before it is known.

        Raises:
            FgvrError: There are replies, and none says what a photo shows.
        """
        if not labels:
            return []
        if not self._asks_category:
            return [self.super_category] * len(labels[0])
        own = [label.names[0] if label is not None and label.names else None for label in labels[0]]
        # in the order of the photos among equals, as in FineR's code
        most = [name for name, _ in Counter(filter(None, own)).most_common(self.max_super_categories)]
        if not most:
            if (raw := _first_reply(labels[0])) is not None:
                raise FgvrError(
                    f"No reply says what a photo shows; the first one is {raw}. Set data.labeler.super_category to "
                    "what all photos show, such as bird."
                )
            return [None] * len(own)
        return [name if name in most else most[0] for name in own]

    def _attributes(self, labels: Sequence[_Column]) -> list[Sequence[str] | None]:
        """The attributes that are asked about each photo; ``None`` before they are known.

        Raises:
            FgvrError: A reply is no list.
        """
        count = len(labels[0]) if labels else 0
        if self.attributes is not None:
            return [self.attributes] * count
        if len(labels) < self._description:
            return [None] * count
        column = labels[self._description - 1]
        if (raw := _first_reply([label for label in column if label is not None and not label.names])) is not None:
            raise FgvrError(
                f"The reply to the question by which attributes classes are told apart is no list: {raw}. Set "
                'data.labeler.attributes to a list, such as ["tail shape", "coat color"].'
            )
        return [label.names if label is not None and label.names else None for label in column]

    def _answers(
        self, labels: Sequence[_Column], attributes: Sequence[Sequence[str] | None]
    ) -> list[list[tuple[str, str]]]:
        """What was asked about each photo and what was answered; nothing where a reply is missing still."""
        if len(labels) < self._guess:
            return [[] for _ in attributes]
        columns = labels[self._description : self._guess]
        return [
            _answered(("general description", *(listed or ())), said)
            for listed, said in zip(attributes, zip(*columns, strict=True), strict=True)
        ]


def _with_task(task: Task, labeler: Labeler, option: str, about: str) -> TaskedLabeler:
    """The labeler with another task."""
    other = labeler.for_task(task)
    if not isinstance(other, TaskedLabeler):
        advice = "openai, or recorded with its question_key" if option == "llm" else "openai, blip2 or llava"
        raise FgvrError(
            f"{LABELERS.short_name(type(labeler))} cannot be asked about {about} with the task "
            f"{task.registry_name!r}: set data.labeler.{option} to a labeler that can, such as {advice}."
        )
    return other


def _given(attributes: Sequence[str]) -> list[str]:
    """The attributes that the user gives, each once."""
    named = [phrase(attribute, "data.labeler.attributes") for attribute in attributes]
    if not named:
        raise FgvrError("data.labeler.attributes is empty: name one or more, or leave it out to have them asked for.")
    once: dict[str, str] = {}
    for attribute in named:
        once.setdefault(attribute.casefold(), attribute)
    return list(once.values())


def _questions(
    ids: Sequence[str], categories: Sequence[str | None], attributes: Sequence[Sequence[str] | None], place: int
) -> dict[str, Task]:
    """The question about each photo: that for its attribute number ``place``; -1 for the description."""
    tasks: dict[tuple[str, str | None], Task] = {}
    asked: dict[str, Task] = {}
    for sample_id, category, listed in zip(ids, categories, attributes, strict=True):
        if category is None or listed is None or place >= len(listed):
            continue
        attribute = listed[place] if place >= 0 else None
        if (task := tasks.get((category, attribute))) is None:
            task = tasks[category, attribute] = DescribeAttributeTask(category, attribute)
        asked[sample_id] = task
    return asked


def _answered(asked: Sequence[str], said: Sequence[LabelRecord | None]) -> list[tuple[str, str]]:
    """Questions with their answers, those left out that say nothing; empty where one of them has no reply."""
    replied = said[: len(asked)]
    if any(label is None or label.flag == "failed" for label in replied):
        return []
    return [(what, label.names[0]) for what, label in zip(asked, replied, strict=True) if label and label.names]


def _sample_ids(labels: Sequence[_Column]) -> list[str]:
    """``sample_id`` of the photos; none before anything is known."""
    if not labels:
        return []
    return [next((label.sample_id for label in said if label is not None), "") for said in zip(*labels, strict=True)]


def _first_reply(labels: _Column) -> str | None:
    """The first of these replies, for a message; ``None`` where none came, so that it is asked again."""
    raw = next((label.raw for label in labels if label is not None and label.flag != "failed"), None)
    return None if raw is None else visible(repr(raw), _LONGEST)


def _combined(said: Sequence[LabelRecord], guess: LabelRecord | None) -> LabelRecord:
    if guess is None:
        failed = any(label.flag == "failed" for label in said) or not said
        flag = "failed" if failed else next((label.flag for label in said if label.flag), "unparsed")
        guess = LabelRecord(said[0].sample_id if said else "", names=(), flag=flag)
    return replace(guess, cost_usd=sum(label.cost_usd for label in said), seconds=sum(label.seconds for label in said))
