"""The stage between candidate sets and the method: judge, relabel where it may help, and leave a file that says so."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import NamedImages
from fgvr.candidates.honest_folds import honest_folds
from fgvr.records import CandidateSets
from fgvr.registry import RELABELLINGS
from fgvr.relabelling.base import Relabelling
from fgvr.relabelling.files import write_relabelling
from fgvr.relabelling.gate import judge, relabel_sets, support_features

log = logging.getLogger(__name__)

Build = Callable[[NamedImages], CandidateSets]
"""How names become candidate sets."""


def run_relabelling(
    relabelling: Relabelling,
    build: Build,
    sets: CandidateSets,
    images: NamedImages,
    class_names: Sequence[str],
    path: Path,
) -> CandidateSets:
    """The sets after relabelling, or as they are where the gate does not let it.

    Args:
        relabelling: How names are said anew.
        build: How names became candidate sets.
        sets: What it built.
        images: The support photos.
        class_names: The vocabulary.
        path: Where to leave what was changed and why.
    """
    features, name = support_features(relabelling, images), RELABELLINGS.short_name(type(relabelling))
    verdict = judge(relabelling, build, images, features)
    after = relabel_sets(relabelling, sets, images, features) if verdict.applied else sets
    log.info("Relabelling (%s) %s: %s", name, "done" if verdict.applied else "not done", verdict.reason)
    write_relabelling(name, verdict, sets, after, class_names, path)
    return after


def relabelled_folds(
    relabelling: Relabelling, build: Build, images: NamedImages
) -> list[tuple[NDArray[np.int64], CandidateSets]]:
    """:func:`fgvr.candidates.honest_folds.honest_folds` of relabelled sets: names are hidden from both."""
    features = support_features(relabelling, images)
    return honest_folds(lambda given: relabel_sets(relabelling, build(given), given, features), images)
