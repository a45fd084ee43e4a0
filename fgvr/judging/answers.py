"""From replies to answers: what was said of each photo, which class that means, and whether it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from fgvr.judging.base import Protocol
from fgvr.judging.requests import AskedImage, JudgePart
from fgvr.judging.world import World
from fgvr.labelers.tasks.reading import one_line
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.stored_replies import stored_replies
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.records import LabelRecord

_NO_ANSWER = ("empty", "refusal", "error", "failed", "unasked")
_LONGEST = 1_000


@dataclass(frozen=True)
class Said:
    """What was said of one photo.

    Attributes:
        asked: The photo in its request.
        raw: The reply as it came; of several photos the whole one.
        text: The answer for this photo, in one line; ``""`` where there is none.
        cost_usd: Its share of what the request cost.
        seconds: Its share of the time that the request took.
    """

    asked: AskedImage
    raw: str
    text: str
    cost_usd: float
    seconds: float


@dataclass(frozen=True)
class JudgedAnswer:
    """The same with its verdict.

    Attributes:
        said: What was said.
        answer: What counts as the answer: of free text the name in it.
        label: The class that it means, mapped or not; -1 for none.
        outside: Whether there is an answer, and it is no class name or option.
        right: Whether it is right.
    """

    said: Said
    answer: str
    label: int
    outside: bool
    right: bool


def read_part(part: JudgePart, store: LabelStore) -> list[Said]:
    """What the store has for the requests of a part: one entry a photo, in the order of the requests.

    Of equal requests, which are asked once, the first has the cost and the time.
    """
    replies, keys = stored_replies(part.labeler, part.requests, store)
    charged: set[str] = set()
    said = []
    for asked, reply, key in zip(part.asked, replies, keys, strict=True):
        share = 0.0 if reply is None or key in charged else 1 / len(asked)
        charged.add(key)
        if reply is None or reply.error or (reply.usage and reply.usage.get("blocked")):
            texts: Sequence[str] = [""] * len(asked)
        else:
            texts = part.task.answers(reply.raw if reply.names is None else " ".join(reply.names))
        raw, cost, seconds = ("", 0.0, 0.0) if reply is None else (reply.raw, reply.cost_usd, reply.seconds)
        said += [Said(each, raw, text, cost * share, seconds * share) for each, text in zip(asked, texts, strict=True)]
    return said


def said_in_the_open(asked: AskedImage, label: LabelRecord) -> Said:
    """What a labeler said of a photo that was asked its own question, or that a file holds.

    Args:
        asked: The photo.
        label: Its label.
    """
    text = label.names[0] if label.names else "" if label.flag in _NO_ANSWER else one_line(label.raw)[:_LONGEST]
    return Said(asked, label.raw, text, label.cost_usd, label.seconds)


def judge_answers(said: Sequence[Said], protocol: Protocol, world: World) -> list[JudgedAnswer]:
    """The verdicts, in the same order.

    A refusal is no answer. A photo without any label counts as right, whatever is said of it.

    Args:
        said: What was said.
        protocol: Finds the class of an answer, and says whether others are mapped.
        world: The classes.
    """
    answers = [_answer(each, protocol, world) for each in said]
    labels = [
        protocol.find(answer, each.asked.options, world) if answer else -1
        for answer, each in zip(answers, said, strict=True)
    ]
    outside = [number for number, label in enumerate(labels) if label < 0 and answers[number]]
    if protocol.maps and outside:
        found = world.nearest([_name_in(answers[number]) for number in outside])
        for number, label in zip(outside, found.tolist(), strict=True):
            labels[number] = label
    strangers = frozenset(outside)
    return [
        JudgedAnswer(
            each,
            answers[number],
            labels[number],
            number in strangers,
            not each.asked.judged.labels or labels[number] in each.asked.judged.accepted,
        )
        for number, each in enumerate(said)
    ]


def _answer(said: Said, protocol: Protocol, world: World) -> str:
    """What counts as the answer; ``""`` for a refusal."""
    if not said.text or protocol.find(said.text, said.asked.options, world) >= 0:
        return said.text
    if _parsed(said.text).flag in _NO_ANSWER:
        return ""
    return _name_in(said.text) if protocol.free_text else said.text


def _name_in(text: str) -> str:
    """The name that a text says, or the text where it says none."""
    return next(iter(_parsed(text).names), text)


@cache
def _parsed(text: str) -> ParsedReply:
    return parse_reply(text)
