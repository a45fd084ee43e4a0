"""The data module: photos -> labels -> vocabulary -> candidate sets -> batches."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy, FeatureSpace, NamedImages
from fgvr.candidates.files import read_candidates, write_candidates
from fgvr.candidates.honest_folds import honest_folds
from fgvr.candidates.neighbours import find_neighbours, write_neighbours
from fgvr.candidates.quality import CandidateQuality, measure
from fgvr.data.augmentation import AugmentKind
from fgvr.data.batches import Batch, FeatureBatches, PixelBatches
from fgvr.data.extraction import Precision
from fgvr.data.holdout import (
    NOTHING_HELD_OUT,
    RowSampler,
    check_holdout,
    draw_held_out,
    held_out_digest,
    split_held_out,
)
from fgvr.data.labelled import LabelledDataModule, needs_sets
from fgvr.data.learner import Learner
from fgvr.data.loader_processes import LoaderProcesses, loader_processes
from fgvr.data.run_state import run_seed
from fgvr.data.split_features import TRAINING, SplitFeatures
from fgvr.data.together import Processes, together
from fgvr.datasets.base import ImageDataset
from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.records import CandidateSets, ImageRecord, LabelRecord, Space, Vocabulary
from fgvr.relabelling.base import Relabelling
from fgvr.relabelling.files import read_verdict
from fgvr.relabelling.stage import relabelled_folds, run_relabelling
from fgvr.runs import RunFolder
from fgvr.text import counted, verb
from fgvr.vocabulary.build import labels_as_indices
from fgvr.vocabulary.files import read_vocabulary

log = logging.getLogger(__name__)


class FgvrDataModule(LabelledDataModule):
    """From photos to batches with candidate sets, for any method.

    Labelling is never done by a hook of this class, because many processes must not spend money at once: call ``label``
    before ``Trainer.fit``; ``fgvr.fit`` and the command line do so. The vocabulary is made by process 0 in
    ``prepare_data``; image features by all processes in ``setup``, each a share, and candidate sets from them by
    process 0, into the run folder and the feature store, where every process reads them.

    Args:
        dataset: Reader of the photos.
        labeler: Who names the support photos. Not needed where the class names are known and nothing is trained.
        candidates: How names become candidate sets. If not given, what the method is best with: ``knn`` with k = 3, as
            in the FGVR paper, for prompts, and ``single`` for visual classifiers.
        relabelling: How candidate sets are said anew by what photos look like, where that can be expected to help;
            they stay as they are if not given.
        holdout: Share of the support photos, from 0 to below 1, that are labelled and get candidate sets but are not
            trained on: figures that need no true names are computed on them, and may choose the checkpoint
            (``checkpoint.select``). 0 is the FGVR paper's setting.
        batch_size: Photos per training step over all processes, so that 1 and N processes train alike.
        augment: Random views in training: ``coop`` (or true; crops and flips) or ``latteclip`` (its released code's:
            slight crops and changes of colour), drawn anew in every epoch, so that photos are read and encoded in
            each step; see ``views``.
        views: With ``augment``, compute and store this many random views of each support photo, and show one after the
            other, epoch by epoch: training is then as fast as without. A view depends on the photo's file and its
            number alone, so runs with more views later compute only the difference.
        num_workers: Processes that open photos for each process that computes: a number, or ``auto`` for as many as
            help, which is the command line's default. From Python none is started unless asked for.
        feature_precision: In which numbers image features are computed: ``auto`` is ``float16`` on a GPU, which is
            within 2e-3 of ``float32``, and ``float32`` elsewhere. Each has its own entries in the feature store.
        **kwargs: Arguments of ``LabelledDataModule``.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        labeler: Labeler | None = None,
        candidates: CandidateStrategy | None = None,
        *,
        relabelling: Relabelling | None = None,
        holdout: float = 0.0,
        batch_size: int = 32,
        augment: bool | AugmentKind = False,
        views: int | None = None,
        num_workers: LoaderProcesses = 0,
        feature_precision: Precision = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset, labeler, **kwargs)
        self.candidates = candidates
        self.relabelling = relabelling
        self.holdout = check_holdout(holdout)
        if batch_size < 1:
            raise FgvrError(f"data.batch_size is {batch_size}; expected 1 or more.")
        self.batch_size = batch_size
        if num_workers != "auto" and num_workers < 0:
            raise FgvrError(f"data.num_workers is {num_workers}; expected 0 or more, or auto.")
        self.num_workers: LoaderProcesses = num_workers
        self.features = SplitFeatures(
            self.cache_dir / "features", self._group, augment, views, num_workers, feature_precision
        )
        # one process prepares for all nodes: the run folder is expected on a disk that they share
        self.prepare_data_per_node = False

        self.candidate_sets: CandidateSets | None = None
        self.quality: CandidateQuality | None = None
        self._makes_candidates = True

    def image_features(
        self, images: Sequence[ImageRecord], backbone: Backbone | None = None, space: Space = "joint"
    ) -> NDArray[np.float32]:
        """Image features of ``images``, from the feature store or computed now: before there is a trainer.

        Args:
            images: Any photos.
            backbone: Whose features; those of the run's backbone if not given.
            space: Its joint or its visual space.

        Returns:
            L2-normalised float32, shape ``(len(images), embed_dim)`` or ``(len(images), visual_dim)``.
        """
        device = None if self.trainer is None else self.trainer.strategy.root_device
        backbone = backbone or self.state.backbone or self._learner().backbone
        return self.features.of(images, backbone, space, device).to_numpy()

    @property
    def seconds(self) -> dict[str, float]:
        """``"features/training"`` and ``"features/SPLIT"`` -> what these features took to get in this process."""
        return self.features.seconds

    def strategy(self, learner: Learner) -> CandidateStrategy:
        """How names become candidate sets: as configured, or as the method is best with."""
        if self.candidates is None:
            self.candidates = learner.default_candidates()
        return self.candidates

    def make_candidates(self, vocabulary: Vocabulary, learner: Learner, device: torch.device) -> CandidateSets:
        """The candidate sets, and their file in the run folder."""
        labels, strategy = self.read_labels(), self.strategy(learner)
        images = self._named_images(labels, vocabulary, learner, device)
        outside = sum(not given for given in images.labels) - sum(not record.names for record in labels)
        if outside:
            log.warning("Photos that were given names outside the vocabulary, and count as unnamed: %d", outside)
        if self._compares_support(learner):
            features = self.features.of_group(TRAINING, learner.backbone, device, space=strategy.space).to_numpy()
            write_neighbours(find_neighbours(images.sample_ids, features), self._folder().neighbours)
        sets = strategy.build(images)
        if self.relabelling is not None:
            path = self._folder().relabelling
            sets = run_relabelling(self.relabelling, strategy.build, sets, images, vocabulary.names, path)
        write_candidates(sets, vocabulary.names, self._folder().candidates)
        self.quality = measure(sets, vocabulary, self.images.truth)
        log.info("Candidate sets (%s): %s", type(strategy).__name__, self.quality)
        return sets

    def _compares_support(self, learner: Learner) -> bool:
        """Whether plain features of the support photos are there anyway, or candidate sets need them."""
        stored = self.trainer is not None and (learner.looks_at_support or self.features.trains_on_stored(learner))
        return stored or self.strategy(learner).needs_features or self.relabelling is not None

    def _named_images(
        self, labels: Sequence[LabelRecord], vocabulary: Vocabulary, learner: Learner, device: torch.device
    ) -> NamedImages:
        """What a candidate strategy gets: the support photos, and what the labeler said of them."""
        strategy = self.strategy(learner)
        images = NamedImages(
            sample_ids=tuple(record.sample_id for record in self.support),
            labels=labels_as_indices(labels, vocabulary),
            num_classes=len(vocabulary),
            seed=run_seed(),
            features_in=self._features_in,
        )
        if not strategy.needs_features:
            return images
        features = self.features.of_group(TRAINING, learner.backbone, device, space=strategy.space).to_numpy()
        return replace(images, features=features, space=strategy.space)

    def honest_folds(self) -> list[tuple[NDArray[np.int64], CandidateSets]] | None:
        """Candidate sets without the names of some photos; ``None`` where leaving out a photo's own set is the same.

        See :func:`fgvr.candidates.honest_folds.honest_folds`.
        """
        assert self.vocabulary is not None, "training comes after setup"
        learner = self._learner()
        strategy = self.strategy(learner)
        if self.own_names_alone:
            return None
        device = self._trainer().strategy.root_device
        images = self._named_images(self._labels_of_the_run(), self.vocabulary, learner, device)
        if self.relabelling is None or not self._is_relabelled:
            return honest_folds(strategy.build, images)
        return relabelled_folds(self.relabelling, strategy.build, images)

    @property
    def own_names_alone(self) -> bool:
        """Whether a photo's candidate set depends on its own names and on no other photo's."""
        return self.strategy(self._learner()).own_names_alone and not self._is_relabelled

    @property
    def _is_relabelled(self) -> bool:
        return bool((self.relabelled or {}).get("applied"))

    @property
    def relabelled(self) -> dict[str, Any] | None:
        """What the gate of the relabelling found, once there are candidate sets; ``None`` in a run without."""
        file = self._folder().relabelling
        return read_verdict(file) if self.relabelling is not None and file.is_file() else None

    def support_features(self, space: Space) -> NDArray[np.float32]:
        """Plain image features of the support photos, L2-normalised, shape ``(N, D)``: while there is a trainer."""
        device = self._trainer().strategy.root_device
        return self.features.of_group(TRAINING, self._learner().backbone, device, space=space).to_numpy()

    def evaluated_features(self, space: Space, stage: str = "test") -> NDArray[np.float32]:
        """The same of the photos of the evaluated split, or of ``val`` for the stage ``"validate"``."""
        split = "val" if stage == "validate" else self.images.evaluated_split
        device = self._trainer().strategy.root_device
        return self.features.of_group(split, self._learner().backbone, device, space=space).to_numpy()

    def _features_in(self, backbone: FeatureSpace | None, space: Space) -> NDArray[np.float32]:
        """Image features of the support photos, of the run's backbone or one that a candidate strategy brings along."""
        if backbone is not None and not isinstance(backbone, Backbone):
            raise FgvrError(
                f"candidates.backbone is {type(backbone).__name__}, which is no backbone: see `fgvr list backbones`"
            )
        return self.image_features(self.support, backbone, space)

    def prepare_data(self) -> None:
        """Make the vocabulary: on process 0, while the others wait."""
        learner, folder = self._learner(), self._folder()
        if learner.needs_features:
            learner.backbone.load()  # which may download it, before the others read it
        made = folder.vocabulary.is_file() and (folder.candidates.is_file() or not needs_sets(learner))
        if self._stage() == "fit" and self.state.resuming and made:
            log.info("Taking vocabulary and candidate sets from %s", folder.path)
            self._makes_candidates = False
        elif self.vocabulary is None:
            self.make_vocabulary(learner)

    def setup(self, stage: str) -> None:
        """Compute image features, each process a share, and candidate sets from them, on process 0."""
        learner, strategy = self._learner(), self._trainer().strategy
        # process 0 has made the folder, and only it knows the name where a scheduler has started the others
        told = "" if self.run_folder is None else str(self.run_folder.path)
        folder = RunFolder(Path(strategy.broadcast(told)))
        self.state = replace(self.state, folder=folder)
        if learner.needs_features:
            learner.backbone.load()
        if self.vocabulary is None:
            self.vocabulary = read_vocabulary(folder.vocabulary)
        processes = together(self._trainer().num_nodes)
        if stage == "fit" and needs_sets(learner) and self.candidate_sets is None:
            self._share_candidates(self.vocabulary, learner, processes)
            self.candidate_sets = read_candidates(folder.candidates, self.vocabulary.names)
            self.quality = measure(self.candidate_sets, self.vocabulary, self.images.truth)
        device = strategy.root_device
        self.features.prepare(self._feature_groups(), learner, device, self.state.evaluates_support, processes)

    def _share_candidates(self, vocabulary: Vocabulary, learner: Learner, processes: Processes) -> None:
        """The candidate sets of the run, made if they have to be: their features by all processes."""
        if not processes.agree(self._makes_candidates):
            return
        device = self._trainer().strategy.root_device
        if self._compares_support(learner):
            space = self.strategy(learner).space
            self.features.of_group(TRAINING, learner.backbone, device, space=space, processes=processes)
        if processes.rank == 0:
            self.make_candidates(vocabulary, learner, device)
        processes.wait()

    def train_dataloader(self) -> DataLoader[Batch] | list[Batch]:
        """Global batches of the support photos that have a candidate set and are not held out.

        None for a method that does not train. ``Batch.rows`` are rows of the candidate sets; for a method
        that does without them, the batches are of all support photos, and they are their rows. Where the method trains
        on some of these photos for a time, they are of those (``Learner.training_rows``).
        """
        learner = self._learner()
        if not learner.trains:
            return []
        if learner.closed_form:
            # everything is learned when the model is configured; one step, in which nothing happens, has Lightning
            # call its hooks and write checkpoints
            nothing = Batch(torch.zeros(1, 0), torch.zeros(1, dtype=torch.int64))
            return DataLoader([nothing], batch_size=None)  # type: ignore[arg-type]  # a list is a data set, too
        if not learner.needs_candidates:
            batches = self.features.training_batches(range(len(self.support)), learner, run_seed())
            return self._loader(batches, shuffle=True, rows=learner.training_rows)
        batches = self.features.training_batches(self._support_rows(), learner, run_seed())
        rows = np.arange(len(batches)) if learner.training_rows is None else learner.training_rows
        return self._loader(batches, shuffle=True, rows=rows[~self.held_out[rows]])

    def selection_dataloader(self) -> DataLoader[Batch]:
        """The photos of ``selection_rows`` in their plain view; ``Batch.rows`` are rows of the candidate sets."""
        batches = self.features.plain_batches(TRAINING, self._support_rows(), self._learner())
        return self._loader(batches, shuffle=False, rows=self.selection_rows)

    @cached_property
    def held_out(self) -> NDArray[np.bool_]:
        """For each candidate set, whether its photo is held out of training.

        Raises:
            FgvrError: No photo is left on one of the two sides.
        """
        assert self.candidate_sets is not None, "photos are held out of training, for which there are candidate sets"
        drawn = draw_held_out([record.sample_id for record in self.support], self.holdout, run_seed())
        return split_held_out(self.candidate_sets.sample_ids, drawn)

    def support_held_out(self) -> NDArray[np.bool_]:
        """For each support photo, whether it is held out of training, shape ``(N,)``."""
        drawn = draw_held_out([record.sample_id for record in self.support], self.holdout, run_seed())
        return np.array([record.sample_id in drawn for record in self.support], dtype=np.bool_)

    @property
    def held_out_digest(self) -> str:
        """Which photos are held out of training, for checkpoints; see :func:`fgvr.data.holdout.held_out_digest`."""
        if self.candidate_sets is None:  # nothing is trained
            return NOTHING_HELD_OUT
        return held_out_digest(self.candidate_sets.sample_ids, self.held_out)

    @property
    def selection_rows(self) -> NDArray[np.int64]:
        """Rows of the candidate sets by which a checkpoint is judged: held-out photos, or all where none are."""
        return np.flatnonzero(self.held_out if self.holdout > 0 else ~self.held_out)

    def _support_rows(self) -> list[int]:
        """The place of each candidate set's photo among the support photos."""
        assert self.candidate_sets is not None, "the loaders of training ask for it"
        row = {record.sample_id: number for number, record in enumerate(self.support)}
        if gone := [sample_id for sample_id in self.candidate_sets.sample_ids if sample_id not in row]:
            raise FgvrError(
                f"{counted(len(gone), 'photo')} of {str(self._folder().candidates)!r} {verb(len(gone))} not in the "
                f"support set, {gone[0]!r} for one: put them back, or start a new run."
            )
        return [row[sample_id] for sample_id in self.candidate_sets.sample_ids]

    def val_dataloader(self) -> DataLoader[Batch] | list[Batch]:
        """The photos of the split ``val``, if the data set has one."""
        return self._evaluation_loader("val") if self.images.splits.get("val") else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """The photos of the evaluated split."""
        return self._evaluation_loader(self.images.evaluated_split)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The photos of the evaluated split."""
        return self._evaluation_loader(self.images.evaluated_split)

    def _evaluation_loader(self, split: str) -> DataLoader[Batch]:
        return self._loader(self.features.evaluation_batches(split, self._learner()), shuffle=False)

    def _loader(
        self, dataset: FeatureBatches | PixelBatches, shuffle: bool, rows: NDArray[np.int64] | None = None
    ) -> DataLoader[Batch]:
        trainer = self._trainer()
        rows = np.arange(len(dataset)) if rows is None else rows
        sampler = RowSampler(rows, self.batch_size, trainer.global_rank, trainer.world_size, shuffle, seed=run_seed())
        epochs = abs(trainer.max_epochs or 1) if shuffle else 1
        workers = self.processes_for(dataset, len(rows) * epochs) if isinstance(dataset, PixelBatches) else 0
        return DataLoader(
            dataset,
            sampler=sampler,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def processes_for(self, dataset: PixelBatches, pictures: int) -> int:
        """Loader processes for batches that are read from photos.

        Args:
            dataset: Reads them.
            pictures: How many, over all processes that compute.
        """
        trainer = self._trainer()
        here = max(1, trainer.world_size // trainer.num_nodes)
        batch = -(-self.batch_size // trainer.world_size)
        share, device = pictures // trainer.world_size, trainer.strategy.root_device
        return loader_processes(self.num_workers, share, batch, dataset.transform, device, here)

    def _group(self, name: str) -> Sequence[ImageRecord]:
        return self.support if name == TRAINING else self.images.splits.get(name, ())

    def _feature_groups(self) -> list[str]:
        return {"fit": [TRAINING, "val"], "validate": ["val"]}.get(self._stage(), [self.images.evaluated_split])
