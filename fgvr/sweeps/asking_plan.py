"""What the runs of a sweep would ask and what that would cost, each distinct request counted once over all of them."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fgvr.config.cli import ParsedCLI
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.run_state import RunState
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelling.labelling import NeededRequests
from fgvr.labelling.plan import LabelPlan, add_dollars
from fgvr.labelling.requests import plan_requests
from fgvr.labelling.store.keys import canonical, request_keys
from fgvr.labelling.store.label_store import LabelStore
from fgvr.methods.base import Method
from fgvr.pipeline.descriptions import descriptions_of, known_vocabulary_of, of_kinds
from fgvr.records import LabelRequest, Vocabulary
from fgvr.registry import LABELERS
from fgvr.sweeps.grid import as_tokens, named_options, ordered
from fgvr.sweeps.launch import resume_args
from fgvr.sweeps.sweep import Sweep
from fgvr.text import counted

_DESCRIPTIONS = {"image": "image descriptions", "group": "group descriptions"}


@dataclass(frozen=True)
class AskingPlan:
    """What a sweep would ask.

    Attributes:
        plans: What is asked, and of whom -> the plan of it, over all runs.
        notes: What could not be counted, in sentences.
    """

    plans: dict[str, LabelPlan]
    notes: tuple[str, ...]

    @property
    def calls(self) -> int:
        """Requests to be asked, without those that depend on replies which are missing."""
        return sum(plan.missing for plan in self.plans.values())

    @property
    def usd(self) -> float:
        """What those are expected to cost whose price is known."""
        return sum(plan.estimate_usd or 0.0 for plan in self.plans.values())

    def __str__(self) -> str:
        lines = [f"{what}: {plan}" for what, plan in self.plans.items()]
        total = f"the whole grid: {counted(self.calls, 'call')}, about ${self.usd:.2f}"
        later = sum(plan.follow_ups for plan in self.plans.values())
        if later:
            usd = add_dollars(plan.follow_ups_usd for plan in self.plans.values())
            total += f"; then up to {later} more, {'cost unknown' if usd is None else f'about ${usd:.2f}'}"
        unknown = [what for what, plan in self.plans.items() if plan.missing and plan.estimate_usd is None]
        if unknown:
            total += f"; not in it, because the price is not known: {', '.join(unknown)}"
        simulated = any(plan.simulated and plan.missing for plan in self.plans.values())
        return "\n".join([*lines, total + " (some of it simulated)" * simulated, *self.notes])


@dataclass
class _Asked:
    """What is asked of one labeler through one store."""

    labeler: Labeler
    store: Path
    now: dict[str, LabelRequest] = field(default_factory=dict)
    later: dict[str, LabelRequest] = field(default_factory=dict)


def plan_asking(sweep: Sweep) -> AskingPlan:
    """What the runs that are not done would ask, their compared rows included; nothing is asked.

    Photos are read, and image features are computed where they decide what is asked; both are kept in the cache, as
    always. No run folder and no label store is made.

    Args:
        sweep: The sweep.

    Raises:
        FgvrError: Photos or a label store cannot be read, or a labeler cannot name these photos.
    """
    asked: dict[tuple[str, Path, str], _Asked] = {}
    notes: dict[str, None] = {}
    seen: set[tuple[str, int | None]] = set()
    with tempfile.TemporaryDirectory() as nowhere:
        for run in sweep.runs:
            need = (run.variant.slug, run.seed if sweep.grid.seeded else None)
            if run.done or need in seen:
                continue
            seen.add(need)
            describes = not (run.folder.descriptions.is_file() and resume_args(run.folder) is not None)
            args = ["--config", str(sweep.grid.base), *sweep.grid.options(run.variant, run.seed)]
            for cli in _with_compared(ParsedCLI(args), args, notes):
                _add(cli.data, cli.method, Path(nowhere) / "labels.sqlite", describes, asked, notes)
        plans = {title: _plan(each) for title, each in _titled(asked)}
    return AskingPlan(plans, tuple(notes))


def _with_compared(cli: ParsedCLI, args: Sequence[str], notes: dict[str, None]) -> Iterator[ParsedCLI]:
    yield cli
    for row, options in (cli.compare or {}).items():
        given = as_tokens(ordered(named_options(options, f"compare: {row!r}", {})))
        try:
            yield ParsedCLI([*args, "--compare=null", *given])
        except FgvrError as error:
            notes[f"not counted: the compared row {row!r} ({error})"] = None


def _add(
    data: FgvrDataModule,
    method: Method,
    nowhere: Path,
    describes: bool,
    asked: dict[tuple[str, Path, str], _Asked],
    notes: dict[str, None],
) -> None:
    data.begin(RunState(backbone=method.backbone))
    store = data.label_store.absolute()
    if not store.is_file():
        data.label_store = nowhere  # to open a store is to make it
    if data.needs_labels(method) or data.direct:
        for each in data.labels.needed(data.asked_groups):
            _count("labels", each, store, data.label_store, asked)
    if describes and method.description_kinds:
        for kind, each in _descriptions(data, method, notes):
            _count(_DESCRIPTIONS[kind], each, store, data.label_store, asked)


def _descriptions(data: FgvrDataModule, method: Method, notes: dict[str, None]) -> Iterator[tuple[str, NeededRequests]]:
    options = of_kinds(data.describe or DescribeOptions(), method)
    try:
        vocabulary = known_vocabulary_of(data)
    except FgvrError:
        notes["not counted: descriptions that depend on class names, which are known when photos are labelled"] = None
        if not options.images or options.hint:
            return
        # what is asked about each photo alone depends on no name
        options, vocabulary = replace(options, groups=False, right_in_group=None), Vocabulary(())
    try:
        parts = descriptions_of(data, method, options, vocabulary).parts
    except FgvrError as error:
        notes[f"not counted: descriptions ({error})"] = None
        return
    for part in parts:
        yield part.kind, NeededRequests(part.labeler, tuple(part.different))


def _count(
    what: str, needed: NeededRequests, store: Path, opened: Path, asked: dict[tuple[str, Path, str], _Asked]
) -> None:
    identity = needed.labeler.identity()
    found = asked.setdefault((what, store, canonical(identity)), _Asked(needed.labeler, opened))
    keys = request_keys(identity, needed.requests)
    (found.later if needed.follow_ups else found.now).update(zip(keys, needed.requests, strict=True))


def _plan(asked: _Asked) -> LabelPlan:
    with LabelStore(asked.store) as store:
        images = {image.digest for request in asked.now.values() for image in request.images}
        plan = plan_requests(asked.labeler, list(asked.now.values()), store, len(images))
        later = [request for key, request in asked.later.items() if key not in asked.now]
        follow_ups = plan_requests(asked.labeler, later, store, 0)
        return replace(plan, follow_ups=follow_ups.missing, follow_ups_usd=follow_ups.estimate_usd)


def _titled(asked: dict[tuple[str, Path, str], _Asked]) -> Iterable[tuple[str, _Asked]]:
    """Each with what is asked of whom; those that would be called the same have a number."""
    titles: dict[str, int] = {}
    for (what, _, _), each in asked.items():
        identity = each.labeler.identity()
        model = identity.get("model")
        title = f"{what} by {LABELERS.short_name(type(each.labeler))}{f' {model}' if isinstance(model, str) else ''}"
        titles[title] = titles.get(title, 0) + 1
        yield (title if titles[title] == 1 else f"{title} ({titles[title]})"), each
