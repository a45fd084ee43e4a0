"""What is asked about photos, or about groups of them, and how it is read."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fgvr.labelers.base import Labeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelling.store.keys import request_keys
from fgvr.reading.replies import ParsedReply
from fgvr.records import Description, LabelRequest, Reply

Kind = Literal["image", "group"]


@dataclass(frozen=True)
class AskedPart:
    """Questions of one kind, to one labeler.

    Attributes:
        kind: What they are about, in a word.
        labeler: Who is asked.
        task: What is asked.
        requests: Equal ones may occur.
    """

    kind: str
    labeler: Labeler
    task: Task
    requests: tuple[LabelRequest, ...]

    @property
    def unit(self) -> str:
        """What is counted in a plan."""
        return "photo"

    @property
    def wanted(self) -> str:
        """What one reply is."""
        return f"{self.kind} description"

    @cached_property
    def different(self) -> list[LabelRequest]:
        """The requests, each once: photos of equal bytes share a reply."""
        first: dict[str, LabelRequest] = {}
        for key, request in zip(request_keys(self.labeler.identity(), self.requests), self.requests, strict=True):
            first.setdefault(key, request)
        return list(first.values())

    def read(self, reply: Reply) -> ParsedReply:
        """What a reply says, as the task reads it, whoever replies."""
        if reply.usage and reply.usage.get("blocked"):
            return ParsedReply((), (), "refusal")
        return self.task.read(reply.raw if reply.names is None else " ".join(reply.names))


@dataclass(frozen=True)
class DescriptionPart(AskedPart):
    """The questions about photos, or about groups of them.

    Attributes:
        kind: ``"image"`` or ``"group"``.
        class_names: The class of each group; empty for photos.
    """

    kind: Kind
    class_names: tuple[str, ...] = ()

    def description(self, number: int, text: str) -> Description:
        """The text as a description of what the request of that number is about."""
        images = self.requests[number].images
        if self.kind == "image":
            return Description("image", text, sample_id=images[0].sample_id)
        members = tuple(image.sample_id for image in images)
        return Description("group", text, class_name=self.class_names[number], members=members)
