"""The contract of a labeler: the only file that the author of a labeler plugin must read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.wording import PAPER_PROMPT
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.records import ImageRecord, LabelRequest, Reply


class Labeler(ABC):
    """Names photos.

    A constructor is pure: no network, no weights, no key. Heavy packages are imported at first use, and keys come from
    the environment. ``ask`` yields each reply as soon as it is there; the caller stores it before it asks for the next,
    so that nothing paid for is lost.

    Args:
        prompt: What is asked of each photo. The default is the FGVR paper's prompt.
        answers: How many answers are wanted for a photo.

    Raises:
        FgvrError: ``answers`` is below 1.
    """

    simulated: ClassVar[bool] = False
    """Whether replies, costs and times are made up; everything that rests on them then says so."""

    of_groups: ClassVar[bool] = False
    """Whether it looks at all photos of a request; others are asked about single photos only."""

    of_texts: ClassVar[bool] = False
    """Whether it can be asked about a text alone, with no photo: its model then gets requests without pictures."""

    max_attempts: int | None = None
    """A request that failed so often, in this run and in earlier ones, is not asked again; ``None`` for no limit."""

    def __init__(self, prompt: str = PAPER_PROMPT, answers: int = 1) -> None:
        if answers < 1:
            raise FgvrError(f"data.labeler.answers is {answers}; expected 1 or more.")
        self.prompt = prompt
        self.answers = answers

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything besides photo, prompt and answer number that the reply depends on, as JSON values.

        Provider, base URL, model, schema, sampling parameters; for labelers that read a file, what the file is. Two
        labelers of equal identity share stored replies. No secrets.
        """

    def other_identities(self) -> Sequence[dict[str, Any]]:
        """Identities of this labeler under which replies to the same question may be stored, too.

        They are taken instead of asking: those of another form of reply that the user leaves open. None unless
        overridden.
        """
        return ()

    @abstractmethod
    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield exactly one reply per request, in any order, each as soon as it is there.

        A failure of one photo is a ``Reply`` with ``error``; a failure of all of them (bad key, no quota, missing file)
        raises ``FgvrError``.
        """

    def request_about(self, image: ImageRecord, answer: int = 0) -> LabelRequest:
        """What is asked about a photo: ``prompt``, unless overridden.

        Args:
            image: The photo, without its true name.
            answer: Number of the answer.
        """
        return LabelRequest(image, self.prompt, answer)

    def check_images(self, images: Sequence[ImageRecord]) -> None:  # noqa: B027 - overriding it is optional
        """Raise ``FgvrError`` where these photos as a whole cannot be labelled, before any of them is asked.

        Called with all photos of a run, the ones with stored replies too: ``ask`` sees only what is missing, so it
        cannot tell a wrong file from the few photos that a right file lacks. Nothing is checked unless overridden.
        """

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """Expected cost of ``requests`` in US dollars, before anything is sent; ``None`` where it is not known.

        Free unless overridden.
        """
        return 0.0

    def close(self) -> None:  # noqa: B027 - overriding it is optional
        """Let go of what asking has taken, such as weights on a GPU that training needs next.

        Called at the end of a labelling run; ``ask`` may follow nevertheless. Nothing is done unless overridden.
        """

    def for_task(self, task: Task, prompt: str | None = None) -> "Labeler | None":
        """The same labeler with another task, and one answer a photo; this one is left as it is.

        Args:
            task: What is to be asked.
            prompt: Other words than the task's own.

        Returns:
            ``None`` where the replies do not depend on a task, as those of a file, or the task is about texts and the
            labeler is not. So it is unless overridden.
        """
        return None

    def with_classes(self, names: Callable[[], Sequence[str]]) -> "Labeler":
        """The labeler of a run that knows its class names before it asks: for a task that lacks them.

        Args:
            names: Gives the names; they may have to be read from the data set first.

        Returns:
            A copy that has them, or itself where none lack. So it is unless overridden.
        """
        return self

    def read(self, reply: Reply) -> ParsedReply:
        """What a reply says: class names, or the flag that says why there is none.

        Called each time labels are read, so that better rules need no new replies.
        """
        if reply.usage and reply.usage.get("blocked"):
            return ParsedReply((), (), "refusal")
        if reply.names is None:
            return parse_reply(reply.raw)
        return ParsedReply(reply.names, (None,) * len(reply.names), "" if reply.names else "empty")
