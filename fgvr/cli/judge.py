"""``fgvr judge``: a labeler as a classifier, by one of the protocols of arXiv 2603.06578."""

import json
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.cli.stages import add_asking_options, on_ray
from fgvr.config.cli import FgvrCLI
from fgvr.config.judging import add_judging_options, judge_of
from fgvr.errors import FgvrError
from fgvr.judging.judge import Judge
from fgvr.judging.run import Judgement, write_verdict
from fgvr.reports.table import format_table
from fgvr.text import counted


def add_options(parser: LightningArgumentParser) -> None:
    """Add all that ``fgvr judge`` has beside the options of ``fit``."""
    add_judging_options(parser)
    add_asking_options(parser)


def run_judge(args: list[str]) -> int:
    """Ask by a protocol, and print the figures, or only say what that would ask; a dry run leaves nothing.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    cli = FgvrCLI("judge", args, add_options)
    options = cli.config
    judge, parts = judge_of(cli)
    if (first := judge.confusion_plan()) is not None:
        say(f"confusions: {first}")
    say(f"{judge.row}: {judge.plan()}")
    if judge.is_open:
        say(
            "(these replies answer the labeler's own question, an open one: the class list was not shown, and they are "
            "judged as if the protocol had been asked)"
        )
    if options.dry_run:
        _print_questions(judge, options.batch)
        return 0
    problem = ""
    if options.batch:
        runs = judge.ask_batch()
        judge.require_replies(next((run.first_error for run in runs if run.first_error), ""))
        missing = sum(run.missing for run in runs)
        problem = (
            f"{counted(missing, 'request has', 'requests have')} no reply. To send them again, give the same command."
            if missing
            else ""
        )
    else:
        judge.ask(on_ray if options.engine == "ray" else None)
    judgement = write_verdict(judge.read(), judge, parts)
    _print_result(judgement.row, judgement.figures)
    _print_unread(judgement)
    say(judgement.folder.path)
    if problem:
        raise FgvrError(problem)
    return 0


def _print_questions(judge: Judge, batch: bool) -> None:
    if batch:
        usd = judge.estimate_batch_usd()
        say(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
    if judge.is_open:
        say(f"prompt: {judge.labeler.prompt}")
        say(f"labeler: {json.dumps(judge.labeler.identity())}")
    for part in judge.parts:
        say(f"prompt about {counted(part.task.photos, 'photo')}: {part.requests[0].prompt}")
        say(f"labeler: {json.dumps(part.labeler.identity())}")


def _print_result(row: str, record: Mapping[str, Any]) -> None:
    judged = record["judged"]
    by = f", names compared by {record['encoder']}" if record["encoder"] else ""
    asked = (
        f"{counted(judged['photos'], 'photo')} of split {judged['split']}, "
        f"{counted(judged['classes'], 'class', 'classes')}, "
        f"{counted(judged['photos_per_request'], 'photo')} a request, {counted(judged['repeats'], 'repeat')}"
    )
    say(f"protocol {record['protocol']}: {asked}{by}")
    say(format_table({row: record}))
    for figure, (low, high) in record["intervals"].items():
        say(f"{figure}: {record[figure]:.1f} % (95 % interval {low:.1f} to {high:.1f})")
    for title, key in (("labels", "by_group"), ("place in the request", "by_position"), ("option", "by_option")):
        for place, found in record.get(key, {}).items():
            said = ", ".join(f"{name.replace('_', ' ')} {_shown(name, value)}" for name, value in found.items())
            say(f"{title} {place}: {said}")
    if judged["order"] == "sorted":
        say("(photos of one class were asked about together, which inflates accuracy: no result of the protocol)")
    say("(a closed world: the list of true classes was given, so this belongs into no table without a vocabulary)")


def _print_unread(judgement: Judgement) -> None:
    """Show a reply in which there was something and no answer: a model may not hold to the form that was asked for."""
    answers, replies = (judgement.answers[column].to_pylist() for column in ("answer", "raw"))
    unread = [raw for answer, raw in zip(answers, replies, strict=True) if raw and not answer]
    if unread:
        say(f"no answer was found in the replies about {counted(len(unread), 'photo')}, the first: {unread[0]!r:.200}")


def _shown(name: str, value: float | None) -> str:
    return "-" if value is None else f"{value:g}" if name == "photos" else f"{value:.1f}"
