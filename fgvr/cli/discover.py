"""``fgvr discover``: what the photos show and what tells their classes apart, found by the labeler on a few of them."""

import hashlib
import json
import shlex
from collections.abc import Sequence

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.config.cli import FgvrCLI
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.model import ModelLabeler
from fgvr.labelling.requests import ask_requests
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord, LabelRequest
from fgvr.registry import TASKS
from fgvr.text import counted

_MAX = 16


def run_discover(args: list[str]) -> int:
    """Ask the labeler with the task ``discover`` instead of its own, which may need what is to be found.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    cli = FgvrCLI("discover", args, add_images)
    count, labeler = cli.config.photos, cli.config.data.labeler
    if not 1 <= count <= _MAX:
        raise FgvrError(f"--photos is {count}; expected 1 to {_MAX}.")
    options = labeler.get("init_args") if labeler is not None else None
    if options is None or "task" not in options:
        raise _no_model(None if labeler is None else labeler["class_path"].rpartition(".")[2])
    options["task"] = {"class_path": TASKS["discover"]}
    for name, value in {"prompt": None, "answers": 1, "max_output_tokens": None}.items():
        if name in options:  # they belong to the other task
            options[name] = value
    discover(cli.build().data, count)
    return 0


def discover(data: FgvrDataModule, count: int) -> None:
    """Ask the labeler about ``count`` of the support photos, and print what it finds as options.

    Raises:
        FgvrError: The labeler gives no usable reply, or the budget does not allow to ask.
    """
    labeler = data.labeler
    if not isinstance(labeler, ModelLabeler):
        raise _no_model(type(labeler).__name__)
    images = draw_images(data.support, count, data.support_seed)
    request = LabelRequest(images[0], labeler.prompt, others=tuple(images[1:]))
    with LabelStore(data.label_store) as store:
        run = ask_requests(labeler, [request], store, Budget(data.max_cost_usd), progress=False)
        (reply,) = store.get(labeler.identity(), [request])
    found = labeler.read(reply) if reply is not None and not reply.error else None
    if reply is None or found is None or found.flag:
        said = "no reply" if reply is None else reply.error or repr(reply.raw[:300])
        raise FgvrError(
            f"{labeler.model} did not say what the photos show: {said}. Ask about others with --photos or "
            "--data.support_seed, or state it yourself, as in --data.labeler.task.category bird "
            "--data.labeler.task.unit species"
        )
    category, unit = found.names
    model = reply.model or labeler.model
    say(f"{category}, by {unit} ({counted(len(images), 'photo')}, {ascii(model)[1:-1]}, ${run.cost_usd:.4f})")
    say("In the configuration, under data.labeler.init_args:")
    # JSON is YAML, whatever the model has put into the words
    words = f"category: {json.dumps(category)}, unit: {json.dumps(unit)}"
    say(f"  task: {{class_path: name, init_args: {{style: expert, {words}}}}}")
    say("On the command line:")
    option = "--data.labeler.task"
    say(
        f"  {option} name {option}.style expert {option}.category {shlex.quote(category)} "
        f"{option}.unit {shlex.quote(unit)}"
    )


def draw_images(images: Sequence[ImageRecord], count: int, seed: int) -> list[ImageRecord]:
    """``count`` of the photos, or all there are; which, depends on their bytes and the seed alone.

    Example:
        >>> from pathlib import Path
        >>> records = [ImageRecord(sample_id=x, path=Path(x), split="support", digest=x) for x in "abcdefgh"]
        >>> draw_images(records, 3, seed=0) == draw_images(records[::-1], 3, seed=0)
        True
    """
    different = {image.digest: image for image in sorted(images, key=lambda image: image.sample_id, reverse=True)}
    ordered = sorted(different, key=lambda digest: hashlib.sha256(f"{seed}:{digest}".encode()).digest())
    return [different[digest] for digest in ordered[:count]]


def add_images(parser: LightningArgumentParser) -> None:
    """Add how many photos are shown."""
    parser.add_argument("--photos", type=int, default=3, help=f"Support photos that are shown, from 1 to {_MAX}.")


def _no_model(labeler: str | None) -> FgvrError:
    found = "no labeler is set" if labeler is None else f"{labeler} shows photos to none"
    return FgvrError(
        f"fgvr discover asks a multimodal LLM, and {found}: choose one that does with --data.labeler, such as openai."
    )
