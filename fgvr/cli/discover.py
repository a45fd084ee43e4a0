"""``fgvr discover``: what the photos show and what tells their classes apart, found by the labeler on a few of them."""

import hashlib
import json
import shlex
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.logs import configure_logging
from fgvr.cli.stages import StageCLI
from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.requests import ask_requests
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.storage.store import LabelStore
from fgvr.records import ImageRecord
from fgvr.registry import TASKS

_MOST = 16


class DiscoverCLI(StageCLI):
    """Takes every option of ``fgvr fit``; the labeler is given the task ``discover`` in the place of its own."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add how many photos are shown."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--photos", type=int, default=3, help=f"Support photos that are shown, from 1 to {_MOST}.")

    def before_instantiate_classes(self) -> None:
        """Exchange the task: that of the configuration may need what is to be found."""
        if not 1 <= self.config.photos <= _MOST:
            raise FgvrError(f"--photos is {self.config.photos}; expected 1 to {_MOST}.")
        labeler = self.config.data.labeler
        options = labeler.get("init_args") if labeler is not None else None
        if options is None or "task" not in options:
            raise _no_model(None if labeler is None else labeler["class_path"].rpartition(".")[2])
        options["task"] = {"class_path": TASKS["discover"]}
        for name, value in {"prompt": None, "answers": 1, "max_output_tokens": None}.items():
            if name in options:  # they belong to the other task
                options[name] = value

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Ask, in the place of the trainer."""
        self.discover(self.config.photos)
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run

    def discover(self, count: int) -> None:
        """Ask the labeler about ``count`` of the support photos, and print what it finds as options.

        Raises:
            FgvrError: The labeler gives no usable reply, or the budget does not allow to ask.
        """
        data, labeler = self.data, self.data.labeler
        if not isinstance(labeler, ModelLabeler):
            raise _no_model(type(labeler).__name__)
        photos = draw_photos(data.support, count, data.support_seed)
        request = LabelRequest(photos[0], labeler.prompt, others=tuple(photos[1:]))
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
        print(f"{category}, by {unit} ({len(photos)} photos, {ascii(model)[1:-1]}, ${run.cost_usd:.4f})")
        print("In the configuration, under data.labeler.init_args:")
        # JSON is YAML, whatever the model has put into the words
        words = f"category: {json.dumps(category)}, unit: {json.dumps(unit)}"
        print(f"  task: {{class_path: name, init_args: {{style: expert, {words}}}}}")
        print("On the command line:")
        option = "--data.labeler.task"
        print(
            f"  {option} name {option}.style expert {option}.category {shlex.quote(category)} "
            f"{option}.unit {shlex.quote(unit)}"
        )


def draw_photos(photos: Sequence[ImageRecord], count: int, seed: int) -> list[ImageRecord]:
    """``count`` of the photos, or all there are; which, depends on their bytes and the seed alone.

    Example:
        >>> from pathlib import Path
        >>> records = [ImageRecord(name, Path(name), "support", digest=name) for name in "abcdefgh"]
        >>> draw_photos(records, 3, seed=0) == draw_photos(records[::-1], 3, seed=0)
        True
    """
    different = {photo.digest: photo for photo in sorted(photos, key=lambda photo: photo.sample_id, reverse=True)}
    ordered = sorted(different, key=lambda digest: hashlib.sha256(f"{seed}:{digest}".encode()).digest())
    return [different[digest] for digest in ordered[:count]]


def run_discover(args: list[str]) -> int:
    """Run ``fgvr discover``.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    DiscoverCLI("discover", args, run=False)
    return 0


def _no_model(labeler: str | None) -> FgvrError:
    found = "no labeler is set" if labeler is None else f"{labeler} shows photos to none"
    return FgvrError(
        f"fgvr discover asks a multimodal LLM, and {found}: choose one that does with --data.labeler, such as openai."
    )
