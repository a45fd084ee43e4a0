"""What the runs of a sweep need before they start, found out by parsing their options: nothing is run or asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import yaml

from fgvr.config.cli import ParsedCLI
from fgvr.descriptions.options import DescribeOptions
from fgvr.descriptions.parts import Kind
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.pipeline.descriptions import of_kinds
from fgvr.pipeline.loggers import check_loggers
from fgvr.pipeline.preparation import check_precision
from fgvr.sweeps.grid import Grid, Variant

_ASKING = ("dataset", "labeler", "shots", "support_size", "support_seed", "duplicates", "select", "label_store")
"""Keys of the data module that decide whom a labeler is asked about, and where its replies are."""


@dataclass(frozen=True)
class Requirements:
    """What the parsed options of a variant say of its runs.

    Attributes:
        labels: What it must have labelled, as one text; ``""`` where nothing. Equal texts need labelling once.
        descriptions: The same of descriptions.
        describe_options: Options that keep ``describe`` from asking for kinds that it does not train with.
        gpu: Whether it uses GPUs where there are some.
        alone: Whether it uses several devices by itself, so that nothing may run beside it.
        compared: Names of its compared rows.
    """

    labels: str
    descriptions: str
    describe_options: tuple[str, ...]
    gpu: bool
    alone: bool
    compared: tuple[str, ...]


def requirements_of(grid: Grid, variant: Variant) -> Requirements:
    """The needs of a variant's runs.

    Raises:
        FgvrError: ``fit`` would refuse its options.
    """
    try:
        cli = ParsedCLI(["--config", str(grid.base), *grid.options(variant, grid.seeds[0])])
        method = cli.method
        check_precision(cli.config.trainer.precision)
        check_loggers(cli.loggers)
        method.backbone.check()
        if method.description_kinds:
            of_kinds(cli.data.describe or DescribeOptions(), method)  # refuses kinds that it lacks
    except FgvrError as error:
        raise FgvrError(f"The variant {variant.slug!r} cannot be run: {error}") from error
    config = yaml.safe_load(cli.parser.dump(cli.config, skip_none=False))
    trainer, needs_labels = config["trainer"], cli.data.needs_labels(method)
    direct = cli.data.direct or method.asks_evaluated
    unused = [kind for kind in get_args(Kind) if kind not in method.description_kinds]
    return Requirements(
        labels=_labelling(config, cli.data.labels.needs_features, method) if needs_labels or direct else "",
        descriptions=_describing(config, method),
        describe_options=tuple(f"--data.describe.{kind}s=false" for kind in unused),
        gpu=trainer["accelerator"] in ("auto", "gpu", "cuda"),
        alone=trainer["devices"] not in ("auto", 1, "1", [0]) or trainer["num_nodes"] > 1,
        compared=tuple(config["compare"] or ()),
    )


def _labelling(config: Mapping[str, Any], needs_features: bool, method: Method) -> str:
    labelling = {key: config["data"][key] for key in (*_ASKING, "direct")}
    labelling["asks_evaluated"] = method.asks_evaluated
    if needs_features:
        labelling["backbone"] = config["model"]["init_args"].get("backbone")
    return json.dumps(labelling, sort_keys=True)


def _describing(config: Mapping[str, Any], method: Method) -> str:
    data, model = config["data"], config["model"]["init_args"]
    describe = data["describe"] or {}
    asks = not describe.get("file") or describe["labeler"] or describe["group_labeler"]
    if not method.description_kinds or not asks:
        return ""
    keys = {key: data[key] for key in (*_ASKING, "class_names", "describe")}
    # groups are of photos with the same pseudo-label
    pseudo_labels = {key: model.get(key) for key in ("backbone", "templates")}
    return json.dumps([keys, pseudo_labels, method.description_kinds], sort_keys=True)
