"""What crosses from one stage to the next: small frozen dataclasses, no torch, no behaviour beyond checking themselves.

Predictions and metrics speak class-name strings, because the predicted vocabulary and the true one differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.moved import OldAttribute
from fgvr.text import composed

Space = Literal["joint", "visual"]
"""A space of image features: the one that images share with texts, or the one in which images are compared."""


def check_space(key: str, space: Space) -> Space:
    """``space`` as given.

    Args:
        key: Of the option, for the message.
        space: Its value.

    Raises:
        FgvrError: It is no space.
    """
    if space not in get_args(Space):
        raise FgvrError(f"{key} is {space!r}; expected 'visual' or 'joint'.")
    return space


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One photo; its fields are given by name, because most of them are texts that could change places unseen.

    Attributes:
        sample_id: Path below the data set's root in POSIX form, accents composed: the same on every machine, unique in
            a data set. It may contain the true name (class folders), so it must never be shown to a labeler's model.
        path: Where the file is on this machine.
        split: ``"support"`` (unlabelled photos to learn from), ``"val"`` or ``"test"``.
        digest: SHA-256 of the file's bytes, in hex: the photo's identity in every store and cache.
        true_name: The true class name where the data set knows it, accents composed. For evaluation only: what
            training, labelling and candidate strategies get has ``None`` here.
    """

    sample_id: str
    path: Path
    split: str
    digest: str = ""
    true_name: str | None = None

    def __post_init__(self) -> None:
        # a Mac writes file names with the accents apart, and whoever types a table writes them together
        object.__setattr__(self, "sample_id", composed(self.sample_id))
        if self.true_name is not None:
            object.__setattr__(self, "true_name", composed(self.true_name))


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """One question about one photo, about a group of photos, or about a text that belongs to a photo.

    Attributes:
        image: The photo; ``image.true_name`` is always ``None`` and ``image.sample_id`` must not reach a model. Where
            the photo is not shown, ``image.digest`` is that of the text, which is asked about once.
        prompt: What is asked.
        answer: 0 for the first answer of this photo, 1 for the second, ... where several are wanted.
        others: The further photos of a group, in their order.
    """

    image: ImageRecord
    prompt: str
    answer: int = 0
    others: tuple[ImageRecord, ...] = ()

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """All photos of the request."""
        return (self.image, *self.others)

    sample_index = OldAttribute("answer")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request.

    Attributes:
        request: The request that this answers.
        raw: The model's reply as it came; ``""`` where there is none.
        names: Class names, where the source states them as such (a CSV of labels, structured output): they are taken
            as they are, and ``raw`` is not parsed. ``None`` means: parse ``raw``.
        error: Why there is no reply; ``""`` for success. A failure is stored, and never served as a label. A refusal
            is no failure: it is what the model has to say.
        model: Model id as the server stated it.
        cost_usd: What this request cost.
        seconds: How long it took.
        usage: Anything else worth keeping (token counts, finish reason), JSON values only. ``blocked`` says why a
            server withheld a reply for good: the label then has the flag ``"refusal"``.
        attempts: How many requests it took.
    """

    request: LabelRequest
    raw: str = ""
    names: tuple[str, ...] | None = None
    error: str = ""
    model: str = ""
    cost_usd: float = 0.0
    seconds: float = 0.0
    usage: Mapping[str, Any] | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What a labeler said of one photo, parsed.

    Attributes:
        sample_id: The photo.
        names: Fine-grained class names as parsed from the reply, best first; empty where the reply has none.
        scientific_names: One entry per name: the Latin name given beside it, else ``None``.
        flag: ``""`` for a usable reply, else why it gives no name: ``"empty"``, ``"refusal"``, ``"error"`` (what a
            server or a program wrote in place of a reply), ``"generic"``, ``"unparsed"``, ``"failed"`` (no reply at
            all), ``"unasked"`` (left out by the selection), ``"unsure"`` (labelers disagree).
        raw: The reply as it came; untrusted text.
        model: Model id that answered, as the server stated it.
        cost_usd: What the request cost.
        seconds: How long the request took.
        confidence: How sure the model says it is, from 0 to 1; ``None`` where it does not say.
        alternatives: Names that the model gave beside its answer, where they are no candidates.
        corrected: Whether the names are a person's, and not the reply's.
        requests: How many requests were made about it, one for each answer; of equal photos the first one has them.
        follow_ups: How many of these asked again, because of an earlier reply: a cascade's fallback, for one.
        follow_ups_usd: What those cost; part of ``cost_usd``.
        name_before: The first name before it was asked about again, ``""`` where it had none; ``None`` where it was
            not.
        genus: Genus of the first name, where the reply gives one: alone, or in the Latin name.
        individual: What the reply says of this one individual beside the first name: ``"adult male"``.
        doubtful: Whether the first name was found by rules that are right less often than others.
    """

    sample_id: str
    names: tuple[str, ...]
    scientific_names: tuple[str | None, ...] = ()
    flag: str = ""
    raw: str = ""
    model: str = ""
    cost_usd: float = 0.0
    seconds: float = 0.0
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()
    corrected: bool = False
    requests: int = 0
    follow_ups: int = 0
    follow_ups_usd: float = 0.0
    name_before: str | None = None
    genus: str | None = None
    individual: str = ""
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """A text about one photo, or about what photos of one class have in common.

    Attributes:
        kind: ``"image"`` or ``"group"``.
        text: One line; untrusted where a model wrote it.
        sample_id: The photo that an ``"image"`` text is about.
        class_name: The class that a ``"group"`` text is about: the photos' pseudo-label.
        members: ``sample_id`` of the photos of a group, as they were shown; empty where that is not known.

    Raises:
        FgvrError: It is of no kind, has no text, or does not say what it is about.
    """

    kind: Literal["image", "group"]
    text: str
    sample_id: str | None = None
    class_name: str | None = None
    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("image", "group"):
            raise FgvrError(f"A description is of the kind {self.kind!r}; expected 'image' or 'group'.")
        if not self.text.strip():
            raise FgvrError("A description has no text.")
        if not (self.sample_id if self.kind == "image" else self.class_name):
            needed = "sample_id" if self.kind == "image" else "class_name"
            raise FgvrError(f"A description of the kind {self.kind!r} has no {needed}: {self.text[:60]!r}")


@dataclass(frozen=True, slots=True)
class Join:
    """A class that was put into another one.

    Attributes:
        name: Its name.
        into: Name of the class that it was put into; it may have been put into another one in turn.
        rule: What has found it, such as ``"granularity"``.
        why: The reason, for a person to read.
        count: How many photos were given its name as their first one; ``None`` before it is done, and in older files.
    """

    name: str
    into: str
    rule: str
    why: str
    count: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary: class names in class-index order, and the way back to the names as they were given.

    Attributes:
        names: Class names, as shown; the index in this tuple is the class index.
        members: Every spelling that was given -> class index. ``members[name] == names.index(name)`` for shown names.
        scientific_names: One entry per class: the Latin name most often given with it, else ``None``.
        counts: One entry per class: how many photos were given it as their first name.
        joins: The classes that were put into others, beyond spellings and synonyms: one for each that is gone.
    """

    names: tuple[str, ...]
    members: Mapping[str, int] = field(default_factory=dict)
    scientific_names: tuple[str | None, ...] = ()
    counts: tuple[int, ...] = ()
    joins: tuple[Join, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class CandidateSets:
    """Candidate sets of N photos over a vocabulary, ragged: set i is ``indices[offsets[i]:offsets[i + 1]]``.

    Attributes:
        sample_ids: The N photos, in order.
        offsets: int64, shape ``(N + 1,)``, starting at 0.
        indices: int64, shape ``(M,)``: class indices; no class twice in a set, no set empty.
        weights: float32, shape ``(M,)``: positive, summing to 1 in each set.

    Raises:
        FgvrError: A set is empty, names a class twice, or its weights are not a distribution.
    """

    sample_ids: tuple[str, ...]
    offsets: NDArray[np.int64]
    indices: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        sizes = np.diff(self.offsets)
        if len(sizes) != len(self.sample_ids):
            raise FgvrError(f"{len(self.sample_ids)} photos, but candidate sets for {len(sizes)}.")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.indices) or len(self.indices) != len(self.weights):
            raise FgvrError(
                f"Candidate sets of {self.offsets[-1]} candidates, but {len(self.indices)} class indices and "
                f"{len(self.weights)} weights."
            )
        if (self.indices < 0).any():
            raise FgvrError(f"A candidate set holds class {self.indices.min()}; class indices start at 0.")
        if len(sizes) == 0:
            return
        if (sizes < 1).any():
            raise FgvrError(f"The candidate set of {self.sample_ids[int(np.argmax(sizes < 1))]!r} is empty.")
        owner = np.repeat(np.arange(len(sizes)), sizes)
        pairs = np.stack([owner, self.indices])
        unique, counts = np.unique(pairs, axis=1, return_counts=True)
        if (counts > 1).any():
            twice = unique[:, int(np.argmax(counts > 1))]
            raise FgvrError(f"The candidate set of {self.sample_ids[twice[0]]!r} holds class {twice[1]} twice.")
        sums = np.add.reduceat(self.weights.astype(np.float64), self.offsets[:-1])
        # negated, because every comparison with NaN is false
        wrong = ~((np.abs(sums - 1) <= 1e-4) & (np.minimum.reduceat(self.weights, self.offsets[:-1]) > 0))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise FgvrError(f"The weights of {self.sample_ids[row]!r} are not positive, or sum to {sums[row]:.4f}.")

    @classmethod
    def from_lists(
        cls,
        sample_ids: Sequence[str],
        indices: Sequence[Sequence[int]],
        weights: Sequence[Sequence[float]] | None = None,
    ) -> "CandidateSets":
        """From one sequence of class indices a photo; uniform weights where none are given.

        Example:
            >>> sets = CandidateSets.from_lists(["a.jpg", "b.jpg"], [[4], [1, 2]])
            >>> sets.padded()[0].tolist()
            [[4, -1], [1, 2]]
        """
        sizes = [len(row) for row in indices]
        if weights is None:
            weights = [[1.0 / size] * size if size else [] for size in sizes]
        return cls(
            sample_ids=tuple(sample_ids),
            offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
            indices=np.array([index for row in indices for index in row], dtype=np.int64),
            weights=np.array([weight for row in weights for weight in row], dtype=np.float32),
        )

    def __len__(self) -> int:
        return len(self.sample_ids)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield self.indices[start:stop], self.weights[start:stop]

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Class indices and weights as ``(N, K)`` arrays, K the largest set; -1 and 0 where a set is smaller."""
        sizes = np.diff(self.offsets)
        width = int(sizes.max(initial=0))
        inside = np.arange(width) < sizes[:, None]
        indices = np.full(inside.shape, -1, dtype=np.int64)
        weights = np.zeros(inside.shape, dtype=np.float32)
        indices[inside], weights[inside] = self.indices, self.weights
        return indices, weights


@dataclass(frozen=True, slots=True)
class Prediction:
    """What each row of the result table says of one photo.

    Attributes:
        sample_id: The photo.
        split: Its split.
        true_name: The true class name, where known.
        names: Row name (``"zero_shot"``, ``"coop"``, ...) -> predicted class name.
        scores: Row name -> probability of the predicted class, in [0, 1]; NaN where the row has none.
    """

    sample_id: str
    split: str
    true_name: str | None
    names: Mapping[str, str]
    scores: Mapping[str, float]
