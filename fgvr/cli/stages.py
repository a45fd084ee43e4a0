"""``fgvr label`` and ``fgvr candidates``: one stage of a run, from the same configuration, without a trainer."""

import json
import logging
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.train import FgvrCLI, configure_logging
from fgvr.labelers.run import summary

log = logging.getLogger(__name__)


class StageCLI(FgvrCLI):
    """Takes every option of ``fgvr fit``, so that one command line serves both, and builds no trainer."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what only a stage has."""
        super().add_arguments_to_parser(parser)
        if self.command == "label":
            parser.add_argument(
                "--dry-run", action="store_true", help="Print what would be asked and what it would cost; ask nothing."
            )

    def before_instantiate_classes(self) -> None:
        """Labelling leaves its replies in the store and has no run folder."""
        if self.command == "candidates":
            super().before_instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Run the stage in the place of the trainer."""
        if self.command == "label":
            self.label(dry_run=self.config.dry_run)
        else:
            self.build_candidates()
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run

    def label(self, dry_run: bool) -> None:
        """Ask for what is missing, or only say what that would be."""
        plan = self.data.label_plan()
        print(plan)
        labeler = self.data.labeler
        if dry_run and labeler is not None:
            print(f"prompt: {labeler.prompt}")
            print(f"labeler: {json.dumps(labeler.identity())}")
        if not dry_run and plan.missing:
            print(summary(self.data.label(), self.data.simulated))

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
        data.make_candidates(vocabulary, method.backbone, device)
        print(folder.path)


def run_stage(command: str, args: list[str]) -> int:
    """Run ``label`` or ``candidates``.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    StageCLI(command, args, run=False)
    return 0
