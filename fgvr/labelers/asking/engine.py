"""Sends the requests of a remote labeler: as many at a time as the server takes, and none that the budget does not."""

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.day import DailyQuota
from fgvr.labelers.asking.interrupts import first_interrupt
from fgvr.labelers.asking.pacing import Pacing, Sent, delay
from fgvr.labelers.asking.sender import (
    AttemptFailedError,
    DayOverError,
    Question,
    Sender,
    ServerAbsentError,
    ServerBusyError,
)
from fgvr.labelers.tasks.pictures import encode_pictures, why_unreadable
from fgvr.records import LabelRequest, Reply
from fgvr.text import counted, verb

_ABSENT_TRIES = 4  # of a server that was never there
_FAILURES_IN_A_ROW = 10  # that stop a run, or three times the requests in flight if that is more
_NOTABLE_SECONDS = 5.0  # a shorter wait is not worth a line
_CLOSING_SECONDS = 5.0


def send_all(
    labeler: Sender,
    requests: Sequence[LabelRequest],
    budget: Budget,
    days: DailyQuota | None = None,
    attempts_before: Sequence[int] | None = None,
    notify: Callable[[str], object] | None = None,
    problem: Callable[[], Exception | None] | None = None,
) -> Generator[list[Reply], None, None]:
    """Yield the replies to ``requests`` as they come, those that are there at one moment together.

    A request's slot is free again when the caller asks for more, so what a killed process loses is never more than
    ``limits.concurrency`` replies if the caller stores each list before it does.

    In the main thread, where nobody else handles it, the first Control-C sends nothing more: replies in flight, which
    are paid for, are waited for and yielded before ``KeyboardInterrupt`` is raised. The second one interrupts at once.
    A caller that stops early should close the iterator (``contextlib.closing``): requests in flight are then dropped.

    Args:
        labeler: Who is asked.
        requests: What is asked.
        budget: What may be spent.
        days: Counts what reaches the server, and says whether it may be sent more today; no limit if not given.
        attempts_before: For each of ``requests``, how many attempts failed in earlier runs; none if not given.
        notify: Called with a line of text where a person should know why nothing happens; from another thread.
        problem: Asked after each list: what speaks against sending more; raised when what is in flight was yielded.

    Raises:
        FgvrError: The budget or the day is used up, or the server cannot be asked at all. Requests in flight were
            waited for, and their replies were yielded before; so it is with every other exception of ``labeler``.
    """
    if not requests:
        return
    session = _Session(labeler, requests, budget, days or DailyQuota(), attempts_before, notify)
    with first_interrupt(session.interrupt):
        session.start()
        try:
            while replies := session.next_replies():
                yield replies
                if problem is not None and (error := problem()) is not None:
                    session.stop(error)
                session.mark_stored()
        finally:
            session.close()
    session.raise_ending()


class _Session:
    """One call of ``send_all``: an event loop in a thread, in which one task per slot takes requests in turn.

    A task has one request at a time, from its pictures to the moment in which its reply is stored; so there are never
    more replies that are not stored, nor much more than twice as many encoded pictures, than there are tasks.
    """

    def __init__(
        self,
        labeler: Sender,
        requests: Sequence[LabelRequest],
        budget: Budget,
        days: DailyQuota,
        attempts_before: Sequence[int] | None,
        notify: Callable[[str], object] | None,
    ) -> None:
        self._labeler = labeler
        self._limits = labeler.limits
        self._budget = budget
        self._days = days
        self._notify = notify or (lambda line: None)
        before = [0] * len(requests) if attempts_before is None else attempts_before
        self._requests = iter(zip(requests, before, strict=True))
        self._slots = min(self._limits.concurrency, len(requests))
        self._ahead: deque[asyncio.Future[tuple[Question | Reply, int]]] = deque()
        self._pacing = Pacing(self._limits, cautious=budget.limit is not None)
        self._missing = self._total = len(requests)
        self._heard = False
        self._failures = 0
        self._outage = False
        self._price_factor = 1.0
        self._highest_paid = 0.0
        self._inbox: SimpleQueue[tuple[Reply, asyncio.Future[None]] | None] = SimpleQueue()
        self._taken: list[asyncio.Future[None]] = []
        self._ending: BaseException | tuple[str, str] | None = None
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        self._turn_lock = asyncio.Lock()
        self._main_task: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(min(self._slots, os.cpu_count() or 1), "fgvr-pictures")
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="fgvr-labelling", daemon=True)

    # in the caller's thread

    def start(self) -> None:
        self._thread.start()

    def next_replies(self) -> list[Reply]:
        """The replies that are there, at least one; none where there will be no more."""
        arrived = [self._inbox.get()]
        with suppress(Empty):
            while arrived[-1] is not None:
                arrived.append(self._inbox.get_nowait())
        if arrived[-1] is None:
            self._inbox.put(None)
        delivered = [entry for entry in arrived if entry is not None]
        self._taken = [stored for _, stored in delivered]
        self._missing -= sum(not reply.error for reply, _ in delivered)
        return [reply for reply, _ in delivered]

    def mark_stored(self) -> None:
        """Free the slots of the replies that ``next_replies`` gave last."""
        self._call(self._mark_stored, self._taken)

    def interrupt(self) -> None:
        """Send nothing more. Called from a signal handler."""
        self._call(self._interrupt)

    def stop(self, error: Exception) -> None:
        """Send nothing more, and end with this error when what is in flight has come."""
        self._call(self._stop, error)

    def close(self) -> None:
        """Drop what is still in flight."""
        self._call(self._cancel)
        self._thread.join(_CLOSING_SECONDS)

    def raise_ending(self) -> None:
        """Raise what ended the session early, if anything did."""
        if isinstance(self._ending, tuple):
            why, advice = self._ending
            raise FgvrError(
                f"Labelling stopped {why}, and {self._missing} of {counted(self._total, 'request')} "
                f"{verb(self._missing)} missing. Every reply is stored and not paid again. {advice}"
            )
        if self._ending is not None:
            raise self._ending

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *args)

    # in the loop's thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except asyncio.CancelledError:
            pass  # the caller has closed the iterator
        except BaseException as error:  # raised again in the caller's thread
            self._ending = self._ending or error
        finally:
            self._inbox.put(None)

    async def _main(self) -> None:
        self._main_task = asyncio.current_task()
        try:
            async with self._labeler.connect() as client, asyncio.TaskGroup() as group:
                for _ in range(self._slots):
                    group.create_task(self._work(client))
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(*self._ahead, return_exceptions=True)

    def _cancel(self) -> None:
        self._stopped.set()
        if self._main_task is not None:
            self._main_task.cancel()

    async def _work(self, client: Any) -> None:
        """The life of one slot."""
        while (encoded := self._next_encoded()) is not None:
            reply: Reply | None = None
            try:
                question, before = await encoded
                reply = question if isinstance(question, Reply) else await self._ask(client, question, before)
                del question, encoded  # the pictures need not wait for the store
            except Exception as error:
                self._stop(error)
            if reply is not None:
                stored = self._loop.create_future()
                self._inbox.put((reply, stored))
                await stored

    def _mark_stored(self, futures: Sequence[asyncio.Future[None]]) -> None:
        for future in futures:
            if not future.done():
                future.set_result(None)

    def _interrupt(self) -> None:
        self._stop(KeyboardInterrupt())
        if count := self._pacing.in_flight:
            self._notify(f"Nothing more is sent; waiting for the {count} in flight. Control-C again ends at once.")

    def _stop(self, ending: BaseException | tuple[str, str]) -> None:
        """Send nothing more; ``ending`` is raised when what is in flight has come, as an error or as why and advice."""
        self._ending = self._ending or ending
        self._stopped.set()
        self._changed.set()

    def _next_encoded(self) -> "asyncio.Future[tuple[Question | Reply, int]] | None":
        """The next request's pictures; meanwhile, worker threads encode those of a few more."""
        if self._stopped.is_set():
            return None
        while len(self._ahead) <= self._slots and (entry := next(self._requests, None)) is not None:
            self._ahead.append(self._loop.run_in_executor(self._pool, self._encode, *entry))
        return self._ahead.popleft() if self._ahead else None

    def _encode(self, request: LabelRequest, before: int) -> tuple[Question | Reply, int]:
        try:
            return Question(request, encode_pictures(request, self._labeler.task, self._labeler.pictures)), before
        except FgvrError:
            raise
        except Exception as error:  # Pillow has many for broken files; none of them is a reason to stop the others
            return Reply(request, error=why_unreadable(error), attempts=0), before

    async def _ask(self, client: Any, question: Question, before: int) -> Reply | None:
        """The reply to one question, or its failure after all attempts; ``None`` where nothing was sent."""
        attempts, cost, failure = 0, 0.0, ""
        allowed = max(1, self._limits.max_attempts - before)
        while attempts < allowed:
            if (turn := await self._turn(question)) is None:
                break
            sent, day, worst, reserved = turn
            reply: Reply | None = None
            spent: float | None = None  # not known, unless it is said below
            try:
                async with asyncio.timeout(self._limits.timeout_seconds):
                    reply = await self._labeler.send(client, question)
                spent, failure = reply.cost_usd, reply.error
            except (ServerBusyError, ServerAbsentError) as error:
                spent = 0.0
                if isinstance(error, ServerAbsentError):
                    self._days.release(day)
                self._slow_down(sent, error)
                continue
            except DayOverError:
                spent = 0.0
                self._stop(self._day_over())
                continue
            except AttemptFailedError as error:
                spent, failure = error.cost_usd, str(error) or "the attempt failed"
            except TimeoutError:
                failure = f"no reply within {self._limits.timeout_seconds:g} s (limits.timeout_seconds)"
            except FgvrError as error:
                spent = 0.0
                self._stop(error)
                continue
            except Exception as error:  # a defect of the labeler: it keeps its traceback, and ends the run
                failure = f"{type(error).__name__}: {error}"
                self._stop(error)
            finally:
                # nan would make every comparison with the limit false
                paid = spent if spent is not None and 0 <= spent < math.inf else reserved
                self._settle(worst, reserved, paid)
            attempts += 1
            cost += paid
            self._count(failure)
            if reply is not None:
                seconds = reply.seconds or self._loop.time() - sent.at
                if not failure:
                    self._pacing.succeed(sent, reply.usage)
                return replace(reply, request=question.request, cost_usd=cost, seconds=seconds, attempts=attempts)
            if attempts < allowed:
                await self._rest(delay(attempts))
        if self._outage:  # which is not this photo's fault, and must not use up its attempts
            attempts = min(attempts, 1)
        # a question that was sent once has its price and its attempts, whatever stopped the others
        return Reply(question.request, error=failure, cost_usd=cost, attempts=attempts) if attempts else None

    async def _turn(self, question: Question) -> tuple[Sent, str, float, float] | None:
        """Wait until this question may be sent: that is noted; ``None`` where it may not.

        Returns:
            The request in flight, its day, the most that it costs as the labeler says, and what is reserved for it.
        """
        # one after the other, so that nobody is overtaken and one task at a time waits for news
        async with self._turn_lock:
            while not self._stopped.is_set():
                now = self._loop.time()
                if (wait := self._pacing.wait(now)) > 0:
                    await self._wait_for_change(wait)
                    continue
                worst = self._labeler.worst_usd(question)
                price = self._price(worst)
                if price is None:
                    self._stop(self._without_price())
                elif self._budget.reserve(price):
                    if (day := self._days.acquire()) is not None:
                        return self._pacing.send(now), day, worst or 0.0, price
                    self._budget.settle(price, 0.0)
                    self._stop(self._day_over(f"limits.requests_per_day is {self._limits.requests_per_day}"))
                elif self._pacing.in_flight == 0:
                    self._stop(self._spent(price))
                else:
                    await self._wait_for_change(math.inf)
        return None

    async def _wait_for_change(self, seconds: float) -> None:
        """Wait until a request has ended or all is stopped, but not longer than this."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()

    async def _rest(self, seconds: float) -> None:
        """Wait so long, unless all is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    def _price(self, worst: float | None) -> float | None:
        """The most that a question costs, after what earlier replies have shown; ``None`` for unknown."""
        if worst is None:
            return None if self._budget.limit is not None else 0.0
        return worst * self._price_factor if worst > 0 else self._highest_paid

    def _settle(self, worst: float, reserved: float, paid: float) -> None:
        self._pacing.end()
        self._budget.settle(reserved, paid)
        self._highest_paid = max(self._highest_paid, paid)
        if worst > 0:
            self._price_factor = max(self._price_factor, paid / worst)
        self._changed.set()

    def _count(self, failure: str) -> None:
        """Stop where nothing but failures comes back: an outage must not use up the attempts of all photos."""
        self._heard = True
        self._failures = self._failures + 1 if failure else 0
        if self._failures >= max(_FAILURES_IN_A_ROW, 3 * self._limits.concurrency):
            why = f"because {counted(self._failures, 'attempt')} in a row failed, the last one with: {failure}"
            self._outage = True
            self._stop((why, f"When {self._labeler.server} works again, start the same run again."))

    def _slow_down(self, sent: Sent, error: ServerBusyError | ServerAbsentError) -> None:
        server, said = self._labeler.server, str(error) or type(error).__name__
        absent = isinstance(error, ServerAbsentError)
        self._heard = self._heard or not absent
        retry_after = error.retry_after if isinstance(error, ServerBusyError) else None
        pause = self._pacing.slow_down(self._loop.time(), sent, retry_after)
        if not self._heard and self._pacing.setbacks >= _ABSENT_TRIES:
            why = f"because there is no connection to {server} ({said})"
            self._stop((why, "Check the network, and the address in data.labeler.base_url."))
        elif pause is None:
            state = "cannot be reached" if absent else "is busy"
            patience = f"{self._limits.patience_seconds:g} s (limits.patience_seconds)"
            self._stop((f"because {server} {state} for more than {patience}: {said}", "Start the run again later."))
        elif pause >= _NOTABLE_SECONDS and not self._stopped.is_set():
            self._notify(f"{server}: {said.rstrip('.')}. Waiting for {pause:.0f} s.")

    def _day_over(self, limit: str = "it says so") -> tuple[str, str]:
        why = f"because {self._labeler.server} takes no more requests today ({limit}, earlier runs included)"
        return why, f"Start the same run again after midnight in {self._limits.day_starts_in}."

    def _spent(self, price: float) -> tuple[str, str]:
        why = (
            f"before it passes ${self._budget.limit}: this run spent ${self._budget.spent:.4f}, the next request may "
            f"cost ${price:.4f}"
        )
        return why, "To go on, start the same run again, which may spend data.max_cost_usd dollars of its own."

    def _without_price(self) -> tuple[str, str]:
        why = f"because the price of {self._labeler.model} is not known, so that ${self._budget.limit} cannot be kept"
        return why, "Say what it costs with data.labeler.price, or leave out data.max_cost_usd."
