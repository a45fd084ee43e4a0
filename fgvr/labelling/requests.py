"""Asking for replies: what is missing in the store, in whichever way the labeler is asked, within a budget."""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any, Protocol

from tqdm import tqdm

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.day import DailyQuota
from fgvr.labelers.asking.engine import send_all
from fgvr.labelers.base import Labeler
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelling.plan import LabelPlan, LabelRun
from fgvr.labelling.reply_keeper import ReplyKeeper
from fgvr.labelling.reply_watch import ReplyWatch
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.keys import request_key, request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.registry import LABELERS
from fgvr.text import counted, verb


class Asker(Protocol):
    """Another way to ask than the labeler's own, such as many machines or a batch API."""

    def __call__(self, labeler: Labeler, requests: Sequence[LabelRequest]) -> Iterator[Sequence[Reply]]:
        """Yield exactly one reply for each request, each as soon as it is there."""


def without_truth(image: ImageRecord) -> ImageRecord:
    """The photo as a labeler may see it: without its true name."""
    return replace(image, true_name=None)


def requests_for(labeler: Labeler, images: Sequence[ImageRecord]) -> list[LabelRequest]:
    """The requests that ``images`` need of a labeler that is no combined one, without true names.

    Equal photos are asked about once, and so are equal texts.
    """
    first_of_digest: dict[tuple[str, int], LabelRequest] = {}
    for image in images:
        for request in requests_about(labeler, image):
            first_of_digest.setdefault((request.image.digest, request.answer), request)
    return list(first_of_digest.values())


def requests_about(labeler: Labeler, image: ImageRecord) -> list[LabelRequest]:
    """The requests that one photo needs: one for each answer, without its true name."""
    return [labeler.request_about(without_truth(image), index) for index in range(labeler.answers)]


def plan_requests(labeler: Labeler, requests: Sequence[LabelRequest], store: LabelStore, images: int) -> LabelPlan:
    """Count which of ``requests`` are stored and which are missing. Nothing is asked.

    Args:
        labeler: Who is to be asked; no combined one.
        requests: What is to be asked, each once.
        store: Where replies are kept.
        images: How many photos they are about.
    """
    found, _ = stored_replies(labeler, requests, store)
    missing = missing_requests(labeler, requests, found)
    failed = [reply for reply in found if reply is not None and reply.error]
    exhausted = sum(is_given_up(labeler, reply) for reply in failed)
    return LabelPlan(
        images=images,
        requests=len(requests),
        stored=len(requests) - len(missing) - exhausted,
        failed_before=len(failed) - exhausted,
        missing=len(missing),
        estimate_usd=labeler.estimate_usd(missing) if missing else 0.0,
        simulated=labeler.simulated,
        exhausted=exhausted,
        waiting=count_in_batches(labeler, missing, store),
    )


def ask_requests(
    labeler: Labeler,
    requests: Sequence[LabelRequest],
    store: LabelStore,
    budget: Budget | None = None,
    progress: bool = True,
    asker: Asker | None = None,
) -> LabelRun:
    """Ask those of ``requests`` that have no reply in the store, and store every reply as it comes.

    Where another run is asking the same labeler through this store, that one ends first; then only what is still
    missing is asked. That not one of the requests has a reply afterwards is for the caller to notice.

    Args:
        labeler: Who is asked; no combined one.
        requests: What is asked, each once.
        store: Where replies are kept.
        budget: What may be spent; no limit if not given. An ``asker`` is not asked for more once the next reply would
            pass it, at the highest price so far; what its workers have in hand by then is paid for nevertheless.
        progress: Show a progress bar on stderr.
        asker: Asks in another way than the labeler's own, where that is not behind a network.

    Raises:
        FgvrError: The budget is used up, or the labeler cannot go on. Replies that came before are in the store.
    """
    budget = budget or Budget()
    identity = labeler.identity()
    found, _ = stored_replies(labeler, requests, store)
    missing = missing_requests(labeler, requests, found)
    stored = sum(reply is not None and not reply.error for reply in found)
    del found
    with RunLock(store, identity, _say).held() if missing else nullcontext():
        # another run may have asked since
        found, _ = stored_replies(labeler, missing, store)
        stored += sum(reply is not None and not reply.error for reply in found)
        missing = missing_requests(labeler, missing, found)
        if waiting := count_in_batches(labeler, missing, store):
            raise FgvrError(
                f"{waiting} of these requests were sent by batch, and are paid for when the server answers them: "
                "collect the replies with the options that they were sent with and batch, in the stage that sent them: "
                "label, describe or sentences."
            )
        failures = {reply.request: reply.attempts for reply in found if reply is not None and reply.error}
        del found
        if missing:
            store.check_index()
        return _ask(labeler, missing, failures, stored, store, budget, progress, asker)


def _ask(
    labeler: Labeler,
    missing: Sequence[LabelRequest],
    failures: Mapping[LabelRequest, int],
    stored: int,
    store: LabelStore,
    budget: Budget,
    progress: bool,
    asker: Asker | None,
) -> LabelRun:
    identity, before = labeler.identity(), budget.spent
    server, days = "", DailyQuota()
    if isinstance(labeler, RemoteLabeler):
        server, days = labeler.server, DailyQuota(labeler.limits.requests_per_day, labeler.limits.day_starts_in)
        days.sync(days.today(), store.requests_on(server, days.today()))
    done, failed, first_error = 0, 0, ""
    watch, keeper = ReplyWatch(labeler), ReplyKeeper(store, identity, server)
    total = stored + len(missing)
    shown = progress and total > 0  # a part that was wanted of no photo has nothing to show
    about_texts = isinstance(labeler, TaskedLabeler) and not labeler.task.shows_photos
    unit = "text" if about_texts else "photo"
    bar: tqdm[Any] = tqdm(total=total, initial=stored, desc="Labelling", unit=unit, disable=not shown, leave=True)
    try:
        with bar, closing(labeler):
            for replies in _conversation(labeler, missing, failures, budget, days, asker, keeper):
                keeper.put(replies, days.drain())
                if keeper.problem() is not None and not isinstance(labeler, RemoteLabeler):
                    break
                if days.limit is not None:  # other runs may ask the same server for something else
                    days.sync(days.today(), store.requests_on(server, days.today()))
                for reply in replies:
                    if reply.error:
                        failed += 1
                        first_error = first_error or f"{reply.request.image.sample_id}: {reply.error}"
                watch.add(replies)
                done += len(replies)
                spent = f"${budget.spent - before:.4f} of about ${(budget.spent - before) / done * len(missing):.4f}"
                simulated = " (simulated)" if labeler.simulated else ""
                bar.set_postfix_str(f"{stored} stored before, {failed} failed, {spent}{simulated}", refresh=False)
                bar.update(len(replies))
    finally:
        # also what the server was sent in vain
        keeper.finish(days.drain())
    watch.finish()
    return LabelRun(asked=len(missing), failed=failed, cost_usd=budget.spent - before, first_error=first_error)


def missing_requests(
    labeler: Labeler, requests: Sequence[LabelRequest], found: Sequence[Reply | None]
) -> list[LabelRequest]:
    """Those of ``requests`` that are to be asked, given what is stored for each of them."""
    return [request for request, reply in zip(requests, found, strict=True) if is_missing(labeler, reply)]


def is_missing(labeler: Labeler, reply: Reply | None) -> bool:
    """Whether a request is to be asked, given what is stored for it."""
    return reply is None or (reply.error != "" and not is_given_up(labeler, reply))


def is_given_up(labeler: Labeler, reply: Reply) -> bool:
    """Whether a failed request has failed so often that it is not asked again."""
    return labeler.max_attempts is not None and reply.attempts >= labeler.max_attempts


def count_in_batches(labeler: Labeler, missing: Sequence[LabelRequest], store: LabelStore) -> int:
    """How many of ``missing`` are in a batch whose replies have not been collected."""
    identities = (labeler.identity(), *labeler.other_identities())
    return sum(count_waiting(identity, missing, store) for identity in identities)


def count_waiting(identity: Mapping[str, Any], requests: Sequence[LabelRequest], store: LabelStore) -> int:
    """The same of the labeler with this ``identity``."""
    open_batches = store.batches.find(identity, states=("submitting", "submitted"))
    sent = {key for batch in open_batches for key in request_keys(identity, batch.requests)}
    return sum(key in sent for key in request_keys(identity, requests)) if sent else 0


def _conversation(
    labeler: Labeler,
    missing: Sequence[LabelRequest],
    failures: Mapping[LabelRequest, int],
    budget: Budget,
    days: DailyQuota,
    asker: Asker | None,
    keeper: ReplyKeeper,
) -> Iterator[Sequence[Reply]]:
    """The replies to ``missing``, a list at a time; the budget is held, and knows what they cost."""
    if isinstance(labeler, RemoteLabeler):
        before = [failures.get(request, 0) for request in missing]
        with closing(send_all(labeler, missing, budget, days, before, _say, keeper.problem)) as conversation:
            yield from _watched(labeler, missing, conversation)
    elif asker is not None:
        yield from _asked_by(asker, labeler, missing, budget)
    else:
        yield from _rounds(labeler, missing, budget)


def _asked_by(
    asker: Asker, labeler: Labeler, missing: Sequence[LabelRequest], budget: Budget
) -> Iterator[Sequence[Reply]]:
    """Take the replies of an asker as long as the budget allows another one."""
    price, done = _estimated_price(labeler, missing), 0
    conversation = asker(labeler, missing)
    with closing(conversation) if isinstance(conversation, Generator) else nullcontext():
        watched = _watched(labeler, missing, conversation)
        while True:
            if done < len(missing) and price > 0 and not budget.has_room(price):
                raise _over(budget, price, len(missing) - done, len(missing))
            if (replies := next(watched, None)) is None:
                return
            for reply in replies:
                budget.settle(0.0, reply.cost_usd)
                price = max(price, reply.cost_usd)
            done += len(replies)
            yield replies


def _rounds(labeler: Labeler, missing: Sequence[LabelRequest], budget: Budget) -> Iterator[Sequence[Reply]]:
    """Ask in rounds that the budget allows.

    A labeler may work on many requests at once, and all that it was given are paid for, so the limit must hold before a
    round begins. Rounds start at one request and double, because an estimate may be too low or missing: the most
    expensive reply so far corrects it. All replies of a round are taken, whatever they cost.
    """
    price = _estimated_price(labeler, missing)
    asked, size = 0, 1
    while asked < len(missing):
        chunk = len(missing) if budget.limit is None else size
        if budget.limit is not None and price > 0:
            # ten requests of $0.10 fit in $1.00, whatever binary fractions make of it
            chunk = min(chunk, max(0, int((budget.limit - budget.spent) / price + 1e-9)))
        if chunk == 0:
            raise _over(budget, price, len(missing) - asked, len(missing))
        requests = missing[asked : asked + chunk]
        for replies in _watched(labeler, requests, ([reply] for reply in labeler.ask(requests))):
            for reply in replies:
                budget.settle(0.0, reply.cost_usd)
                price = max(price, reply.cost_usd)
            yield replies
        asked += len(requests)
        size *= 2


def _watched(
    labeler: Labeler, requests: Sequence[LabelRequest], conversation: Iterator[Sequence[Reply]]
) -> Iterator[Sequence[Reply]]:
    """The same replies, watched: exactly one for each of ``requests``.

    Raises:
        FgvrError: The labeler breaks its contract.
    """
    open_keys = {request_key({}, request) for request in requests}
    for replies in conversation:
        for reply in replies:
            key = request_key({}, reply.request)
            if key not in open_keys:
                raise FgvrError(
                    f"{LABELERS.short_name(type(labeler))} replied for {reply.request.image.sample_id!r}, answer "
                    f"{reply.request.answer}, twice or unasked. Check it with fgvr.testing.labelers.check_labeler."
                )
            open_keys.remove(key)
        yield replies
    if open_keys:
        raise FgvrError(
            f"{LABELERS.short_name(type(labeler))} left {len(open_keys)} of {counted(len(requests), 'request')} "
            "without a reply; the others are stored. Check it with fgvr.testing.labelers.check_labeler."
        )


def _estimated_price(labeler: Labeler, missing: Sequence[LabelRequest]) -> float:
    estimate = labeler.estimate_usd(missing) if missing else None
    return estimate / len(missing) if estimate else 0.0


def _over(budget: Budget, price: float, missing: int, total: int) -> FgvrError:
    return FgvrError(
        f"Labelling stopped before it passes ${budget.limit}: this run spent ${budget.spent:.4f}, the next request "
        f"costs about ${price:.4f}, and {missing} of {counted(total, 'request')} {verb(missing)} missing. Every "
        "reply is stored and not paid again. To go on, start the same run again, which may spend data.max_cost_usd "
        "dollars of its own."
    )


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)  # above the progress bar
