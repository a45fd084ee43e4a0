"""Lightning's command line as a reader of configurations: YAML and options in, the parts of a run out."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from fgvr.checkpoints.files import read_checkpoint, read_newest
from fgvr.checkpoints.options import CheckpointOptions
from fgvr.checkpoints.true_names import check_callbacks, check_configured
from fgvr.config.files import config_chain, expand_config_names
from fgvr.config.guard import ImportGuard, as_yaml
from fgvr.config.names import PARSER_MODE, expand_argv
from fgvr.config.parser import FgvrParser
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.pipeline.options import RunOptions
from fgvr.pipeline.parts import RunParts, as_list
from fgvr.registry import BACKBONES, METHODS
from fgvr.secret_names import is_secret_name, secrets_in
from fgvr.yaml_text import load_yaml

DEFAULT_MODEL: dict[str, Any] = {
    "class_path": METHODS.resolve("class_means"),
    "init_args": {"backbone": {"class_path": BACKBONES.resolve("lite")}},
}
"""What runs where no model is given: seconds on a CPU, no hub, and the best of what was measured."""

AddOptions = Callable[[LightningArgumentParser], None]
_ADDED_NAME = "--data.class_names+"
_REFUSED = re.compile(
    r"^Does not validate.*?^ +- (?P<why>(?!Expected|Not a)[^\n]+)$.*?class_path='(?:\w+\.)*(?P<name>\w+)'", re.M | re.S
)
"""What a class in a list, such as a callback, says of its own arguments."""
_LIGHTNING = ("fit", "validate", "test", "predict")


class FgvrCLI(LightningCLI):
    """Parses a configuration. ``config`` may still be changed before ``build`` makes objects of it.

    Attributes:
        objects: All that ``build`` has made, by key: those of options that a command has added are there alone.

    Args:
        command: The command of fgvr that the options are for.
        args: What follows it.
        add_options: Adds options of the command's own to the parser.
        main_guard: Whether processes may be started that import the main module again: ``auto`` loader processes.
        config: A configuration that ``args`` are given to, such as that of a run.
        guard: Keeps what is read and made here from importing what ``config`` must not name; nothing is kept from it
            if not given.

    Raises:
        FgvrError: An option is unknown, or has a wrong value.
    """

    def __init__(
        self,
        command: str,
        args: list[str],
        add_options: AddOptions | None = None,
        main_guard: bool = True,
        config: Mapping[str, Any] | None = None,
        guard: ImportGuard | None = None,
    ) -> None:
        self.command = command
        self._guard: AbstractContextManager[object] = guard or nullcontext()
        self._main_guard = main_guard
        self._add_options = add_options
        self.ckpt_path: Path | None = None
        self.checkpoint: dict[str, Any] | None = None
        super().__init__(
            Method,
            FgvrDataModule,
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=FgvrParser,
            parser_kwargs={"parser_mode": PARSER_MODE, "prog": f"fgvr {command}"},
            trainer_defaults={"use_distributed_sampler": False, "log_every_n_steps": 1},
            args=[*([] if config is None else ["--config", as_yaml(config)]), *expand_argv(expand_config_names(args))],
            run=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys that are fgvr's own, and the model where none is given."""
        if self.command not in ("validate", "test", "predict"):  # a checkpoint has its model in its config.yaml
            parser.set_defaults({"model": DEFAULT_MODEL})
        parser.set_defaults({"data.num_workers": "auto"})
        parser.add_class_arguments(RunOptions, "run")
        parser.add_class_arguments(CheckpointOptions, "checkpoint")
        parser.add_argument(
            "--compare",
            type=dict[str, dict[str, Any]] | None,
            default=None,
            help="fit only: further rows of the result table. Row name -> options in which its run differs, as in "
            "{coop_single: {data.candidates: single}}. Each is trained after the run itself, with its seed, in "
            "RUN/compare/NAME. A row with another method has the run's backbone and templates, else its own defaults.",
        )
        # fit's own keys stand in the config.yaml of a run, which every command reads
        method = self.command if self.command in _LIGHTNING else "fit"
        parser.add_method_arguments(Trainer, method, skip=set(self.subcommands()[method]))
        if self._add_options is not None:
            self._add_options(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse ``args`` without Lightning's warning that they were given, and look at callbacks and checkpoint."""
        with self._guard:
            _check_secrets(_given_secrets(list(args)))  # before a message may repeat what was given
            self.config = parser.parse_args(_with_first_list(parser, list(args)))
        _check_secrets(secrets_in(self.config.as_dict()))
        for key in ("trainer", "data", "run", "checkpoint"):  # jsonargparse lets a value take the place of a group
            if not isinstance(value := self.config[key], Namespace):
                raise FgvrError(f"{key} is {value!r:.60}; expected keys below it, as in: fgvr show configs NAME")
        if self.config.get("model") is not None:  # jsonargparse shortens the class path of a default, and of no other
            self.config.model.class_path = METHODS.resolve(self.config.model.class_path)
        check_configured(self.config.trainer.callbacks, self.config.checkpoint.allow_true_names)
        if self.config.get("ckpt_path") is not None:
            path = Path(self.config.ckpt_path)
            self.ckpt_path, self.checkpoint = (
                read_newest(path) if self.command == "fit" else (path, read_checkpoint(path))
            )

    def _set_seed(self) -> None:
        """Nothing: a run sets its seed when a stage of it begins, and who only looks keeps its own random numbers."""

    def instantiate_classes(self) -> None:
        """Nothing yet: see ``build``."""

    def build(self) -> RunParts:
        """The parts of the run that the configuration describes; a plugin's refusal of its options is a user's error.

        Raises:
            FgvrError: A constructor refuses its options.
        """
        with self._guard:
            return self._built()

    def _built(self) -> RunParts:
        self.config.run.name = self.config.run.name or _name_of(self.config.get("config"))
        if self.config.seed_everything is True:
            self.config.seed_everything = random.SystemRandom().randrange(2**32)
        seed = self.config.seed_everything
        resolved = self.resolved()
        loggers, options = self.config.trainer.logger, self.config.clone()
        options.trainer.logger = None  # the run makes them, because they write into its folder
        options["compare"] = None  # options of other runs
        if not self._main_guard and options.data.num_workers == "auto":
            options.data.num_workers = 0
        try:
            objects = self.parser.instantiate_classes(options)
        except ValueError as error:  # jsonargparse's, around whatever a constructor raised
            raise _user_error(error) from error
        self.objects = objects
        trainer = {**self._get(objects, "trainer"), "logger": loggers}
        self.datamodule, self.model = self._get(objects, "data"), self._get(objects, "model")
        checkpoint: CheckpointOptions = self._get(objects, "checkpoint")
        check_callbacks(as_list(trainer["callbacks"]), checkpoint.allow_true_names)
        assert isinstance(self.model, Method), "the parser admits subclasses of Method only"
        assert isinstance(self.datamodule, FgvrDataModule), "the parser admits FgvrDataModule only"
        return RunParts(
            self.datamodule,
            self.model,
            trainer=trainer,
            options=self._get(objects, "run"),
            checkpoints=checkpoint,
            config=resolved,
            seed=None if seed is False else int(seed),
            ckpt_path=self.ckpt_path,
            loaded=self.checkpoint,
            weights_only=self.config.get("weights_only"),
        )

    def resolved(self) -> str:
        """All that this run does, as YAML, without what belongs to this start of it alone.

        So the same configuration starts a new run, and does not write into the folder of this one.
        """
        options = self.config.clone()
        options.run.version = None
        options["ckpt_path"] = None
        if self.command == "fit" and self.ckpt_path is not None and self.ckpt_path.parent.name == "checkpoints":
            # a training goes on in its own folder, and so under its own name, whichever is given
            assert self.checkpoint is not None, "it is read with its path"
            then = load_yaml(self.checkpoint["fgvr"]["config"]) or {}
            options.run.name = (then.get("run") or {}).get("name", options.run.name)
        return str(self.parser.dump(options, skip_none=False))

    @property
    def compare(self) -> Mapping[str, Mapping[str, Any]]:
        """The compared rows."""
        return self.config.compare or {}


class ParsedCLI(FgvrCLI):
    """Parses the arguments of ``fgvr fit`` and builds data module and method; writes nothing and runs nothing.

    No callback is made, whose constructor may do anything.

    Args:
        args: What follows ``fgvr fit``.
        add_options: Adds options to the parser.
        given: ``config`` and ``guard`` of :class:`FgvrCLI`.

    Raises:
        FgvrError: ``fgvr fit`` would refuse them.
    """

    def __init__(self, args: list[str], add_options: AddOptions | None = None, **given: Any) -> None:
        super().__init__("fit", args, add_options, **given)
        self.config.trainer.callbacks = None
        self.loggers, self.config.trainer.logger = self.config.trainer.logger, None
        parts = self.build()
        self.method, self.data = parts.method, parts.data


def _with_first_list(parser: LightningArgumentParser, args: list[str]) -> list[str]:
    """Arguments in which ``--data.class_names+=NAME`` adds to a list, and not to what stands for one by default.

    Raises:
        FgvrError: The class names were given in another way than as a list before.
    """
    places = [number for number, token in enumerate(args) if token.partition("=")[0] == _ADDED_NAME]
    if not places:
        return args
    values = {number + 1 for number in places if "=" not in args[number]}
    before = parser.parse_args([token for number, token in enumerate(args) if number not in {*places, *values}])
    given = before.data.class_names
    if isinstance(given, list):
        return args
    if given != "labels":
        raise FgvrError(
            f"data.class_names is {str(given)!r}, and {_ADDED_NAME} adds to a list: give the whole list instead, as in "
            "--data.class_names '[Pug, Boxer]'."
        )
    return [*args[: places[0]], "--data.class_names=[]", *args[places[0] :]]


def _given_secrets(args: list[str]) -> Iterator[str]:
    """The options among arguments that hold a secret."""
    for token, after in zip(args, [*args[1:], ""], strict=True):
        flag, _, value = token.partition("=")
        given = value or ("" if after.startswith("--") else after)
        if flag.startswith("--") and is_secret_name(flag) and given not in ("", "null"):
            yield flag.removeprefix("--")


def _check_secrets(keys: Iterator[str]) -> None:
    """Refuse to take a secret, which would be written down.

    Raises:
        FgvrError: There is one.
    """
    if (key := next(keys, None)) is not None:
        raise FgvrError(
            f"{key} is a secret by its name, and options are written into config.yaml, checkpoints and logs: "
            "leave it out, and set it as an environment variable that the plugin or logger reads."
        )


def _user_error(error: BaseException) -> FgvrError:
    """The ``FgvrError`` that ``error`` was raised from, or one with its message."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, FgvrError):
        cause = cause.__cause__ or cause.__context__
    if cause is None and (match := _REFUSED.search(str(error))):
        return FgvrError(f"{match['name']} cannot be used: {match['why'].strip().rstrip('.')}.")
    return cause or FgvrError(str(error))


def _name_of(configs: Any) -> str:
    """A run's name where none is given: that of its configuration file, or of all that lie over each other."""
    files = [Path(str(config)) for config in as_list(configs) if "\n" not in str(config)]
    # each after what it is based on, which is no name of its own
    bases = {base.resolve() for file in files if file.is_file() for base in config_chain(file)[:-1]}
    return "_".join(dict.fromkeys(file.stem for file in files if file.resolve() not in bases)) or "run"
