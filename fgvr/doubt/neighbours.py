"""The support photos that are nearest to evaluated photos, and what the labeler called them."""

from collections.abc import Sequence

import numpy as np

from fgvr.candidates.nearest import nearest
from fgvr.doubt.find import K, Nearest
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file
from fgvr.pipeline.run import Run
from fgvr.vocabulary.build import labels_as_indices


def nearest_support(run: Run, sample_ids: Sequence[str]) -> dict[str, Nearest]:
    """The nearest support photos of evaluated photos, in the space in which the run compares photos.

    Image features are those of the feature store; what it lacks is computed.

    Args:
        run: A run that was opened.
        sample_ids: Its evaluated photos.

    Returns:
        Sample id -> its ``K`` nearest support photos, of the photos that are found.

    Raises:
        FgvrError: The labeler has named no support photos, or photos, features or files cannot be read.
    """
    if not run.folder.labels.is_file():
        raise FgvrError("the labeler has named no support photos in this run")
    data = run.data
    wanted = set(sample_ids)
    queries = [record for record in data.images.splits[data.images.evaluated_split] if record.sample_id in wanted]
    vocabulary = run.vocabulary
    labels = {label.sample_id: label for label in read_labels_file(run.folder.labels)}
    support = [record for record in data.support if record.sample_id in labels and record.sample_id not in wanted]
    if not support or not queries:
        raise FgvrError("the photos of the run are not found")
    given = labels_as_indices([labels[record.sample_id] for record in support], vocabulary)
    names = [vocabulary.names[classes[0]] if classes else "" for classes in given]
    space = data.strategy(run.method).space
    features = np.concatenate([data.image_features(images, space=space) for images in (support, queries)])
    rows = np.arange(len(support)), np.arange(len(support), len(features))
    found = nearest(features, rows[0], K, rows[1])
    return {
        record.sample_id: Nearest(tuple(support[row].sample_id for row in near), tuple(names[row] for row in near))
        for record, near in zip(queries, found.tolist(), strict=True)
    }
