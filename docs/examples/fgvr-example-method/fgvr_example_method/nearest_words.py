"""Names are the words of a list that are nearest to the support photos."""

from pathlib import Path

import torch
from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.data.support_photos import SupportPhotos
from fgvr.errors import FgvrError
from fgvr.methods.untrained import UntrainedMethod
from fgvr.records import CandidateSets, Vocabulary
from fgvr.vocabulary.build import known_vocabulary
from torch import Tensor


class NearestWordsMethod(UntrainedMethod):
    """Names photos by the words of a list that are nearest to the support photos; nobody is asked.

    Args:
        backbone: Image and text tower.
        words: Text file with a word on each line.
        per_photo: How many words each support photo brings, 1 or more.
    """

    row = "nearest_words"
    brings_names = True

    def __init__(self, backbone: Backbone, words: Path, per_photo: int = 1) -> None:
        super().__init__(backbone)
        if per_photo < 1:
            raise FgvrError(f"model.per_photo is {per_photo}; expected 1 or more.")
        self.words = words
        self.per_photo = per_photo

    def row_names(self) -> tuple[str, ...]:
        """No row but its own."""
        return (self.row,)

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The words that are nearest to a support photo."""
        lines = Path(self.words).read_text(encoding="utf-8").splitlines()
        words = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not words:
            raise FgvrError(f"model.words: {str(self.words)!r} has no word; expected one on each line.")
        photos = torch.from_numpy(support.features("joint"))
        cosines = photos @ self.backbone.encode_text(words).float().cpu().T
        nearest = cosines.topk(min(self.per_photo, len(words))).indices.unique()
        return known_vocabulary([words[number] for number in nearest.tolist()])

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Encode the words."""
        self.texts = self.backbone.encode_text(list(vocabulary.names)).float()

    def predict(self, features: ImageFeatures) -> Tensor:
        """Cosines with the words, times the backbone's scale."""
        return self.backbone.logit_scale * features.joint.float() @ self.texts.T.to(features.joint.device)
