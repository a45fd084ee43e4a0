"""Asking by kinds: what several kinds of questions would cost, and asking them within one budget."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from fgvr.descriptions.parts import AskedPart
from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.batch import BatchLabeler
from fgvr.labelling.batch_run import BatchRun, label_batch
from fgvr.labelling.plan import LabelPlan
from fgvr.labelling.requests import Asker, ask_requests, missing_requests, plan_requests
from fgvr.labelling.store.label_store import LabelStore
from fgvr.registry import LABELERS
from fgvr.text import counted, none_of

log = logging.getLogger(__name__)

Part = TypeVar("Part", bound=AskedPart)


class Asking(ABC, Generic[Part]):
    """Questions of one or several kinds, whose replies are kept in the label store.

    Args:
        store: SQLite file of the replies.
        max_cost_usd: What one call of ``ask`` or ``ask_batch`` may spend, on all kinds together.
    """

    batch_advice: ClassVar[str] = "Leave out the option batch, or set data.labeler to openai."
    """What to do where a labeler has no batch API."""

    def __init__(self, store: Path, max_cost_usd: float | None = None) -> None:
        self.store = store
        self.max_cost_usd = max_cost_usd

    @property
    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """What is to be asked, of whom, by kind."""

    def check(self, part: Part) -> None:
        """Raise ``FgvrError`` where a labeler cannot be asked all of a part. Nothing is checked unless overridden."""

    def plan(self) -> dict[str, LabelPlan]:
        """What asking would ask and cost, by kind; asks nothing.

        Raises:
            FgvrError: A labeler cannot be asked about these photos.
        """
        plans: dict[str, LabelPlan] = {}
        with LabelStore(self.store) as store:
            for part in self.parts:
                self.check(part)
                shown = {image.digest for request in part.requests for image in request.images}
                plan = plan_requests(part.labeler, part.different, store, len(shown))
                plans[part.kind] = replace(plan, unit=part.unit)
        return plans

    def ask(self, asker: Asker | None = None) -> None:
        """Ask for what is missing, and store every reply as it comes.

        Args:
            asker: Asks in another way than the labelers' own, where they are not behind a network.

        Raises:
            FgvrError: A labeler cannot go on, ``max_cost_usd`` is reached, or one kind has no reply at all. What was
                paid for is stored.
        """
        left = self.max_cost_usd
        with LabelStore(self.store) as store:
            for part in self.parts:
                self.check(part)
                run = ask_requests(part.labeler, part.different, store, Budget(left), asker=asker)
                left = None if left is None else max(0.0, left - run.cost_usd)
                if run.failed:
                    log.warning(
                        "%d of %s failed; the first: %s", run.failed, counted(run.asked, "request"), run.first_error
                    )
                self._require_replies(part, store, run.first_error)

    def ask_batch(self, wait: bool = True) -> list[BatchRun]:
        """Ask for what is missing by the batch API of the labelers' server, and collect what earlier calls have sent.

        Without ``max_cost_usd`` all kinds are sent before one is waited for; with it, each is sent when it is known
        what the one before cost.

        Args:
            wait: Whether to wait for the server.

        Returns:
            One for each kind that is asked for.

        Raises:
            FgvrError: A labeler has no batch API, the server cannot be asked, or ``max_cost_usd`` is reached.
        """
        asked = [(self._batch_labeler(part), part.different) for part in self.parts]
        for part in self.parts:
            self.check(part)
        runs: list[BatchRun] = []
        left = self.max_cost_usd
        with LabelStore(self.store) as store:
            sent: list[BatchRun | None] = [None] * len(asked)
            if wait and left is None and len(asked) > 1:
                sent = [label_batch(*each, store, wait=False, report=log.info) for each in asked]
            for (labeler, requests), before in zip(asked, sent, strict=True):
                run = label_batch(labeler, requests, store, Budget(left), wait=wait, report=log.info)
                left = None if left is None else max(0.0, left - run.cost_usd)
                runs.append(run if before is None else _added(before, run))
        return runs

    def estimate_batch_usd(self) -> float | None:
        """Expected cost of ``ask_batch``; ``None`` where it is not known.

        Raises:
            FgvrError: A labeler has no batch API.
        """
        total = 0.0
        with LabelStore(self.store) as store:
            for part in self.parts:
                labeler = self._batch_labeler(part)
                found = store.get(labeler.identity(), part.different)
                missing = missing_requests(labeler, part.different, found)
                estimate = labeler.estimate_batch_usd(missing) if missing else 0.0
                if estimate is None:
                    return None
                total += estimate
        return total

    def _require_replies(self, part: Part, store: LabelStore, first_error: str) -> None:
        plan = plan_requests(part.labeler, part.different, store, len(part.requests))
        if plan.requests and not plan.stored:
            why = f" The first failure is {first_error.rstrip('.')}." if first_error else ""
            again = " Let those that were given up be asked again with `fgvr store retry-failed`." * (
                plan.exhausted > 0
            )
            raise FgvrError(
                f"{none_of(plan.requests, part.wanted)} has a reply of "
                f"{LABELERS.short_name(type(part.labeler))}."
                f"{why}{again} When what is wrong is mended, start the same run again."
            )

    def _batch_labeler(self, part: Part) -> BatchLabeler:
        if not isinstance(part.labeler, BatchLabeler):
            raise FgvrError(
                f"{LABELERS.short_name(type(part.labeler))} cannot be asked by batch; openai and gemini can. "
                f"{self.batch_advice}"
            )
        return part.labeler


def _added(before: BatchRun, after: BatchRun) -> BatchRun:
    """What two calls did, one after the other."""
    return replace(
        after,
        submitted=before.submitted + after.submitted,
        collected=before.collected + after.collected,
        failed=before.failed + after.failed,
        cost_usd=before.cost_usd + after.cost_usd,
        first_error=before.first_error or after.first_error,
    )
