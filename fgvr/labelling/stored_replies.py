"""Replies that need not be asked for: those of the labeler, and those in another form to the same question."""

from collections.abc import Sequence

from fgvr.labelers.base import Labeler
from fgvr.labelling.store.keys import request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import LabelRequest, Reply


def stored_replies(
    labeler: Labeler, requests: Sequence[LabelRequest], store: LabelStore
) -> tuple[list[Reply | None], list[str]]:
    """What is stored for each request, and the key that it is stored under.

    Args:
        labeler: Who is asked; no combined one. Replies under its ``other_identities`` count where its own is missing or
            a failure; failures under them do not.
        requests: What is asked.
        store: Where replies are kept.

    Returns:
        In the order of ``requests``: a reply, a failure of the labeler's own, or ``None``; and its key.
    """
    identity = labeler.identity()
    found, keys = store.get(identity, requests), request_keys(identity, requests)
    for other in labeler.other_identities():
        lacking = [number for number, reply in enumerate(found) if reply is None or reply.error]
        asked = [requests[number] for number in lacking]
        for number, reply, key in zip(lacking, store.get(other, asked), request_keys(other, asked), strict=True):
            if reply is not None and not reply.error:
                found[number], keys[number] = reply, key
    return found, keys
