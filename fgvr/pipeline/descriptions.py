"""Descriptions of a run: with its photos, its vocabulary and the pseudo-labels of its backbone."""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fgvr.data.datamodule import FgvrDataModule
from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.files import Origin, read_origin, write_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.descriptions.pseudo_labels import zero_shot_labels
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.methods.zero_shot import template_features, template_list
from fgvr.records import Vocabulary
from fgvr.runs import RunFolder
from fgvr.text import counted
from fgvr.vocabulary.build import fold_name

log = logging.getLogger(__name__)


def descriptions_of(
    data: FgvrDataModule, method: Method, options: DescribeOptions, vocabulary: Vocabulary, spent_usd: float = 0.0
) -> Descriptions:
    """The descriptions of a run's support photos; neither features nor replies are read before they are needed.

    Args:
        data: Has the photos, the labeler, the label store and the feature store.
        method: Has the backbone and, where the options have none, the templates of the pseudo-labels.
        options: What is described, and by whom.
        vocabulary: The class names, in class-index order.
        spent_usd: What was spent already of ``data.max_cost_usd``.
    """
    left = None if data.max_cost_usd is None else max(0.0, data.max_cost_usd - spent_usd)

    def pseudo_labels() -> NDArray[np.int64]:
        features = data.image_features(data.support, method.backbone)
        templates = template_list(options.templates or getattr(method, "templates", None))
        classes = template_features(method.backbone, vocabulary.names, templates)
        return zero_shot_labels(features, classes.float().cpu().numpy())

    def true_labels() -> NDArray[np.int64]:
        number = {fold_name(name): label for label, name in enumerate(vocabulary.names)}
        names = [data.images.truth.get(image.sample_id) for image in data.support]
        truth = np.array([-1 if name is None else number.get(fold_name(name), -1) for name in names], np.int64)
        outside = int((truth < 0).sum())
        if outside == len(truth):
            raise FgvrError(
                "data.describe.right_in_group needs true names of the support photos that are in the vocabulary, and "
                "there is none: leave it out, or set data.class_names to dataset."
            )
        if outside:
            log.warning(
                "No true name in the vocabulary, so wrong in every group: %d of %s",
                outside,
                counted(len(truth), "support photo"),
            )
        return truth

    return Descriptions(
        options, data.labeler, data.support, vocabulary.names, pseudo_labels, data.label_store, left, true_labels
    )


def known_vocabulary_of(data: FgvrDataModule) -> Vocabulary:
    """The vocabulary that descriptions are about.

    Raises:
        FgvrError: It is made of labels, and photos are not labelled yet.
    """
    # labels that a method needs for its candidate sets alone are not waited for
    return data.find_vocabulary(data.class_names == "labels")[0]


def describe_before_training(
    data: FgvrDataModule,
    method: Method,
    folder: RunFolder,
    alone: bool = True,
    asked_before: bool = False,
    spent_usd: float = 0.0,
) -> Origin | None:
    """Ask for what is missing, and leave ``descriptions.parquet`` in the run folder; a resumed run has it already.

    Only what the method trains with is asked for. Without ``data.describe``, the run's labeler describes. Called once,
    by the launching process, when class names are known and before there is a trainer.

    Args:
        data: The run's.
        method: The run's.
        folder: The run folder.
        alone: Whether this process was started alone; many must not spend money at once.
        asked_before: Whether another process has asked, so that only what it never asked is asked now.
        spent_usd: What this run has spent already of ``data.max_cost_usd``.

    Returns:
        What the descriptions cost; ``None`` where there are none, or a resumed run's file does not say.

    Raises:
        FgvrError: Nobody describes, there is something to ask and this process is not alone, or asking cannot go on.
    """
    if not method.description_kinds:
        return None
    if folder.descriptions.is_file():
        log.info("Taking descriptions from %s", folder.path)
        return read_origin(folder.descriptions)
    options = of_kinds(data.describe or DescribeOptions(), method)
    descriptions = descriptions_of(data, method, options, known_vocabulary_of(data), spent_usd)
    plans = descriptions.plan()
    for kind, plan in plans.items():
        log.info("%s descriptions: %s", kind, plan)
    unasked = sum(plan.unasked for plan in plans.values())
    if unasked and not alone:
        raise FgvrError(
            f"{counted(unasked, 'description was', 'descriptions were')} not asked for yet, and a job of several "
            "processes does not ask for any. Run the describe stage with the same options first, in one process."
        )
    if unasked if asked_before else any(plan.missing for plan in plans.values()):
        descriptions.ask()
    known = descriptions.read()
    log.info("%s", known.summary)
    write_descriptions(known.descriptions, folder.descriptions, known.summary.origin)
    return known.summary.origin


def of_kinds(options: DescribeOptions, method: Method) -> DescribeOptions:
    """The options without what the method does not train with.

    Raises:
        FgvrError: They leave out a kind that it trains with.
    """
    wanted = {"image": options.images, "group": options.groups}
    if lacking := [kind for kind in method.description_kinds if not wanted[kind]]:
        raise FgvrError(
            f"The method {method.row!r} trains with {lacking[0]}-descriptions, but data.describe.{lacking[0]}s is "
            "false: leave that out, or have the method do without them."
        )
    return replace(options, images="image" in method.description_kinds, groups="group" in method.description_kinds)
