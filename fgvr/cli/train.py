"""``fgvr fit``, ``validate``, ``test`` and ``predict``: one run, and what it says at its end."""

from lightning.fabric.utilities.exceptions import MisconfigurationException

from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.config.cli import FgvrCLI
from fgvr.disk_problems import disk_problem
from fgvr.errors import FgvrError
from fgvr.pipeline.allocator import keep_freed_memory
from fgvr.pipeline.process_watch import LostProcessError
from fgvr.pipeline.run import Run
from fgvr.reports.table import format_table
from fgvr.sweeps.compare import ComparedRows
from fgvr.sweeps.launch import command_line, resume_args
from fgvr.text import counted


def run_trainer(command: str, args: list[str]) -> int:
    """Run one of these commands.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    keep_freed_memory()
    cli = FgvrCLI(command, args)
    rows = cli.compare if command == "fit" else {}
    run = Run(cli.build(), compared=ComparedRows(rows) if rows else None)
    try:
        getattr(run, command)()
    except MisconfigurationException as error:  # Lightning's word for trainer options that do not go together
        raise FgvrError(str(error)) from error
    except LostProcessError as lost:
        raise FgvrError(f"{lost} {how_to_go_on(run, command)}") from lost
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(how_to_go_on(run, command)) from stop
    except Exception as error:
        folder = run.folder.path if run.has_folder else None
        if isinstance(error, FgvrError) or (problem := disk_problem(error, folder)) is None:
            raise
        raise FgvrError(f"{problem} {how_to_go_on(run, command)}") from error
    if run.is_global_zero:
        if command == "predict" or (command in ("fit", "test") and not run.data.images.truth):
            print_names(run)
        if command in ("fit", "test"):
            say(format_table(run.unwritten_table or run.table))
        # once more: what was said at the beginning is out of sight by now
        for remark in run.data.images.remarks:
            say(f"({remark})")
        if command in ("fit", "test") and not run.unwritten:
            say(f"report: {run.report}")
        say(run.folder.path)
    run.close()
    if run.unwritten:
        raise FgvrError(f"{run.unwritten} {how_to_go_on(run, command)}")
    if run.failed_rows:
        raise FgvrError(f"Not in the table, because they failed: {run.failed_rows}")
    return 0


def how_to_go_on(run: Run, command: str) -> str:
    """The command that goes on with a run which was stopped, in a sentence."""
    args = resume_args(run.folder) if command == "fit" and run.has_folder else None
    given = run.parts.ckpt_path
    if args is None or (given is not None and given.name == "last.ckpt"):
        other = " with another run.version" * (
            command == "fit" and args is None and run.parts.options.version is not None
        )
        return f"To go on, give the same command again{other}."
    return f"To go on: {command_line(args)}"


def print_names(run: Run) -> None:
    """Print how many photos were given which name, the commonest first."""
    counts = run.name_counts()
    shown = ", ".join(f"{count} {name}" for name, count in counts.most_common(8))
    more = f", and {counted(len(counts) - 8, 'more name')}" if len(counts) > 8 else ""
    say(f"{counted(counts.total(), 'photo')}: {shown}{more}")
