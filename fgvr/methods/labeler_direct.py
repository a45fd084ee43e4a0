"""The labeler itself as the classifier: every evaluated photo is asked about."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Never

from torch import Tensor

from fgvr.backbones.base import Backbone, PromptEncoder
from fgvr.data.batches import Batch
from fgvr.data.support_photos import SupportPhotos
from fgvr.errors import FgvrError
from fgvr.methods.untrained import UntrainedMethod
from fgvr.records import CandidateSets, Prediction, Vocabulary
from fgvr.vocabulary.build import build_vocabulary


class LabelerDirectMethod(UntrainedMethod):
    """Asks ``data.labeler`` about every evaluated photo (the GPT-4o, Gemini, LLaVA and BLIP-2 rows of table 2).

    Nothing is trained, no support photo is asked about, and no weights are read. Replies come from the label store
    where they are there, and are asked for under ``data.max_cost_usd`` where they are not; the label stage with these
    options asks for them beforehand, and its dry run says what that would cost. The FGVR paper takes these rows for the
    upper bound. A photo whose reply gives no name has an empty one: wrong, and for
    cACC one group with all others that have none.

    The option ``data.direct`` has the same figures as a row beside those of another method.

    Args:
        backbone: For a labeler that compares photos, such as ``cascade``; other labelers need none.
    """

    row = "labeler_direct"
    untrained_rows: ClassVar[tuple[str, ...]] = ("labeler_direct",)
    brings_names: ClassVar[bool] = True
    needs_features: ClassVar[bool] = False
    asks_evaluated: ClassVar[bool] = True

    def __init__(self, backbone: Backbone | None = None) -> None:
        super().__init__(_NoBackbone() if backbone is None else backbone)

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The names that the evaluated photos were given, or those of ``data.class_names``.

        Raises:
            FgvrError: No reply gives a name.
        """
        if self.data.class_names != "labels":
            return support.vocabulary
        return build_vocabulary(self.data.read_labels(self.data.records_of("test")))

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Nothing: what is said is in the label store."""

    def classifiers(self) -> Mapping[str, Tensor]:
        """None that would name a photo without asking.

        Raises:
            FgvrError: Always.
        """
        raise FgvrError(
            "labeler_direct has no classifier, as it asks the labeler about each photo: test it, or predict, with the "
            "options of the run."
        )

    def begin_evaluation(self) -> None:
        """Refuse photos that nobody was asked about.

        Raises:
            FgvrError: The split ``val`` is to be validated on.
        """
        if self._pass == "validate":
            raise FgvrError("labeler_direct asks about the evaluated photos and no others: test it, or predict.")

    def evaluation_step(self, batch: Batch) -> None:
        """Nothing: photos are not looked at."""

    def end_evaluation(self, stage: str) -> None:
        """The first name in each reply."""
        records = self.data.records_of(stage)
        self.predictions = [
            Prediction(
                sample_id=record.sample_id,
                split=record.split,
                true_name=self.data.images.truth.get(record.sample_id),
                names={self.row: label.names[0] if label.names else ""},
                scores={self.row: math.nan},
            )
            for record, label in zip(records, self.data.read_labels(records), strict=True)
        ]


class _NoBackbone(Backbone):
    """Stands where no backbone is given."""

    def load(self) -> Never:
        """See the base class.

        Raises:
            FgvrError: Always.
        """
        raise FgvrError(
            "This run compares photos (a cascade looks at neighbours, a selection at all of them), and labeler_direct "
            "was given no backbone: set model.backbone, to lite for one."
        )

    def fingerprint(self) -> str:
        """See the base class."""
        return self.load()

    def encode_image(self, pixels: Tensor) -> Tensor:
        """See the base class."""
        return self.load()

    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """See the base class."""
        return self.load()

    def prompt_encoder(self) -> PromptEncoder:
        """See the base class."""
        return self.load()
