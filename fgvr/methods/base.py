"""The contract of a method: the only file that the author of a method plugin must read."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray
from torch import Tensor, nn

from fgvr import __version__
from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.transductive import TransductiveClassifier
from fgvr.data.batches import Batch
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.holdout import NOTHING_HELD_OUT
from fgvr.data.run_state import run_seed
from fgvr.data.support_photos import SupportPhotos
from fgvr.descriptions.parts import Kind
from fgvr.errors import FgvrError, TextTooLongError
from fgvr.methods.evaluation import FunctionClassifier, as_classifier, gathered
from fgvr.methods.state_shapes import check_shapes
from fgvr.metrics.protocol import score
from fgvr.records import CandidateSets, Prediction, Space, Vocabulary
from fgvr.runs import RunFolder
from fgvr.text import some_of

log = logging.getLogger(__name__)

_BACKBONE_PREFIX = "backbone."


class Method(LightningModule, ABC):
    """How a backbone becomes a classifier over the vocabulary: training, and one or more rows of the result table.

    A subclass says what the classes are (``discover``; those that were named or given, unless overridden), how its
    parameters are made (``build``), how it trains (Lightning's ``training_step`` and ``configure_optimizers``), and how
    it names photos: by ``predict`` or, where it has several rows, by a classifier for each (``classifiers``).
    Constructors are pure: no weights are read before ``discover``. A frozen backbone's weights stay out of the
    checkpoint; class names and configuration go into it, so that a checkpoint alone can classify new photos.

    Args:
        backbone: Image and text tower.
    """

    row: str
    """The method's own row in the result table; its figures are also logged as ``test/cacc`` and so on."""
    trains: ClassVar[bool] = True
    """Whether there is anything to train; without, ``fit`` only evaluates."""
    untrained_rows: ClassVar[tuple[str, ...]] = ("zero_shot",)
    """Its rows that are the same before training; the seconds of all other rows have the training in them."""
    needs_candidates: bool = True
    """Whether it trains on candidate sets, of the class or the object; otherwise on all support photos, unlabelled."""
    brings_names: ClassVar[bool] = False
    """Whether ``discover`` finds class names without the labeler's: no support photo is labelled for them."""
    asks_evaluated: ClassVar[bool] = False
    """Whether the labeler is asked about the evaluated photos, and about no others."""
    needs_features: ClassVar[bool] = True
    """Whether evaluation looks at photos; otherwise batches are without features, and the backbone is not loaded."""
    needs_descriptions: ClassVar[bool] = False
    """Whether it trains with descriptions of photos, which ``fit`` asks for beforehand."""
    needs_pixels: ClassVar[bool] = False
    """Whether evaluation must read photos, because the image tower changes; otherwise image features are cached."""
    changes_copies: ClassVar[bool] = False
    """Where it ``needs_pixels``: whether copies of the backbone's weights change, and the backbone itself does not."""
    logged: ClassVar[tuple[str, ...] | None] = None
    """Figures that its training logs: callbacks that follow others are refused. ``None`` where that is not known."""
    closed_form: ClassVar[bool] = False
    """Whether ``build`` learns everything at once, and nothing is learned from batches; see ``ClosedFormMethod``."""
    spaces: frozenset[Space] = frozenset({"joint"})
    """In which spaces its classifiers read image features; of the class, or of the object where options decide."""
    looks_at_support: bool = False
    """Whether ``build`` reads ``data.support_features``, which are then ready."""
    training_rows: NDArray[np.int64] | None = None
    """Rows, as in ``Batch.rows``, of the photos that take part in the coming epochs; all of them if not set."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.vocabulary: Vocabulary | None = None
        self.predictions: list[Prediction] = []
        self.classifier_seconds: dict[str, float] = {}
        self.preparation_seconds = 0.0
        # what metrics.json says of how the parameters were chosen, beside the figures
        self.selection: dict[str, object] = {}
        self._classifiers: dict[str, Classifier] = {}
        self._pass = "test"
        self._outputs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.register_state_dict_post_hook(_drop_what_is_not_kept)

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The class names of the run: those that the labeler or ``data.class_names`` gives, unless overridden.

        Called once, on process 0; ``vocabulary.json`` keeps it. With a checkpoint the names are the checkpoint's.

        Args:
            support: The support photos, what was said of them, and their features. True names are not among it.
        """
        return support.vocabulary

    @abstractmethod
    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Make parameters and loss state. The backbone is loaded.

        Args:
            vocabulary: The class names, in class-index order.
            candidates: Candidate sets of the training photos; ``None`` when the method is only evaluated.
        """

    def predict(self, features: ImageFeatures) -> Tensor:
        """Logits of the method's own row: all that there is to say where it has no other.

        Args:
            features: Of B photos, in the method's ``spaces``.

        Returns:
            float32, shape ``(B, C)``; -inf for a class that a photo cannot be, of which each photo has at least one
            that it can.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither predict nor classifiers.")

    def classifiers(self) -> Mapping[str, Classifier | Tensor]:
        """Row name -> classifier; the method's own row is last. ``predict`` alone, unless overridden.

        L2-normalised class features of the joint space, float32, shape ``(C, embed_dim)``, stand for the cosines with
        them times the backbone's logit scale. What each took to compute, here or in ``build``, goes into
        ``classifier_seconds`` under the row's name.
        """
        return {self.row: FunctionClassifier(self.predict)}

    def unseen_predictions(self) -> Mapping[str, Tensor]:
        """Row name -> class of each support photo by a classifier that did not learn from that photo.

        Called on process 0 after training. For the agreement with the labeler, which is worth nothing where the
        classifier has learned the very name that it is compared with. Rows of ``untrained_rows`` need not be here.

        Returns:
            int64, one for each of ``data.support``, shape ``(N,)``; -1 where such a classifier has nothing to say.
        """
        return {}

    def row_names(self) -> tuple[str, ...]:
        """The names that ``classifiers()`` may have, known before anything is built; no compared row can have them."""
        return tuple(dict.fromkeys((*self.untrained_rows, self.row)))

    def default_candidates(self) -> CandidateStrategy:
        """The candidate strategy where the configuration names none."""
        return KnnCandidates()

    @property
    def description_kinds(self) -> tuple[Kind, ...]:
        """Which descriptions it trains with, of ``image`` and ``group``: ``fit`` asks for no others."""
        return ("image", "group") if self.needs_descriptions else ()

    def train(self, mode: bool = True) -> Self:
        """As always, but a frozen backbone stays in evaluation mode: its dropout and batch norm are not to learn."""
        super().train(mode)
        if self.backbone_stays:
            self.backbone.eval()
        return self

    @property
    def backbone_stays(self) -> bool:
        """Whether the backbone is frozen, so that its own files hold its weights and checkpoints do not."""
        return self.changes_copies or not self.needs_pixels

    @property
    def data(self) -> FgvrDataModule:
        """The data module of the trainer.

        Raises:
            TypeError: The trainer has another kind of data module.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, FgvrDataModule):
            raise TypeError(f"fgvr's methods need a FgvrDataModule, not {type(data).__name__}.")
        return data

    @property
    def oracle(self) -> bool:
        """Whether true names were allowed to choose something that it rests on."""
        chosen = self.data.state.oracle or bool(self.selection.get("oracle"))
        return chosen or (self.data.described is not None and self.data.described.oracle)

    def configure_model(self) -> None:
        """Load the backbone and build the rest; Lightning calls it on every process, after the data is set up."""
        if self.vocabulary is None:
            if self.needs_features:
                self.backbone.load()
            vocabulary = self.data.vocabulary
            assert vocabulary is not None, "the data module sets it up before the model is configured"
            # the draw of new parameters depends on the seed alone, not on what was cached and so drew nothing before
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(run_seed())
                try:
                    self.build(vocabulary, self.data.candidate_sets)
                except TextTooLongError as error:
                    raise FgvrError(f"{error}{self.data.image_named(error.text)}") from error
            self.vocabulary = vocabulary

    def image_features(self, images: Tensor) -> Tensor:
        """L2-normalised image features of a batch: as they are if they are features, else encoded from pixels."""
        return images if images.ndim == 2 else self.backbone.encode_image(images)

    def features(self, batch: Batch, space: Space | None = None) -> ImageFeatures:
        """Image features of a batch, stored or computed now, in ``space`` alone or in the method's ``spaces``."""
        if batch.images.ndim > 2 and (space == "visual" or (space is None and "visual" in self.spaces)):
            return self.backbone.encode_spaces(batch.images)
        return ImageFeatures(self.image_features(batch.images), batch.visual)

    def as_classifiers(self) -> dict[str, Classifier]:
        """``classifiers()``, with class features made into classifiers, on the device of the method.

        Raises:
            TypeError: A row is neither.
        """
        return {row: as_classifier(row, each, self.backbone, self.device) for row, each in self.classifiers().items()}

    def on_train_start(self) -> None:
        """Log what the candidate sets are worth, where true names are known."""
        if (quality := self.data.quality) is not None:
            known = {"photos" if name == "images" else name: value for name, value in asdict(quality).items()}
            figures = {f"candidates/{name}": value for name, value in known.items() if value is not None}
            for logger in self.loggers:
                logger.log_metrics(figures)

    def begin_evaluation(self) -> None:
        """Compute the classifiers, once for all batches; those that look at all photos of the pass do so."""
        self._outputs, start = [], time.perf_counter()
        self._classifiers = self.as_classifiers()
        moving = {row: one for row, one in self._classifiers.items() if isinstance(one, TransductiveClassifier)}
        if moving and self._pass != "validate" and self.data.images.evaluated_split == "support":
            log.warning(
                "The photos that are named are the support photos themselves, which have moved the means already: %s "
                "name each by itself. To have looks mend the names of these photos, set data.relabelling to em",
                " and ".join(moving),
            )
        elif moving:
            joint, visual = (
                torch.from_numpy(self.data.evaluated_features(space, self._pass)) if space in self.spaces else None
                for space in ("joint", "visual")
            )
            assert joint is not None, "every method reads the joint space"
            self._classifiers |= {row: one.adapted(ImageFeatures(joint, visual)) for row, one in moving.items()}
        self.preparation_seconds = time.perf_counter() - start

    def evaluation_step(self, batch: Batch) -> None:
        """Classify a batch with every row's classifier."""
        features = self.features(batch)
        logits = torch.stack([classifier(features) for classifier in self._classifiers.values()], dim=1)
        scores, classes = logits.softmax(-1).max(-1)
        self._outputs.append((batch.rows, classes, scores))

    def end_evaluation(self, stage: str) -> None:
        """Gather all processes' outputs into ``predictions``, in the order of the photos."""
        assert self.vocabulary is not None
        self.predictions = gathered(
            self._outputs,
            rows=list(self._classifiers),
            names=self.vocabulary.names,
            records=self.data.records_of(stage),
            truth=self.data.images.truth,
            processes=self.trainer.world_size,
        )

    def on_validation_epoch_start(self) -> None:
        """See ``begin_evaluation``."""
        self._pass = "validate"
        self.begin_evaluation()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """See ``evaluation_step``."""
        self.evaluation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/cacc`` and ``val/siou`` of the method's own row, over the photos whose true name is known."""
        self.end_evaluation("validate")
        known = [(each.names[self.row], each.true_name) for each in self.predictions if each.true_name is not None]
        if known:
            names, truth = zip(*known, strict=True)
            self.log_dict({f"val/{name}": figure for name, figure in score(names, truth, encoders=[]).items()})

    def on_test_epoch_start(self) -> None:
        """See ``begin_evaluation``."""
        self._pass = "test"
        self.begin_evaluation()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """See ``evaluation_step``."""
        self.evaluation_step(batch)

    def on_test_epoch_end(self) -> None:
        """See ``end_evaluation``."""
        self.end_evaluation("test")

    def on_predict_epoch_start(self) -> None:
        """See ``begin_evaluation``."""
        self._pass = "predict"
        self.begin_evaluation()

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        """See ``evaluation_step``."""
        self.evaluation_step(batch)

    def on_predict_epoch_end(self) -> None:
        """See ``end_evaluation``."""
        self.end_evaluation("predict")

    def keeps(self, key: str) -> bool:
        """Whether a checkpoint holds this entry of the state; not the weights of a frozen backbone, whose files do."""
        return not (self.backbone_stays and key.startswith(_BACKBONE_PREFIX))

    def take_evaluated_weights(self) -> None:
        """Take the weights that are evaluated, where they are others than those that are trained."""
        return

    def leave_files(self, folder: RunFolder) -> None:
        """Leave files of its own in the run folder, on process 0, with the parameters that ``fit`` has chosen."""
        return

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take a state back; only a frozen backbone's weights may be missing.

        Raises:
            FgvrError: Anything else is missing or left over, or is of another shape.
        """
        check_shapes(self.state_dict(), state_dict, self.vocabulary, self.backbone)
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        missing = [key for key in result.missing_keys if self.keeps(key)]
        if strict and (missing or result.unexpected_keys):
            raise FgvrError(
                f"The checkpoint does not fit the method {self.row!r}: missing {some_of(missing)}, left over "
                f"{some_of(result.unexpected_keys)}. Use the config.yaml of the checkpoint's own run folder."
            )
        return result

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a reader needs, plain values only.

        Class names in order, the resolved configuration, which photos were held out of training, of which image towers
        the features were, whether true names were allowed to choose, and whether it rests on replies that were made up.
        """
        assert self.vocabulary is not None
        checkpoint["fgvr"] = {
            "version": __version__,
            "class_names": list(self.vocabulary.names),
            "config": self.data.state.config,
            "held_out": self.data.held_out_digest,
            "towers": self.towers,
            "oracle": self.oracle,
            "simulated": self.data.simulated,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the mark of what true names chose, warn of another image tower, hold out the same photos in training.

        Raises:
            FgvrError: Training is to go on, and the run was begun with other held-out photos.
        """
        written = checkpoint.get("fgvr", {})
        if written.get("oracle"):
            self.selection["oracle"] = True
        if (towers := written.get("towers")) and towers != self.towers:
            log.warning(
                "The checkpoint was learned from features of another image tower, or with another visual space, than "
                "%s has here: unless these are alike, what it says of photos is worth nothing. Use the config.yaml of "
                "its own run folder",
                type(self.backbone).__name__,
            )
        resuming = self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        if resuming and written.get("held_out", NOTHING_HELD_OUT) != self.data.held_out_digest:
            raise FgvrError(
                "data.holdout: the run was begun with other held-out photos than these; photos that were trained on "
                "cannot judge. Go on with data.holdout and seed_everything of its own config.yaml, or start a new run."
            )

    @cached_property
    def towers(self) -> dict[str, str]:
        """Space -> fingerprint of the frozen image tower whose features it reads; after ``configure_model``."""
        spaces = sorted(self.spaces) if self.backbone_stays else []
        return {space: self.backbone.tower_of(space).fingerprint() for space in spaces}


def _drop_what_is_not_kept(module: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    """Leave out what ``keeps`` does not name."""
    if isinstance(module, Method):
        for key in [key for key in state if key.startswith(prefix) and not module.keeps(key.removeprefix(prefix))]:
            del state[key]
