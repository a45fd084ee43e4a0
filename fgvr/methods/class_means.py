"""Class means of image features, fused with the text: fgvr's default."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.single import SingleCandidates
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.centred import CentredClassifier, centred
from fgvr.classifiers.cosine import CosineClassifier
from fgvr.classifiers.fused import FusedClassifier
from fgvr.classifiers.transductive import AnchoredMeansClassifier, TransductiveFusion
from fgvr.errors import FgvrError
from fgvr.methods.closed_form import ClosedFormMethod
from fgvr.methods.visual import SupportNames, VisualFit, VisualKind, check_visual, fit_visual, text_scores
from fgvr.methods.zero_shot import template_features, template_list
from fgvr.records import CandidateSets, Space, Vocabulary, check_space

log = logging.getLogger(__name__)


class ClassMeansMethod(ClosedFormMethod):
    """Name a photo by the class whose photos it looks like, and by what the text says of it.

    Nothing is trained: each class is the mean of the centred features of the photos that were given its name, in the
    space in which photos are compared. What they say is fused with zero-shot. How much the text counts is chosen by how
    often a photo that was left out gets the name that the labeler gave it (leave-one-out, exact), from photos alone to
    text alone. It takes seconds on a CPU and is the default.

    Where photos of a name are many, ridge regression and a Gaussian discriminant can be better than means, and where
    names are often wrong they are worse: one of them is fused instead where it agrees with the names more often, beyond
    the noise.

    The result table has the rows ``zero_shot``, ``class_means`` (photos alone, by their means) and its own,
    ``class_means_fused``. docs/explanation/class-means.md says why, and what was measured.

    Args:
        backbone: Image and text tower.
        classifier: What is fused: ``class_means``, ``ridge``, ``gaussian``, or ``auto``, which lets leave-one-out
            choose. The row ``class_means`` does not depend on it.
        text_weight: How much the text counts against the photos, from 0 (photos alone) to ``.inf`` (text alone); chosen
            by leave-one-out if not given.
        templates: Text templates with ``{}`` for the class name; several are averaged. The name alone if not given.
        space: Space of the image features: ``visual``, or ``joint``, which images share with texts.
        anchor: In the joint space, how many photos the text of a class counts as when its mean is taken.
        transductive: Whether the photos that are evaluated or named together move the class means, in the further rows
            ``class_means_transductive`` and ``class_means_fused_transductive``, which is then the method's own. Ridge
            regression and the discriminant do not move: where one is fused, the latter row is ``class_means_fused``. No
            figure without true names was found that says where it helps: see docs/results.md.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "class_means_fused"

    def __init__(
        self,
        backbone: Backbone,
        classifier: VisualKind = "auto",
        text_weight: float | None = None,
        templates: list[str] | str | None = None,
        space: Space = "visual",
        anchor: float = 0.0,
        transductive: bool = False,
    ) -> None:
        super().__init__(backbone)
        check_visual(classifier, text_weight, anchor, check_space("model.space", space))
        self.classifier = classifier
        self.text_weight = text_weight
        self.templates = template_list(templates)
        self.space = space
        self.anchor = anchor
        self.transductive = transductive
        self.fused_row = self.row
        if transductive:
            self.row = f"{self.row}_transductive"
        self.spaces = frozenset({"joint", space})
        self._fit: VisualFit | None = None

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        rows = ("zero_shot", "class_means", self.fused_row)
        return (*rows, "class_means_transductive", self.row) if self.transductive else rows

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Fit everything, or make room for a checkpoint's values."""
        start = time.perf_counter()
        texts = template_features(self.backbone, vocabulary.names, self.templates)
        self.zero_shot = CosineClassifier(texts, self.backbone.logit_scale)
        self.classifier_seconds["zero_shot"] = time.perf_counter() - start
        dim = self.backbone.embed_dim if self.space == "joint" else self.backbone.visual_dim
        self.means = CentredClassifier.empty(len(vocabulary), dim, self.space)
        self.visual = CentredClassifier.empty(len(vocabulary), dim, self.space)
        self.fused = FusedClassifier(self.visual, self.zero_shot)
        if self.transductive:
            sums, counts = torch.zeros(len(vocabulary), dim), torch.zeros(len(vocabulary))
            self.moved = AnchoredMeansClassifier(self.means, sums, counts)
            self.moved_fused = TransductiveFusion(self.moved, self.fused)
        if candidates is not None:
            self._learn(vocabulary, candidates, texts.cpu())
            self.classifier_seconds[self.row] = time.perf_counter() - start
            self.classifier_seconds |= dict.fromkeys(self.row_names()[1:], self.classifier_seconds[self.row])

    def _learn(self, vocabulary: Vocabulary, candidates: CandidateSets, texts: Tensor) -> None:
        # Lightning makes a GPU the default device while it configures a model
        with torch.device("cpu"):
            support = SupportNames.of_run(self.data, candidates, len(vocabulary), self.space)
            text = text_scores(self.data, texts, self.backbone.logit_scale)
            anchors = centred(texts, texts.mean(0)) if self.anchor else None
            fit = fit_visual(support, text, self.classifier, self.text_weight, anchors, self.anchor)
            self.means = fit.classifier(fit.means, self.space)
            self.visual = fit.classifier(fit.chosen, self.space)
            self.fused = fit.fused(self.visual, self.zero_shot)
            if self.transductive:
                moves = fit.kind == "class_means"
                if not moves:
                    log.info("%s is fused and does not move: %s names each photo by itself", fit.kind, self.row)
                self.moved = AnchoredMeansClassifier(self.means, fit.means.sums, fit.means.counts + self.anchor)
                self.moved_fused = TransductiveFusion(self.moved, self.fused, moves)
        self.selection["fusion"] = fit.described()
        self._fit = fit

    def default_candidates(self) -> CandidateStrategy:
        """Own names alone: with names of neighbours, class means are worse (docs/results.md)."""
        return SingleCandidates()

    def classifiers(self) -> Mapping[str, Classifier]:
        """The text, the class means, and both together."""
        rows: dict[str, Classifier] = {"zero_shot": self.zero_shot, "class_means": self.means}
        rows[self.fused_row] = self.fused
        if self.transductive:
            rows |= {"class_means_transductive": self.moved, self.row: self.moved_fused}
        return rows

    def unseen_predictions(self) -> Mapping[str, Tensor]:
        """By leave-one-out; see the base class. Of transductive rows, before they have looked at evaluated photos."""
        if self._fit is None:
            return {}
        means, fused = (self._fit.unseen_classes(row) for row in ("class_means", "fused"))
        rows = {"class_means": means, self.fused_row: fused}
        return rows | {"class_means_transductive": means, self.row: fused} if self.transductive else rows

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take a state back.

        Raises:
            FgvrError: It does not fit, or the run goes on and has learned something else.
        """
        learned = {key: tensor.clone() for key, tensor in self.state_dict().items()}
        result = super().load_state_dict(state_dict, strict, assign)
        if self._fit is not None:
            other = [key for key, tensor in learned.items() if not _alike(tensor, self.state_dict()[key])]
            if other:
                raise FgvrError(
                    f"The checkpoint has learned other values than this run does now ({other[0]} for one): options "
                    "under 'model', names or features are not those of then. Go on with the config.yaml of its own run "
                    "folder, or start a new run."
                )
        return result


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether they are equal but for rounding, which differs from machine to machine."""
    return torch.allclose(one.float(), other.float().to(one.device), rtol=1e-3, atol=1e-4, equal_nan=True)
