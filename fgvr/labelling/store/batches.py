"""Batches that were sent to a server: noted before they are sent, so that nothing is sent twice."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelling.store.database import Database
from fgvr.labelling.store.keys import canonical
from fgvr.labelling.store.row_checks import can_be_read, columns_of, is_whole, source_of
from fgvr.labelling.store.rows import (
    BATCH_STATES,
    PUT_REPLY,
    StoredBatch,
    now,
    requests_json,
    rows_of,
    stored_batch,
)
from fgvr.records import LabelRequest, Reply
from fgvr.text import visible


class Batches:
    """The batches of a label store.

    Args:
        database: The open store.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, identity: Mapping[str, Any], server: str, requests: Sequence[LabelRequest], reserved_usd: float
    ) -> str:
        """Note a batch that is about to be sent; its state is ``"submitting"``.

        Args:
            identity: The labeler.
            server: Who is asked.
            requests: What is asked.
            reserved_usd: The most that it may cost.

        Returns:
            The batch's nonce: our own id of it, to be sent along, so that it is found again if this process dies.

        Raises:
            FgvrError: The file cannot be written.
        """
        nonce = f"fgvr-{uuid.uuid4().hex}"
        row = (nonce, server, canonical(identity), "submitting", requests_json(requests), reserved_usd, now(), now())
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO batches (nonce, server, identity, state, requests, reserved_usd, created_at, updated_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return nonce

    def update(self, nonce: str, state: str, remote_id: str | None = None) -> None:
        """Note what became of a batch. One that was collected stays so.

        Args:
            nonce: As ``open`` returned it.
            state: One of ``BATCH_STATES``.
            remote_id: The server's id of it, if that is known now.

        Raises:
            FgvrError: The file cannot be written.
            KeyError: There is no such batch.
            ValueError: There is no such state.
        """
        if state not in BATCH_STATES:
            raise ValueError(f"{state!r} is no state of a batch; expected one of {', '.join(BATCH_STATES)}.")
        query = (
            "UPDATE batches SET state = CASE state WHEN 'collected' THEN state ELSE ? END, "
            "remote_id = COALESCE(?, remote_id), updated_at = ? WHERE nonce = ?"
        )
        with self._database.writing() as connection:
            if not connection.execute(query, (state, remote_id, now(), nonce)).rowcount:
                raise KeyError(nonce)

    def collect(self, nonce: str, identity: Mapping[str, Any], replies: Sequence[Reply]) -> bool:
        """Store all that came of a batch, and that it was collected: both are on the disk on return, or neither.

        Args:
            nonce: As ``open`` returned it.
            identity: The labeler.
            replies: What came.

        Returns:
            ``False`` where the batch was collected before, and nothing is stored a second time.

        Raises:
            FgvrError: The file cannot be written.
        """
        rows = rows_of(identity, replies)
        query = "UPDATE batches SET state = 'collected', updated_at = ? WHERE nonce = ? AND state != 'collected'"
        with self._database.writing() as connection:
            if not connection.execute(query, (now(), nonce)).rowcount:
                return False
            connection.executemany(PUT_REPLY, rows)
        return True

    def find(self, identity: Mapping[str, Any] | None = None, states: Collection[str] = ()) -> list[StoredBatch]:
        """The batches, oldest first.

        Args:
            identity: Only this labeler's.
            states: Only those in one of these states; empty for all.

        Raises:
            FgvrError: The file cannot be read.
        """
        conditions, values = ["1"], []
        if identity is not None:
            conditions.append("identity = ?")
            values.append(canonical(identity))
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values.extend(states)
        checked = self._database.checked
        query = (
            f"SELECT {columns_of('batches', checked)} FROM {source_of('batches', checked)} "
            f"WHERE {' AND '.join(conditions)} ORDER BY batches.id"
        )
        with self._database.explained("read"):
            rows = self._database.connection.execute(query, values).fetchall()
        for *row, checksum in rows:
            if not is_whole(row, checksum) or not can_be_read("batches", row):
                raise FgvrError(
                    f"The label store {str(self._database.path)!r} is damaged: what it says of the batch "
                    f"{visible(str(row[3] or row[0]), 80)!r}, which may be paid for, is not what was stored. Nothing "
                    "is sent. Restore a copy of the store; `fgvr store check` shows what is damaged."
                )
        return [stored_batch(row[:-1]) for row in rows]
