"""Semantic IoU (sIOU): the words that the predicted name and the true name share."""

from collections.abc import Callable, Sequence, Set
from typing import Literal, get_args
from unicodedata import category

import torch
from torch import Tensor
from torchmetrics import Metric

from fgvr.text import composed

Normalise = Literal["cased", "hyphen_split"]


class _Replaced(dict[int, str]):
    """What :meth:`str.translate` puts in the place of each character, found out when the character is first seen."""

    def __init__(self, replace: Callable[[str], str]) -> None:
        super().__init__()
        self._replace = replace

    def __missing__(self, code: int) -> str:
        self[code] = self._replace(chr(code))
        return self[code]


# every dash of Unicode: LLMs write non-breaking hyphens and en dashes for the ASCII hyphen
_SEPARATED = _Replaced(lambda char: " " if char in "_/" or char.isspace() or category(char) == "Pd" else char)
_KEPT = _Replaced(lambda char: char if char.isalnum() or char == " " else "")


def words_in(name: str, normalise: Normalise) -> list[str]:
    """The words of a name in their order, as sIOU compares them.

    Example:
        >>> words_in("Black-footed Albatross", "cased")
        ['blackfooted', 'albatross']
        >>> words_in("Black-footed Albatross", "hyphen_split")
        ['black', 'footed', 'albatross']
    """
    if normalise == "hyphen_split":
        name = composed(name).translate(_SEPARATED)
    return name.translate(_KEPT).lower().split()


def word_set(name: str, normalise: Normalise) -> frozenset[str]:
    """The different words of a name; see :func:`words_in`."""
    return frozenset(words_in(name, normalise))


def iou(words: Set[str], true_words: Set[str]) -> float:
    """Words in common over words in either name, 0 to 1; 1 where neither has a word.

    Args:
        words: Those of the predicted name.
        true_words: Those of the true name.

    Example:
        >>> iou({"house", "finch"}, {"finch"})
        0.5
    """
    return len(words & true_words) / len(words | true_words) if words or true_words else 1.0


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
            glues hyphenated words together. ``"hyphen_split"``: the same after composing accents with their letters
            (NFC) and replacing every dash, underscore, slash and white space by a space.
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
        words, true_words = ([word_set(name, self.normalise) for name in names] for names in (preds, target))
        self.iou_sum += sum(iou(*both) for both in zip(words, true_words, strict=True))
        self.images += len(preds)

    def compute(self) -> Tensor:
        """The mean IoU of all photos so far."""
        return 100 * self.iou_sum / self.images
