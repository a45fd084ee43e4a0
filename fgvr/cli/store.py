"""``fgvr store``: looking at stored replies, reviewing and exporting them."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from tqdm import tqdm

from fgvr.cli.plain_parser import PlainParser
from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.labelling.store.corrections import Renaming
from fgvr.labelling.store.damage import StoreDamage
from fgvr.labelling.store.exchange import export_rows, import_rows
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.parse_stored import read_stored
from fgvr.labelling.store.review import apply_review, write_review
from fgvr.labelling.store.rows import StoredReply
from fgvr.labelling.store.stats import LabelerStats, count_rows
from fgvr.text import counted, verb, visible

STORE = Path("runs/labels.sqlite")

_Row = TypeVar("_Row")

_SHOWN = 300
_REASONS = 3
_LISTED = 5


def show(
    photo: str = "",
    model: str = "",
    labeler: str = "",
    failed: bool = False,
    flag: Literal["empty", "refusal", "error", "generic", "unparsed"] | None = None,
    limit: int = 20,
    full: bool = False,
    store: Path = STORE,
) -> None:
    """Print stored replies, the latest first.

    Args:
        photo: Only photos with this text in their path, or whose digest begins with it.
        model: Only models with this text in their name.
        labeler: Only labelers with this text in their settings.
        failed: Only failures.
        flag: Only replies that give no name, for this reason.
        limit: How many at most; 0 for all.
        full: The whole of each reply, with the prompt, the labeler's settings and the key.
        store: The label store.

    Raises:
        FgvrError: There is no such store.
    """
    with _existing(store) as labels:
        rows = labels.rows(labeler, model, photo, failed=True if failed else None, newest_first=True)
        if flag is not None:
            rows = (row for row in rows if read_stored(row).flag == flag)
        shown = 0
        rename = Renaming(labels.aliases())
        for row in islice(rows, limit or None):
            correction = labels.corrections([row.key]).get(row.key)
            say("\n".join(_described(row, rename, correction, full)), end="\n\n")
            shown += 1
    if not shown:
        say(f"No such reply in {store}.")
    elif shown == limit:
        say(f"The latest {limit}; more with --limit.")


def stats(labeler: str = "", model: str = "", store: Path = STORE) -> None:
    """Print what each labeler said and cost, and which batches are on their way.

    Args:
        labeler: Only labelers with this text in their settings.
        model: Only models with this text in their name.
        store: The label store.

    Raises:
        FgvrError: There is no such store.
    """
    with _existing(store) as labels:
        labelers = count_rows(_watched(labels.rows(labeler, model)), Renaming(labels.aliases()))
        batches = [batch for batch in labels.batches.find() if batch.open]
    for each in labelers:
        say("\n".join(_counted(each)), end="\n\n")
    if not labelers:
        say(f"No replies in {store}.")
    for batch in batches:
        say(
            f"open batch {visible(batch.remote_id or batch.nonce)}: {batch.state}, "
            f"{counted(len(batch.requests), 'request')} to {visible(batch.server)}, at most "
            f"${batch.reserved_usd:.2f}, since {batch.created_at}"
        )


def export(file: Path, labeler: str = "", model: str = "", store: Path = STORE) -> None:
    """Write the replies to a table, one row each.

    Args:
        file: FILE.parquet, FILE.jsonl or FILE.csv; one that is there is replaced.
        labeler: Only labelers with this text in their settings.
        model: Only models with this text in their name.
        store: The label store.

    Raises:
        FgvrError: There is no such store, or the file's name ends in something else.
    """
    with _existing(store) as labels:
        say(f"{file}: {counted(export_rows(_watched(labels.rows(labeler, model)), file), 'reply', 'replies')}")


def import_(file: Path, store: Path = STORE) -> None:
    """Take replies from a table that ``export`` wrote, here or on another machine.

    A reply that is in the store stays as it is; a stored failure makes way for a reply.

    Args:
        file: FILE.parquet or FILE.jsonl.
        store: The label store; it is made where there is none.

    Raises:
        FgvrError: There is no such file, or a row of it is not valid; then nothing is imported.
    """
    for _ in import_rows(file):  # all of it is looked at before anything is written
        pass
    with LabelStore(store) as labels:
        taken, kept = labels.merge(import_rows(file))
    say(f"{taken} new, {kept} kept as they were in {store}")


def retry_failed(error: str = "", store: Path = STORE) -> None:
    """Let failures be asked again that had as many attempts as the labeler allows. What they cost stays counted.

    Args:
        error: Only failures with this text in their reason.
        store: The label store.

    Raises:
        FgvrError: There is no such store.
    """
    with _existing(store) as labels:
        count = labels.retry_failed(error)
    say(f"{counted(count, 'failure')} may be asked again." + (" To ask them: fgvr label" if count else ""))


def review(
    file: Path,
    apply: bool = False,
    labeler: str = "",
    model: str = "",
    store: Path = STORE,
    encoding: str | None = None,
) -> None:
    """Write a table of doubtful names and replies, or, with ``--apply``, take over what a person wrote in it.

    Args:
        file: FILE.csv. Its column ``decision`` is to be filled: ``yes`` or one of the two names where two names are
            one; the name of the photo where a reply gives none (several with ``;`` between them, or ``none``).
        apply: Read the edited file. What has no decision is taken back.
        labeler: Only labelers with this text in their settings.
        model: Only models with this text in their name.
        store: The label store. Its replies are not changed.
        encoding: Encoding of the edited file, such as ``cp1252``, where it is not UTF-8 or UTF-16.

    Raises:
        FgvrError: The file is there already, or with ``--apply``, is not or has a row that is not valid.
    """
    with _existing(store) as labels:
        if not apply:
            asked = write_review(labels, file, labeler, model, progress=True)
            say(
                f"{file}: {counted(asked.pairs, 'pair')} of names and {counted(asked.replies, 'reply', 'replies')}. "
                f"Fill the column 'decision', then: fgvr store review {file} --apply"
            )
            return
        changes = apply_review(labels, file, encoding)
    for name, (before, after) in changes.aliases.items():
        say(f"{visible(name)}: {visible(before or 'itself')} -> {visible(after or 'itself')}")
    for key, (old, new) in changes.corrections.items():
        say(f"{visible(changes.images[key])}: {_corrected(old)} -> {_corrected(new)}")
    say(f"{counted(len(changes.aliases), 'name')} and {counted(len(changes.corrections), 'reply', 'replies')} changed.")


def check(drop: bool = False, keep: bool = False, store: Path = STORE) -> None:
    """Look for damage in every row: replies, batches and what a person said that are not what was stored.

    Args:
        drop: Take damaged rows out and make indexes anew. What is taken out is asked, and paid for, again.
        keep: Take damaged rows as they are from now on, for whoever has looked at them.
        store: The label store.

    Raises:
        FgvrError: Something is damaged, and stays so.
    """
    _refuse_absent(store)
    if drop and keep:
        raise FgvrError("Damaged rows are dropped or kept, not both: give --drop or --keep.")
    with StoreDamage(store) as damage:
        rows = list(_watched(damage.rows()))
        for row in rows:
            say(row.described)
        structure = damage.structure()
        if drop and (rows or structure):
            damage.drop(rows)
            say(f"{counted(len(rows), 'row')} taken out of {store}; to ask for replies again: fgvr label")
        if keep:
            damage.keep(rows)
            kept = sum(row.readable for row in rows)
            say(f"{counted(kept, 'row')} taken as they are in {store}")
        if drop or keep:
            rows, structure = list(_watched(damage.rows())), damage.structure()
    if rows or structure:
        raise FgvrError(
            f"{counted(len(rows), 'row')} of the label store {str(store)!r} {verb(len(rows))} damaged"
            f"{f', and its structure ({structure})' if structure else ''}. Restore a copy of it; or --drop takes "
            "out what is damaged, to be asked and paid for again; or, for what is readable and right, --keep."
        )
    say(f"Every row of {store} is as it was stored.")


def main(argv: list[str]) -> int:
    """Runs ``fgvr store`` with the arguments after the subcommand; returns the exit code."""
    parser = PlainParser(
        prog="fgvr store",
        description="Look at, review and export stored replies; nobody is asked. To ask for replies: fgvr label.",
    )
    commands = parser.add_subcommands(required=True)
    for name, (function, text, switches) in COMMANDS.items():
        command = PlainParser(description=text)
        command.add_function_arguments(function, as_positional=True, skip=set(switches))
        for switch, meaning in switches.items():
            command.add_argument(f"--{switch}", action="store_true", help=meaning)
        commands.add_subcommand(name, command, help=text)
    options = parser.parse_args(argv).as_dict()
    COMMANDS[options["subcommand"]][0](**options[options["subcommand"]])
    return 0


COMMANDS: dict[str, tuple[Callable[..., None], str, dict[str, str]]] = {
    "show": (
        show,
        "print replies",
        {
            "failed": "Only failures.",
            "full": "The whole of each reply, with the prompt, the labeler's settings and the key.",
        },
    ),
    "stats": (stats, "print what each labeler said and cost", {}),
    "export": (export, "write replies to FILE.parquet, FILE.jsonl or FILE.csv", {}),
    "import": (import_, "take replies from such a file", {}),
    "retry-failed": (retry_failed, "let failures be asked again", {}),
    "review": (
        review,
        "write a table of doubtful names and replies to edit, and take it over with --apply",
        {"apply": "Read the edited file. What has no decision is taken back."},
    ),
    "check": (
        check,
        "look for damaged rows",
        {
            "drop": "Take damaged rows out and make indexes anew. What is taken out is asked, and paid for, again.",
            "keep": "Take damaged rows as they are from now on, for whoever has looked at them.",
        },
    ),
}


def _existing(store: Path) -> LabelStore:
    _refuse_absent(store)
    return LabelStore(store)


def _refuse_absent(store: Path) -> None:
    if not store.is_file():
        raise FgvrError(f"There is no label store {str(store)!r}: fgvr label makes one, --store names another.")


def _watched(rows: Iterable[_Row]) -> Iterable[_Row]:
    """The same, with a progress bar on a terminal: a million replies take minutes to parse."""
    return tqdm(rows, desc="Reading", unit=" replies", disable=None, leave=False)


def _described(row: StoredReply, rename: Renaming, correction: tuple[str, ...] | None, full: bool) -> list[str]:
    parsed = read_stored(row)
    cost = f"${row.cost_usd:.4f}" + " (simulated)" * bool(row.usage and row.usage.get("simulated"))
    head = [visible(row.sample_id) or visible(row.image[:12]), visible(row.model), cost, row.created_at]
    if row.answer:
        head.insert(1, f"answer {row.answer}")
    lines = ["  ".join(part for part in head if part)]
    if row.error:
        lines.append(f"  failed: {visible(row.error, None if full else _SHOWN)} (attempts: {row.attempts})")
    if correction is not None:
        lines.append(f"  names:  {_corrected(correction)} (by a person)")
    elif parsed.names:
        renamed = [(name, rename.name(name)) for name in parsed.names]
        shown = [name if name == new else f"{new} (for {name})" for name, new in renamed]
        lines.append(f"  names:  {visible('; '.join(shown))}")
    if parsed.flag and not row.error:
        lines.append(f"  flag:   {parsed.flag}")
    if not full:
        lines.append(f"  reply:  {visible(row.raw, _SHOWN)}")
        return lines if row.raw else lines[:-1]
    lines += [f"  key:    {visible(row.key)}", f"  photo:  {visible(row.image)}", f"  asked:  {visible(row.prompt)}"]
    lines += [f"  of:     {visible(row.identity)}", f"  usage:  {visible(str(dict(row.usage or {})))}", "  reply:"]
    return [*lines, *(f"    {line}" for line in visible(row.raw, lines=True).splitlines())]


def _corrected(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "as in the reply"
    return visible("; ".join(names)) or "none"


def _counted(each: LabelerStats) -> list[str]:
    simulated = " (simulated)" * each.simulated
    lines = [visible(each.identity), f"  prompt    {visible(each.prompt, _SHOWN)}"]
    lines.append(f"  replies   {each.replies}, and {counted(each.failures, 'failure')}")
    lines += [f"            {count} x {visible(reason, 100)}" for reason, count in each.reasons.most_common(_REASONS)]
    if each.models:
        lines.append(f"  models    {_listed(each.models.most_common())}")
    if each.other_models:
        lines.append(
            f"            WARNING: {visible(each.asked_model)} was asked for, and {visible(each.other_models[0])} has "
            "answered. Servers do so when a model is retired; its replies are another model's."
        )
    flags = [(flag or "usable", count) for flag, count in each.flags.most_common()]
    lines.append(f"  flags     {_listed(flags)}")
    lines.append(f"  names     {len(each.names)} different: {_listed(each.names.most_common(_LISTED))}")
    lines.append(f"  cost      ${each.cost_usd:.4f}{simulated}")
    if each.tokens:
        lines.append(f"  tokens    {_listed(each.tokens.most_common())}")
    lines.append(f"  seconds   {each.seconds:.0f}{simulated}")
    lines.append(f"  dates     {each.first} to {each.last}")
    return lines


def _listed(counted: list[tuple[str, int]]) -> str:
    return ", ".join(f"{visible(name, 60)} {count}" for name, count in counted) or "none"
