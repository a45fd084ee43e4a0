"""One class out of a given list."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import object_schema, one_line, read_object
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.vocabulary.build import APOSTROPHES, fold_name, known_vocabulary
from fgvr.vocabulary.name_files import read_class_names

# what OpenAI's strict schemas admit: so many values, so many characters where there are more than some
_MAX_VALUES = 1_000
_MANY_VALUES, _MAX_CHARACTERS = 250, 15_000

_BEFORE = "Select the most appropriate category for the image from the following options:"
_BEHIND = ". Write only the category name."

_SHORT = 100  # characters of a reply that is one answer, where no name can be read out of it

_WORD = re.compile(r"\w+")
_APOSTROPHE = re.compile(f"[{re.escape(APOSTROPHES)}]")
# "It is not a Pug", "none of the options", "it isn't a Pug" without its apostrophe
_NEGATION = re.compile(
    r"\b(?:not?|none|neither|nor|never|unlike|cannot|(?:is|are|was|does|do|did|ca|could|would|wo)nt)\b"
)


class ChooseTask(Task):
    """Asks which of given classes a photo shows: LatteCLIP's "LLaVA zero-shot" (its section 4).

    A reply that names none of them, or several, is flagged; it is never mapped to the nearest one.

    Args:
        options: The class names, or a file with them, as in ``data.class_names``: a text with one name per line, a CSV,
            a list as JSON or YAML, or a ``vocabulary.json``. Those of the run (``data.class_names``) if not given.

    Raises:
        FgvrError: There are fewer than two names, one is blank or given twice, the file cannot be read, or the run
            knows no names before it asks.
    """

    registry_name: ClassVar[str] = "choose"

    def __init__(self, options: list[str] | Path | None = None) -> None:
        self.options = options

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The class names; read when they are first asked for."""
        if self.options is None:
            raise FgvrError(
                "The task 'choose' has nothing to choose from: give the run's class names in data.class_names, "
                "names in data.labeler.task.options, or, for names of its own, set data.labeler.task to name."
            )
        if isinstance(self.options, str | Path):
            names = read_class_names(Path(self.options), "data.labeler.task.options", "a list of names").names
        else:
            names = known_vocabulary(self.options).names
        if len(names) < 2:
            raise FgvrError(f"data.labeler.task.options has {len(names)} name; expected two or more to choose from.")
        return names

    def prompt(self, hint: str | None = None) -> str:
        """LatteCLIP's prompt; a hint is not said."""
        if self.options is None:
            return f"{_BEFORE}...{_BEHIND}"  # until the run's names are known; without them, nothing can be asked
        separator = "; " if any("," in name for name in self.names) else ", "
        return f"{_BEFORE}{separator.join(self.names)}{_BEHIND}"

    def with_classes(self, names: Callable[[], Sequence[str]]) -> "ChooseTask":
        """See the base class."""
        return ChooseTask(list(names())) if self.options is None else self

    @classmethod
    def of_prompt(cls, prompt: str) -> "ChooseTask | None":
        """The task that has this prompt; ``None`` where the prompt is custom."""
        if not (prompt.startswith(_BEFORE) and prompt.endswith(_BEHIND)):
            return None
        listed = prompt[len(_BEFORE) : -len(_BEHIND)]
        task = cls(listed.split("; " if "; " in listed else ", "))
        return task if task.prompt() == prompt else None

    @classmethod
    def of_stored(
        cls, prompt: str, schema: Mapping[str, Any] | None, reading: Mapping[str, Any]
    ) -> "ChooseTask | None":
        """Of the names in the schema or, because long lists have none, in the prompt."""
        return cls(schema["properties"]["category"]["enum"]) if schema else cls.of_prompt(prompt)

    def schema(self) -> dict[str, Any] | None:
        """One of the names; ``None`` where there are more than servers take."""
        characters = sum(len(name) for name in self.names)
        if len(self.names) > _MAX_VALUES or (len(self.names) > _MANY_VALUES and characters > _MAX_CHARACTERS):
            return None
        return object_schema({"category": {"type": "string", "enum": list(self.names)}})

    def read(self, raw: str) -> ParsedReply:
        """The option that the reply names.

        That is the one which equals the reply, letter case, spaces, hyphens and apostrophes aside, or else the only one
        that its answer contains as whole words: "Airedale" for "It is an Airedale Terrier". What the reply only
        compares with is not its answer. Options inside a longer one that is there do not count, nor does any where the
        answer says "not".
        """
        stated = read_object(raw) or {}
        texts = [value for value in stated.values() if isinstance(value, str)]
        text = one_line(texts[0] if len(texts) == 1 else raw)
        if option := self._by_key.get(_key(text)):
            return ParsedReply((option,), (None,), "")
        parsed = parse_reply(raw)
        answers = parsed.names or ((text,) if len(text) <= _SHORT else ())
        found = [self._contained(answer) for answer in answers]
        # a further name may be one that is not in the list, but not the other way round
        if found and len(found[0]) == 1 and set().union(*found) == found[0]:
            return ParsedReply((*found[0],), (None,), "")
        return ParsedReply((), (), parsed.flag if parsed.flag in ("empty", "refusal", "error") else "unparsed")

    @cached_property
    def _by_key(self) -> dict[str, str]:
        return {_key(name): name for name in self.names}

    @cached_property
    def _by_words(self) -> dict[str, str]:
        """Options by their words, the longest first."""
        by_words = {_spaced(name): name for name in self.names}
        return dict(sorted(by_words.items(), key=lambda entry: -len(entry[0])))

    def _contained(self, text: str) -> set[str]:
        if option := self._by_key.get(_key(text)):
            return {option}
        said = _spaced(text)
        found = set()
        for words, name in self._by_words.items():
            if words.strip() and words in said:
                found.add(name)
                said = said.replace(words, " | ")
        return set() if _NEGATION.search(said) else found


def _key(text: str) -> str:
    return fold_name(text.strip(" .\"'*`"))


def _spaced(text: str) -> str:
    """The words of a text, each with a space on both sides of it, so that neighbours do not share one."""
    words = _WORD.findall(unicodedata.normalize("NFKC", _APOSTROPHE.sub("", text)).casefold())
    return f" {'  '.join(words)} "
