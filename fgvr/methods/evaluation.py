"""What evaluation does with a method: its rows as classifiers, and the outputs of all processes as predictions."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.cosine import CosineClassifier
from fgvr.records import ImageRecord, Prediction


class FunctionClassifier(Classifier):
    """A function from image features to logits.

    Args:
        function: Gives what the base class asks for; what it needs is nobody's buffer here.
    """

    def __init__(self, function: Callable[[ImageFeatures], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        return self._function(features)


def as_classifier(row: str, given: object, backbone: Backbone, device: torch.device) -> Classifier:
    """What a method puts up for a row as a classifier, on a device and in evaluation mode.

    Args:
        row: The row's name, for the message.
        given: A classifier, or L2-normalised class features of the joint space, shape ``(C, embed_dim)``.
        backbone: Gives the scale of cosines.
        device: Where it computes.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(given, Tensor):
        given = CosineClassifier(given, backbone.logit_scale)
    if not isinstance(given, Classifier):
        raise TypeError(
            f"classifiers() has a {type(given).__name__} for the row {row!r}; "
            "expected a fgvr.classifiers.base.Classifier, or class features as a tensor."
        )
    return given.to(device).eval()


def gathered(
    outputs: Sequence[tuple[Tensor, Tensor, Tensor]],
    rows: Sequence[str],
    names: Sequence[str],
    records: Sequence[ImageRecord],
    truth: Mapping[str, str],
    processes: int,
) -> list[Prediction]:
    """What all processes have predicted, in the order of the photos; every process must call this.

    Args:
        outputs: For each batch the numbers of its photos, shape ``(B,)``, and the class and score that each row gives
            them, shape ``(B, rows)``.
        rows: Names of the rows.
        names: Class names in class-index order.
        records: The photos.
        truth: ``sample_id`` -> true name, where it is known.
        processes: How many there are.
    """
    parts = [torch.cat(column) for column in zip(*outputs, strict=True)]
    if processes > 1:
        parts = [torch.cat(gather_all_tensors(part)) for part in parts]
    index, classes, scores = (part.cpu() for part in parts)
    order = index.argsort()
    return [
        Prediction(
            sample_id=records[i].sample_id,
            split=records[i].split,
            true_name=truth.get(records[i].sample_id),
            names={row: names[c] for row, c in zip(rows, image_classes, strict=True)},
            scores=dict(zip(rows, image_scores, strict=True)),
        )
        for i, image_classes, image_scores in zip(
            index[order].tolist(), classes[order].tolist(), scores[order].tolist(), strict=True
        )
    ]
