"""What is in a label store, counted for each labeler."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from fgvr.labelers.hosts.model_names import is_same_model
from fgvr.labelling.store.corrections import Renaming
from fgvr.labelling.store.parse_stored import identity_of, is_about_text, read_stored
from fgvr.labelling.store.rows import StoredReply

_NUMBER = re.compile(r"\d+")


@dataclass
class LabelerStats:
    """The rows of one labeler and one prompt, or of all its prompts where each has another text in it.

    Attributes:
        identity: The labeler, as canonical JSON.
        prompt: What it was asked first.
        asked_model: The model that was asked; ``""`` for labelers without one.
        replies: Successes.
        failures: Rows without a reply.
        reasons: Why, numbers and the photo's name aside.
        models: Models that answered.
        flags: Flags of the replies; ``""`` for usable ones.
        names: Names, with a person's aliases put in.
        cost_usd: What all of it cost.
        seconds: Waiting times, added up.
        tokens: Kind of tokens -> how many.
        first: The earliest date.
        last: The latest date.
        simulated: Whether replies, costs and times are made up.
    """

    identity: str
    prompt: str
    asked_model: str = ""
    replies: int = 0
    failures: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    seconds: float = 0.0
    tokens: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""
    simulated: bool = False

    @property
    def other_models(self) -> list[str]:
        """Models that answered and are not the one that was asked, nor a version of it."""
        return [model for model in self.models if not is_same_model(self.asked_model, model)]


def count_rows(rows: Iterable[StoredReply], aliases: Renaming) -> list[LabelerStats]:
    """Count rows by labeler and prompt, in the order of their first row.

    Args:
        rows: What is in the store.
        aliases: A person's aliases.
    """
    found: dict[tuple[str, str], LabelerStats] = {}
    for row in rows:
        key = row.identity, "" if is_about_text(row) else row.prompt
        stats = found.get(key)
        if stats is None:
            asked = identity_of(row).get("model")
            stats = LabelerStats(row.identity, row.prompt, asked if isinstance(asked, str) else "")
            found[key] = stats
        _count(stats, row, aliases)
    return list(found.values())


def _count(stats: LabelerStats, row: StoredReply, aliases: Renaming) -> None:
    stats.cost_usd += row.cost_usd
    stats.seconds += row.seconds
    stats.first = min(stats.first or row.created_at, row.created_at)
    stats.last = max(stats.last, row.created_at)
    for kind, value in (row.usage or {}).items():
        if kind.endswith("tokens") and isinstance(value, int):
            stats.tokens[kind] += value
    stats.simulated |= bool(row.usage and row.usage.get("simulated"))
    if row.error:
        stats.failures += 1
        reason = row.error.replace(row.sample_id, "PHOTO") if row.sample_id else row.error
        stats.reasons[_NUMBER.sub("N", reason)] += 1
        return
    parsed = read_stored(row)
    stats.replies += 1
    stats.flags[parsed.flag] += 1
    stats.names.update(map(aliases.name, parsed.names))
    if row.model:
        stats.models[row.model] += 1
