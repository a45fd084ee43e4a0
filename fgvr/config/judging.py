"""The options that judging has beside those of a run."""

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.config.cli import FgvrCLI
from fgvr.errors import FgvrError
from fgvr.judging.base import Protocol
from fgvr.judging.judge import Judge
from fgvr.judging.options import JudgeOptions
from fgvr.pipeline.parts import RunParts
from fgvr.pipeline.run import Run


def add_judging_options(parser: LightningArgumentParser) -> None:
    """Add the protocol, and what is judged; the class list is that of the data set where none is given."""
    parser.add_subclass_arguments(
        Protocol,
        "protocol",
        required=False,
        help="How the labeler is judged as a classifier.",
    )
    parser.add_class_arguments(JudgeOptions, "judge")
    parser.set_defaults({"data.class_names": "dataset"})


def judge_of(cli: FgvrCLI) -> tuple[Judge, RunParts]:
    """What a parsed configuration judges.

    Raises:
        FgvrError: It names no protocol, or a constructor refuses its options.
    """
    parts = cli.build()
    protocol = cli.objects.get("protocol")
    if protocol is None:
        raise FgvrError("No protocol is set: give protocol ow, mc, cw or cw_plus; `fgvr list protocols` explains them.")
    run = Run(parts)  # which tells the data module of its backbone
    return Judge(run.data, run.method.backbone, protocol, cli.objects["judge"]), parts
