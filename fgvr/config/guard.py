"""Configurations that came with a run folder: what they may name, and nothing else is imported for them."""

import importlib.util
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar, Token
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import jsonargparse
import yaml
from jsonargparse import _typehints, _util

from fgvr.config.files import find_config
from fgvr.config.names import expand_config, load_yaml
from fgvr.errors import FgvrError
from fgvr.known_classes import known_class
from fgvr.runs import RunFolder
from fgvr.text import visible

KEYS = ("seed_everything", "trainer", "model", "data", "run", "checkpoint", "compare")
"""What of a run's configuration is a run's; other commands have left other keys."""
_PATH = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")
_GIVEN = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Z]\w*")
"""A class path among the values of arguments."""
_OF_TRAINER = re.compile(r"(?:compare\.[^.]+\.)?trainer\b")
_LEADS_AWAY = re.compile(r"(?:^|[\s:,='\"\[{])[/~\\]|\.\.|\$|://")
"""What a text of a logger or a callback, be it a folder, a name or a version, does not have within the run."""
_OWN_PLACES = ("label_store", "cache_dir")
"""Where a user's runs have what they share: a place that is there already is the user's own."""
_active: ContextVar["ImportGuard | None"] = ContextVar("import_guard", default=None)


class ImportGuard:
    """While it is entered, jsonargparse imports nothing that is not of fgvr, of an installed plugin, or well known.

    jsonargparse imports what a configuration names in many places: class paths, functions, types, modules. All of
    them ask one function whether they may, which asks the guard that is entered.

    Args:
        config: The configuration.
        source: Its file, for messages.
        allow: What the user can do to allow it, for messages.
        given: Arguments that the user has given: what they name may be named.

    Raises:
        FgvrError: On entering, if the configuration has a class path that it may not have. On leaving, if something was
            refused, be it that the parser took the text for a text then: another parser would import it.
    """

    def __init__(self, config: Mapping[str, Any], source: Path, allow: str, given: Iterable[str] = ()) -> None:
        self.config = expand_config(dict(config))
        self.source = source
        self.allow = allow
        values = [token.partition("=")[2] if token.startswith("--") else token for token in given]
        self.also: Collection[str] = {path for value in values for path in _GIVEN.findall(value)}
        self.refused: list[str] = []
        self._token: Token[ImportGuard | None] | None = None

    def __enter__(self) -> "ImportGuard":
        if not _is_asked():
            raise FgvrError(
                f"jsonargparse {jsonargparse.__version__} cannot be kept from importing what it finds in "
                f"{self.source}: install another version of it, or {self.allow}."
            )
        for key, path in _class_paths(self.config):
            if not self.allows(path):
                raise self._refusal(path, key)
        for key, text in _leaves(self.config.get("compare"), "compare"):
            # these options are arguments of a run of their own, which imports what they name
            for path in _PATH.findall(text):
                if not self.allows(path) and _may_be_imported(path):
                    raise self._refusal(path, key)
        self._token = _active.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None, "it was entered"
        _active.reset(self._token)
        if self.refused and (error is None or isinstance(error, Exception)):
            path = self.refused[0]
            key = next((key for key, text in _leaves(self.config) if path in text), "a key")
            raise self._refusal(path, key) from error

    def allows(self, path: str) -> bool:
        """Whether a path may be imported."""
        return known_class(path, self.also) is not None

    def _refusal(self, path: str, key: str) -> FgvrError:
        return FgvrError(
            f"{self.source}: {key} is {visible(path, 120)!r}, which is not of fgvr or an installed plugin, and a run "
            f"folder runs no other code. If you trust it, {self.allow}."
        )

    def elsewhere(self) -> str:
        """Why no stage of the run may be begun: what its configuration sends or writes to another place, in a line."""
        reason = next(_elsewhere(self.config, self.source.parent), None)
        return f"{self.source}: {reason}. If you trust it, {self.allow}." if reason else ""


def read_run_config(folder: RunFolder) -> dict[str, Any]:
    """The configuration of a run, as plain values; no class of it is imported.

    Raises:
        FgvrError: It is not YAML, or holds no keys.
    """
    config = load_yaml(find_config(str(folder.config)).read_text(encoding="utf-8"))
    return {key: config[key] for key in KEYS if key in config}


def with_own_place(config: Mapping[str, Any], folder: RunFolder) -> dict[str, Any]:
    """A run's configuration in which further runs are made beside this one, wherever it was written."""
    run = config.get("run")
    run = dict(run) if isinstance(run, Mapping) else {}
    beside = folder.path.resolve().parent
    if Path(str(run.get("root", "runs")), str(run.get("name"))).resolve() != beside:
        run |= {"root": str(beside.parent), "name": beside.name}
    return {**config, "run": run}


def as_yaml(config: Mapping[str, Any]) -> str:
    """Plain values as YAML."""
    text: str = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return text


def _class_paths(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every class path in a configuration, with its key."""
    if isinstance(node, Mapping):
        path = node.get("class_path")
        # a name without dots is a short one, or one of a class that is imported
        if isinstance(path, str) and "." in path:
            yield key, path
    for inner, value in _inside(node, key):
        yield from _class_paths(value, inner)


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a configuration, with its key."""
    if isinstance(node, str):
        yield key.removesuffix(".class_path"), node
    for inner, value in _inside(node, key):
        yield from _leaves(value, inner)


def _inside(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield (key if name == "init_args" else f"{key}.{name}" if key else str(name)), value
    elif isinstance(node, list | tuple):
        for value in node:
            yield key, value


def _may_be_imported(path: str) -> bool:
    """Whether there is a module that it begins with, unlike ``names.txt``; nothing is imported to see that."""
    top = path.partition(".")[0]
    try:
        return Path(f"{top}.py").exists() or Path(top).is_dir() or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # of a module that hides where it is from
        return True


def _elsewhere(config: Mapping[str, Any], folder: Path) -> Iterator[str]:
    trainer = config.get("trainer")
    loggers = trainer.get("logger") if isinstance(trainer, Mapping) else None
    for key, path in _class_paths(loggers, "trainer.logger"):
        if path.endswith("WandbLogger"):
            yield f"{key} is {path.rpartition('.')[2]!r}, which sends what is logged to a server"
    for key, text in _leaves(config):
        name = key.rpartition(".")[2]
        if name == "base_url" and (urlsplit(text).hostname or "") not in ("localhost", "127.0.0.1", "::1"):
            yield f"{key} is {visible(text, 120)!r}, a server that photos would be sent to"
        elif key.startswith("compare.") and ("://" in text or text.endswith("WandbLogger")):
            yield f"{key} is {visible(text, 120)!r}, and something would be sent there"
        elif _OF_TRAINER.match(key) and (
            _LEADS_AWAY.search(text) or (name in ("dirpath", "save_dir") and not _is_inside(text, folder))
        ):
            yield f"{key} is {visible(text, 120)!r}, and something would be written there"
        elif name in _OWN_PLACES and _LEADS_AWAY.search(text) and not Path(text).exists():
            yield f"{key} is {visible(text, 120)!r}, which is not there, and would be made"
    data = config.get("data")
    dataset = data.get("dataset") if isinstance(data, Mapping) else None
    if isinstance(dataset, Mapping) and str(dataset.get("class_path")).endswith("FieldguideDataset"):
        root = (dataset.get("init_args") or {}).get("root")
        if root is not None:
            yield f"data.dataset.root is {visible(str(root), 120)!r}, and photos would be drawn there"


def _is_inside(text: str, folder: Path) -> bool:
    return text == "." or Path(text).resolve().is_relative_to(folder.resolve())


def _asking(original: Callable[[str], None]) -> Callable[[str], None]:
    def check(path: str) -> None:
        guard = _active.get()
        if guard is None:
            original(path)
        elif not guard.allows(path):
            guard.refused.append(path)
            raise _RefusedError(f"{path} may not be imported")

    return check


class _RefusedError(ImportError, ValueError):
    """What jsonargparse takes for a wrong value, wherever it imports."""


@cache
def _is_asked() -> bool:
    """Have jsonargparse ask the guard that is entered, and try whether it does: it is no promise of its interface."""
    for module in (_util, _typehints):
        if not hasattr(module, "check_import_path"):
            return False
        module.check_import_path = _asking(module.check_import_path)  # type: ignore[attr-defined]  # private
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--function", type=Callable)
    parser.add_argument("--kind", type=type)
    token = _active.set(ImportGuard({}, Path(), ""))
    try:
        for argument in ("--function=os.getcwd", "--kind=fractions.Fraction"):
            try:
                parser.parse_args([argument])
            except jsonargparse.ArgumentError:
                continue
            return False
        return True
    finally:
        _active.reset(token)
