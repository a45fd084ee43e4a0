"""Semantic IoU (sIOU): the words that the predicted name and the true name share."""

from collections.abc import Sequence
from typing import Literal, get_args
from unicodedata import category

import torch
from torch import Tensor
from torchmetrics import Metric

Normalise = Literal["cased", "hyphen_split"]


def word_set(name: str, normalise: Normalise) -> set[str]:
    """The words of a name, as sIOU compares them.

    Example:
        >>> sorted(word_set("Black-footed Albatross", "cased"))
        ['albatross', 'blackfooted']
        >>> sorted(word_set("Black-footed Albatross", "hyphen_split"))
        ['albatross', 'black', 'footed']
    """
    if normalise == "hyphen_split":
        # every dash of Unicode: LLMs write non-breaking hyphens and en dashes for the ASCII hyphen
        name = "".join(" " if character == "_" or category(character) == "Pd" else character for character in name)
    kept = "".join(character for character in name if character.isalnum() or character == " ")
    return set(kept.lower().split())


class SemanticIoU(Metric):
    r"""Semantic IoU: mean intersection over union of the words of predicted and true name.

    .. math::
        \text{sIOU} = \frac{100}{N} \sum_{i=1}^{N} \frac{|W(\hat{y}_i) \cap W(y_i)|}{|W(\hat{y}_i) \cup W(y_i)|}

    where :math:`W` is the set of words of a name. Two names without any word are equal sets and count as 1 (CaSED's
    code gives NaN there); a name without words against one with words counts as 0.

    As input to ``forward`` and ``update`` the metric takes:

    - ``preds``: a sequence of N predicted names.
    - ``target``: a sequence of N true names.

    As output of ``forward`` and ``compute`` it gives a float scalar from 0 to 100; NaN where it has seen no photo.

    Source:
        CaSED (Conti et al., NeurIPS 2023), ``SentenceIOU``.

    Note:
        In a :class:`torchmetrics.MetricCollection`, set ``compute_groups=False``: two of these that agree on the
        first batch would be taken for one.

    Args:
        normalise: ``"cased"``, as in CaSED: keep letters, digits and spaces, in lower case, and split at spaces, which
            glues hyphenated words together. ``"hyphen_split"``: the same after replacing every dash and underscore by a
            space.
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = SemanticIoU("cased")
        >>> metric(["Red Winged Blackbird", "Borzoi"], ["Red-winged Blackbird", "Borzoi"])
        tensor(62.5000)
        >>> metric = SemanticIoU("hyphen_split")
        >>> metric(["Red Winged Blackbird", "Borzoi"], ["Red-winged Blackbird", "Borzoi"])
        tensor(100.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    iou_sum: Tensor
    images: Tensor

    def __init__(self, normalise: Normalise = "cased", **kwargs: object) -> None:
        super().__init__(**kwargs)
        if normalise not in get_args(Normalise):
            raise ValueError(f"normalise is {normalise!r}; expected one of {get_args(Normalise)}.")
        self.normalise = normalise
        self.add_state("iou_sum", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Adds a batch.

        Args:
            preds: Predicted names.
            target: True names, as many.
        """
        self.iou_sum += sum(self._iou(predicted, true) for predicted, true in zip(preds, target, strict=True))
        self.images += len(preds)

    def compute(self) -> Tensor:
        """The mean IoU of all photos so far."""
        return 100 * self.iou_sum / self.images

    def _iou(self, predicted: str, true: str) -> float:
        words, true_words = word_set(predicted, self.normalise), word_set(true, self.normalise)
        if not words and not true_words:
            return 1.0
        return len(words & true_words) / len(words | true_words)
