"""Drawing the support set: which unlabelled photos are shown to the labeler and learned from."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


def sample_support(
    records: Sequence[ImageRecord], shots: int | None = None, size: int | None = None, seed: int = 0
) -> list[ImageRecord]:
    """Draw the support photos.

    A photo's place in the draw is the hash of seed and sample id. So the draw depends on nothing else, not on the order
    of the files or on the other classes, and draws of one seed are nested: the 3 shots are among the 5.

    Args:
        records: The photos of the support split.
        shots: Photos per true class (m in the FGVR paper); a class with fewer gives all it has. Needs true names.
        size: Photos in all, drawn uniformly, for photos without names.
        seed: Another seed is another draw.

    Returns:
        The drawn photos, sorted by sample id. All of them where neither ``shots`` nor ``size`` is given.

    Raises:
        FgvrError: Both are given, one is below 1, or ``shots`` is given for photos without true names.
    """
    if shots is not None and size is not None:
        raise FgvrError("Give data.shots (photos per class) or data.support_size (photos in all), not both.")
    wanted = shots if shots is not None else size
    if wanted is not None and wanted < 1:
        raise FgvrError(f"data.{'shots' if shots is not None else 'support_size'} is {wanted}; expected 1 or more.")
    ordered = sorted(records, key=lambda record: hashlib.sha256(f"{seed}:{record.sample_id}".encode()).digest())
    if shots is not None:
        nameless = next((record for record in ordered if record.true_name is None), None)
        if nameless is not None:
            raise FgvrError(
                f"data.shots draws photos per class, but {nameless.sample_id!r} has no true name; "
                "for photos without names draw a number of photos in all with data.support_size."
            )
        taken: dict[str | None, list[ImageRecord]] = defaultdict(list)
        for record in ordered:
            if len(taken[record.true_name]) < shots:
                taken[record.true_name].append(record)
        ordered = [record for chosen in taken.values() for record in chosen]
    elif size is not None:
        ordered = ordered[:size]
    return sorted(ordered, key=lambda record: record.sample_id)
