"""Sentences about class names, and templates for a data set: asked of a model that is shown no photo."""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from fgvr.descriptions.asking import Asking
from fgvr.descriptions.parts import AskedPart
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.labelers.base import Labeler
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.caption_templates import CaptionTemplatesTask
from fgvr.labelers.tasks.class_sentences import ClassSentencesTask
from fgvr.labelers.tasks.words import words_of
from fgvr.labelling.requests import requests_for
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord, Reply
from fgvr.registry import LABELERS
from fgvr.text import counted, encodable, visible
from fgvr.vocabulary.build import fold_name

TextTask = ClassSentencesTask | CaptionTemplatesTask
_DATA_SET = "templates"
_EXAMPLES = 12
_SHOWN = 5


@dataclass(frozen=True)
class ClassTextPart(AskedPart):
    """The questions about texts.

    Attributes:
        tasks: Subject -> what is asked about it.
    """

    tasks: Mapping[str, TextTask]

    @property
    def unit(self) -> str:
        """See the base class."""
        return "data set" if self.kind == _DATA_SET else "class name"

    @property
    def wanted(self) -> str:
        """See the base class."""
        return "list of texts"


@dataclass(frozen=True)
class ClassTexts:
    """What came of asking.

    Attributes:
        texts: Subject (a class name, or all of a data set) -> its texts; without those that have none.
        missing: Subjects without one.
        flags: Flag -> how many replies; ``""`` is a usable one.
        left_out: Texts that were in replies and are not taken.
        cost_usd: What the replies cost.
        simulated: Whether replies and dollars are made up.
        what: One text, in a word.
    """

    texts: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    flags: Mapping[str, int]
    left_out: int
    cost_usd: float
    simulated: bool
    what: str

    def __str__(self) -> str:
        replies = ", ".join(f"{number} {flag or 'usable'}" for flag, number in self.flags.items())
        lines = [f"replies: {replies}; ${self.cost_usd:.4f}{' (simulated)' * self.simulated}"]
        found = sum(map(len, self.texts.values()))
        left_out = f", {self.left_out} left out" if self.left_out else ""
        lines.append(f"{counted(found, self.what)}{left_out}")
        if self.missing and self.what == "sentence":
            shown = ", ".join(visible(name, 60) for name in self.missing[:_SHOWN])
            more = ", ..." if len(self.missing) > _SHOWN else ""
            of = counted(len(self.missing) + len(self.texts), "class name")
            lines.append(f"No sentence about {len(self.missing)} of {of} ({shown}{more}).")
        return "\n".join(lines)


class ClassTextAsking(Asking[ClassTextPart]):
    """Texts in the place of class names, by one labeler that can be asked about texts, through the label store.

    Args:
        names: The class names, in class-index order; of spellings of one name the first counts.
        labeler: Who writes them.
        store: SQLite file of the replies.
        max_cost_usd: What one call of ``ask`` or ``ask_batch`` may spend.
        count: Texts a request, from 1 to 100.
        domain: What all photos show, such as ``bird``: a word of the prompts.

    Raises:
        FgvrError: ``count`` is out of range, or ``domain`` is blank.
    """

    kind: ClassVar[str]
    what: ClassVar[str]

    def __init__(
        self,
        names: Sequence[str],
        labeler: Labeler | None,
        store: Path,
        max_cost_usd: float | None = None,
        count: int = 10,
        domain: str = "object",
    ) -> None:
        super().__init__(store, max_cost_usd)
        first: dict[str, str] = {}
        for name in names:
            first.setdefault(fold_name(name), encodable(name))
        self.names = tuple(first.values())
        self.labeler = labeler
        self.count = count
        self.domain = domain
        self._tasks = self.tasks()

    @abstractmethod
    def tasks(self) -> Mapping[str, TextTask]:
        """Subject -> what is asked about it."""

    @abstractmethod
    def write(self, found: ClassTexts, path: Path) -> None:
        """Write the texts to a JSON file as methods take it; it is there in full or not at all."""

    @cached_property
    def parts(self) -> tuple[ClassTextPart, ...]:
        """The one part.

        Raises:
            FgvrError: There is no labeler, or it cannot be asked about texts.
        """
        task = next(iter(self._tasks.values()))
        labeler = None if self.labeler is None else self.labeler.for_task(task)
        if not isinstance(labeler, TaskedLabeler):
            found = "no labeler is set" if self.labeler is None else f"{LABELERS.short_name(type(self.labeler))} cannot"
            raise FgvrError(
                f"{self.what.capitalize()}s are written by a labeler that can be asked about texts, and {found}: set "
                "data.labeler to one, such as openai, gemini or llava, or to recorded with its question_key."
            )
        # its own name is all that the store has to show of what a text is about
        subjects = [ImageRecord(sample_id=name, path=Path(), split="support") for name in self._tasks]
        tasks = {record.sample_id: task for record, task in zip(subjects, self._tasks.values(), strict=True)}
        asked = labeler.for_each(tasks)
        return (ClassTextPart(self.kind, asked, task, tuple(requests_for(asked, subjects)), self._tasks),)

    def read(self) -> ClassTexts:
        """What the store has. What is missing is said in the summary, and is no error.

        Raises:
            FgvrError: The store cannot be read.
        """
        (part,) = self.parts
        with LabelStore(self.store) as store:
            replies = store.get(part.labeler.identity(), part.requests)
        by_prompt = {request.prompt: reply for request, reply in zip(part.requests, replies, strict=True)}
        longer = longer_names(list(part.tasks))
        flags: Counter[str] = Counter()
        texts: dict[str, tuple[str, ...]] = {}
        left_out = 0
        for subject, task in part.tasks.items():
            flag, kept, listed = _read(task, by_prompt[task.prompt()])
            taken = tuple(text for text in kept if not is_about_another(text, subject, longer.get(subject, ())))
            flags[flag if taken or flag else "unparsed"] += 1
            left_out += listed - len(taken)
            if taken:
                texts[subject] = taken
        return ClassTexts(
            texts=texts,
            missing=tuple(subject for subject in part.tasks if subject not in texts),
            flags=dict(flags.most_common()),
            left_out=left_out,
            cost_usd=sum(reply.cost_usd for reply in replies if reply is not None),
            simulated=part.labeler.simulated,
            what=self.what,
        )


class ClassSentences(ClassTextAsking):
    """Sentences about each class name: what ``model.sentences`` reads."""

    kind = "sentences"
    what = "sentence"

    def tasks(self) -> Mapping[str, ClassSentencesTask]:
        """See the base class."""
        return {name: ClassSentencesTask(name, self.count, self.domain) for name in self.names}

    def write(self, found: ClassTexts, path: Path) -> None:
        """An object, ``{name: [sentence, ...]}``."""
        _write_json(found.texts, path)


class DataSetTemplates(ClassTextAsking):
    """Templates for a whole data set: what ``model.templates`` takes."""

    kind = "templates"
    what = "template"

    def tasks(self) -> Mapping[str, CaptionTemplatesTask]:
        """See the base class; names from all over the list are examples."""
        examples = self.names[:: -(-len(self.names) // _EXAMPLES) or 1]
        return {_DATA_SET: CaptionTemplatesTask(examples, self.count, self.domain)}

    def write(self, found: ClassTexts, path: Path) -> None:
        """A list."""
        _write_json(found.texts[_DATA_SET], path)


def longer_names(names: Iterable[str]) -> dict[str, list[str]]:
    """The names in which all words of another one follow one another, by that other one; none of most names.

    Example:
        >>> longer_names(["Tern", "Royal Tern", "Pug"])
        {'Tern': ['Royal Tern']}
    """
    by_words = {tuple(words_of(name)): name for name in names}
    found: dict[str, list[str]] = {}
    for words, name in by_words.items():
        inside = {words[start:end] for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
        for shorter in inside - {words}:
            if shorter in by_words:
                found.setdefault(by_words[shorter], []).append(name)
    return found


def is_about_another(text: str, name: str, longer: Collection[str]) -> bool:
    """Whether a text has a class name only as a part of longer names of the same list.

    Args:
        text: A sentence with the name in it.
        name: The class name.
        longer: The longer ones.

    Example:
        >>> is_about_another("A Royal Tern has a crest.", "Tern", ["Royal Tern"])
        True
    """
    if not longer:
        return False
    spoken = f" {' '.join(words_of(text))} "
    for other in sorted((" ".join(words_of(each)) for each in longer), key=len, reverse=True):
        for plural in ("", "s", "es"):
            spoken = spoken.replace(f" {other}{plural} ", " | ")
    own = " ".join(words_of(name))
    return not any(f" {own}{plural} " in spoken for plural in ("", "s", "es"))


def _read(task: TextTask, reply: Reply | None) -> tuple[str, tuple[str, ...], int]:
    """The flag of a reply, its texts, and how many there were before some were left out."""
    if reply is None or reply.error:
        return "missing" if reply is None else "failed", (), 0
    if reply.usage and reply.usage.get("blocked"):
        return "refusal", (), 0
    raw = reply.raw if reply.names is None else json.dumps(reply.names)
    parsed = task.read(raw)
    return parsed.flag, parsed.names, len(task.listed(raw))


def _write_json(content: object, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
