"""The rows of run folders, sweep folders and folders of judged labelers."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fgvr.config.guard import read_run_config
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file
from fgvr.metrics.files import read_metrics
from fgvr.paper_tables.measured import DIRECT, Measured, Source, folder_name
from fgvr.registry import BACKBONES, DATASETS, LABELERS, Registry
from fgvr.reports.predictions import read_prediction_table
from fgvr.reports.run_files import class_path
from fgvr.runs import RunFolder, find_run
from fgvr.sweeps.result import read_tidy, summarise
from fgvr.text import visible, without_controls

_NAMED_BY_FOLDER = ("folder", "manifest")
_NEVER_NAMED = ("zs_wordnet",)
_SCORES = ("accuracy", "sacc_", "cacc", "siou")
_SIMULATED = " (simulated)"


def read_rows(paths: Sequence[Path]) -> list[Measured]:
    """The rows of all of these, in their order.

    A data set is called what its reader is called in the registry (``stanford_dogs``); one that was read by ``folder``
    or ``manifest``, which say nothing of it, is called what its folder is called.

    Args:
        paths: Run folders (``runs/NAME`` for the newest version), folders of sweeps, folders of judged labelers.

    Raises:
        FgvrError: One of them is none of these, has no result yet, is given twice, or a file in it is damaged.
    """
    seen: set[Path] = set()
    rows: list[Measured] = []
    for path in paths:
        found = list(_sweep_rows(path) if (path / "sweep.parquet").is_file() else _run_rows(path))
        again = {source.folder.resolve() for row in found for source in row.sources}
        if again & seen:
            raise FgvrError(f"{str(path)!r} is there twice, by itself or as a part of another one: give it once.")
        seen |= again
        rows += found
    return rows


def _run_rows(path: Path) -> Iterator[Measured]:
    folder = RunFolder(path) if RunFolder(path).metrics.is_file() else find_run(path)
    if not folder.metrics.is_file():
        raise FgvrError(
            f"{str(folder.path)!r} has no metrics.json yet: it comes at the end of a run. Go on with the run, or leave "
            "it out."
        )
    run = _Run(folder)
    for row in run.metrics:
        yield run.measured(row)


def _sweep_rows(path: Path) -> Iterator[Measured]:
    """The lines of a sweep's summary; what a row does not depend on is not said of it."""
    tidy = read_tidy(path)
    runs = {name: _Run(RunFolder(path / name)) for name in dict.fromkeys(row["run"] for row in tidy.rows)}
    datasets = {name: run.dataset for name, run in runs.items()}
    for line in summarise(tidy):
        values = {
            key: value
            for key, value in line.values.items()
            if not _is_the_dataset([(row[key], datasets[row["run"]]) for row in tidy.rows])
        }
        mine = [
            row
            for row in tidy.rows
            if row["row"] == line.row and all(row[key] == value for key, value in line.values.items())
        ]
        for dataset in dict.fromkeys(datasets[row["run"]] for row in mine):
            # where several runs of a seed have a row in common, the first has it
            of_seed = {row["seed"]: row["run"] for row in reversed(mine) if datasets[row["run"]] == dataset}
            seeds = [runs[run].measured(line.row, seed) for seed, run in sorted(of_seed.items())]
            yield replace(seeds[0], varied=values, sources=tuple(row.sources[0] for row in seeds))


def _is_the_dataset(pairs: Sequence[tuple[Any, str]]) -> bool:
    """Whether a varied option says which data set a run is about, which has columns of its own."""
    values, datasets = ({pair[place] for pair in pairs} for place in (0, 1))
    return len(datasets) > 1 and len(set(pairs)) == len(values) == len(datasets)


def told_apart(rows: Sequence[Measured]) -> list[Measured]:
    """The rows; those of one title on one data set with the folder that each is from.

    Two runs may have a row in common, such as zero-shot with the same names: it is there once, and says so in
    ``equal``, because rows of other options may have the same figures, too.

    Args:
        rows: Any rows.
    """
    once: dict[str, Measured] = {}
    for row in rows:
        key = json.dumps([row.dataset, row.title, *map(_outcome, row.sources)], default=str)
        first = once.get(key)
        equal = (*first.equal, row.sources[0].folder) if first else ()
        once[key] = replace(first or row, equal=equal)
    count = Counter((row.dataset, row.title) for row in once.values())
    return [
        replace(row, run=f"from {folder_name(row.sources[0].folder)}") if count[row.dataset, row.title] > 1 else row
        for row in once.values()
    ]


def _outcome(source: Source) -> list[Any]:
    """The scores of a seed and its costs, but for the time that it took."""
    scores = {key: value for key, value in source.record.items() if key == "cost_usd" or key.startswith(_SCORES)}
    return [source.seed, source.photos, sorted(scores.items())]


@dataclass
class _Run:
    """One run folder, and what is said in it of all its rows."""

    folder: RunFolder

    def __post_init__(self) -> None:
        self.metrics = read_metrics(self.folder.metrics)
        self.config = read_run_config(self.folder) if self.folder.config.is_file() else {}
        self.dataset = _dataset(self.config) or self.folder.path.resolve().name
        self.photos = _photos(self.folder)
        self.namer = _namer(self.folder, self.config)
        self.own_row = next((row for row in reversed(self.metrics) if row not in DIRECT), None)

    def measured(self, row: str, seed: int | None = None) -> Measured:
        """One of its rows.

        Args:
            row: Its name.
            seed: Its seed; that of the configuration if not given.
        """
        if row not in self.metrics:
            raise FgvrError(f"{self.folder.metrics} has no row {row!r}, which the table of its sweep has: sweep again.")
        record = self.metrics[row]
        config = self._config_of(row)
        compared, judged, captions = config is not self.config, record.get("protocol"), record.get("captions")
        moves = _option(config, "model", "transductive") is True and (compared or row == self.own_row)
        marks = {
            "simulated": record.get("simulated") is True,
            "oracle": record.get("oracle") is True,
            "transductive": moves or row.endswith("_transductive"),
            "closed": "accuracy" in record and not judged,
        }
        stated = self.config.get("seed_everything")
        return Measured(
            row=_line(row),
            dataset=self.dataset,
            namer=self.namer if judged or row in DIRECT or (not captions and _learns_from_labels(row, config)) else "",
            varied={},
            marks=(
                *(mark for mark, there in marks.items() if there),
                *([_line(str(judged))] if judged else []),
                *([_line(f"captions: {captions}")] if captions else []),
            ),
            backbone=_short(class_path(config, "model", "init_args", "backbone"), BACKBONES),
            sources=(Source(self.folder.path, row, stated if seed is None else seed, record, self.photos),),
        )

    def _config_of(self, row: str) -> Mapping[str, Any]:
        """The configuration of a row; a compared one has its own."""
        compared = RunFolder(self.folder.path / "compare" / row)
        is_name = Path(row).name == row and row not in (".", "..")
        return read_run_config(compared) if is_name and compared.config.is_file() else self.config


def _learns_from_labels(row: str, config: Mapping[str, Any]) -> bool:
    """Whether the class names of a row are those that the labeler has said."""
    data = config.get("data")
    return row not in _NEVER_NAMED and isinstance(data, Mapping) and data.get("class_names", "labels") == "labels"


def _option(config: Mapping[str, Any], *keys: str) -> Any:
    """An option of a class in a configuration."""
    *above, last = keys
    node: Any = config
    for key in (*above, "init_args", last):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _dataset(config: Mapping[str, Any]) -> str:
    name = _short(class_path(config, "data", "dataset"), DATASETS)
    data = config.get("data")
    dataset = data.get("dataset") if isinstance(data, Mapping) else None
    root = _option({"dataset": dataset}, "dataset", "root")
    if name in _NAMED_BY_FOLDER and isinstance(root, str):
        return _line(Path(root).name or Path(root).resolve().name) or name
    return name


def _short(path: str, registry: Registry) -> str:
    """Short name of a plugin; of one that is in no registry, the class's name. Nothing is imported."""
    return _line(next((name for name, known in registry.items() if path in (known, name)), path.rpartition(".")[2]))


def _namer(folder: RunFolder, config: Mapping[str, Any]) -> str:
    """The model that most replies are from; where no reply is kept, what the configuration says."""
    models: Counter[str] = Counter()
    if folder.labels.is_file():
        models.update(record.model for record in read_labels_file(folder.labels) if record.model)
    if models:
        return _line(models.most_common(1)[0][0].removesuffix(_SIMULATED))
    data = config.get("data")
    stated = _option(data, "labeler", "model") if isinstance(data, Mapping) else None
    return _line(stated) if isinstance(stated, str) else _short(class_path(config, "data", "labeler"), LABELERS)


def _photos(folder: RunFolder) -> str:
    if not folder.predictions.is_file():
        return ""
    table = read_prediction_table(folder.predictions)
    pairs = zip(table["sample_id"].to_pylist(), table["true_name"].to_pylist(), strict=True)
    digest = hashlib.sha256()
    for sample_id, true_name in sorted((sample_id, true_name or "") for sample_id, true_name in pairs):
        digest.update(f"{sample_id}\0{true_name}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _line(text: str) -> str:
    return visible(without_controls(text), 80)
