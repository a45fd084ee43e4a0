"""``fgvr label`` and ``fgvr candidates``: one stage of a run, from the same configuration, without a trainer."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.ask_next import add_next_options, choose_next, parsed, write_names
from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.config.cli import FgvrCLI
from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelling.plan import summary
from fgvr.pipeline.run import Run
from fgvr.records import LabelRequest, Reply
from fgvr.registry import LABELERS
from fgvr.selections.uncertain import UncertainSelection
from fgvr.text import counted


def add_asking_options(parser: LightningArgumentParser) -> None:
    """Add what ``label`` and ``describe`` have beside the options of ``fit``."""
    parser.add_argument(
        "--dry-run", action="store_true", help="Print what would be asked and what it would cost; ask nothing."
    )
    parser.add_argument(
        "--batch",
        action="store_true",
        help="Ask through the batch API of OpenAI or Gemini: half the price, replies within a day. May be "
        "stopped at any time; the same command collects what has come.",
    )
    parser.add_argument(
        "--engine",
        type=Literal["local", "ray"],
        default="local",
        help="Where a model of one's own (llava, blip2, classifier) runs: in this process, or on all machines "
        "of a Ray cluster. Remote parts of a cascade or a vote are asked as always.",
    )


def add_label_options(parser: LightningArgumentParser) -> None:
    """Add what ``label`` has beside the options of ``fit``."""
    add_asking_options(parser)
    add_next_options(parser)


def run_label(args: list[str]) -> int:
    """Ask for what is missing, or only say what that would be.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    cli = parsed(args, add_label_options)
    options, run = cli.config, Run(cli.build())
    data = run.data
    select = data.select if isinstance(data.select, UncertainSelection) else None
    if select is None and (options.by_hand or options.list):
        raise FgvrError("--by-hand and --list are for photos that a run doubts: give --select uncertain --run R --n N.")
    if select is not None and not options.by_hand and not data.labels.has_labeler:
        # before the photos are looked at, which may take a pass of the image tower
        raise FgvrError(
            f"The run {select.run} had no labeler to ask about more photos: set data.labeler (the command `fgvr list "
            "labelers` shows what there is), or leave the names to a person with --by-hand."
        )
    found = None if select is None else choose_next(cli, data, select)
    if select is not None and found is not None and options.by_hand:
        write_names(cli, select, found)
        return 0
    labeler = data.labels.labeler
    if options.engine == "ray" and all(isinstance(part, RemoteLabeler) for part in _leaves(labeler)):
        raise FgvrError(
            f"--engine ray is for models that run on one's own machines, such as llava, blip2 or classifier, and "
            f"{LABELERS.short_name(type(labeler))} only asks servers. Leave it out; data.labeler.limits.concurrency "
            "says how many requests are in flight."
        )
    if groups := [leaf for leaf in _leaves(labeler) if isinstance(leaf, ModelLabeler) and leaf.task.of_groups]:
        raise FgvrError(
            f"The task {groups[0].task.registry_name!r} is about groups of photos, and fgvr label asks about "
            "single ones: give --data.labeler.task describe_image, or describe groups with fgvr describe."
        )
    say(data.label_plan())
    if options.dry_run and options.batch:
        usd = data.labels.estimate_batch_usd(data.asked)
        say(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
    if options.dry_run:
        parts = labeler.parts if isinstance(labeler, CombinedLabeler) else (labeler,)
        # a labeler may have many parts that are asked the same until the replies to others are known
        for prompt, identity in dict.fromkeys((part.prompt, json.dumps(part.identity())) for part in parts):
            say(f"prompt: {prompt}")
            say(f"labeler: {identity}")
    elif options.batch:
        batch = data.labels.ask_batch(data.asked)
        labels = data.read_labels(data.asked)
        say(summary(labels, data.simulated))
        if select is not None and found is not None:
            write_names(cli, select, found, labels)
        if batch.missing:
            raise FgvrError(
                f"{counted(batch.missing, 'request has', 'requests have')} no reply. To send them again, give the "
                f"same command. The first failure is: {batch.first_error or 'the server left them out'}"
            )
    else:
        labels = run.label(on_ray if options.engine == "ray" else None)
        say(summary(labels, data.simulated))
        if select is not None and found is not None:
            write_names(cli, select, found, labels)
    return 0


def run_candidates(args: list[str]) -> int:
    """Build the candidate sets from stored labels, in a run folder of their own.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    run = Run(FgvrCLI("candidates", args).build())
    run.candidates()
    say(run.folder.path)
    return 0


def on_ray(labeler: Labeler, requests: Sequence[LabelRequest]) -> Iterator[Sequence[Reply]]:
    """Ask on all machines of a Ray cluster."""
    from fgvr.labelling.ray_pool import ask_with_ray  # Ray is an extra

    yield from ask_with_ray(labeler, requests)


def _leaves(labeler: Labeler) -> list[Labeler]:
    """The labelers that are asked in the end."""
    if isinstance(labeler, CombinedLabeler):
        return [leaf for part in labeler.parts for leaf in _leaves(part)]
    return [labeler]
