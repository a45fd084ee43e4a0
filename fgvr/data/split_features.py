"""The image features of a run's photos: which of them are stored, and what batches are made of."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from fgvr.backbones.base import Backbone
from fgvr.data.augmentation import Augmentation, AugmentKind
from fgvr.data.batches import FeatureBatches, PixelBatches
from fgvr.data.extraction import Precision, extract_features
from fgvr.data.features import StoredFeatures
from fgvr.data.learner import Learner, needs_views
from fgvr.data.loader_processes import LoaderProcesses
from fgvr.data.together import ALONE, Processes
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord, Space
from fgvr.registry import BACKBONES, METHODS

TRAINING = "training"
"""The support photos that were drawn; the other groups of photos are named like their split."""


class SplitFeatures:
    """Image features of groups of photos, from the feature store.

    Without ``augment``, training and evaluation share the plain view of each photo. With it, training has ``views``
    stored views of each photo or, if that is ``None``, photos are read and drawn anew in every epoch. Evaluation,
    candidate strategies and neighbours always have the plain view.

    Args:
        folder: Folder of the feature stores.
        images: Gives the photos of a group: ``TRAINING``, or the name of a split.
        augment: Which random views training shows, if any; true is ``coop``.
        views: How many views of a photo are stored.
        num_workers: Loader processes, ``auto`` for as many as help.
        precision: In which numbers a tower computes features.

    Raises:
        FgvrError: ``views`` is not positive, or is given without ``augment``.
    """

    def __init__(
        self,
        folder: Path,
        images: Callable[[str], Sequence[ImageRecord]],
        augment: bool | AugmentKind = False,
        views: int | None = None,
        num_workers: LoaderProcesses = 0,
        precision: Precision = "auto",
    ) -> None:
        if views is not None and views < 1:
            raise FgvrError(f"data.views is {views}; expected 1 or more, or null for new views in every epoch.")
        if views is not None and not augment:
            raise FgvrError(
                f"data.views is {views}, but without augmentation a photo has one view: set data.augment to true, or "
                "leave data.views out."
            )
        self.folder = folder
        self.images = images
        self.augment: AugmentKind | None = "coop" if augment is True else (augment or None)
        self.views = views
        self.num_workers: LoaderProcesses = num_workers
        self.precision: Precision = precision
        self.seconds: dict[str, float] = {}
        """``"features/GROUP"`` -> what its features took to get in this process."""
        self._stored: dict[tuple[str, int | None, str, int], dict[Space, StoredFeatures]] = {}

    def trains_on_stored(self, learner: Learner) -> bool:
        """Whether training takes stored features, in one view or more.

        Raises:
            FgvrError: Views are to be stored for an image tower that changes, or photos to be read in each step for two
                towers.
        """
        if learner.needs_pixels and self.views is not None:
            raise FgvrError(
                f"data.views is {self.views}, but {METHODS.short_name(type(learner))} changes the image tower, so "
                "that features cannot be stored: leave data.views out."
            )
        stored = not learner.needs_pixels and (self.views is not None or self.augment is None)
        if not stored and not learner.closed_form and _has_two_towers(learner):
            raise FgvrError(
                f"data.augment reads photos anew in each step, and {BACKBONES.short_name(type(learner.backbone))} "
                "has two image towers, each with pixels of its own: set data.views to 8, which stores features, or "
                "leave data.augment out."
            )
        return stored

    def of(
        self,
        images: Sequence[ImageRecord],
        backbone: Backbone,
        space: Space = "joint",
        device: torch.device | None = None,
        processes: Processes = ALONE,
    ) -> StoredFeatures:
        """Plain features of any photos; the backbone is loaded if it was not. On a GPU, if no device is given."""
        backbone.load()
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tower = backbone.tower_of(space)
        stored = extract_features(
            tower,
            images,
            self.folder,
            device,
            num_workers=self.num_workers,
            precision=self.precision,
            processes=processes,
        )
        return stored[space]

    def prepare(
        self,
        groups: Sequence[str],
        learner: Learner,
        device: torch.device,
        judges_training: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        """Look up or compute what batches of these groups of photos are made of, if that is features.

        Args:
            groups: ``TRAINING``, or names of splits.
            learner: The method.
            device: Where to compute.
            judges_training: Whether photos of ``TRAINING`` are evaluated too, which takes their plain view.
            processes: Those that compute together.
        """
        for space in _spaces(learner) if learner.needs_features else ():
            for group in groups:
                if group == TRAINING:
                    if learner.trains and not learner.closed_form and self.trains_on_stored(learner):
                        self.of_group(group, learner.backbone, device, self.views, space, processes)
                    looked_at = learner.looks_at_support or (judges_training and not learner.needs_pixels)
                    if learner.trains and looked_at:
                        self.of_group(group, learner.backbone, device, space=space, processes=processes)
                elif not learner.needs_pixels and self.images(group):
                    self.of_group(group, learner.backbone, device, space=space, processes=processes)

    def of_group(
        self,
        group: str,
        backbone: Backbone,
        device: torch.device,
        views: int | None = None,
        space: Space = "joint",
        processes: Processes = ALONE,
        augment: AugmentKind | None = None,
    ) -> StoredFeatures:
        """Features of a group of photos: plain, or of this many augmented views; looked up once for each tower.

        Args:
            group: ``TRAINING``, or the name of a split.
            backbone: Whose features.
            device: Where to compute.
            views: How many augmented views; the plain one alone if not given.
            space: Of the features.
            processes: Those that compute together.
            augment: Which views; those of training if not given.
        """
        tower = backbone.tower_of(space)
        kind = augment or self.augment or "coop"
        key = self._key(group, views, tower, kind)
        if key not in self._stored:
            start = time.perf_counter()
            self._stored[key] = extract_features(
                tower,
                self.images(group),
                self.folder,
                device,
                num_workers=self.num_workers,
                views=views,
                augment=kind,
                precision=self.precision,
                processes=processes,
            )
            what = f"features/{group}"
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start
        return self._stored[key][space]

    def _key(
        self, group: str, views: int | None, tower: Backbone, augment: AugmentKind | None = None
    ) -> tuple[str, int | None, str, int]:
        kind = "" if views is None else augment or self.augment or "coop"
        return group, views, kind, id(tower)

    def training_batches(self, rows: Sequence[int], learner: Learner, seed: int) -> FeatureBatches | PixelBatches:
        """Batches of support photos, after ``prepare``.

        Args:
            rows: Which of the support photos, in the order of ``Batch.rows``.
            learner: The method.
            seed: Of views that are drawn anew in every epoch.
        """
        if self.trains_on_stored(learner):
            return self._stored_batches(TRAINING, learner, self.views, rows, needs_views(learner))
        transform = learner.backbone.transform
        records = self.images(TRAINING)
        view = transform if self.augment is None else Augmentation(transform, self.augment)
        return PixelBatches([records[row] for row in rows], view, seed, needs_views(learner))

    def evaluation_batches(self, group: str, learner: Learner) -> FeatureBatches | PixelBatches:
        """Batches of all photos of a group in their plain view, after ``prepare``."""
        return self.plain_batches(group, range(len(self.images(group))), learner)

    def plain_batches(self, group: str, rows: Sequence[int], learner: Learner) -> FeatureBatches | PixelBatches:
        """Batches of some photos of a group in their plain view, after ``prepare``.

        Args:
            group: ``TRAINING``, which ``prepare`` must have been told, or the name of a split.
            rows: Which photos, in the order of ``Batch.rows``.
            learner: The method.
        """
        if learner.needs_pixels:
            records = self.images(group)
            return PixelBatches([records[row] for row in rows], learner.backbone.transform)
        if not learner.needs_features:
            return FeatureBatches(
                StoredFeatures(np.zeros((len(rows), 0), np.float16), np.arange(len(rows))[None], (0, 0))
            )
        return self._stored_batches(group, learner, None, rows)

    def _stored_batches(
        self, group: str, learner: Learner, views: int | None, rows: Sequence[int], further_views: bool = False
    ) -> FeatureBatches:
        stored = {
            space: self._stored[self._key(group, views, learner.backbone.tower_of(space))][space].select(rows)
            for space in _spaces(learner)
        }
        return FeatureBatches(stored["joint"], further_views, stored.get("visual"))


def _spaces(learner: Learner) -> list[Space]:
    """The spaces of the features that the method gets, the one of texts always among them."""
    return sorted({"joint", *learner.spaces})


def _has_two_towers(learner: Learner) -> bool:
    return len({id(learner.backbone.tower_of(space)) for space in _spaces(learner)}) > 1
