"""A trained model, for photos that are at hand: no data module, no trainer."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.transductive import TransductiveClassifier
from fgvr.data.batches import Batch
from fgvr.datasets.walk import walk
from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image, upright_rgb
from fgvr.methods.base import Method
from fgvr.records import Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)
Given = str | Path | Image.Image | NDArray[np.uint8]
"""A file, a picture, or its pixels: uint8, height x width x 3, RGB."""


@dataclass(frozen=True)
class ImageNames:
    """What a model says of one photo.

    Attributes:
        image: The file, or ``"photo N"`` for the one that was given as number N without a file.
        names: Class names, the likeliest first.
        scores: Their probabilities over the whole vocabulary, from 0 to 1.
    """

    image: str
    names: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def name(self) -> str:
        """The likeliest class name."""
        return self.names[0]


class TrainedModel:
    """Names photos.

    Args:
        method: With the parameters that were learned.
        vocabulary: Its class names, in class-index order.
        row: The row of the result table whose classifier is used; the method's own if not given.
        device: Where it computes.

    Raises:
        FgvrError: The method has no such row.
    """

    def __init__(
        self, method: Method, vocabulary: Vocabulary, row: str | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self.method = method.to(device).eval()
        self.method.take_evaluated_weights()
        self.names = vocabulary.names
        self.row = row or method.row
        classifiers = method.as_classifiers()
        if self.row not in classifiers:
            raise FgvrError(f"The run has no row {self.row!r}; it has: {', '.join(classifiers)}.")
        self.classifier = classifiers[self.row]
        self._device = torch.device(device)

    def __repr__(self) -> str:
        return f"TrainedModel({self.row!r}, {counted(len(self.names), 'class', 'classes')})"

    def predict(
        self, images: Given | Iterable[Given], top_k: int = 1, batch_size: int = 32, skip_unreadable: bool = False
    ) -> list[ImageNames]:
        """Name photos. A transductive row looks at all of them before it names one.

        Args:
            images: One or several: files, folders (all photos below them, in the order of their paths), pictures, or
                pixels.
            top_k: How many names a photo is given.
            batch_size: Photos that are encoded at a time.
            skip_unreadable: Leave out files that cannot be read.

        Returns:
            One entry a photo, in their order.

        Raises:
            FgvrError: There is no photo, one cannot be read, or an array is not of the expected kind.
        """
        if top_k < 1 or batch_size < 1:
            raise FgvrError(f"top_k is {top_k} and batch_size is {batch_size}; expected 1 or more.")
        batches: Iterable[tuple[list[str], ImageFeatures]] = self.encode(images, batch_size, skip_unreadable)
        classifier = self.classifier
        if isinstance(classifier, TransductiveClassifier):
            batches = list(batches)
            if batches:
                classifier = classifier.adapted(ImageFeatures.cat([features for _, features in batches]))
        found = [names for batch in batches for names in self._named(classifier, *batch, top_k)]
        if not found:
            raise FgvrError("There is no photo to name: give files, folders, pictures or arrays.")
        return found

    def encode(
        self, images: Given | Iterable[Given], batch_size: int = 32, skip_unreadable: bool = False
    ) -> Iterator[tuple[list[str], ImageFeatures]]:
        """What photos are called, and their features, batch by batch.

        Args:
            images: As for ``predict``.
            batch_size: As for ``predict``.
            skip_unreadable: As for ``predict``.

        Raises:
            FgvrError: A photo cannot be read, or an array is not of the expected kind.
        """
        pictures = _pictures(images, skip_unreadable)
        while batch := list(islice(pictures, batch_size)):
            yield [label for label, _ in batch], self._features([picture for _, picture in batch])

    @torch.inference_mode()
    def _named(
        self, classifier: Classifier, labels: Sequence[str], features: ImageFeatures, top_k: int
    ) -> list[ImageNames]:
        scores, classes = classifier(features).float().softmax(-1).topk(min(top_k, len(self.names)))
        return [
            ImageNames(label, tuple(self.names[c] for c in row), tuple(values))
            for label, row, values in zip(labels, classes.tolist(), scores.tolist(), strict=True)
        ]

    @torch.inference_mode()
    def _features(self, pictures: Sequence[Image.Image]) -> ImageFeatures:
        """As the method sees photos or, for one that reads the visual space too, by one pass of each tower."""
        if "visual" not in self.method.spaces:
            pixels = torch.stack([self.method.backbone.transform(picture) for picture in pictures]).to(self._device)
            return self.method.features(Batch(pixels, torch.arange(len(pictures))))
        joint, visual = (self.method.backbone.tower_of(space) for space in ("joint", "visual"))
        features = self._encoded(joint, pictures)
        if visual is not joint:
            return ImageFeatures(features.joint, self._encoded(visual, pictures).visual)
        return features

    def _encoded(self, tower: Backbone, pictures: Sequence[Image.Image]) -> ImageFeatures:
        pixels = torch.stack([tower.transform(picture) for picture in pictures])
        return tower.encode_spaces(pixels.to(self._device))


def _pictures(images: Given | Iterable[Given], skip_unreadable: bool) -> Iterator[tuple[str, Image.Image]]:
    """Each photo, with what it is called."""
    several = [images] if isinstance(images, str | Path | Image.Image | np.ndarray) else images
    for number, image in enumerate(several):
        if isinstance(image, Image.Image):
            yield f"photo {number}", upright_rgb(image)
        elif isinstance(image, np.ndarray):
            yield f"photo {number}", _from_array(image, number)
        elif isinstance(image, str | Path):
            for path in _files(Path(image)):
                try:
                    yield str(path), open_image(path)
                except UnreadableImageError as error:
                    if not skip_unreadable:
                        raise FgvrError(f"{str(path)!r} cannot be read: {str(error).rstrip('.')}.") from error
        else:
            raise FgvrError(f"Photo {number} is a {type(image).__name__}; expected a path, a PIL image or an array.")


def _files(path: Path) -> Sequence[Path]:
    """The file itself, or the photos below a folder."""
    if not path.is_dir():
        return [path]
    found = walk(path)
    if remark := found.remark():
        log.warning("In %r, %s", str(path), remark)
    return sorted(file for folder in found.folders for file in folder.paths())


def _from_array(array: NDArray[Any], number: int) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise FgvrError(
            f"Photo {number} is an array of {array.dtype} and shape {array.shape}; expected uint8, height x width x 3, "
            "RGB."
        )
    return Image.fromarray(array, "RGB")
