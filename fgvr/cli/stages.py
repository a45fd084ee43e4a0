"""``fgvr label`` and ``fgvr candidates``: one stage of a run, from the same configuration, without a trainer."""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.logs import configure_logging
from fgvr.cli.train import FgvrCLI
from fgvr.errors import FgvrError
from fgvr.labelers.asking.plan import summary
from fgvr.labelers.base import Labeler, LabelRequest, Reply
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.remote import RemoteLabeler

log = logging.getLogger(__name__)


class StageCLI(FgvrCLI):
    """Takes every option of ``fgvr fit``, so that one command line serves both, and builds no trainer."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what only a stage has."""
        super().add_arguments_to_parser(parser)
        if self.command in ("label", "describe"):
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

    def before_instantiate_classes(self) -> None:
        """Labelling leaves its replies in the store and has no run folder."""
        if self.command == "candidates":
            super().before_instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Run the stage in the place of the trainer."""
        if self.command == "label":
            self.label()
        else:
            self.build_candidates()
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run

    def label(self) -> None:
        """Ask for what is missing, or only say what that would be."""
        options = self.config
        labeler = self.data.labels.labeler
        if options.engine == "ray" and all(isinstance(part, RemoteLabeler) for part in _leaves(labeler)):
            raise FgvrError(
                f"--engine ray is for models that run on one's own machines, such as llava, blip2 or classifier, and "
                f"{type(labeler).__name__} only asks servers. Leave it out; data.labeler.limits.concurrency says how "
                "many requests are in flight."
            )
        if groups := [leaf for leaf in _leaves(labeler) if isinstance(leaf, ModelLabeler) and leaf.task.of_groups]:
            raise FgvrError(
                f"The task {groups[0].task.registry_name!r} is about groups of photos, and fgvr label asks about "
                "single ones: give --data.labeler.task describe_image, or describe groups with fgvr describe."
            )
        plan = self.data.label_plan()
        print(plan)
        if options.dry_run and options.batch:
            usd = self.data.labels.estimate_batch_usd(self.data.asked)
            print(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
        if options.dry_run:
            for part in labeler.parts if isinstance(labeler, CombinedLabeler) else (labeler,):
                print(f"prompt: {part.prompt}")
                print(f"labeler: {json.dumps(part.identity())}")
        elif options.batch:
            run = self.data.labels.ask_batch(self.data.asked)
            print(summary(self.data.read_labels(self.data.asked), self.data.simulated))
            if run.missing:
                raise FgvrError(
                    f"{run.missing} requests have no reply. To send them again, give the same command. The first "
                    f"failure is: {run.first_error or 'the server left them out'}"
                )
        else:
            asker = on_ray if options.engine == "ray" else None
            print(summary(self.data.label(asker), self.data.simulated))

    def build_candidates(self) -> None:
        """Build the candidate sets from stored labels, in a run folder of their own."""
        data, method, folder = self.data, self.method, self.run_folder
        data.direct = False  # candidate sets are those of the support photos
        assert folder is not None, "before_instantiate_classes has made it"
        data.run_folder = folder
        self.write_config()
        vocabulary = data.make_vocabulary(method)
        method.backbone.load()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        data.make_candidates(vocabulary, method, device)
        print(folder.path)


def _leaves(labeler: Labeler) -> list[Labeler]:
    """The labelers that are asked in the end."""
    if isinstance(labeler, CombinedLabeler):
        return [leaf for part in labeler.parts for leaf in _leaves(part)]
    return [labeler]


def on_ray(labeler: Labeler, requests: Sequence[LabelRequest]) -> Iterator[Sequence[Reply]]:
    """Ask on all machines of a Ray cluster."""
    from fgvr.labelers.asking.ray_pool import ask_with_ray  # Ray is an extra

    yield from ask_with_ray(labeler, requests)


def run_stage(command: str, args: list[str]) -> int:
    """Run ``label`` or ``candidates``.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    StageCLI(command, args, run=False)
    return 0
