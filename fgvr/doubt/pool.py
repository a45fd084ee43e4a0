"""How doubtful a trained model finds the photos that it could be told more about."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.filters.all import AllFilter
from fgvr.filters.base import PseudoLabels
from fgvr.methods.doubting import Doubting
from fgvr.methods.fine_tune import FineTuneMethod
from fgvr.pipeline.trained_model import TrainedModel
from fgvr.records import LabelRecord, Space
from fgvr.selections.doubt_table import Asked, DoubtfulPhoto
from fgvr.text import counted

log = logging.getLogger(__name__)

_BATCH = 1024
"""Photos whose stored features are classified at a time."""
_PIXEL_BATCH = 32
"""Photos that are encoded at a time."""


def doubts_of_pool(model: TrainedModel, data: FgvrDataModule, labels: Mapping[str, LabelRecord]) -> list[DoubtfulPhoto]:
    """What a model finds of each support photo, in their order.

    Stored image features are used where the image tower is as it was; where it was trained, photos are read and
    encoded, which is said.

    Args:
        model: Of a trained run.
        data: Whose support photos may be asked about.
        labels: Sample id -> what the labeler of the run had said of it.

    Raises:
        FgvrError: The method looks at no photos.
    """
    method = model.method
    if not method.needs_features:
        raise FgvrError(
            f"The method {method.row} looks at no photos, so it doubts none: take a run of another one, "
            "such as zero_shot."
        )
    classifier = model.classifier  # a transductive one names each photo by itself: these have moved its means before
    classes, log_odds, said = [], [], []
    with torch.inference_mode():
        for features in _features(model, data):
            own = pseudo_labels(classifier(features))
            classes.append(own.labels[0])
            log_odds.append(own.confidence[0])
            said.append(_on_cpu(method.said_of(features)) if isinstance(method, Doubting) else own)
    together = _joined(said)
    doubt = (method.doubt_filter if isinstance(method, Doubting) else AllFilter()).doubt(together)
    p_clean = None if together.margins is None else together.margins.amin(dim=(0, 1)).sigmoid()
    ids = [record.sample_id for record in data.support]
    return [
        DoubtfulPhoto(
            sample_id=sample_id,
            name=model.names[of_photo],
            confidence=confidence,
            p_clean=None if p_clean is None or p_clean[number].isnan() else float(p_clean[number]),
            doubt=of_doubt,
            asked=asked_of(labels.get(sample_id)),
        )
        for number, (sample_id, of_photo, confidence, of_doubt) in enumerate(
            zip(ids, torch.cat(classes).tolist(), torch.cat(log_odds).tolist(), doubt.tolist(), strict=True)
        )
    ]


def pseudo_labels(logits: Tensor) -> PseudoLabels:
    """What one classifier says, as the pseudo-labels of one model, on the CPU.

    Args:
        logits: Shape ``(B, C)``; -inf for a class that a photo cannot be.
    """
    highest, classes = logits.float().max(dim=1)
    others = logits.float().scatter(1, classes.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    return PseudoLabels(classes.cpu().unsqueeze(0), (highest - others).cpu().unsqueeze(0))


def asked_of(label: LabelRecord | None) -> Asked:
    """What was known of a photo, by the label that the run had of it."""
    if label is None or label.flag == "unasked":
        return "unasked"
    if not label.names:
        return "nameless"
    # a model's names come with a reply that they were read from; those of a table are there without one
    return "given" if label.corrected or not label.raw else "named"


def _features(model: TrainedModel, data: FgvrDataModule) -> Iterator[ImageFeatures]:
    """Of the support photos, on the model's device, batch by batch."""
    method, support = model.method, data.support
    text_tower_alone = isinstance(method, FineTuneMethod) and not method.train_image_tower
    if method.needs_pixels and not text_tower_alone:
        log.info(
            "The image tower of %s was trained, so that %s: this takes one pass of it over them",
            method.row,
            counted(len(support), "support photo is encoded anew", "support photos are encoded anew"),
        )
        yield from (features for _, features in model.encode([record.path for record in support], _PIXEL_BATCH))
        return
    spaces: set[Space] = {"joint", *method.spaces}
    stored = {space: torch.from_numpy(data.image_features(support, method.backbone, space)) for space in spaces}
    for start in range(0, len(support), _BATCH):
        part = {space: rows[start : start + _BATCH].to(method.device) for space, rows in stored.items()}
        yield ImageFeatures(method.image_features(part["joint"]), part.get("visual"))


def _on_cpu(said: PseudoLabels) -> PseudoLabels:
    margins, view_labels = (None if part is None else part.cpu() for part in (said.margins, said.view_labels))
    return PseudoLabels(said.labels.cpu(), said.confidence.cpu(), margins, view_labels)


def _joined(said: Sequence[PseudoLabels]) -> PseudoLabels:
    """Of batches, what is said of all photos."""

    def column(name: str) -> Tensor | None:
        parts = [getattr(each, name) for each in said]
        return None if parts[0] is None else torch.cat(parts, dim=-1)

    labels, confidence = column("labels"), column("confidence")
    assert labels is not None, "every model gives labels"
    assert confidence is not None, "every model gives confidences"
    return PseudoLabels(labels, confidence, column("margins"), column("view_labels"))
