"""What the label store holds, as records, and how each is written in its table."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fgvr.labelling.store.keys import canonical, request_keys
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.text import encodable

BATCH_STATES = ("submitting", "submitted", "collected", "failed")
"""What becomes of a batch: it is about to be sent, the server has it, its replies are stored, or there are none."""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """One row of the store, as it is there.

    Attributes:
        key: The request's key, see ``request_key``.
        sample_id: The photo's path below its data set's root, when it was asked about; ``""`` in rows of older stores.
        image: SHA-256 of the photo's file, in hex.
        others: The digests of the further photos of a group.
        answer: Number of the answer, from 0.
        identity: The labeler, as canonical JSON.
        prompt: What was asked.
        raw: The reply as it came; untrusted text.
        names: Class names where the source states them as such.
        error: Why there is no reply; ``""`` for success.
        model: The model that answered.
        cost_usd: What all attempts cost.
        seconds: How long the latest one took.
        usage: Token counts and whatever else was kept.
        attempts: How many requests it took.
        created_at: When the latest attempt was stored, in UTC, ISO 8601.
    """

    key: str
    sample_id: str
    image: str
    others: tuple[str, ...]
    answer: int
    identity: str
    prompt: str
    raw: str
    names: tuple[str, ...] | None
    error: str
    model: str
    cost_usd: float
    seconds: float
    usage: Mapping[str, Any] | None
    attempts: int
    created_at: str


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Requests that were sent together, to be answered within a day.

    Attributes:
        nonce: Our own id of the batch, made before it is sent.
        server: Who was asked.
        identity: The labeler.
        remote_id: The server's id of the batch; ``""`` until it is known.
        state: One of ``BATCH_STATES``.
        requests: What was asked. The photos have no place on this machine: ``image.path`` is their ``sample_id``.
        reserved_usd: The most that it may cost.
        created_at: When it was opened, in UTC, ISO 8601.
        updated_at: When its state changed last.
    """

    nonce: str
    server: str
    identity: Mapping[str, Any]
    remote_id: str
    state: str
    requests: tuple[LabelRequest, ...]
    reserved_usd: float
    created_at: str
    updated_at: str

    @property
    def open(self) -> bool:
        """Whether replies may still come."""
        return self.state in ("submitting", "submitted")


# a store keeps the columns that it has
_COLUMNS = {"answer": "sample_index", "image": "photo"}
REPLY_COLUMNS = tuple(_COLUMNS.get(field.name, field.name) for field in fields(StoredReply))
"""The columns of the replies' table."""

_LATEST = [name for name in REPLY_COLUMNS[1:] if name not in ("cost_usd", "attempts")]

_KEEP_SUCCESS = "{0} = CASE replies.error WHEN '' THEN replies.{0} ELSE excluded.{0} END"

# A success stays as it is, whatever comes later; a failure makes way. What either of them cost is spent all the same.
PUT_REPLY = f"""
INSERT INTO replies ({", ".join(REPLY_COLUMNS)}) VALUES ({", ".join("?" * len(REPLY_COLUMNS))})
ON CONFLICT (key) DO UPDATE SET
    {", ".join(map(_KEEP_SUCCESS.format, _LATEST))},
    cost_usd = replies.cost_usd + excluded.cost_usd,
    attempts = replies.attempts + excluded.attempts
"""

# What comes from another store may have come from it before: it adds nothing unless it replaces a failure.
IMPORT_REPLY = f"{PUT_REPLY} WHERE replies.error != '' AND excluded.error = ''"


def rows_of(identity: Mapping[str, Any], replies: Sequence[Reply]) -> list[tuple[Any, ...]]:
    """The replies of a labeler as rows, of this moment."""
    who, moment = canonical(identity), now()
    keys = request_keys(identity, [reply.request for reply in replies])
    return [row_of_reply(key, who, reply, moment) for key, reply in zip(keys, replies, strict=True)]


def row_of_reply(key: str, identity: str, reply: Reply, created_at: str) -> tuple[Any, ...]:
    """The reply as a row, in the order of ``StoredReply``."""
    request = reply.request
    return (
        key,
        encodable(request.image.sample_id),
        request.image.digest,
        json.dumps([other.digest for other in request.others]) if request.others else None,
        request.answer,
        identity,
        encodable(request.prompt),
        encodable(reply.raw),
        None if reply.names is None else names_json(reply.names),
        encodable(reply.error),
        encodable(reply.model),
        reply.cost_usd if math.isfinite(reply.cost_usd) else 0.0,
        reply.seconds if math.isfinite(reply.seconds) else 0.0,
        # a paid reply must not be lost because a server's token counts came as objects
        None if reply.usage is None else json.dumps(dict(reply.usage), default=str, skipkeys=True),
        reply.attempts,
        created_at,
    )


def row_of_stored(stored: StoredReply) -> tuple[Any, ...]:
    """The row that ``stored_reply`` was given."""
    return (
        stored.key,
        stored.sample_id,
        stored.image,
        json.dumps(list(stored.others)) if stored.others else None,
        stored.answer,
        stored.identity,
        stored.prompt,
        stored.raw,
        None if stored.names is None else names_json(stored.names),
        stored.error,
        stored.model,
        stored.cost_usd,
        stored.seconds,
        None if stored.usage is None else json.dumps(dict(stored.usage)),
        stored.attempts,
        stored.created_at,
    )


def stored_reply(row: Sequence[Any]) -> StoredReply:
    """A row of the table, its columns in the order of ``StoredReply``."""
    key, sample_id, image, others, answer, identity, prompt, raw, names, *rest = row
    error, model, cost_usd, seconds, usage, attempts, created_at = rest
    return StoredReply(
        key=key,
        sample_id=sample_id,
        image=image,
        others=() if others is None else tuple(json.loads(others)),
        answer=answer,
        identity=identity,
        prompt=prompt,
        raw=raw,
        names=None if names is None else tuple(json.loads(names)),
        error=error,
        model=model,
        cost_usd=cost_usd,
        seconds=seconds,
        usage=None if usage is None else json.loads(usage),
        attempts=attempts,
        created_at=created_at,
    )


def requests_json(requests: Sequence[LabelRequest]) -> str:
    """The requests of a batch, without the photos' places and true names."""
    entries = []
    for request in requests:
        entry: dict[str, Any] = {
            "sample_id": request.image.sample_id,
            "digest": request.image.digest,
            "prompt": request.prompt,
            "sample_index": request.answer,
        }
        if request.others:
            entry["others"] = [{"sample_id": other.sample_id, "digest": other.digest} for other in request.others]
        entries.append(entry)
    return json.dumps(entries)


def stored_batch(row: Sequence[Any]) -> StoredBatch:
    """A row of the table, its columns in the order of ``StoredBatch``."""
    nonce, server, identity, remote_id, state, requests, reserved_usd, created_at, updated_at = row
    return StoredBatch(
        nonce=nonce,
        server=server,
        identity=json.loads(identity),
        remote_id=remote_id,
        state=state,
        requests=tuple(
            LabelRequest(
                _image(entry), entry["prompt"], entry["sample_index"], tuple(map(_image, entry.get("others", ())))
            )
            for entry in json.loads(requests)
        ),
        reserved_usd=reserved_usd,
        created_at=created_at,
        updated_at=updated_at,
    )


def names_json(names: Sequence[str]) -> str:
    """Names as they stand in a column."""
    return json.dumps([encodable(name) for name in names], ensure_ascii=False)


def now() -> str:
    """This moment, in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _image(entry: Mapping[str, str]) -> ImageRecord:
    return ImageRecord(
        sample_id=entry["sample_id"], path=Path(entry["sample_id"]), split="support", digest=entry["digest"]
    )
