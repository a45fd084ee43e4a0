"""A labelling run by batch: sending what is missing, waiting for it, and collecting it, also in a later process."""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.sender import AttemptFailedError, DayOverError, Question, ServerAbsentError, ServerBusyError
from fgvr.labelers.batch import BatchLabeler, BatchStatus
from fgvr.labelers.tasks.pictures import encode_pictures, why_unreadable
from fgvr.labelling.reply_watch import ReplyWatch
from fgvr.labelling.requests import count_waiting, is_missing
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.keys import request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.rows import StoredBatch
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import LabelRequest, Reply
from fgvr.text import counted, verb

_OPEN_STATES = ("submitting", "submitted")
_MAX_PAUSE = 30.0
_KEPT = timedelta(days=30)  # results are on a server for so long at most
_AGAIN = "The store knows what was sent: to go on, start the same run again."

Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchRun:
    """What one call of ``label_batch`` did.

    Attributes:
        submitted: Requests that were sent.
        collected: Replies and failures that were stored, of earlier calls' batches too.
        failed: The failures among them.
        waiting: Requests whose reply is to come.
        missing: Requests of this call that have no reply, and for which none is to come.
        cost_usd: What the replies cost.
        first_error: Photo and reason of the first failure; ``""`` where none failed.
    """

    submitted: int
    collected: int
    failed: int
    waiting: int
    missing: int
    cost_usd: float
    first_error: str


def label_batch(
    labeler: BatchLabeler,
    requests: Sequence[LabelRequest],
    store: LabelStore,
    budget: Budget | None = None,
    wait: bool = True,
    poll_seconds: float = 60.0,
    report: Callable[[str], None] = lambda text: None,
) -> BatchRun:
    """Ask for what is missing by batch, and store the replies.

    The store knows which requests are in a batch, so the process may be stopped at any moment: the next call collects
    what was sent, and sends nothing again. What is in the batches of earlier calls counts against ``budget``, too.
    Where another run is asking the same labeler through this store, that one sends or collects first; a run that waits
    for the server keeps nobody waiting.

    Args:
        labeler: Who is asked.
        requests: What is asked, each once; those with a reply in the store are left out.
        store: Where replies are kept.
        budget: What may be spent, at the prices of batches; no limit if not given. What does not fit waits for the
            batches before to end below their highest price.
        wait: Whether to wait for the batches to end; else they are sent, and a later call collects them.
        poll_seconds: Pause between looks at the server.
        report: Is told, in a line of text, what happens.

    Returns:
        What was done.

    Raises:
        FgvrError: The server cannot be asked at all, a batch was refused, or the budget does not allow the next request
            and nothing is waited for. Replies that came before are in the store.
    """
    return asyncio.run(_Batches(labeler, requests, store, budget or Budget(), report).work(wait, poll_seconds))


@dataclass
class _Open:
    """A batch whose replies are to come."""

    nonce: str
    remote_id: str
    requests: dict[str, LabelRequest]
    reserved: float
    created_at: str
    status: BatchStatus = field(default_factory=lambda: BatchStatus("running"))


class _Batches:
    """One call of ``label_batch``."""

    def __init__(
        self,
        labeler: BatchLabeler,
        requests: Sequence[LabelRequest],
        store: LabelStore,
        budget: Budget,
        report: Callable[[str], None],
    ) -> None:
        self.labeler = labeler
        self.identity = labeler.identity()
        self.requests = dict(zip(request_keys(self.identity, requests), requests, strict=True))
        self.store = store
        self.budget = budget
        self.report = report
        self.open: dict[str, _Open] = {}
        self.sent: set[str] = set()
        self.submitted = self.collected = self.failed = 0
        self.cost_usd = 0.0
        self.first_error = ""
        self.refused = ""
        self.stopped = False
        self.watch = ReplyWatch(labeler)
        self.lock = RunLock(store, self.identity, report)

    async def work(self, wait: bool, poll_seconds: float) -> BatchRun:
        if not self._missing() and not self.store.batches.find(self.identity, _OPEN_STATES):
            return self._done()
        for other in self.labeler.other_identities():
            if waiting := count_waiting(other, list(self.requests.values()), self.store):
                form = "true" if other["schema"] else "false"
                raise FgvrError(
                    f"{waiting} of these requests were sent by batch for another form of reply, and are paid for when "
                    f"the server answers them: collect them with data.labeler.task.structured set to {form}."
                )
        self.pause = min(poll_seconds, _MAX_PAUSE)
        async with self.labeler.connect() as client:
            self.client = client
            while True:
                async with self.lock.held_async():
                    await self._find_open()
                    await self._collect_ended()
                    await self._submit_missing()
                if not self.open or not wait:
                    break
                await asyncio.sleep(poll_seconds)
        return self._done()

    def _done(self) -> BatchRun:
        missing = len(self._missing())
        self.watch.finish()
        if missing and not self.open:
            self._complain(missing)
        return BatchRun(
            submitted=self.submitted,
            collected=self.collected,
            failed=self.failed,
            waiting=sum(len(batch.requests) for batch in self.open.values()),
            missing=missing,
            cost_usd=self.cost_usd,
            first_error=self.first_error,
        )

    async def _find_open(self) -> None:
        """See what other calls have sent and collected; what was interrupted while it was sent is looked for."""
        found = {stored.nonce: stored for stored in self.store.batches.find(self.identity, _OPEN_STATES)}
        for batch in [batch for nonce, batch in self.open.items() if nonce not in found]:
            replies = self.store.get(self.identity, list(batch.requests.values()))
            self.budget.settle(batch.reserved, sum(reply.cost_usd for reply in replies if reply is not None))
            del self.open[batch.nonce]
            self.report(f"batch {batch.remote_id} was collected by another run")
        new = [stored for nonce, stored in found.items() if nonce not in self.open]
        for stored in new:
            remote_id = stored.remote_id
            if not remote_id:
                # who has opened it is dead, because this call holds the lock
                at_server = await self._patiently(self.labeler.find_batch, stored.nonce)
                remote_id = at_server or ""
                self.store.batches.update(stored.nonce, "submitted" if remote_id else "failed", remote_id or None)
            if remote_id:
                self._add_open(stored, remote_id)
        if added := [self.open[stored.nonce] for stored in new if stored.nonce in self.open]:
            count = sum(len(batch.requests) for batch in added)
            self.report(f"sent before: {counted(count, 'request')} in {counted(len(added), 'batch', 'batches')}")

    def _add_open(self, stored: StoredBatch, remote_id: str) -> None:
        reserved = stored.reserved_usd
        if not self.budget.reserve(reserved):
            # it is sent and will be billed, so that nothing else is sent
            reserved, self.stopped = 0.0, True
        keys = request_keys(self.identity, stored.requests)
        requests = dict(zip(keys, stored.requests, strict=True))
        # the photos' places are known to this call alone
        requests |= {key: self.requests[key] for key in requests.keys() & self.requests.keys()}
        self.open[stored.nonce] = _Open(stored.nonce, remote_id, requests, reserved, stored.created_at)

    async def _collect_ended(self) -> None:
        for batch in list(self.open.values()):
            status = await self._patiently(self.labeler.batch_status, batch.remote_id)
            if status != batch.status:
                self.report(
                    f"batch {batch.remote_id}: {status.state}, {status.done} of "
                    f"{counted(len(batch.requests), 'request')} done"
                    + (f" ({status.message})" if status.message else "")
                )
            batch.status = status
            if status.state == "unknown":
                if datetime.now(UTC) - datetime.fromisoformat(batch.created_at) < _KEPT:
                    raise FgvrError(
                        f"{self.labeler.server} does not know the batch {batch.remote_id}, which was sent at "
                        f"{batch.created_at}: start the same run again with the key of the account that sent it."
                    )
                self.store.batches.update(batch.nonce, "failed")
                self._end(batch, 0.0)
            elif status.state == "failed":
                self.refused = self.refused or f"batch {batch.remote_id}: {status.message}"
                self.store.batches.update(batch.nonce, "failed")
                self._end(batch, 0.0)
            elif status.state == "ended":
                await self._store(batch, await self._patiently(self._collect, batch))

    async def _collect(self, batch: _Open) -> list[Reply]:
        """The replies of a batch, one a request."""
        replies: dict[LabelRequest, Reply] = {}
        async for reply in self.labeler.collect_batch(self.client, batch.remote_id, batch.requests):
            known = replies.get(reply.request)
            if known is None or known.error:
                replies[reply.request] = reply
        return list(replies.values())

    async def _store(self, batch: _Open, replies: Sequence[Reply]) -> None:
        """Store all replies of a batch at once: what was collected halfway would be counted again the next time."""
        cost_usd = sum(reply.cost_usd for reply in replies)
        try:
            collected = self.store.batches.collect(batch.nonce, self.identity, replies)
        except FgvrError as error:
            kept = f"{counted(len(replies), 'reply', 'replies')} of batch {batch.remote_id} (${cost_usd:.4f})"
            raise FgvrError(f"{error} {self.labeler.server} keeps {kept} until then. {_AGAIN}") from error
        if collected:
            self.watch.add(replies)
            failed = [reply for reply in replies if reply.error]
            self.collected += len(replies)
            self.failed += len(failed)
            self.cost_usd += cost_usd
            if failed:
                self.first_error = self.first_error or f"{failed[0].request.image.sample_id}: {failed[0].error}"
            self.report(
                f"batch {batch.remote_id}: {counted(len(replies), 'reply', 'replies')} stored, failures among them: "
                f"{len(failed)}, ${cost_usd:.4f}"
            )
        self._end(batch, cost_usd)
        await self.labeler.delete_batch_files(self.client, batch.remote_id)

    def _end(self, batch: _Open, cost_usd: float) -> None:
        self.budget.settle(batch.reserved, cost_usd)
        del self.open[batch.nonce]

    def _missing(self) -> list[str]:
        """Keys of the requests that have no reply and are in no batch."""
        waiting = {key for batch in self.open.values() for key in batch.requests}
        found, _ = stored_replies(self.labeler, list(self.requests.values()), self.store)
        return [
            key
            for key, reply in zip(self.requests, found, strict=True)
            if is_missing(self.labeler, reply) and key not in waiting
        ]

    async def _submit_missing(self) -> None:
        if self.stopped or self.refused:
            return
        missing = [key for key in self._missing() if key not in self.sent]
        for shard in self._shards(missing):
            await self._submit(*shard)

    def _shards(self, keys: Sequence[str]) -> Iterator[tuple[BinaryIO, list[str], float]]:
        """Files of requests, each with its keys and the most that it may cost, as far as the budget allows."""
        position = 0
        while position < len(keys) and not self.stopped:
            # without a name, so that no picture stays on the disk whatever happens to this process
            with tempfile.TemporaryFile() as file:
                shard: list[str] = []
                reserved = 0.0
                for key in keys[position:]:
                    line = self._line(key)
                    if line is None:
                        position += 1
                        continue
                    content, worst = line
                    if shard and file.tell() + len(content) > self.labeler.max_batch_bytes:
                        break
                    if not self.budget.reserve(worst):
                        # with nothing in flight, waiting would not help
                        self.stopped = not (self.open or shard)
                        keys = keys[:position]
                        break
                    file.write(content)
                    reserved += worst
                    shard.append(key)
                    position += 1
                    if len(shard) == self.labeler.max_batch_requests:
                        break
                if shard:
                    yield file, shard, reserved

    def _line(self, key: str) -> tuple[bytes, float] | None:
        """A line of a file and the most that it may cost; ``None`` for a photo that cannot be read."""
        request = self.requests[key]
        try:
            pictures = encode_pictures(request, self.labeler.task, self.labeler.pictures)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            reply = Reply(request, error=why_unreadable(error))
            self.store.put(self.identity, reply)
            self.sent.add(key)
            self.failed += 1
            self.first_error = self.first_error or f"{request.image.sample_id}: {reply.error}"
            return None
        question = Question(request, pictures)
        worst = self.labeler.worst_batch_usd(question)
        if worst is None and self.budget.limit is not None:
            raise FgvrError(
                f"No price is known for {self.labeler.model}, so max_cost_usd cannot be held. Set its price in "
                "dollars: data.labeler.price.input_per_million and data.labeler.price.output_per_million."
            )
        return json.dumps(self.labeler.batch_line(key, question)).encode() + b"\n", worst or 0.0

    async def _submit(self, file: BinaryIO, keys: list[str], reserved: float) -> None:
        self.store.check_index()
        self.sent.update(keys)
        requests = {key: self.requests[key] for key in keys}
        nonce = self.store.batches.open(self.identity, self.labeler.server, list(requests.values()), reserved)
        try:
            upload = await self._patiently(self._upload, file, nonce)
        except BaseException:
            self.store.batches.update(nonce, "failed")
            self.budget.settle(reserved, 0.0)
            raise
        # where this fails the batch may be there nevertheless: the next call looks for it
        remote_id = await self._create(upload, nonce)
        self.store.batches.update(nonce, "submitted", remote_id)
        self.open[nonce] = _Open(nonce, remote_id, requests, reserved, datetime.now(UTC).isoformat())
        self.submitted += len(keys)
        self.report(f"batch {remote_id}: {counted(len(keys), 'request')} sent, at most ${reserved:.4f}")

    async def _upload(self, file: BinaryIO, nonce: str) -> str:
        file.seek(0)
        return await self.labeler.upload_batch(self.client, file, nonce)

    async def _create(self, upload: str, nonce: str) -> str:
        """Create the batch once, also where the server did and its answer was lost."""
        asked = False

        async def create() -> str:
            nonlocal asked
            found = await self.labeler.find_batch(self.client, nonce) if asked else None
            asked = True
            return found or await self.labeler.create_batch(self.client, upload, nonce)

        return await self._retried(create)

    async def _patiently(self, call: Callable[..., Awaitable[Result]], *arguments: Any) -> Result:
        """Call a method of the labeler, or one of this class, again while the server is busy or absent."""
        own = getattr(call, "__self__", None) is self
        return await self._retried(lambda: call(*arguments) if own else call(self.client, *arguments))

    async def _retried(self, call: Callable[[], Awaitable[Result]]) -> Result:
        begin = time.monotonic()
        while True:
            try:
                return await call()
            except DayOverError as error:
                why = str(error).rstrip(".")
                raise FgvrError(f"{self.labeler.server} takes no more today: {why}. {_AGAIN}") from None
            except (ServerBusyError, ServerAbsentError, AttemptFailedError) as error:
                if time.monotonic() - begin > self.labeler.limits.patience_seconds:
                    why = str(error).rstrip(".")
                    raise FgvrError(f"{self.labeler.server} does not answer: {why}. {_AGAIN}") from None
                pause = getattr(error, "retry_after", None)
                self.report(f"{self.labeler.server}: {error}")
            await asyncio.sleep(self.pause if pause is None else min(pause, self.labeler.limits.patience_seconds))

    def _complain(self, missing: int) -> None:
        if self.refused:
            how_many = counted(missing, "request is", "requests are")
            raise FgvrError(f"{how_many} missing. {self.labeler.server} refused {self.refused}. {_AGAIN}")
        if self.stopped:
            raise FgvrError(
                f"Labelling stopped before it passes ${self.budget.limit}: ${self.budget.spent:.4f} are spent, and "
                f"{missing} of {counted(len(self.requests), 'request')} {verb(missing)} missing. Every reply is "
                "stored and not paid again. To go on, start the same run again, which may spend data.max_cost_usd "
                "dollars of its own."
            )
