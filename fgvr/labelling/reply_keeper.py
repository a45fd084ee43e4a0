"""Storing replies as they come, and what becomes of those that cannot be stored: a full disk must not cost them."""

import shlex
import tempfile
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelling.store.exchange import export_rows
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.rows import rows_of, stored_reply
from fgvr.records import Reply
from fgvr.text import counted, verb


class ReplyKeeper:
    """Stores the replies of a labeler; after the first that could not be stored, nothing more should be asked.

    Args:
        store: Where replies are kept.
        identity: Of the labeler.
        server: Who is asked; ``""`` where nobody is over a network.
    """

    def __init__(self, store: LabelStore, identity: Mapping[str, Any], server: str) -> None:
        self._store = store
        self._identity = identity
        self._server = server
        self._held: list[Reply] = []
        self._sent: Counter[str] = Counter()
        self._problem: FgvrError | None = None

    def problem(self) -> FgvrError | None:
        """Why something could not be stored, if anything could not."""
        return self._problem

    def put(self, replies: Sequence[Reply], sent: Mapping[str, int]) -> None:
        """Store replies, and those of before that could not be stored; if they cannot now, they are held.

        Args:
            replies: What came.
            sent: Day -> how many requests the server was sent more.
        """
        self._held += replies
        self._sent.update(sent)
        self._store_all()

    def finish(self, sent: Mapping[str, int]) -> None:
        """Store what is held, or bring it to safety.

        Args:
            sent: Day -> how many requests the server was sent more.

        Raises:
            FgvrError: Something could not be stored at once; the message says what became of it.
        """
        self._sent.update(sent)
        if self._held or self._sent:
            self._store_all()
        if self._problem is None:
            return
        # there may be room for some of them
        self._held = [reply for reply in self._held if not self._stores([reply], {})]
        raise FgvrError(f"{self._problem} Nothing more was asked. {self._outcome()}") from self._problem

    def _store_all(self) -> None:
        if self._stores(self._held, self._sent):
            self._held, self._sent = [], Counter()

    def _stores(self, replies: Sequence[Reply], sent: Mapping[str, int]) -> bool:
        try:
            self._store.put_many(self._identity, replies, self._server, sent)
        except FgvrError as error:
            self._problem = self._problem or error
            return False
        return True

    def _outcome(self) -> str:
        """What became of the replies, and what to do."""
        if not self._held:
            return "Every reply that came is stored. When the store can be written, start the same run again."
        count, one = len(self._held), len(self._held) == 1
        cost = f"${sum(reply.cost_usd for reply in self._held):.4f}"
        came = f"{counted(count, 'reply', 'replies')} that came and cost {cost} {verb(count)}"
        if (file := self._saved()) is None:
            return f"{came} lost, and {'is' if one else 'are'} asked and paid for again by the same run."
        file_name, store = shlex.quote(str(file)), shlex.quote(str(self._store.path))
        return (
            f"{came} not in it but in {str(file)!r}: when the store can be written, `fgvr store import {file_name} "
            f"--store {store}` takes {'it' if one else 'them'} in, and the same run pays for nothing twice."
        )

    def _saved(self) -> Path | None:
        """A file that ``fgvr store import`` reads, beside the store or where temporary files are."""
        rows = [stored_reply(row) for row in rows_of(self._identity, self._held)]
        for folder in (self._store.path.resolve().parent, Path(tempfile.gettempdir()).resolve()):
            file = folder / f"fgvr-replies-{uuid.uuid4().hex[:12]}.jsonl"
            try:
                export_rows(rows, file)
            except OSError:
                continue
            return file
        return None
