"""``fgvr label --select uncertain --run RUN --n N``: ask next about what a finished run doubts most."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.checkpoints.whole import chosen_checkpoint
from fgvr.cli.say import say
from fgvr.config.cli import AddOptions, FgvrCLI
from fgvr.config.guard import ImportGuard, read_run_config, with_own_place
from fgvr.config.trained import trained_model
from fgvr.data.datamodule import FgvrDataModule
from fgvr.doubt.next_photos import NextPhotos, has_doubts, make_doubts, next_photos, write_list
from fgvr.errors import FgvrError
from fgvr.pipeline.parts import as_list
from fgvr.records import LabelRecord
from fgvr.runs import find_run
from fgvr.selections.uncertain import UncertainSelection
from fgvr.text import counted, verb

_SHORT = {"--select": "--data.select", "--run": "--data.select.run", "--n": "--data.select.n"}
LIST = "ask_next.csv"
"""Name of the list in the run folder, where no other is given."""


def add_next_options(parser: LightningArgumentParser) -> None:
    """Add what ``label`` alone has: short forms of ``data.select``, and the list of the photos that it chose."""
    parser.add_argument(
        "--select",
        type=str | None,
        default=None,
        help="Short for --data.select; beside it, --run RUN is short for --data.select.run.",
    )
    parser.add_argument("--n", type=int | None, default=None, help="Short for --data.select.n.")
    parser.add_argument(
        "--list",
        type=Path | None,
        default=None,
        help="With --select uncertain: CSV file for the photos that are asked about next and the names that they get "
        "(RUN/ask_next.csv). Names that are in it stay.",
    )
    parser.add_argument(
        "--by-hand",
        action="store_true",
        help="With --select uncertain: ask no labeler, and leave the column name of the list to a person.",
    )


def parsed(args: list[str], add_options: AddOptions) -> FgvrCLI:
    """The options of ``fgvr label``; with ``--run`` and no configuration, those of that run with what is given.

    Args:
        args: What follows ``fgvr label``.
        add_options: Adds the options of the command.

    Raises:
        FgvrError: An option is unknown or has a wrong value, or the run's configuration may not be trusted.
    """
    args = _long(args)
    run = next((value for flag, value in _pairs(args) if flag == "--data.select.run"), "")
    if not run or any(flag in ("--config", "-c") for flag, _ in _pairs(args)):
        return FgvrCLI("label", args, add_options)
    folder = find_run(Path(run), trained=True)
    config = read_run_config(folder)
    guard = ImportGuard(config, folder.config, f"give --config {folder.config}", args)
    # what chose photos for that run has options of its own, which this selection would be given
    config["data"] = {key: value for key, value in dict(config["data"]).items() if key != "select"}
    cli = FgvrCLI("label", args, add_options, config=with_own_place(config, folder), guard=guard)
    if refused := guard.elsewhere():
        raise FgvrError(refused)
    return cli


def choose_next(cli: FgvrCLI, data: FgvrDataModule, select: UncertainSelection) -> NextPhotos:
    """Whom to ask about next, and say so; what the run learned is applied to the photos first, where it was not yet.

    Args:
        cli: The options; a configuration of the run that was given by hand is trusted with the classes that it names.
        data: Its support photos may be asked about, and no others.
        select: The selection.

    Raises:
        FgvrError: There is no such run, it has learned nothing, or no photo is left.
    """
    data.direct = False
    folder = find_run(select.run, trained=True)
    ids = [record.sample_id for record in data.support]
    if not has_doubts(folder, chosen_checkpoint(folder.checkpoints), ids):
        given = [Path(str(config)).resolve() for config in as_list(cli.config.get("config"))]
        trust = folder.config.resolve() in given
        make_doubts(folder, trained_model(folder, trust=trust, how=f"give --config {folder.config}"), data)
    found = next_photos(select, ids, list_of(cli, select))
    say(found)
    if not found.chosen:
        raise FgvrError(
            f"None of {counted(found.pool, 'support photo')} is left to ask about: a person or a table has named all. "
            "Give more photos, such as --data.shots null."
        )
    return found


def list_of(cli: FgvrCLI, select: UncertainSelection) -> Path:
    """Where the list of the photos is."""
    given: Path | None = cli.config.list
    return given if given is not None else find_run(select.run, trained=True).path / LIST


def write_names(
    cli: FgvrCLI, select: UncertainSelection, found: NextPhotos, labels: Sequence[LabelRecord] | None = None
) -> None:
    """Write the list, and say how to train with it.

    Args:
        cli: The options.
        select: The selection.
        found: Whom it chose.
        labels: What was said of them; ``None`` where a person is to say it.
    """
    path = list_of(cli, select)
    empty = write_list(found, path, {label.sample_id: label for label in labels or ()})
    if labels is None:
        say(f"{path}: {counted(empty, 'photo')} to fill in, in the column name")
    else:
        say(f"{path}: {counted(len(found.chosen), 'photo')}, of which {empty} {verb(empty, 'has', 'have')} no name")
    say(
        f"To train with these names before others: fgvr fit --config {find_run(select.run, trained=True).config} "
        f"--data.select uncertain --data.select.run {select.run} --data.select.n {select.n} --data.select.keep true "
        f"--data.labeler cascade --data.labeler.neighbours 0 --data.labeler.first fixed "
        f"--data.labeler.first.path {path} --data.labeler.fallback LABELER"
    )


def _long(args: Sequence[str]) -> list[str]:
    """Arguments without short forms; configurations come before these, so that none takes the selection back."""
    first: list[str] = []
    rest: list[str] = []
    is_value = False
    for token in args:
        flag, equals, value = token.partition("=")
        is_config = flag in ("--config", "-c")
        (first if is_config or is_value else rest).append(f"{_SHORT.get(flag, flag)}{equals}{value}")
        is_value = is_config and not equals
    return [*first, *rest] if {token.partition("=")[0] for token in args} & _SHORT.keys() else list(args)


def _pairs(args: Sequence[str]) -> list[tuple[str, str]]:
    """Each option with its value; an option without one has what follows it."""
    pairs = []
    for token, after in zip(args, [*args[1:], ""], strict=True):
        flag, equals, value = token.partition("=")
        pairs.append((flag, value if equals else after))
    return pairs
