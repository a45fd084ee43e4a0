"""``fgvr describe``: descriptions of the support photos and of groups of them, from the configuration of a run."""

import json
from typing import Any

from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.cli.stages import add_asking_options, on_ray
from fgvr.config.cli import FgvrCLI
from fgvr.descriptions.asking import Asking
from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.remote import RemoteLabeler
from fgvr.pipeline.descriptions import descriptions_of, known_vocabulary_of
from fgvr.pipeline.run import Run
from fgvr.text import counted


def run_describe(args: list[str]) -> int:
    """Ask for descriptions, or only say what that would be; a dry run leaves nothing.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    cli = FgvrCLI("describe", args, add_asking_options)
    options, run = cli.config, Run(cli.build())
    data = run.data
    vocabulary = known_vocabulary_of(data)
    descriptions = descriptions_of(data, run.method, data.describe or DescribeOptions(), vocabulary)
    check_engine(descriptions, options.engine)
    _print_plan(descriptions, options.dry_run, options.batch)
    if options.dry_run:
        return 0
    problem = ask_parts(descriptions, options.batch, options.engine)
    run.write_descriptions(descriptions, vocabulary)
    say(descriptions.read().summary)
    say(run.folder.path)
    if problem:
        raise FgvrError(problem)
    return 0


def _print_plan(descriptions: Descriptions, dry_run: bool, batch: bool) -> None:
    for kind, plan in descriptions.plan().items():
        say(f"{kind} descriptions: {plan}")
    if not descriptions.parts:
        say("nothing to ask: the descriptions are those of a file")
    if dry_run and batch:
        usd = descriptions.estimate_batch_usd()
        say(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
    if dry_run:
        for part in descriptions.parts:
            if part.requests:
                say(f"{part.kind} prompt: {part.requests[0].prompt}")
            say(f"{part.kind} labeler: {json.dumps(part.labeler.identity())}")


def check_engine(asking: Asking[Any], engine: str) -> None:
    """Refuse to ask servers on a Ray cluster.

    Raises:
        FgvrError: That is what is wanted.
    """
    if engine == "ray" and any(isinstance(part.labeler, RemoteLabeler) for part in asking.parts):
        raise FgvrError(
            "--engine ray is for models that run on one's own machines, such as llava or blip2, and the labeler "
            "of these texts only asks servers. Leave it out."
        )


def ask_parts(asking: Asking[Any], batch: bool, engine: str) -> str:
    """Ask; what is wrong with a batch, where that is no reason to throw away the rest.

    Raises:
        FgvrError: A labeler cannot go on, or the budget is used up.
    """
    if not batch:
        asking.ask(on_ray if engine == "ray" else None)
        return ""
    runs = asking.ask_batch()
    missing = sum(run.missing for run in runs)
    first = next((run.first_error for run in runs if run.first_error), "the server left them out")
    return (
        f"{counted(missing, 'request has', 'requests have')} no reply. To send them again, give the same command. "
        f"First: {first}" * (missing > 0)
    )
