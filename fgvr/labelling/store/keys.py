"""The key of a reply in the label store: a hash of all that the reply depends on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fgvr.records import LabelRequest

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""A value as JSON text that is the same for equal values."""


def request_key(identity: Mapping[str, Any], request: LabelRequest) -> str:
    """SHA-256, in hex, of all that a reply depends on: the photos' bytes, the labeler, the prompt, the answer number.

    Raises:
        ValueError: A photo has no digest; all photos without one would share their replies.
    """
    return request_keys(identity, [request])[0]


def request_keys(identity: Mapping[str, Any], requests: Sequence[LabelRequest]) -> list[str]:
    """The key of each request; see ``request_key``."""
    who = canonical(identity)
    prompts: dict[str, str] = {}
    keys = []
    for request in requests:
        others = [other.digest for other in request.others]
        if not request.image.digest or not all(others):
            without = next(image.sample_id for image in request.images if not image.digest)
            raise ValueError(f"{without!r} has no digest: fgvr.datasets.scan computes it.")
        if (prompt := prompts.get(request.prompt)) is None:
            prompt = prompts[request.prompt] = canonical(request.prompt)
        keys.append(question_key(who, prompt, request.image.digest, others, request.answer))
    return keys


def question_key(identity: str, prompt: str, image: str, others: Sequence[str], answer: int) -> str:
    """The key of a request, from its parts.

    Args:
        identity: The labeler, as canonical JSON.
        prompt: What is asked, as JSON.
        image: SHA-256 of the photo's file.
        others: The same of the further photos of a group.
        answer: Number of the answer.
    """
    # canonical JSON of all of it, put together from parts because a run has a million photos and one labeler;
    # "sample_index" is what an answer's number was called when the first replies were paid for
    group = f',"others":{canonical(list(others))}' if others else ""
    question = f'{{"identity":{identity}{group},"photo":{canonical(image)},"prompt":{prompt},"sample_index":{answer}}}'
    return hashlib.sha256(question.encode()).hexdigest()
