"""``fgvr sentences``: sentences about each class name, or templates for the data set, written by a labeler's model."""

import json
from pathlib import Path
from typing import Literal

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.describe import ask_parts, check_engine
from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.cli.stages import add_asking_options
from fgvr.config.cli import FgvrCLI
from fgvr.descriptions.class_texts import ClassSentences, ClassTextAsking, DataSetTemplates
from fgvr.errors import FgvrError
from fgvr.pipeline.descriptions import known_vocabulary_of

_KINDS: dict[str, type[ClassTextAsking]] = {"sentences": ClassSentences, "templates": DataSetTemplates}


def add_options(parser: LightningArgumentParser) -> None:
    """Add all that ``fgvr sentences`` has beside the options of ``fit``."""
    parser.add_argument(
        "--kind",
        type=Literal["sentences", "templates"],
        default="sentences",
        help="What is asked for: sentences about each class name, for model.sentences, or templates for the whole data "
        "set, for model.templates.",
    )
    parser.add_argument("--count", type=int, default=10, help="Sentences for each class, or templates, from 1 to 100.")
    parser.add_argument("--domain", type=str, default="object", help="What all photos show, such as bird.")
    parser.add_argument(
        "--output",
        type=Path | None,
        default=None,
        help="The JSON file; sentences.json or templates.json if not given. One that is there is replaced.",
    )
    add_asking_options(parser)


def run_sentences(args: list[str]) -> int:
    """Ask for texts and write them to a file, or only say what that would cost; a dry run leaves nothing.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    cli = FgvrCLI("sentences", args, add_options)
    options, data = cli.config, cli.build().data
    output = Path(options.output or f"{options.kind}.json")
    if output.suffix.lower() != ".json":
        raise FgvrError(f"--output is {str(output)!r}; expected the name of a JSON file, such as sentences.json.")
    names = known_vocabulary_of(data).names
    asking = _KINDS[options.kind](
        names, data.labeler, data.label_store, data.max_cost_usd, options.count, options.domain
    )
    check_engine(asking, options.engine)
    for kind, plan in asking.plan().items():
        say(f"{kind}: {plan}")
    if options.dry_run:
        _print_question(asking, options.batch)
        return 0
    problem = ask_parts(asking, options.batch, options.engine)
    found = asking.read()
    if found.texts:
        asking.write(found, output)
    say(found)
    if not found.texts:
        raise FgvrError(f"No reply has a usable {asking.what}, and nothing was written. To look: fgvr store show")
    say(output)
    if problem:
        raise FgvrError(problem)
    return 0


def _print_question(asking: ClassTextAsking, batch: bool) -> None:
    if batch:
        usd = asking.estimate_batch_usd()
        say(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
    for part in asking.parts:
        say(f"prompt: {part.requests[0].prompt}")
        say(f"labeler: {json.dumps(part.labeler.identity())}")
