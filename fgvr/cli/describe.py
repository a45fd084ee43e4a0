"""``fgvr describe``: descriptions of the support photos and of groups of them, from the configuration of a run."""

import json
from typing import Any

from lightning.pytorch import Trainer

from fgvr.cli.descriptions import descriptions_of, known_label_space
from fgvr.cli.logs import configure_logging
from fgvr.cli.stages import StageCLI, on_ray
from fgvr.cli.train import FgvrCLI
from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.files import write_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelers.remote import RemoteLabeler
from fgvr.vocabulary.files import write_vocabulary


class DescribeCLI(StageCLI):
    """Takes every option of ``fgvr fit``, and asks for descriptions in the place of training."""

    def before_instantiate_classes(self) -> None:
        """Make the run folder that the descriptions are left in; a dry run leaves nothing."""
        if not self.config.dry_run:
            FgvrCLI.before_instantiate_classes(self)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Run the stage in the place of the trainer."""
        data = self.data
        options = data.describe or DescribeOptions()
        vocabulary = known_label_space(data, self.method)
        descriptions = descriptions_of(data, self.method, options, vocabulary)
        if self.config.engine == "ray" and any(isinstance(part.labeler, RemoteLabeler) for part in descriptions.parts):
            raise FgvrError(
                "--engine ray is for models that run on one's own machines, such as llava or blip2, and the labeler "
                "of these descriptions only asks servers. Leave it out."
            )
        self._print_plan(descriptions)
        if not self.config.dry_run:
            problem = self._ask(descriptions)
            known = descriptions.read()
            assert self.run_folder is not None, "before_instantiate_classes has made it"
            self.write_config()
            write_vocabulary(vocabulary, self.run_folder.vocabulary)
            write_descriptions(known.descriptions, self.run_folder.descriptions, known.summary.origin)
            print(known.summary)
            print(self.run_folder.path)
            if problem:
                raise FgvrError(problem)
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run

    def _print_plan(self, descriptions: Descriptions) -> None:
        for kind, plan in descriptions.plan().items():
            print(f"{kind} descriptions: {plan}")
        if not descriptions.parts:
            print("nothing to ask: the descriptions are those of a file")
        if self.config.dry_run and self.config.batch:
            usd = descriptions.estimate_batch_usd()
            print(f"by batch: {'cost unknown' if usd is None else f'about ${usd:.2f}'}")
        if self.config.dry_run:
            for part in descriptions.parts:
                if part.requests:
                    print(f"{part.kind} prompt: {part.requests[0].prompt}")
                print(f"{part.kind} labeler: {json.dumps(part.labeler.identity())}")

    def _ask(self, descriptions: Descriptions) -> str:
        """Ask; what is wrong with a batch, where that is no reason to throw away the rest."""
        if not self.config.batch:
            descriptions.ask(on_ray if self.config.engine == "ray" else None)
            return ""
        runs = descriptions.ask_batch()
        missing = sum(run.missing for run in runs)
        first = next((run.first_error for run in runs if run.first_error), "the server left them out")
        return f"{missing} requests have no reply. To send them again, give the same command. First: {first}" * (
            missing > 0
        )


def run_describe(args: list[str]) -> int:
    """Run ``fgvr describe``.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    DescribeCLI("describe", args, run=False)
    return 0
