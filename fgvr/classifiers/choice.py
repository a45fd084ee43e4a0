"""Choices that need no true names: by how often a classifier gives a photo, unseen, the name that the labeler gave.

Names are often wrong, so each choice fits some mistakes. A kind of visual classifier and one weight are chosen, and
both choices keep what is simpler within the noise. (Of each kind but class means, the better of two settings is
tried.) The figures of docs/results.md on development sets say how much that costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fgvr.classifiers.closed_form.base import ClosedForm, blocks
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.classifiers.fused import fuse

WEIGHTS = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, float("inf"))
"""Weights of the text that are tried, from the visual classifier alone to the text alone."""
_UNJUDGED = 1.0
"""Weight where no two photos share a name: both sides count alike (on development sets with one photo a class, no other
weight lost less)."""
_IMAGES_A_NAME = 4.0
"""Fewer photos a name than this, on average, are too few for anything but their mean: with three, leave-one-out chose
ridge regression on drawn birds of the part "development", and lost 7 points."""
_MAX_SCALED = 5000
_SCALES = tuple(2 ** (step / 2) for step in range(-8, 19))
_MISTAKES = tuple(step / 10 for step in range(10))

Unseen = Callable[[Tensor], Tensor]
"""Rows of photos -> scores of all classes, float64, shape ``(B, C)``, by a classifier that did not learn from them;
-inf for classes of which it can say nothing."""


class Folds:
    """Scores of photos by classifiers for which the photos' own names were hidden.

    Where a photo's candidates come from its neighbours' names, a photo leaves its name in other photos' sets: leaving
    out its own row is not enough. So sets are made anew with the names of a tenth of the photos hidden, and these
    photos are scored by what is learned from the others.

    Args:
        make: Fits a classifier of the support photos' features.
        features: Of the N photos, shape ``(N, D)``.
        folds: Photos whose names were hidden, and what all photos are then said to show.
        num_classes: C.
    """

    def __init__(
        self,
        make: Callable[[SoftNames], ClosedForm],
        features: Tensor,
        folds: Sequence[tuple[Tensor, SoftNames]],
        num_classes: int,
    ) -> None:
        self.features = features
        self.num_classes = num_classes
        self.forms = [make(names.without(rows)) for rows, names in folds]
        self.fold_of = torch.full((len(features),), -1)
        for number, (rows, _) in enumerate(folds):
            self.fold_of[rows] = number

    def __call__(self, rows: Tensor) -> Tensor:
        """See :data:`Unseen`."""
        scores = torch.full((len(rows), self.num_classes), -torch.inf, dtype=torch.float64)
        for number, form in enumerate(self.forms):
            here = self.fold_of[rows] == number
            scores[here] = form.scores(self.features[rows[here]])
        return scores


@dataclass(frozen=True)
class Fusion:
    """How a visual and a text classifier are put together.

    Attributes:
        weight: Of the text, at least 0; may be infinite.
        visual_deviation: Standard deviation of the visual scores around each photo's mean.
        text_deviation: The same of the text scores.
        scale: Factor before a softmax.
        agreement: Share of photos that get the labeler's name at each of ``WEIGHTS``, in [0, 1].
        images: How many photos have a name.
        shared: Whether any two of them have the same one; otherwise nothing can be said of visual classifiers.
    """

    weight: float
    visual_deviation: float
    text_deviation: float
    scale: float
    agreement: tuple[float, ...]
    images: int
    shared: bool


def hits(unseen: Unseen, own: Tensor) -> Tensor:
    """Whether each named photo gets the labeler's name, bool, shape ``(number of named images,)``.

    Args:
        unseen: Scores.
        own: The class of the labeler's first name of each photo, -1 where it gave none, shape ``(N,)``.
    """
    named = (own >= 0).nonzero().squeeze(1)
    found = [torch.zeros(0, dtype=torch.bool)]
    for rows in _blocks(named, unseen):
        found.append(_agree(unseen(rows), own[rows]))
    return torch.cat(found)


def may_choose_form(own: Tensor) -> bool:
    """Whether there are photos enough, on average four a name, for leave-one-out to choose anything but means.

    Args:
        own: See :func:`hits`.
    """
    named = own[own >= 0]
    return len(named) > 0 and len(named) >= _IMAGES_A_NAME * len(named.unique())


def choose_form(found: Mapping[str, Tensor]) -> str:
    """The kind of visual classifier: the first, unless another agrees with the names more often beyond the noise.

    Another one must agree more often by at least one standard error of the difference; the one that gains most is
    taken.

    Args:
        found: Name of the kind -> what :func:`hits` says of it.

    Example:
        >>> choose_form({"class_means": torch.arange(100) < 40, "ridge": torch.arange(100) < 60})
        'ridge'
    """
    first, *others = found
    best, best_gain = first, 0.0
    for name in others:
        difference = found[name].double() - found[first].double()
        gain = float(difference.mean())
        error = float(difference.std()) / len(difference) ** 0.5
        # one photo more is just one standard error
        if gain > error + 1e-9 and gain > best_gain:
            best, best_gain = name, gain
    return best


def choose_fusion(visual: Unseen, text: Unseen, own: Tensor, weight: float | None = None) -> Fusion:
    """The weight of the text, by leave-one-out agreement with the labeler's names.

    Among the weights whose agreement is within one standard error of the best, the middle one is taken, the one nearer
    to the text where there are two: the text does not come from these photos.

    Args:
        visual: Scores of the visual classifier.
        text: Scores of the text classifier, all finite.
        own: See :func:`hits`.
        weight: Take this one.
    """
    named = (own >= 0).nonzero().squeeze(1)
    deviations = deviation(visual, named), deviation(text, named)
    found = torch.zeros((len(WEIGHTS), len(named)), dtype=torch.bool)
    place = 0
    for rows in _blocks(named, text):
        seen, said = visual(rows) / deviations[0], text(rows) / deviations[1]
        for number, tried in enumerate(WEIGHTS):
            found[number, place : place + len(rows)] = _agree(_fused(seen, said, tried), own[rows])
        place += len(rows)
    agreement = found.double().mean(1) if len(named) else torch.zeros(len(WEIGHTS), dtype=torch.float64)
    shared = len(named) > len(own[named].unique())
    if weight is None:
        weight = WEIGHTS[_middle(agreement, len(named))] if shared else _UNJUDGED
    fusion = Fusion(
        weight=weight,
        visual_deviation=deviations[0],
        text_deviation=deviations[1],
        scale=1.0,
        agreement=tuple(agreement.tolist()),
        images=len(named),
        shared=shared,
    )
    return replace(fusion, scale=fit_scale(fuse_unseen(visual, text, fusion), own))


def fuse_unseen(visual: Unseen, text: Unseen, fusion: Fusion) -> Unseen:
    """Scores of both together, of photos from which neither has learned; without ``fusion.scale``."""

    def unseen(rows: Tensor) -> Tensor:
        return _fused(visual(rows) / fusion.visual_deviation, text(rows) / fusion.text_deviation, fusion.weight)

    return unseen


def predict(unseen: Unseen, count: int) -> Tensor:
    """The best class of each of ``count`` photos, int64, shape ``(count,)``; -1 where nothing can be said of any."""
    found = [torch.zeros(0, dtype=torch.int64)]
    for rows in _blocks(torch.arange(count), unseen):
        best, classes = unseen(rows).max(1)
        found.append(torch.where(best.isfinite(), classes, -1))
    return torch.cat(found)


def fit_scale(unseen: Unseen, own: Tensor) -> float:
    r"""The factor on scores under which their softmax fits the labeler's names best, some of which are wrong.

    .. math::
        \max_{s, \epsilon} \sum_i \log \left( (1 - \epsilon) \, \mathrm{softmax}(s z_i)_{y_i} + \epsilon / C \right)

    Args:
        unseen: Scores z; photos of whose name it can say nothing do not count.
        own: See :func:`hits`.
    """
    named = (own >= 0).nonzero().squeeze(1)
    if len(named) > _MAX_SCALED:
        named = named[:: -(-len(named) // _MAX_SCALED)]
    likelihood = torch.zeros((len(_SCALES), len(_MISTAKES)), dtype=torch.float64)
    mistakes = torch.tensor(_MISTAKES, dtype=torch.float64)
    for rows in _blocks(named, unseen):
        scores, names = unseen(rows), own[rows]
        known = scores.gather(1, names[:, None]).squeeze(1).isfinite()
        scores, names = scores[known], names[known]
        for number, scale in enumerate(_SCALES):
            right = (scale * scores).softmax(1).gather(1, names[:, None])
            likelihood[number] += ((1 - mistakes) * right + mistakes / scores.shape[1]).clamp(min=1e-300).log().sum(0)
    return _SCALES[int(likelihood.max(1).values.argmax())]


def deviation(unseen: Unseen, rows: Tensor) -> float:
    """Standard deviation of the scores of ``rows`` around the mean of each photo; 1 where they do not vary."""
    squares, count = 0.0, 0
    for part in _blocks(rows, unseen):
        scores = unseen(part)
        known = scores.isfinite()
        mean = scores.masked_fill(~known, 0).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
        squares += float((scores - mean).masked_fill(~known, 0).square().sum())
        count += int(known.sum())
    found = (squares / max(count, 1)) ** 0.5
    return found if found > 1e-9 else 1.0


def _middle(agreement: Tensor, images: int) -> int:
    best = float(agreement.max())
    error = (best * (1 - best) / max(images, 1)) ** 0.5
    within = (agreement >= best - error - 1e-12).nonzero().squeeze(1).tolist()
    middle: int = within[len(within) // 2]
    return middle


def _fused(visual: Tensor, text: Tensor, weight: float) -> Tensor:
    if weight == 0:
        return visual
    return text if weight == float("inf") else fuse(visual, text, weight)


def _agree(scores: Tensor, own: Tensor) -> Tensor:
    """Whether the best class is the own one; where nothing can be said of any class, it is not."""
    return (scores.argmax(1) == own) & scores.gather(1, own[:, None]).squeeze(1).isfinite()


def _blocks(rows: Tensor, unseen: Unseen) -> Sequence[Tensor]:
    """``rows`` in parts for which the scores of all classes fit into memory."""
    if not len(rows):
        return []
    classes = unseen(rows[:1]).shape[1]
    # a discriminant holds a few arrays of photos by candidates by classes
    return [rows[part] for part in blocks(len(rows), 8 * classes)]
