"""A simulated multimodal LLM, for the drawn photos of the data set ``fieldguide``."""

import random
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, ClassVar, Self

from fgvr.errors import FgvrError
from fgvr.fieldguide.image import DrawnImage, read_image
from fgvr.fieldguide.species import Species
from fgvr.fieldguide.words import in_common, noticed, words_for
from fgvr.labelers.base import Labeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.wording import PAPER_PROMPT
from fgvr.reading.replies import ParsedReply
from fgvr.records import LabelRequest, Reply

NOISE = 1
"""Changes whenever the same photo and seed would get another reply."""

_SENTENCES = (
    "{}",
    "{}.",
    "**{}**",
    "The bird in the image appears to be a {}.",
    "This looks like a **{}**.",
    "Best fine-grained class label: **{}**",
    "The most fitting fine-grained class label for this image is **{}**.",
    "## Identification\n\nThe bird in the image is a **{}**.\n\nIt stands on a perch and is seen from the side.",
)
_GENERIC = (
    "This is a small bird.",
    "The image shows a bird perched on a branch.",
    "Bird",
    "It is a songbird, but I cannot be more specific.",
)
_REFUSALS = (
    "I'm sorry, but I can't identify the species of this bird from the image.",
    "I'm unable to determine the exact species; the image is too blurry.",
)
_DESCRIPTIONS = (
    "{}.",
    '"{}."',
    "The image shows {}.",
    "A bird on a perch: {}.",
    "**Description:** {}, seen from the side.",
)
_GROUP_DESCRIPTIONS = (
    "{}.",
    "Each photo shows {}.",
    "All photos: {}, on a perch.",
    "Sure, here is a description: {}.",
)
_NOTICED = 0.7


class FieldguideLabeler(Labeler):
    """A simulated multimodal LLM that names drawn birds, with a stated noise model: its replies and costs are not real.

    It reads off the photo's file which bird was drawn, and replies as an LLM might. Of one photo, independently of all
    others, it names with probability ``confusion`` a look-alike (a species of the same guide that differs in the fewest
    attributes, any of these alike), with ``invention`` a bird that differs in one attribute and may be in no guide,
    with ``generic`` no more than "a bird", and with ``refusal`` nothing. Else it is right. Its sentences have markdown
    and, with probability ``latin``, a Latin name. Asked for several names it gives a list that begins with the one
    above; each further one is with probability 1/2 the true name, if that was not given yet, else a look-alike or an
    invention, as likely as one another; one that occurs twice is given once.

    The describe stage has it describe photos and groups instead of naming them, with the same noise: it describes
    the bird that it takes each photo for, right or mistaken. Of one photo it says build and colour, and each of the
    other attributes with probability 0.7; of a group, the attributes of more than half of the photos. With ``generic``
    and ``refusal`` the whole description says nothing, or there is none.

    Args:
        names: How many names the default prompt asks for, in one reply: the candidate sets of the FGVR paper's table 4.
        confusion: Probability in [0, 1], as the three below; they sum to 1 at most.
        invention: Probability of a name that nobody else gives.
        generic: Probability of a reply that names no species.
        refusal: Probability of a refusal.
        latin: Probability that a Latin name follows the name.
        seed: Another seed is another labeler.
        usd_per_reply: Simulated price; table 1 of the FGVR paper for GPT-4o (100 dollars for 32,000 photos).
        seconds_per_reply: Simulated waiting time; the same table (17.5 hours).
        prompt: What is asked; the paper's prompt, or one for ``names`` names, if not given.

    Raises:
        FgvrError: A probability is outside [0, 1] or they sum to more than 1, or ``names`` is below 1.
    """

    simulated: ClassVar[bool] = True
    of_groups: ClassVar[bool] = True

    def __init__(
        self,
        names: int = 1,
        confusion: float = 0.3,
        invention: float = 0.06,
        generic: float = 0.04,
        refusal: float = 0.02,
        latin: float = 0.4,
        seed: int = 0,
        usd_per_reply: float = 0.003,
        seconds_per_reply: float = 2.0,
        prompt: str | None = None,
    ) -> None:
        if names < 1:
            raise FgvrError(f"data.labeler.names is {names}; expected 1 or more.")
        several = f"Provide the {names} best fine-grained class labels for this image, the best first"
        super().__init__(prompt or (PAPER_PROMPT if names == 1 else several))
        self.confusion = confusion
        self.invention = invention
        self.generic = generic
        self.refusal = refusal
        noise = self.noise
        for name, value in {**noise, "latin": latin}.items():
            if not 0 <= value <= 1:
                raise FgvrError(f"data.labeler.{name} is {value}; expected a probability, from 0 to 1.")
        if sum(noise.values()) > 1 + 1e-9:
            raise FgvrError(f"data.labeler's {', '.join(noise)} sum to {sum(noise.values()):.2f}; expected 1 at most.")
        self.names = names
        self.latin = latin
        self.seed = seed
        self.usd_per_reply = usd_per_reply
        self.seconds_per_reply = seconds_per_reply
        self.task: Task | None = None

    @property
    def noise(self) -> dict[str, float]:
        """Kind of mistake -> its probability."""
        return {
            "confusion": self.confusion,
            "invention": self.invention,
            "generic": self.generic,
            "refusal": self.refusal,
        }

    def identity(self) -> dict[str, Any]:
        """The noise model, its seed and, where it describes, the task."""
        asked = {"task": self.task.registry_name} if self.task else {"names": self.names, "latin": self.latin}
        return {
            "labeler": "fieldguide",
            "noise_version": NOISE,
            **asked,
            **self.noise,
            "seed": self.seed,
            "usd_per_reply": self.usd_per_reply,
            "seconds_per_reply": self.seconds_per_reply,
        }

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield a reply for each request, in their order, at once."""
        for request in requests:
            images = [read_image(image.path) for image in request.images]
            if None in images:
                yield Reply(
                    request,
                    error=f"{request.images[images.index(None)].sample_id!r} is not a photo of the data set "
                    "'fieldguide', and the simulated labeler knows no others",
                )
                continue
            drawn = [image for image in images if image is not None]
            digests = ":".join(image.digest for image in request.images)
            draw = random.Random(f"{self.seed}:{digests}:{request.answer}")
            yield Reply(
                request,
                raw=self._describe(drawn, draw) if self.task else self._say(drawn[0], draw),
                model="fieldguide (simulated)",
                cost_usd=self.usd_per_reply,
                seconds=self.seconds_per_reply,
                usage={"simulated": True},
            )

    def for_task(self, task: Task, prompt: str | None = None) -> Self | None:
        """The same labeler as one that describes; ``None`` for any other task."""
        if task.registry_name not in ("describe_image", "describe_group"):
            return None
        other = copy(self)
        other.task, other.prompt = task, prompt or task.prompt()
        return other

    def read(self, reply: Reply) -> ParsedReply:
        """As the task reads it, if there is one."""
        return self.task.read(reply.raw) if self.task else super().read(reply)

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float:
        """The simulated price."""
        return len(requests) * self.usd_per_reply

    def _say(self, image: DrawnImage, draw: random.Random) -> str:
        kind = draw.choices([*self.noise, "right"], [*self.noise.values(), max(0, 1 - sum(self.noise.values()))])[0]
        if kind in ("generic", "refusal"):
            return draw.choice(_GENERIC if kind == "generic" else _REFUSALS)
        first = image.species if kind == "right" else _mistaken(image, kind, draw)
        if self.names == 1:
            return draw.choice(_SENTENCES).format(self._written(first, draw))
        named = [first]
        while len(named) < self.names:
            if image.species not in named and draw.random() < 0.5:
                named.append(image.species)
            else:
                named.append(_mistaken(image, draw.choice(("confusion", "invention")), draw))
        lines = [f"{number}. **{bird.name}**" for number, bird in enumerate(dict.fromkeys(named), 1)]
        return "\n".join(lines)

    def _describe(self, images: Sequence[DrawnImage], draw: random.Random) -> str:
        group = self.task is not None and self.task.of_groups
        chance = draw.random()
        if chance < self.noise["refusal"]:
            return draw.choice(_REFUSALS)
        if chance < self.noise["refusal"] + self.noise["generic"]:
            return draw.choice(_GENERIC)
        mistakes = {kind: self.noise[kind] for kind in ("confusion", "invention")}
        # of the replies that are neither
        right = max(0.0, 1 - sum(self.noise.values()))
        birds = []
        for image in images:
            kind = draw.choices([*mistakes, "right"], [*mistakes.values(), right])[0]
            birds.append(image.species if kind == "right" else _mistaken(image, kind, draw))
        seen = in_common(birds) if group else noticed(birds[0], draw, _NOTICED)
        return draw.choice(_GROUP_DESCRIPTIONS if group else _DESCRIPTIONS).format(words_for(seen))

    def _written(self, bird: Species, draw: random.Random) -> str:
        return f"{bird.name} ({bird.latin_name})" if draw.random() < self.latin else bird.name


def _mistaken(image: DrawnImage, kind: str, draw: random.Random) -> Species:
    """Another bird: a look-alike of the guide, or one that is out of the air."""
    others = [bird for bird in image.guide if bird != image.species]
    if kind == "invention" or not others:
        return draw.choice(list(image.species.siblings()))
    nearest = min(image.species.distance(bird) for bird in others)
    return draw.choice([bird for bird in others if image.species.distance(bird) == nearest])
