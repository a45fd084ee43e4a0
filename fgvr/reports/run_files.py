"""Everything that a report reads from a run folder. A run leaves what it has; what is missing is ``None`` or empty."""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from fgvr.candidates.files import read_candidates
from fgvr.candidates.neighbours import Neighbours, read_neighbours
from fgvr.errors import FgvrError
from fgvr.known_classes import known_class
from fgvr.labelling.files import read_labels_file
from fgvr.metrics.files import read_metrics
from fgvr.records import CandidateSets, LabelRecord, Vocabulary
from fgvr.registry import LABELERS
from fgvr.relabelling.files import Relabelled, read_relabelling
from fgvr.reports.predictions import read_prediction_table
from fgvr.runs import RunFolder, check_run_config
from fgvr.secret_names import is_secret_name
from fgvr.vocabulary.files import read_vocabulary
from fgvr.yaml_text import compose_yaml, load_yaml

LABELER = "labeler"
"""Row of the labeler's own answers on the evaluated photos; never the run's own row."""

_MASK = "'***'"


@dataclass(frozen=True)
class Row:
    """What one row of the result table says of N photos.

    Attributes:
        names: Predicted class name of each photo; ``""`` where there is none.
        scores: Probability of the predicted class, float64 of shape ``(N,)``; NaN where there is none.
    """

    names: tuple[str, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """``predictions.parquet``.

    Attributes:
        sample_ids: The N evaluated photos.
        true_names: Their true names, ``None`` where unknown.
        rows: Row name -> its predictions, in the order of the columns.
    """

    sample_ids: tuple[str, ...]
    true_names: tuple[str | None, ...]
    rows: Mapping[str, Row]


@dataclass(frozen=True)
class Curve:
    """A figure that a run logged.

    Attributes:
        epochs: Epochs in rising order, counted from 1.
        values: One value each.
    """

    epochs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class RunFiles:
    """What a run folder holds.

    Attributes:
        folder: The run.
        config_text: ``config.yaml`` as it is, but for the values of keys that look like secrets.
        config: The same, parsed and whole.
        labels: What the labeler said of each support photo.
        vocabulary: The class names, in class-index order.
        candidates: The candidate sets over ``vocabulary``.
        relabelling: What relabelling found and changed; ``None`` in a run without.
        neighbours: Sample id -> the photos that look most like it.
        predictions: What each row of the table says of each evaluated photo.
        metrics: The result table.
        curves: Row of the table (``""`` is the run's own) -> logged figure -> curve.
    """

    folder: RunFolder
    config_text: str
    config: Mapping[str, Any]
    labels: tuple[LabelRecord, ...]
    vocabulary: Vocabulary | None
    candidates: CandidateSets | None
    relabelling: Relabelled | None
    neighbours: Mapping[str, Neighbours]
    predictions: Predictions | None
    metrics: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Mapping[str, Curve]]

    @property
    def class_names(self) -> object:
        """Option ``data.class_names``: where the vocabulary comes from."""
        data = self.config.get("data")
        return data.get("class_names", "labels") if isinstance(data, dict) else "labels"

    @property
    def own_row(self) -> str | None:
        """The row that the run is about; ``None`` before anything is predicted."""
        rows = self.metrics or (self.predictions.rows if self.predictions else {})
        return next((row for row in reversed(list(rows)) if row != LABELER), None)


def read_run(folder: RunFolder) -> RunFiles:
    """Read what there is.

    Raises:
        FgvrError: A file is damaged, or is not of the form that fgvr writes.
    """
    text = folder.config.read_text(encoding="utf-8", errors="replace") if folder.config.is_file() else ""
    check_run_config(folder.config, text)
    try:
        config = load_yaml(text)
        shown = mask_secrets(text)
    except yaml.YAMLError as error:
        raise FgvrError(f"{folder.config} is not YAML ({error}): mend it, or delete it.") from None
    vocabulary = read_vocabulary(folder.vocabulary) if folder.vocabulary.is_file() else None
    sets = None
    if vocabulary is not None and folder.candidates.is_file():
        sets = read_candidates(folder.candidates, vocabulary.names)
    metrics = read_metrics(folder.metrics) if folder.metrics.is_file() else {}
    predictions = _read_predictions(folder.predictions) if folder.predictions.is_file() else None
    neighbours = read_neighbours(folder.neighbours) if folder.neighbours.is_file() else []
    return RunFiles(
        folder=folder,
        config_text=shown,
        config=config if isinstance(config, dict) else {},
        labels=tuple(read_labels_file(folder.labels)) if folder.labels.is_file() else (),
        vocabulary=vocabulary,
        candidates=sets,
        relabelling=read_relabelling(folder.relabelling) if folder.relabelling.is_file() else None,
        neighbours={row.sample_id: row for row in neighbours},
        predictions=predictions,
        metrics=metrics,
        curves={
            row: curves
            for row, path in {"": folder.path, **_compared(folder)}.items()
            if (curves := read_curves(path / "logs"))
        },
    )


def mask_secrets(text: str) -> str:
    r"""YAML with the values of keys that hold secrets replaced; everything else, comments too, as it is.

    :func:`~fgvr.secret_names.is_secret_name` says which do. What is null, true or false is no secret.

    Args:
        text: One document.

    Raises:
        yaml.YAMLError: It is not YAML.

    Example:
        >>> mask_secrets("url: example.org\napi_key: abc\n")
        "url: example.org\napi_key: '***'\n"
    """
    root = compose_yaml(text)
    spans = {(node.start_mark.index, node.end_mark.index) for node in _secrets(root, None, set())}
    for start, end in sorted(spans, reverse=True):
        # a block of lines ends after its last line break
        text = text[:start] + _MASK + ("\n" if text[start:end].endswith("\n") else "") + text[end:]
    return text


def _secrets(node: yaml.Node | None, key: str | None, seen: set[tuple[int, str | None]]) -> Iterator[yaml.ScalarNode]:
    """The values in ``node`` to be masked; ``key`` is the key that looks like a secret and holds them, if one does."""
    if (id(node), key) in seen:  # YAML may refer to what is around it
        return
    seen.add((id(node), key))
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            own = name.value if isinstance(name, yaml.ScalarNode) and is_secret_name(name.value) else key
            yield from _secrets(value, own, seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _secrets(value, key, seen)
    elif isinstance(node, yaml.ScalarNode) and key is not None:
        kind = node.tag.rpartition(":")[2]
        if kind not in ("null", "bool"):
            yield node


def _compared(folder: RunFolder) -> dict[str, Path]:
    """Row of the table -> folder of the run that trained it, for rows other than the run's own."""
    return {path.name: path for path in sorted((folder.path / "compare").glob("*")) if path.is_dir()}


def read_curves(logs: Path) -> dict[str, Curve]:
    """The figures of training and validation, over all the times that the run was started.

    A run that was resumed has several logs. Where two of them have an epoch, the later one counts: the run went on from
    a checkpoint that was older than the end of the earlier log.

    Args:
        logs: Folder ``logs`` of a run, with ``version_N/metrics.csv``.
    """
    found: dict[str, dict[float, float]] = {}
    versions = [path for path in logs.glob("version_*/metrics.csv") if path.parent.name[8:].isdecimal()]
    for path in sorted(versions, key=lambda path: int(path.parent.name[8:])):
        # an empty cell is a figure that this row has not; a torn last row is of a run that was killed
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            cells = [
                (figure, _number(row["epoch"]), _number(value))
                for row in csv.DictReader(stream)
                if row.get("epoch")
                for figure, value in row.items()
                if isinstance(figure, str) and figure.startswith(("train/", "val/"))
            ]
        for figure, epoch, value in cells:
            if epoch is not None and value is not None:
                found.setdefault(figure, {})[epoch + 1] = value
    return {figure: Curve(*zip(*sorted(values.items()), strict=True)) for figure, values in sorted(found.items())}


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_predictions(path: Path) -> Predictions:
    table = read_prediction_table(path)
    columns = set(table.column_names)
    rows = [name.removesuffix("_name") for name in table.column_names if name.endswith("_name") and name != "true_name"]
    return Predictions(
        sample_ids=tuple(table.column("sample_id").to_pylist()),
        true_names=tuple(table.column("true_name").to_pylist()),
        rows={
            row: Row(
                names=tuple(name or "" for name in table.column(f"{row}_name").to_pylist()),
                scores=(
                    np.array(table.column(f"{row}_score").to_pylist(), dtype=np.float64)
                    if f"{row}_score" in columns
                    else np.full(table.num_rows, np.nan)
                ),
            )
            for row in rows
        },
    )


def simulates(config: Mapping[str, Any]) -> bool:
    """Whether who names or describes in a configuration, or a part of it, says that it makes its replies up.

    A labeler that is neither fgvr's nor an installed plugin's is not asked: a configuration is data, and nothing is
    imported for it. It counts as one that is not known to; ``simulated`` in ``metrics.json`` and in the checkpoint,
    which were written while it could be asked, count beside this.
    """
    data = config.get("data")
    data = data if isinstance(data, dict) else {}
    describe = data.get("describe")
    describe = describe if isinstance(describe, dict) else {}
    asked = [data.get("labeler"), describe.get("labeler"), describe.get("group_labeler")]
    paths = [path for each in asked for path in ([each] if isinstance(each, str) else _class_paths(each))]
    return any(map(_class_simulates, paths))


def _class_paths(node: Any) -> Iterator[str]:
    """Every class path in a part of a configuration."""
    if isinstance(node, dict):
        path = node.get("class_path")
        if isinstance(path, str):
            yield path
        for value in node.values():
            yield from _class_paths(value)
    elif isinstance(node, list):
        for value in node:
            yield from _class_paths(value)


def _class_simulates(path: str) -> bool:
    return getattr(known_class(LABELERS.get(path, path)), "simulated", False) is True


def class_path(config: Mapping[str, Any], *keys: str) -> str:
    """The class that a configuration selects; ``""`` where it selects none."""
    node: Any = config
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    path = node.get("class_path") if isinstance(node, dict) else node
    return path if isinstance(path, str) else ""


def class_name(config: Mapping[str, Any], *keys: str) -> str:
    """Name of the class that a configuration selects, without its module; ``""`` where it selects none.

    Example:
        >>> class_name({"data": {"labeler": {"class_path": "fgvr.labelers.fixed.FixedLabeler"}}}, "data", "labeler")
        'FixedLabeler'
    """
    return class_path(config, *keys).rpartition(".")[2]
