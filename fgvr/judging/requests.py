"""The requests of a protocol: which photos are shown together, in which order, with which options."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgvr.errors import FgvrError
from fgvr.judging.base import Protocol
from fgvr.judging.options import JudgeOptions
from fgvr.judging.truth import JudgedImage
from fgvr.judging.world import World, drawn_order
from fgvr.labelers.base import Labeler
from fgvr.labelers.local import LocalLabeler
from fgvr.labelers.tasks.judge import JudgeTask
from fgvr.labelling.requests import without_truth
from fgvr.labelling.store.keys import request_keys
from fgvr.records import LabelRequest
from fgvr.registry import LABELERS
from fgvr.text import counted


@dataclass(frozen=True)
class AskedImage:
    """One photo in one request.

    Attributes:
        judged: The photo, and what is right about it.
        repeat: Number of the repeat, from 0.
        request: Number of the request in its repeat, from 0.
        position: Its place in the request, from 1.
        options: What the answer is chosen from; empty where that is the class list, or nothing.
    """

    judged: JudgedImage
    repeat: int = 0
    request: int = 0
    position: int = 1
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class JudgePart:
    """The requests that show equally many photos: the form of their reply is one, and so is the labeler.

    Attributes:
        labeler: Who is asked.
        task: What reads the replies.
        requests: One for each list of ``asked``; equal ones may occur.
        asked: The photos of each request.
    """

    labeler: Labeler
    task: JudgeTask
    requests: tuple[LabelRequest, ...]
    asked: tuple[tuple[AskedImage, ...], ...]

    @property
    def different(self) -> list[LabelRequest]:
        """The requests, each once: photos of equal bytes share a reply."""
        first: dict[str, LabelRequest] = {}
        for key, request in zip(request_keys(self.labeler.identity(), self.requests), self.requests, strict=True):
            first.setdefault(key, request)
        return list(first.values())


def make_parts(
    labeler: Labeler, protocol: Protocol, world: World, images: Sequence[JudgedImage], options: JudgeOptions
) -> list[JudgePart]:
    """The requests about all photos in all repeats; the same ones for equal arguments, on every machine.

    Args:
        labeler: Takes a task.
        protocol: What is asked.
        world: The classes, and the draws.
        images: The photos.
        options: How many photos a request shows, in which order, how often.

    Raises:
        FgvrError: The labeler cannot be shown so many photos, or there are too few classes for the options.
    """
    by_size: dict[int, list[tuple[AskedImage, ...]]] = {}
    for repeat in range(options.repeats):
        ordered = _ordered(images, options, repeat)
        for number, start in enumerate(range(0, len(ordered), options.photos_per_request)):
            shown = ordered[start : start + options.photos_per_request]
            by_size.setdefault(len(shown), []).append(
                tuple(
                    AskedImage(image, repeat, number, position, protocol.options(image, world, repeat))
                    for position, image in enumerate(shown, 1)
                )
            )
    return [_part(labeler, protocol, world, size, asked) for size, asked in by_size.items()]


def _ordered(images: Sequence[JudgedImage], options: JudgeOptions, repeat: int) -> list[JudgedImage]:
    if options.order == "sorted":
        return sorted(images, key=lambda each: (each.asked, each.image.sample_id))
    order = drawn_order(options.seed, repeat, [each.image.sample_id for each in images])
    return [images[number] for number in order]


def _part(
    labeler: Labeler, protocol: Protocol, world: World, size: int, asked: Sequence[tuple[AskedImage, ...]]
) -> JudgePart:
    task = JudgeTask(photos=size)
    asker = labeler.for_task(task)
    assert asker is not None, "whether the labeler takes a task was asked before"
    most = asker.max_pictures if isinstance(asker, LocalLabeler) else None if asker.of_groups else 1
    if most is not None and size > most:
        raise FgvrError(
            f"judge.photos_per_request is {size}, and {LABELERS.short_name(type(labeler))} looks at "
            f"{counted(most, 'photo')} at once: lower it."
        )
    prompts: dict[tuple[tuple[str, ...], ...], str] = {}
    requests = []
    for group in asked:
        options = tuple(each.options for each in group)
        # a class list of thousands of names is kept once, and not once a photo
        if (prompt := prompts.get(options)) is None:
            prompt = prompts[options] = JudgeTask(protocol.question(world, options), size).prompt()
        first, *others = (without_truth(each.judged.image) for each in group)
        requests.append(LabelRequest(first, prompt, group[0].repeat, tuple(others)))
    return JudgePart(asker, task, tuple(requests), tuple(asked))
