"""Photos, what the labeler says of them, and the vocabulary that this makes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray

from fgvr.backbones.base import Backbone
from fgvr.cache import default_cache_dir
from fgvr.data.learner import Learner
from fgvr.data.run_state import RunState
from fgvr.data.support_photos import SupportPhotos
from fgvr.datasets.base import ImageDataset
from fgvr.datasets.duplicates import Duplicates
from fgvr.datasets.images import Images, read_images
from fgvr.descriptions.files import Origin, read_origin
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelling.files import read_labels_file, write_labels
from fgvr.labelling.image_labels import ImageLabels
from fgvr.labelling.plan import LabelPlan, summary
from fgvr.labelling.requests import Asker
from fgvr.records import ImageRecord, LabelRecord, Space, Vocabulary
from fgvr.registry import VOCABULARIES
from fgvr.runs import RunFolder
from fgvr.selections.base import Selection
from fgvr.text import counted, verb
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices
from fgvr.vocabulary.files import write_vocabulary
from fgvr.vocabulary.given import given_vocabulary
from fgvr.vocabulary.join import join_classes, joined_images

log = logging.getLogger(__name__)


class LabelledDataModule(LightningDataModule, ABC):
    """The stages up to the vocabulary.

    Args:
        dataset: Reader of the photos.
        labeler: Who names the support photos. Not needed where the class names are known and nothing is trained.
        class_names: The vocabulary: ``labels`` (all names that the labeler gave), ``dataset`` (the true names, as a
            list: for the setting in which classes are known and photos are not), a list of names, or a file: an edited
            ``vocabulary.json`` of a run, a text with one name per line, a CSV with the column ``name``, ``class_name``
            or ``class``, or a list as JSON or YAML.
        vocabulary: Which names that the labeler gave are one class, beyond spellings and synonyms; ``spelling`` if not
            given. Names that are not the labeler's are never joined.
        shots: Draw this many support photos per true class (m in the FGVR paper). All support photos if not given.
        support_size: Draw this many support photos in all, for photos without names.
        support_seed: Another one draws other support photos.
        duplicates: What is done about support photos whose files have the same bytes as an evaluated photo: ``refuse``
            to train, ``leave_out`` these support photos before the draw, or ``allow`` them.
        select: Which support photos the labeler is asked about; all if not given. The others stay in the support set
            without a name, and can be given candidate sets from neighbours that have one.
        direct: Ask the labeler about every evaluated photo too: the row ``labeler`` of the result table, which the FGVR
            paper takes for the upper bound, and far more requests. For ``fit``, ``test`` and ``label``.
        label_store: SQLite file that keeps every reply; shared by all runs.
        max_cost_usd: Labelling stops before it has spent more than this, and the descriptions that ``fit`` asks for may
            cost what it left over; each compared row that needs replies of its own may spend as much again.
        cache_dir: Folder of features and scans; ``$FGVR_CACHE`` or ``fgvr`` in the user's cache folder if not given.
        describe: Descriptions of the support photos and of groups of them, for methods that train with them.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        labeler: Labeler | None = None,
        *,
        class_names: Literal["labels", "dataset"] | list[str] | Path = "labels",
        vocabulary: VocabularyStrategy | None = None,
        shots: int | None = None,
        support_size: int | None = None,
        support_seed: int = 0,
        duplicates: Duplicates = "refuse",
        select: Selection | None = None,
        direct: bool = False,
        label_store: Path = Path("runs/labels.sqlite"),
        max_cost_usd: float | None = None,
        cache_dir: Path | None = None,
        describe: DescribeOptions | None = None,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.labeler = labeler
        self.class_names = class_names
        self.joining = vocabulary
        self.shots = shots
        self.support_size = support_size
        self.support_seed = support_seed
        if duplicates not in get_args(Duplicates):
            raise FgvrError(f"data.duplicates is {duplicates!r}; expected {', '.join(get_args(Duplicates))}.")
        self.duplicates: Duplicates = duplicates
        self.select = select
        self.direct = direct
        self.label_store = Path(label_store)
        self.max_cost_usd = max_cost_usd
        self.cache_dir = Path(cache_dir) if cache_dir else default_cache_dir()
        self.describe = describe
        self.state = RunState()
        self.vocabulary: Vocabulary | None = None

    @abstractmethod
    def image_features(
        self, images: Sequence[ImageRecord], backbone: Backbone | None = None, space: Space = "joint"
    ) -> NDArray[np.float32]:
        """Image features of ``images``, for labelers and selections that look at them; L2-normalised, one row each."""

    def begin(self, state: RunState) -> None:
        """Take what the run has to say, before anything is labelled or prepared.

        Without it, the trainer's ``default_root_dir`` is the run folder.
        """
        self.state = state
        self.vocabulary = state.vocabulary

    @property
    def run_folder(self) -> RunFolder | None:
        """Where each stage leaves its file; ``None`` before there is such a folder."""
        return self.state.folder

    @property
    def described(self) -> Origin | None:
        """What the descriptions of the run cost; ``None`` where it has none, or they do not say."""
        folder = self.run_folder
        return read_origin(folder.descriptions) if folder is not None and folder.descriptions.is_file() else None

    @cached_property
    def images(self) -> Images:
        """The photos, read and checked once."""
        images = read_images(self.dataset, self.cache_dir)
        return images.without_evaluated_bytes() if self.duplicates == "leave_out" else images

    @cached_property
    def support(self) -> tuple[ImageRecord, ...]:
        """The support photos, after the draw.

        Raises:
            FgvrError: There are none.
        """
        return self.images.draw_support(self.shots, self.support_size, self.support_seed)

    @cached_property
    def labels(self) -> ImageLabels:
        """What the labeler says."""
        known = self.vocabulary is not None or self.class_names != "labels"
        return ImageLabels(
            self.labeler,
            self.select,
            self.label_store,
            self.max_cost_usd,
            lambda images, space: self.image_features(images, space=space),
            (lambda: (self.vocabulary or self._given_vocabulary()).names) if known else None,
            self._text_features,
        )

    @property
    def asked_groups(self) -> tuple[tuple[ImageRecord, ...], ...]:
        """The photos that the labeler is asked about: chosen support photos and, with ``direct``, evaluated ones."""
        support = self.labels.choose(self.support) if self.state.asks_support else ()
        evaluated = self.images.splits[self.images.evaluated_split] if self.asks_evaluated else ()
        drawn = {record.sample_id for record in support}
        return support, tuple(record for record in evaluated if record.sample_id not in drawn)

    @property
    def asks_evaluated(self) -> bool:
        """Whether the labeler is asked about evaluated photos, too."""
        return (self.direct or self.state.direct) and self.state.asks_evaluated

    @property
    def asked(self) -> tuple[ImageRecord, ...]:
        """The same, all of them together."""
        return tuple(record for group in self.asked_groups for record in group)

    def label_plan(self) -> LabelPlan:
        """What labelling would ask and cost; asks nothing."""
        return self.labels.plan(self.asked_groups)

    def label(self, asker: Asker | None = None) -> list[LabelRecord]:
        """Ask the labeler for what is missing, store every reply, and return what is known of each photo asked about.

        Args:
            asker: Asks in another way than the labeler's own.

        Raises:
            FgvrError: The labeler cannot go on, or ``max_cost_usd`` is reached; what was paid for is stored.
        """
        self.labels.ask(self.asked_groups, asker)
        return self.read_labels(self.asked)

    def read_labels(self, images: Sequence[ImageRecord] | None = None) -> list[LabelRecord]:
        """What the store has for each of ``images``; ``flag`` is ``"failed"`` where it has nothing.

        Args:
            images: The support photos if not given; those that were not chosen have the flag ``"unasked"``.
        """
        if images is None:
            return self.labels.read_support(self.support, self.asked_groups)
        return self.labels.read(images, self.asked_groups)

    @property
    def simulated(self) -> bool:
        """Whether replies and their costs are made up, here or where the checkpoint of this run was trained."""
        describers = () if self.describe is None else (self.describe.labeler, self.describe.group_labeler)
        described = self.described
        return (
            self.state.simulated
            or (described is not None and described.simulated)
            or any(labeler is not None and labeler.simulated for labeler in (self.labeler, *describers))
        )

    def needs_labels(self, learner: Learner) -> bool:
        """Whether making the vocabulary and the candidate sets of this run needs the labeler."""
        return needs_sets(learner) or (self.class_names == "labels" and not learner.brings_names)

    def find_vocabulary(self, labelled: bool) -> tuple[Vocabulary, list[LabelRecord]]:
        """The classes that were named or given, and what the labeler said of the support photos; no file is left.

        Args:
            labelled: Whether replies are needed: see ``needs_labels``. Without, there are no labels.

        Raises:
            FgvrError: Photos are not labelled yet, or no reply has a usable name.
        """
        labels = self._asked_before() if labelled else []
        return self._found(self._named_classes(labels)), labels

    def make_vocabulary(self, learner: Learner) -> Vocabulary:
        """The vocabulary of the run, by its method, and the label and vocabulary files of the run folder.

        Raises:
            FgvrError: Photos are not labelled yet, or no reply has a usable name.
        """
        labelled = self.needs_labels(learner)
        labels = self._asked_before() if labelled else []
        support = SupportPhotos(
            self.support,
            labels,
            vocabulary=lambda: self._named_classes(labels),
            features=lambda images, backbone, space: self.image_features(images, backbone, space),
            cache_dir=self.cache_dir,
        )
        vocabulary = self._found(learner.discover(support))
        if self.class_names != "labels" and not support.vocabulary_was_read:
            log.warning("data.class_names is not used by %s: it finds class names of its own", type(learner).__name__)
        if labelled:
            write_labels(labels, self._folder().labels)
        write_vocabulary(vocabulary, self._folder().vocabulary)
        return vocabulary

    def _asked_before(self) -> list[LabelRecord]:
        """What the labeler said of the support photos, all of whom it must have been asked about."""
        if unasked := self.label_plan().unasked:
            raise FgvrError(
                f"{unasked} of {counted(len(self.asked), 'photo')} to be labelled "
                f"{verb(unasked, 'has', 'have')} no reply in {str(self.label_store)!r}, "
                "and nothing is asked for while a trainer runs. Run the label stage with the same options first, "
                "or call label() of the data module."
            )
        labels = self.read_labels()
        log.info("%s", summary(labels, self.simulated))
        return labels

    def _named_classes(self, labels: Sequence[LabelRecord]) -> Vocabulary:
        return self._join(labels) if self.class_names == "labels" else self._given_vocabulary()

    def _found(self, vocabulary: Vocabulary) -> Vocabulary:
        log.info("Vocabulary: %s", counted(len(vocabulary), "class", "classes"))
        if len(vocabulary) == 1:
            log.warning("There is one class, so every photo will be given the name %r", vocabulary.names[0])
        return vocabulary

    def _join(self, labels: Sequence[LabelRecord]) -> Vocabulary:
        """The vocabulary of what was said: spellings and synonyms are one class, and what the strategy finds."""
        vocabulary = build_vocabulary(labels)
        if self.joining is None:
            return vocabulary
        given = GivenNames(labels, lambda space: self.image_features(self.support, space=space), self._text_features)
        joined = join_classes(vocabulary, self.joining.joins(vocabulary, given))
        if joined.joins:
            name, changed = VOCABULARIES.short_name(type(self.joining)), joined_images(joined)
            log.info(
                "Joining (%s): %d of %s, photos with another one: %s",
                name,
                len(joined),
                counted(len(vocabulary), "class", "classes"),
                changed,
            )
        return joined

    def _text_features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        backbone = self.state.backbone or self._learner().backbone
        backbone.load()
        return backbone.encode_text(texts).numpy(force=True)

    def _given_vocabulary(self) -> Vocabulary:
        assert self.class_names != "labels", "those are known only after all photos are labelled"
        # photos are not read for names that are given
        known = self.images.known_names if self.class_names == "dataset" else ()
        return given_vocabulary(self.class_names, known)

    def image_named(self, text: str) -> str:
        """A sentence that says which photo was given the class name that ``text`` holds; ``""`` if none was."""
        labels = self.read_labels() if self.labeler is not None else []
        for label_record in labels:
            if any(name.replace("_", " ") in text.replace("_", " ") for name in label_record.names):
                return f" It is the name of {label_record.sample_id!r} in {str(self._folder().labels)!r}."
        return ""

    def records_of(self, stage: str) -> Sequence[ImageRecord]:
        """The photos that a ``"validate"``, ``"test"`` or ``"predict"`` pass runs on, in the order of its rows."""
        return self.images.splits["val" if stage == "validate" else self.images.evaluated_split]

    @property
    def has_labels(self) -> bool:
        """Whether the run knows what the labeler said of its support photos: after they were prepared."""
        return self.run_folder is not None and self.run_folder.labels.is_file()

    def own_classes(self) -> NDArray[np.int64]:
        """The class of the labeler's first name of each support photo, -1 where it gave none: while training."""
        assert self.vocabulary is not None, "training comes after setup"
        given = labels_as_indices(self._labels_of_the_run(), self.vocabulary)
        return np.array([names[0] if names else -1 for names in given], dtype=np.int64)

    def _labels_of_the_run(self) -> list[LabelRecord]:
        """The labels that the run's files were made from, one for each support photo."""
        known = {record.sample_id: record for record in read_labels_file(self._folder().labels)}
        return [known.get(image.sample_id, LabelRecord(image.sample_id, names=())) for image in self.support]

    def _stage(self) -> str:
        fn = self._trainer().state.fn
        return {TrainerFn.FITTING: "fit", TrainerFn.VALIDATING: "validate", TrainerFn.TESTING: "test"}.get(
            fn or TrainerFn.PREDICTING, "predict"
        )

    def _trainer(self) -> Trainer:
        if self.trainer is None:
            raise RuntimeError("FgvrDataModule needs a trainer here: pass it to Trainer.fit, test or predict.")
        return self.trainer

    def _learner(self) -> Learner:
        return self._trainer().lightning_module  # type: ignore[return-value]  # every fgvr method is a Learner

    def _folder(self) -> RunFolder:
        if self.state.folder is None:  # a trainer of Lightning's own, without a run around it
            self.state = replace(self.state, folder=RunFolder(Path(self._trainer().default_root_dir)))
        folder = self.state.folder
        assert folder is not None, "it was made just now, or before"
        return folder


def needs_sets(learner: Learner) -> bool:
    """Whether a method learns from candidate sets."""
    return learner.trains and learner.needs_candidates
