"""What methods learn from image features in closed form: visual classifiers, and their fusion with the text."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from fgvr.classifiers.base import Classifier
from fgvr.classifiers.centred import CentredClassifier, centred
from fgvr.classifiers.choice import (
    WEIGHTS,
    Folds,
    Fusion,
    Unseen,
    choose_form,
    choose_fusion,
    fit_scale,
    fuse_unseen,
    hits,
    may_choose_form,
    predict,
)
from fgvr.classifiers.closed_form.base import ClosedForm
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.gaussian import Gaussian
from fgvr.classifiers.closed_form.ridge import Ridge
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.classifiers.fused import FusedClassifier
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets, Space
from fgvr.text import counted, none_of

log = logging.getLogger(__name__)

NOTHING_SHARED = (
    "No two photos were given the same name, so nothing can say how much what photos look like is worth: it counts as "
    "much as the text (model.text_weight)"
)

VisualKind = Literal["auto", "class_means", "ridge", "gaussian"]

_Make = Callable[[Tensor, SoftNames], ClosedForm]
_KINDS: dict[str, tuple[_Make, ...]] = {
    "class_means": (ClassMeans,),
    "ridge": tuple(partial(Ridge, penalty=penalty) for penalty in (0.1, 1.0)),
    "gaussian": tuple(partial(Gaussian, shrinkage=shrinkage) for shrinkage in (1.0, 10.0)),
}
"""Kind -> how it may be fitted; the settings were tried on development sets, where each is the best somewhere."""


@dataclass(frozen=True, eq=False)
class SupportNames:
    """The support photos of a run in one space, and what they are said to show.

    Attributes:
        images: L2-normalised features, float32, shape ``(N, D)``.
        centre: Their mean, shape ``(D,)``.
        features: Centred features, float32, shape ``(N, D)``.
        names: Candidate sets; nothing is learned from photos that are held out.
        own: Class of the labeler's first name, -1 where it gave none, shape ``(N,)``.
        folds: Rows whose names were hidden, and candidate sets without them; ``None`` where leaving out a photo's own
            set hides its name.
    """

    images: Tensor
    centre: Tensor
    features: Tensor
    names: SoftNames
    own: Tensor
    folds: Sequence[tuple[Tensor, SoftNames]] | None = None

    @classmethod
    def of_run(
        cls, data: FgvrDataModule, candidates: CandidateSets, num_classes: int, space: Space, judged: bool = True
    ) -> "SupportNames":
        """Those of the run that the data module is of, while it is fitted.

        Args:
            data: The data module.
            candidates: Its candidate sets.
            num_classes: Size of the vocabulary.
            space: Of the features.
            judged: Whether what is learned will be judged by these photos, for which names may have to be hidden.

        Raises:
            FgvrError: Nothing is left to learn from.
        """
        images = torch.from_numpy(data.support_features(space))
        centre = images.double().mean(0).float()
        ids = [record.sample_id for record in data.support]
        out = torch.from_numpy(np.flatnonzero(data.support_held_out()))

        def names_of(sets: CandidateSets) -> SoftNames:
            return SoftNames.from_sets(sets, ids, num_classes).without(out)

        names = names_of(candidates)
        if not names.weights.any():
            raise FgvrError(
                f"{none_of(len(ids), 'support photo')} has a name to learn from that is in the vocabulary"
                + (", other than those that data.holdout holds out" if len(out) else "")
                + ": see labels.parquet in the run folder, and data.class_names."
            )
        folds = data.honest_folds() if judged else None
        return cls(
            images=images,
            centre=centre,
            features=centred(images, centre),
            names=names,
            own=torch.from_numpy(data.own_classes()),
            folds=None if folds is None else [(torch.from_numpy(rows), names_of(sets)) for rows, sets in folds],
        )

    @classmethod
    def of_own_names(cls, data: FgvrDataModule, num_classes: int, space: Space = "visual") -> "SupportNames":
        """The same with the labeler's first name of each photo, whatever the candidate sets are.

        Args:
            data: The data module, while it is fitted.
            num_classes: Size of the vocabulary.
            space: Of the features.
        """
        own = torch.from_numpy(data.own_classes())
        named = (own >= 0) & ~torch.from_numpy(data.support_held_out())
        images = torch.from_numpy(data.support_features(space))
        centre = images.double().mean(0).float()
        names = SoftNames(own.clamp(min=0)[:, None], named.double()[:, None], num_classes)
        return cls(images, centre, centred(images, centre), names, own)

    def unseen(self, form: ClosedForm, make: _Make) -> Unseen:
        """What the fitted form says of photos that it has not learned from."""
        if self.folds is None:
            return form.leave_one_out
        return Folds(lambda names: make(self.features, names), self.features, self.folds, self.names.num_classes)


@dataclass(frozen=True, eq=False)
class FittedForm:
    """A closed form and how it judges photos that it has not seen.

    Attributes:
        form: The closed form.
        unseen: Its scores of photos that it did not learn from.
        hits: Whether these give each named photo the labeler's name.
    """

    form: ClosedForm
    unseen: Unseen
    hits: Tensor

    @property
    def agreement(self) -> float:
        """Share of the named photos that get the labeler's name, in [0, 1]; 0 where no photo has a name."""
        return float(self.hits.double().mean()) if len(self.hits) else 0.0


@dataclass(frozen=True, eq=False)
class VisualFit:
    """Everything that was learned from the support photos' features without gradients.

    Attributes:
        means: Plain class means.
        chosen: The visual classifier that is fused.
        kind: Which kind that is.
        fusion: Its fusion with the text.
        unseen: Row -> scores of photos not learned from: ``class_means``, and ``fused``.
        support: The photos.
        agreements: Kind -> agreement with the labeler, in [0, 1].
        weight_by: What the weight of the text is by: ``leave-one-out``, ``option``, or ``nothing`` that could judge.
    """

    means: ClassMeans
    chosen: ClosedForm
    kind: str
    fusion: Fusion
    unseen: Mapping[str, Unseen]
    support: SupportNames
    agreements: Mapping[str, float]
    weight_by: Literal["leave-one-out", "option", "nothing"]

    def classifier(self, form: ClosedForm, space: Space) -> CentredClassifier:
        """One of the two as a classifier whose softmax fits the labeler's names."""
        unseen = self.unseen["class_means" if form is self.means else "visual"]
        return form.classifier(self.support.centre, fit_scale(unseen, self.support.own), space)

    def fused(self, visual: CentredClassifier, text: Classifier) -> FusedClassifier:
        """The chosen classifier and the text together.

        Args:
            visual: ``classifier`` of ``chosen``, whose logits are its scores times a scale.
            text: The text classifier whose scores the fusion was chosen with.
        """
        fusion = self.fusion
        return FusedClassifier(
            visual,
            text,
            fusion.weight,
            fusion.visual_deviation * float(visual.scale),
            fusion.text_deviation,
            fusion.scale,
        )

    def unseen_classes(self, row: str) -> Tensor:
        """The class of each support photo by what has not learned from it, int64, shape ``(N,)``; -1 for none.

        None for a photo in no fold, either: nothing was learned without it.
        """
        classes = predict(self.unseen[row], len(self.support.own))
        if self.support.folds is None:
            return classes
        judged = torch.zeros(len(classes), dtype=torch.bool)
        for rows, _ in self.support.folds:
            judged[rows] = True
        return torch.where(judged, classes, -1)

    def described(self) -> dict[str, Any]:
        """The choices, for ``metrics.json``: shares as percent."""
        weights = ["infinite" if math.isinf(weight) else f"{weight:g}" for weight in WEIGHTS]
        weight = self.fusion.weight
        return {
            "visual": self.kind,
            "text": "zero_shot",
            "weight_by": self.weight_by,
            "text_weight": "infinite" if math.isinf(weight) else weight,
            "agreement_by_kind": {kind: round(100 * share, 2) for kind, share in self.agreements.items()},
            "agreement_by_weight": {
                name: round(100 * share, 2) for name, share in zip(weights, self.fusion.agreement, strict=True)
            },
        }


def fit_visual(
    support: SupportNames,
    text: Unseen,
    kind: VisualKind = "auto",
    text_weight: float | None = None,
    texts: Tensor | None = None,
    anchor: float = 0.0,
) -> VisualFit:
    """Fit the visual classifiers, choose one, and choose the weight of the text.

    Args:
        support: The photos.
        text: Scores of the photos by the text, which has not learned from them.
        kind: Which visual classifier is fused; ``auto`` lets leave-one-out choose.
        text_weight: Its weight; chosen if not given.
        texts: Text features in the space of the photos, centred like these, for the anchor.
        anchor: Photos that the text of a class counts as among its class means.
    """
    fitted: dict[str, FittedForm] = {}
    others = may_choose_form(support.own) if kind == "auto" else False
    for name, makes in _KINDS.items():
        if name not in ("class_means", kind) and not others:
            continue
        if name == "class_means":
            makes = (partial(ClassMeans, texts=texts, anchor=anchor),)
        tried = [_fitted(support, make) for make in makes]
        fitted[name] = max(tried, key=lambda one: one.agreement)
    means = fitted["class_means"]
    assert isinstance(means.form, ClassMeans), "it was made above"
    chosen_kind = choose_form({name: one.hits for name, one in fitted.items()}) if kind == "auto" else kind
    chosen = fitted[chosen_kind]
    fusion = choose_fusion(chosen.unseen, text, support.own, text_weight)
    agreements = {name: one.agreement for name, one in fitted.items()}
    if empty := int(chosen.form.missing.sum()):
        said = "nothing can name them" if fusion.weight == 0 else "the text alone can name them"
        log.warning("%s without a photo, of %d: %s", counted(empty, "class", "classes"), len(chosen.form.missing), said)
    by = f"; {chosen_kind} is taken" if others else "; so few photos a name allow nothing but means"
    _report(agreements, by if kind == "auto" else "", fusion, weight_chosen=text_weight is None)
    return VisualFit(
        means=means.form,
        chosen=chosen.form,
        kind=chosen_kind,
        fusion=fusion,
        unseen={
            "class_means": means.unseen,
            "visual": chosen.unseen,
            "fused": fuse_unseen(chosen.unseen, text, fusion),
        },
        support=support,
        agreements=agreements,
        weight_by="option" if text_weight is not None else "leave-one-out" if fusion.shared else "nothing",
    )


def text_scores(data: FgvrDataModule, texts: Tensor, scale: float) -> Unseen:
    """Zero-shot logits of the support photos.

    Args:
        data: While it is fitted.
        texts: Class features, shape ``(C, embed_dim)``, on the CPU.
        scale: The backbone's logit scale.
    """
    joint = torch.from_numpy(data.support_features("joint"))

    def scores(rows: Tensor) -> Tensor:
        return (scale * joint[rows] @ texts.T).double()

    return scores


def check_visual(kind: str, text_weight: float | None, anchor: float = 0.0, space: Space = "visual") -> None:
    """Refuse options that cannot be.

    Raises:
        FgvrError: An option is out of its range.
    """
    if kind not in get_args(VisualKind):
        raise FgvrError(f"model.classifier is {kind!r}; expected one of {', '.join(get_args(VisualKind))}.")
    if text_weight is not None and not text_weight >= 0:
        raise FgvrError(
            f"model.text_weight is {text_weight}; expected 0 (photos alone) or more, .inf for the text alone, or null "
            "to let leave-one-out choose."
        )
    if not 0 <= anchor < math.inf:
        raise FgvrError(f"model.anchor is {anchor}; expected 0 or more, for instance 1.")
    if anchor > 0 and space != "joint":
        raise FgvrError(
            f"model.anchor is {anchor}, but texts are in the joint space, and model.space is {space!r}: set "
            "model.space to joint, or leave the anchor out."
        )


def _fitted(support: SupportNames, make: _Make) -> FittedForm:
    form = make(support.features, support.names)
    unseen = support.unseen(form, make)
    return FittedForm(form, unseen, hits(unseen, support.own))


def _report(agreements: Mapping[str, float], chosen: str, fusion: Fusion, weight_chosen: bool) -> None:
    if not fusion.images:
        return
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in agreements.items())
    log.info(
        "Agreement with the labeler's names on %s not learned from: %s%s",
        *(counted(fusion.images, "photo"), shares, chosen),
    )
    curve = ", ".join(f"{weight:g}: {100 * share:.1f}" for weight, share in zip(WEIGHTS, fusion.agreement, strict=True))
    log.info("The same by the weight of the text: %s; weight %g", curve, fusion.weight)
    if weight_chosen and not fusion.shared:
        log.warning("%s", NOTHING_SHARED)
