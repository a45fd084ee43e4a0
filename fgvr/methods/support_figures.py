"""Figures of a run that need no true names: how rows agree with the labeler, neighbours and candidate sets."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.candidates.neighbours import spread
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.choice import hits
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.losses.base import PartialLabels
from fgvr.methods.base import Method
from fgvr.methods.visual import NOTHING_SHARED, SupportNames
from fgvr.records import CandidateSets

log = logging.getLogger(__name__)

SEEN, UNSEEN, HELD_OUT = "seen", "unseen", "held out"
"""Of which photos an agreement is: learned from, left out or never learned from, or held out of the training."""

_BATCH = 1024
_MAX_COMPARED = 2000
"""Evaluated photos whose neighbours are looked up."""


def support_figures(method: Method) -> dict[str, dict[str, Any]]:
    """The figures of each row, from 0 to 100; none where the run has no labels, or its image tower changes.

    - ``agreement``: share of the named support photos that get the labeler's first name, by a classifier that did not
      learn the photo's name where there is one; ``agreement_of`` says which photos they are. Held-out photos count as
      seen where candidate sets come from neighbours: these have been given their names.
    - ``neighbour_agreement``: share of the evaluated photos that get the labeler's name of their nearest named support
      photo in the visual space, of at most 2,000 evenly spread.
    - ``covering_rate``: share of the support photos whose predicted name is in their candidate set.
    - ``left_candidates``: share of the support photos whose name is outside it when it comes from a classifier that did
      not learn from the photo; of those of which there is one (where there is none, the rest of the covering rate).
      Both for runs with candidate sets only.

    And for the method's own row, of the photos that its ``agreement`` is of:

    - ``class_means_agreement``: the agreement of class means of the labeler's own names.
    - ``shared_names``: share of them whose name another of them has; without the text, no others can get theirs.

    Args:
        method: After its test.
    """
    data = method.data
    if method.needs_pixels or not data.has_labels:
        return {}
    own = torch.from_numpy(data.own_classes())
    named = own >= 0
    if not named.any():
        return {}
    classifiers = method.as_classifiers()
    seen = _predictions(method, classifiers)
    unseen = {row: classes.cpu() for row, classes in method.unseen_predictions().items()}
    # a method without candidate sets has been told no photo's name, whatever it has learned from the photos
    unseen |= {row: seen[row] for row in (method.untrained_rows if method.needs_candidates else seen) if row in seen}
    held_out = named & torch.from_numpy(data.support_held_out())
    # names of neighbours are names of held-out photos, too
    if not data.own_names_alone:
        held_out = torch.zeros_like(held_out)
    members = None if data.candidate_sets is None else _members(method, data.candidate_sets)
    nearest = _nearest_names(method, own)
    figures: dict[str, dict[str, Any]] = {}
    for row in classifiers:
        judged, of = named, UNSEEN
        if row not in unseen:
            judged, of = (held_out, HELD_OUT) if held_out.any() else (named, SEEN)
        found = unseen.get(row, seen[row])
        figures[row] = {"agreement": _percent((found == own)[judged]), "agreement_of": of}
        if members is not None:
            figures[row]["covering_rate"] = _percent(_inside(seen[row], members))
            figures[row]["left_candidates"] = _percent(~_inside(found, members)[found[members[0]] >= 0])
        same = [p.names[row] == nearest[p.sample_id] for p in method.predictions if p.sample_id in nearest]
        if same:
            figures[row]["neighbour_agreement"] = _percent(torch.tensor(same))
        if row == method.row:
            figures[row]["class_means_agreement"] = _class_means_agreement(method, judged)
            figures[row]["shared_names"] = _percent(own[judged].bincount()[own[judged]] > 1)
    return figures


def warn_of_disagreement(figures: Mapping[str, Mapping[str, Any]], row: str) -> str:
    """What is to be said of a row that agrees clearly less with the names than class means would; ``""`` if nothing is.

    Clearly is by a quarter, and by 5 points. That the row has seen the names only flatters it. Something is said, too,
    of a row in which nothing could judge how much the text counts.

    Args:
        figures: Of :func:`support_figures`.
        row: The method's own row.
    """
    record = figures.get(row, {})
    if (record.get("fusion") or {}).get("weight_by") == "nothing":
        return NOTHING_SHARED
    mine, means = record.get("agreement"), record.get("class_means_agreement")
    if mine is None or means is None or mine > min(0.75 * means, means - 5):
        return ""
    hint = (
        "Leave out what you have set under model, data.candidates and data.relabelling"
        if record.get("fusion")
        else "Try the method class_means, or coop with model.fuse=true"
    )
    return (
        f"{row} gives {mine:.0f} % of the support photos the labeler's name, and class means of the same photos would "
        f"give {means:.0f} % of them theirs, unseen: what tells the photos apart is not used. {hint}"
    )


@torch.no_grad()
def _predictions(method: Method, classifiers: Mapping[str, Classifier]) -> dict[str, Tensor]:
    """Class of each support photo by each row, int64, shape ``(N,)``."""
    images = {space: torch.from_numpy(method.data.support_features(space)) for space in {"joint", *method.spaces}}
    count = len(method.data.support)
    found: dict[str, list[Tensor]] = {row: [] for row in classifiers}
    for start in range(0, count, _BATCH):
        part = {space: features[start : start + _BATCH].to(method.device) for space, features in images.items()}
        features = ImageFeatures(method.image_features(part["joint"]), part.get("visual"))
        for row, classifier in classifiers.items():
            found[row].append(classifier(features).argmax(1).cpu())
    return {row: torch.cat(parts) for row, parts in found.items()}


def _members(method: Method, sets: CandidateSets) -> tuple[Tensor, PartialLabels]:
    """Rows of the support photos that have a candidate set, and these sets."""
    place = {record.sample_id: row for row, record in enumerate(method.data.support)}
    rows = torch.tensor([place[sample_id] for sample_id in sets.sample_ids], dtype=torch.int64)
    return rows, PartialLabels.from_sets(sets)


def _inside(classes: Tensor, members: tuple[Tensor, PartialLabels]) -> Tensor:
    """Whether the class of each photo with a set is in it."""
    rows, sets = members
    return ((sets.candidates == classes[rows, None]) & sets.mask).any(1)


def _nearest_names(method: Method, own: Tensor) -> dict[str, str]:
    """Sample id of an evaluated photo -> the labeler's name of the named support photo that is nearest to it."""
    data = method.data
    assert method.vocabulary is not None, "the method has predicted"
    evaluated = data.records_of("test")
    images = data.evaluated_features("visual")
    support = torch.from_numpy(data.support_features("visual"))
    named = (own >= 0).nonzero().squeeze(1)
    ids = np.array([record.sample_id for record in data.support])[named.numpy()]
    shown = sorted(spread(len(evaluated), _MAX_COMPARED))
    nearest_names: dict[str, str] = {}
    for number in range(0, len(shown), _BATCH):
        part = shown[number : number + _BATCH]
        similarity = torch.from_numpy(images[part]) @ support[named].T
        # a photo is not its own neighbour
        same = np.array([evaluated[row].sample_id for row in part])[:, None] == ids
        similarity[torch.from_numpy(same)] = -2
        best, nearest = similarity.max(1)
        for row, score, place in zip(part, best.tolist(), nearest.tolist(), strict=True):
            if score > -2:
                nearest_names[evaluated[row].sample_id] = method.vocabulary.names[int(own[named[place]])]
    return nearest_names


def _class_means_agreement(method: Method, judged: Tensor) -> float:
    assert method.vocabulary is not None, "the method has predicted"
    support = SupportNames.of_own_names(method.data, len(method.vocabulary))
    own = torch.where(judged, support.own, -1)
    return _percent(hits(ClassMeans(support.features, support.names).leave_one_out, own))


def _percent(right: Tensor) -> float:
    return round(100 * float(right.double().mean()), 2) if len(right) else 0.0
