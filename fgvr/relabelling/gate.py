"""Whether names are said anew by looks: decided by names that were hidden, never by true ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fgvr.candidates.base import NamedImages
from fgvr.candidates.features import features_of
from fgvr.candidates.honest_folds import honest_folds
from fgvr.classifiers.centred import centred
from fgvr.classifiers.choice import hits
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.records import CandidateSets
from fgvr.relabelling.base import Relabelling


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Attributes:
        applied: Whether names are said anew.
        agreement: Share of the named photos that class means of the other photos' first names give the labeler's name,
            in [0, 1].
        hidden_before: The same by class means of the candidate sets, of names that were hidden from these; ``None``
            where that was not looked at.
        hidden_after: The same of sets that were relabelled without the hidden names.
        reason: A sentence for people.
    """

    applied: bool
    agreement: float
    hidden_before: float | None
    hidden_after: float | None
    reason: str


def support_features(relabelling: Relabelling, images: NamedImages) -> Tensor:
    """Centred features of length 1 of the support photos, in the space of the relabelling, shape ``(N, D)``."""
    features = torch.from_numpy(features_of(images, None, relabelling.space, "relabelling"))
    return centred(features, features.double().mean(0).float())


def relabel_sets(relabelling: Relabelling, sets: CandidateSets, images: NamedImages, features: Tensor) -> CandidateSets:
    """The candidate sets after relabelling.

    Args:
        relabelling: How.
        sets: Before it.
        images: The support photos.
        features: See :func:`support_features`.
    """
    names = SoftNames.from_sets(sets, images.sample_ids, images.num_classes)
    return relabelling.relabel(features, names).to_sets(images.sample_ids)


def judge(
    relabelling: Relabelling, build: Callable[[NamedImages], CandidateSets], images: NamedImages, features: Tensor
) -> Verdict:
    """Whether relabelling these photos can be expected to help.

    Photos whose name the looks of other photos do not tell cannot be mended by looks: below ``min_agreement`` nothing
    is done. Otherwise the names of a tenth of the photos are hidden, ten times over, and class means are learned from
    the sets that are left, as they are and relabelled. Relabelling is done if the hidden names are found more often, by
    one standard error of the difference.

    Args:
        relabelling: How names are said anew.
        build: How names become candidate sets.
        images: The support photos.
        features: See :func:`support_features`.
    """
    own = torch.tensor([names[0] if names else -1 for names in images.labels])
    named = own >= 0
    first = SoftNames(own.clamp(min=0)[:, None], named[:, None].double(), images.num_classes)
    agreement = float(hits(ClassMeans(features, first).leave_one_out, own).double().mean())
    said = f"{agreement:.1%} of the photos are given the labeler's name by class means of the others"
    if relabelling.needs_several and all(len(indices) == 1 for indices, _ in build(images)):
        return Verdict(
            False, agreement, None, None, f"{said}; every candidate set has one name alone: set data.candidates to knn"
        )
    if relabelling.min_agreement == 0:
        return Verdict(True, agreement, None, None, f"{said}; relabelling.min_agreement is 0")
    if agreement < relabelling.min_agreement:
        least = f"less than relabelling.min_agreement, {relabelling.min_agreement:.1%}"
        return Verdict(False, agreement, None, None, f"{said}, {least}: looks cannot mend these names")
    found = np.zeros((2, len(own)), dtype=bool)
    for rows, sets in honest_folds(build, images):
        hidden = torch.from_numpy(rows)
        before = SoftNames.from_sets(sets, images.sample_ids, images.num_classes)
        for number, names in enumerate((before, relabelling.relabel(features, before))):
            means = ClassMeans(features, names.without(hidden))
            found[number, rows] = (means.scores(features[hidden]).argmax(1) == own[hidden]).numpy()
    before_after = found[:, named.numpy()].astype(np.float64)
    difference = before_after[1] - before_after[0]
    gain, error = difference.mean(), difference.std() / len(difference) ** 0.5
    applied = bool(gain > 0 and gain >= error - 1e-9)
    shares = before_after.mean(1)
    reason = f"{said}; of hidden names {shares[0]:.1%} are found before relabelling and {shares[1]:.1%} after it"
    if not applied:
        reason += f", which is not more by a standard error ({error:.1%}): names stay as they are"
    return Verdict(applied, agreement, float(shares[0]), float(shares[1]), reason)
