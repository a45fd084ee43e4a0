"""The file of a sweep: a base configuration, and the options that its runs vary."""

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fgvr.config.files import config_chain, find_config
from fgvr.config.texts import keep_texts
from fgvr.errors import FgvrError
from fgvr.reports.table import COLUMNS
from fgvr.yaml_text import load_yaml

KEYS = ("base", "seeds", "seeded", "set", "vary")
_TABLE_COLUMNS = {*("seed", "row", "run", "simulated", "oracle", "captions"), *COLUMNS}
_TABLE_COLUMNS |= {"coverage", "purity", "mean_size", "classes"}
_TABLE_COLUMNS -= {"candidates"}  # no figure: the column is the sweep's to give
_SEED = "{seed}"
_SLUG_LENGTH = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_GIVEN_BY_THE_SWEEP = {
    "seed_everything": "give the list 'seeds' in the sweep's file",
    "config": "give 'base' in the sweep's file",
    "ckpt_path": "runs that have a checkpoint go on by themselves",
    "run": "give root and name to the sweep",
}
_GIVEN_BEFORE = {key: fix for key, fix in _GIVEN_BY_THE_SWEEP.items() if key != "config"}
"""The same where a file may lie over the base: in ``set`` and ``vary``."""

Options = tuple[tuple[str, str], ...]
"""Keys, and their values as text."""


@dataclass(frozen=True)
class Variant:
    """One point of the grid.

    Attributes:
        slug: Name in file names.
        values: Column -> what it is for this variant.
        options: What ``fit`` is given for it beside the base configuration; a key is before those below it.
    """

    slug: str
    values: Mapping[str, str | int | float | bool]
    options: Options

    @property
    def tokens(self) -> list[str]:
        """The options as arguments of ``fit``."""
        return as_tokens(self.options)


@dataclass(frozen=True)
class Grid:
    """A sweep.

    Attributes:
        base: The configuration file that every run starts from.
        seeds: Seeds; every variant runs once with each.
        columns: What is varied: the columns of the result.
        variants: In the order of the file.
        seeded: Options that depend on the seed, beside ``seed_everything``, and their values, in which ``{seed}``
            stands for it: the draw of the support photos, say, or a file for each draw.
    """

    base: Path
    seeds: tuple[int, ...]
    columns: tuple[str, ...]
    variants: tuple[Variant, ...]
    seeded: Options = ()

    def options(self, variant: Variant, seed: int) -> list[str]:
        """Arguments of ``fit`` for a variant and a seed, besides the base configuration."""
        seeded = (*self.seeded, ("seed_everything", _SEED))
        return [*variant.tokens, *(f"--{key}={value.replace(_SEED, str(seed))}" for key, value in seeded)]

    def base_digest(self) -> str:
        """SHA-256 of the base configuration's text, in hex, of what that is based on, and of what lies over it."""
        over = (find_config(value) for each in self.variants for key, value in each.options if key == "config")
        files = [path for config in dict.fromkeys((self.base, *over)) for path in config_chain(config)]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def read_grid(path: Path, extra: Sequence[str] = ()) -> Grid:
    """Read a sweep's file.

    Args:
        path: A YAML mapping with ``base``, ``seeds``, ``vary`` and, if need be, ``seeded`` and ``set``.
        extra: Options of every run from the command line, ``["--key", "value", ...]``; they win over the file.

    Raises:
        FgvrError: A key is unknown, missing or of another form, the grid is empty, what is varied has the name of a
            column of the result, or two variants or two seeds are the same.
    """
    try:
        content = load_yaml(keep_texts(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise FgvrError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    _check_keys(content, path)
    seeds = _seeds(content["seeds"], path)
    given = named_options(content.get("set") or {}, f"{path}: 'set'", _GIVEN_BEFORE)
    extra_options = parse_options(extra)
    varied = content["vary"]
    if not isinstance(varied, dict) or not varied:
        raise FgvrError(f"{path}: 'vary' is {varied!r}; expected keys with their values, as in data.candidates: [knn].")
    columns = _columns([str(key) for key in varied], path)
    axes = [_axis(key, column, varied[key], path) for key, column in columns.items()]
    variants: list[Variant] = []
    slugs: dict[str, int] = {}
    seen: dict[Options, str] = {}
    for points in itertools.product(*axes):
        options = ordered([*given, *(option for point in points for option in point.options), *extra_options])
        slug = "-".join(point.slug for point in points)
        if options in seen:
            hint = " An option given beside the file wins over those in it." if extra_options else ""
            raise FgvrError(f"{path}: the variants {seen[options]!r} and {slug!r} have the same options.{hint}")
        seen[options] = slug
        slugs[slug] = slugs.get(slug, 0) + 1
        if slugs[slug] > 1 or len(slug) > _SLUG_LENGTH:
            digest = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:8]
            slug = f"{slug[:_SLUG_LENGTH]}-{digest}"
        values = {column: point.value for column, point in zip(columns.values(), points, strict=True)}
        variants.append(Variant(slug, values, options))
    seeded = _seeded(content.get("seeded") or [], seen, path)
    return Grid(_base(content["base"], path), seeds, tuple(columns.values()), tuple(variants), seeded)


def parse_options(tokens: Sequence[str]) -> Options:
    """Options from the command line: ``--key value`` and ``--key=value``.

    Raises:
        FgvrError: A value has no key, a key no value, or the sweep gives the key itself.

    Example:
        >>> parse_options(["--data.shots", "3", "--model.lr=0.1"])
        (('data.shots', '3'), ('model.lr', '0.1'))
    """
    options: list[tuple[str, str]] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("--") or len(token) < 3:
            raise FgvrError(f"sweep: {token!r} follows no option; expected --key value.")
        key, equals, value = token.removeprefix("--").partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise FgvrError(f"sweep: --{key} has no value; expected --{key} VALUE.")
            value = rest.pop(0)
        _check_option(key, "sweep", _GIVEN_BY_THE_SWEEP)
        options.append((key, value))
    return tuple(options)


def named_options(options: Any, place: str, refused: Mapping[str, str]) -> Options:
    """Options from a YAML mapping of keys to values; JSON for what is no text.

    Args:
        options: The mapping.
        place: Where it stands, for messages.
        refused: First part of a key that cannot be given here -> what to do instead.

    Raises:
        FgvrError: It is no mapping, a key is refused, or a value has no form on the command line.

    Example:
        >>> named_options({"data.candidates": "knn", "data.labeler": None}, "here", {})
        (('data.candidates', 'knn'), ('data.labeler', 'null'))
    """
    if not isinstance(options, dict):
        raise FgvrError(f"{place} is {options!r}; expected options, as in {{data.shots: 1}}.")
    for key in options:
        _check_option(str(key), place, refused)
    return tuple((str(key), _text(value, place)) for key, value in options.items())


def ordered(options: Sequence[tuple[str, str]]) -> Options:
    """Each key once, with its last value; a class before its own options, because naming a class may drop them.

    Files come first, all of them, because options win over what files say.

    Example:
        >>> ordered([("data.candidates.k", "3"), ("data.candidates", "knn"), ("data.candidates.k", "5")])
        (('data.candidates', 'knn'), ('data.candidates.k', '5'))
    """
    last: dict[str, list[str]] = {}
    for key, value in options:
        # --key+ adds to a list, and --config to the files, each time
        last[key] = [*last.get(key, []), value] if key.endswith("+") or key == "config" else [value]
    pairs = [(key, value) for key, values in last.items() for value in values]
    return tuple(sorted(pairs, key=lambda pair: (pair[0] != "config", pair[0].count("."))))


def as_tokens(options: Options) -> list[str]:
    """Options as arguments of ``fit``.

    Example:
        >>> as_tokens((("data.shots", "3"),))
        ['--data.shots=3']
    """
    return [f"--{key}={value}" for key, value in options]


@dataclass(frozen=True)
class _Point:
    slug: str
    value: str | int | float | bool
    options: Options


def _check_keys(content: Mapping[str, Any], path: Path) -> None:
    if {"data", "model"} & content.keys():
        raise FgvrError(f"{path} is the configuration of one run, not of a sweep: give it to fit.")
    for key in content:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise FgvrError(f"{path}: {key!r} is not a key of a sweep; expected {', '.join(KEYS)}.{hint}")
    for key in ("base", "seeds", "vary"):
        if key not in content:
            raise FgvrError(f"{path} has no {key!r}; a sweep needs base, seeds and vary.")


def _base(name: Any, path: Path) -> Path:
    if not isinstance(name, str):
        raise FgvrError(f"{path}: 'base' is {name!r}; expected the name of a configuration.")
    beside = path.parent / name
    return beside if beside.is_file() else find_config(name)


def _seeds(seeds: Any, path: Path) -> tuple[int, ...]:
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise FgvrError(f"{path}: 'seeds' is {seeds!r}; expected a list of whole numbers, as in [0, 1, 2].")
    if len(set(seeds)) < len(seeds):
        raise FgvrError(f"{path}: a seed is there twice in {seeds}; equal seeds make equal runs.")
    return tuple(seeds)


def _seeded(found: Any, variants: Iterable[Options], path: Path) -> Options:
    listed = isinstance(found, list) and all(isinstance(key, str) for key in found)
    values = dict.fromkeys(found, _SEED) if listed else found
    texts = isinstance(values, dict) and all(isinstance(text, str) for option in values.items() for text in option)
    if not texts or any(_SEED not in value for value in values.values()):
        raise FgvrError(
            f"{path}: 'seeded' is {found!r}; expected a list of options, as in [data.support_seed], or options with "
            f"values in which {_SEED} stands for the seed, as in {{data.labeler.path: names_{_SEED}.csv}}."
        )
    given = {key for options in variants for key, _ in options}
    for key in values:
        _check_option(key, f"{path}: 'seeded'", _GIVEN_BY_THE_SWEEP)
        if key in given:
            raise FgvrError(f"{path}: 'seeded' gives {key!r} the seed, but it has a value of its own already.")
    return tuple(values.items())


def _columns(keys: Sequence[str], path: Path) -> dict[str, str]:
    """Key -> column: its last part, where that is clear."""
    columns: dict[str, str] = {}
    for key in keys:
        short = key.rpartition(".")[2]
        columns[key] = key if {short} & {*columns.values(), *keys, *_TABLE_COLUMNS} else short
        if columns[key] in _TABLE_COLUMNS:
            raise FgvrError(f"{path}: {key!r} of 'vary' is a column of the result already; choose another name.")
    return columns


def _axis(key: str, column: str, values: Any, path: Path) -> list[_Point]:
    place = f"{path}: {key!r} of 'vary'"
    if not isinstance(values, list | dict) or not values:
        raise FgvrError(f"{place} is {values!r}; expected a list of values, or a mapping of names to options.")
    if isinstance(values, list):
        _check_option(key, place, _GIVEN_BEFORE)
        points = [_Point(_slug(column, value), _cell(value), ((key, _text(value, place)),)) for value in values]
    else:
        points = []
        for name, options in values.items():
            value = _number(str(name))
            given = named_options(options, f"{place}: {str(name)!r}", _GIVEN_BEFORE)
            points.append(_Point(_slug(column, value), value, given))
    texts = [point.options for point in points]
    if len(set(texts)) < len(texts):
        twice = next(point.value for point in points if texts.count(point.options) > 1)
        raise FgvrError(f"{place} has the value {twice!r} twice, or two names for the same options.")
    return points


def _check_option(key: str, place: str, refused: Mapping[str, str]) -> None:
    first = key.partition(".")[0]
    if first in refused:
        raise FgvrError(f"{place}: {key!r} cannot be given here; {refused[first]}.")


def _text(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise FgvrError(f"{place}: {value!r} cannot be given to fit; put it in quotes.") from None


def _cell(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else _text(value, "")


def _number(text: str) -> str | int | float:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _slug(column: str, value: Any) -> str:
    text = _UNSAFE.sub("_", value if isinstance(value, str) else _text(value, "")).strip("._")
    # a bare number, or nothing, would not say what it is a value of
    return text if text[:1].isalpha() and isinstance(value, str) else f"{_UNSAFE.sub('_', column)}{text}"
