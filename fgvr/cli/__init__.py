"""The command line: picks the subcommand, and imports only what that one needs."""

import difflib
import importlib
import os
import sys
from pathlib import Path
from typing import TextIO

from fgvr import __version__
from fgvr.cli.option_table import check_flags, completion, help_of, options_of
from fgvr.cli.signals import Signals
from fgvr.cli.starter import end_with_starter
from fgvr.disk_problems import AFTERWARDS, disk_problem
from fgvr.errors import FgvrError
from fgvr.text import visible

COMMANDS = {
    "fit": "label what is missing, build candidate sets, train, predict the test photos, print the table",
    "sweep": "fit with varied options and several seeds: one table with mean and standard deviation",
    "validate": "metrics on the split 'val'",
    "test": "metrics on the split 'test', of a checkpoint or of zero-shot",
    "predict": "class names for photos, of a checkpoint or of zero-shot",
    "discover": "ask the labeler what a few photos show, for prompts that name it (bird, species)",
    "label": "ask the labeler about photos without a stored reply (--dry-run: only the price); to look: fgvr store",
    "describe": "ask for descriptions of the support photos and of groups of them (--dry-run: only what it would cost)",
    "sentences": "ask for sentences about each class name, or for templates of captions (--dry-run: only the price)",
    "judge": "judge the labeler as a classifier by a protocol: ow, mc, cw, cw_plus (--dry-run: only the price)",
    "store": "look at, review and export the replies that label has stored; nobody is asked",
    "candidates": "build the candidate sets and print what they are worth",
    "cased-index": "make the index of captions in which the method cased looks for names (--captions FILE or wordnet)",
    "report": "write the report of a run anew: fgvr report runs/NAME",
    "doubt": "photos whose true name labeler, neighbours and model doubt; --corrections FILE: figures before and after",
    "table": "runs and sweeps as a table, as papers print them, in Markdown, LaTeX, CSV or HTML",
    "plot": "the figures of a sweep as a drawing: lines with intervals, in SVG, PDF or PNG",
    "data": "standard data sets: data download NAME, data verify NAME (numbers, missing and corrupt photos, overlap)",
    "evaluate": "score anybody's predictions against a table of true names",
    "list": "what there is: datasets, labelers, tasks, candidates, backbones, heads, losses, methods ...",
    "show": "the options of one of them",
}
"""Command -> what it does."""
_PLACES = {
    "sweep": "sweep.main",
    "discover": "discover.run_discover",
    "label": "stages.run_label",
    "describe": "describe.run_describe",
    "sentences": "sentences.run_sentences",
    "judge": "judge.run_judge",
    "store": "store.main",
    "candidates": "stages.run_candidates",
    "cased-index": "cased_index.main",
    "report": "report.run_report",
    "doubt": "doubt.run_doubt",
    "table": "table.main",
    "plot": "plot.main",
    "data": "data.main",
    "evaluate": "evaluate.main",
    "list": "listing.list_plugins",
    "show": "listing.show_plugin",
}
"""Command -> where it is, a module of this package and a function; the others run a trainer."""
_RENAMED = {"labels": "store"}
"""Old name of a command -> its new one; both work for one release."""


_LINES = "\n".join(f"  {command:<11} {summary}" for command, summary in COMMANDS.items())
HELP = f"""\
usage: fgvr COMMAND [options]

Fine-grained visual recognition without human labels.

commands:
{_LINES}

options of fit, validate, test, predict, discover, label, describe, sentences,
judge, candidates:
  --config FILE            a YAML file: as given, or in ./configs, or one that comes with fgvr (fgvr list configs)
  --data.labeler NAME      any key of the file can be given on the command line too
  --help                   every key of fgvr's own, with what it means; --help-all for Lightning's, too

fgvr COMMAND --help explains a command; fgvr --version prints the version. Completion in a shell:
fgvr --completion bash > ~/.local/share/bash-completion/completions/fgvr (or zsh, fish)."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; those of the process if not given.

    Returns:
        The exit code: 0, or 2 for a mistake that the user can fix; 1 from ``fgvr data verify`` for faulty data; 130
        after Control-C and 143 after SIGTERM.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "LOCAL_RANK" in os.environ:
        end_with_starter()
    with Signals() as signals:
        try:
            here = str(_working_directory())
            if here not in sys.path:
                # a labeler or a loss in a file of the working directory can be selected by its class path
                sys.path.append(here)
            code = _dispatch(argv[0] if argv else "--help", argv[1:])
            sys.stdout.flush()  # what cannot be written is an error here, and a traceback later
        except FgvrError as error:
            # file names and replies in it are untrusted
            _say(f"error: {visible(_own_words(error), lines=True)}")
            return 2
        except BrokenPipeError:
            # whoever read the output, such as head, has seen enough
            _drop(sys.stdout)
            return 141
        except KeyboardInterrupt as stopped:
            if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0":
                go_on = visible(str(stopped)) or "To go on, give the same command again."
                _say(f"stopped; what was labelled and computed so far is kept. {go_on}")
            return signals.exit_code
        except Exception as error:
            if (problem := disk_problem(error)) is None:
                raise
            _say(f"error: {visible(problem)} {AFTERWARDS}")
            return 2
        return code


def _say(line: str) -> None:
    """Print a last word; where it cannot be written either, the exit code says enough."""
    try:
        print(f"fgvr: {line}", file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:
        _drop(sys.stdout, sys.stderr)


def _drop(*streams: TextIO) -> None:
    """Keep Python from writing, when it ends, what could not be written before."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise FgvrError(f"The working directory cannot be used ({error.strerror}): change into another one.") from error


def _own_words(error: FgvrError) -> str:
    """What the error says, without the traceback that PyTorch puts before it where a loader process has raised it."""
    message = str(error)
    if not message.startswith(f"Caught {type(error).__name__} in DataLoader worker process"):
        return message
    return message.rpartition(f"{type(error).__module__}.{type(error).__name__}: ")[2].strip()


def _dispatch(command: str, args: list[str]) -> int:
    if command in _RENAMED:
        print(f"fgvr: {command} is now called {_RENAMED[command]}: fgvr {_RENAMED[command]} ...", file=sys.stderr)
        command = _RENAMED[command]
    if command in ("-h", "--help", "help"):
        print(HELP)
        return 0
    if command == "--completion":
        print(completion(args[0] if args else "bash", COMMANDS))
        return 0
    if command == "--version":
        print(f"fgvr {__version__}")
        return 0
    if any(token in ("-h", "--help") for token in args) and options_of(command):
        print(help_of(command, COMMANDS[command]))
        return 0
    check_flags(command, args)
    args = ["--help" if token == "--help-all" else token for token in args]
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"Did you mean: fgvr {near[0]}" if near else "To see the commands: fgvr --help"
        raise FgvrError(f"{command!r} is not a command. {hint}")
    if command in _PLACES:
        module, _, function = _PLACES[command].partition(".")
        return int(getattr(importlib.import_module(f"fgvr.cli.{module}"), function)(args))
    from fgvr.cli.train import run_trainer

    return run_trainer(command, args)
