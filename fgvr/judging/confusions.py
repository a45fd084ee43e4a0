"""Which classes are taken for which others: counted from predictions, for distractors that are hard."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.reports.predictions import read_prediction_table
from fgvr.tables import read_csv
from fgvr.text import visible
from fgvr.vocabulary.build import fold_name

_TRUTH = ("true_name", "class_name")
_NAMES = ("name", "prediction")


def count_confusions(pairs: Iterable[tuple[str, str]], names: Sequence[str]) -> dict[int, list[int]]:
    """For each class, those that its photos were taken for, the commonest first; of equal ones the first of the list.

    Args:
        pairs: True name and predicted name of each prediction; what is not in the list does not count.
        names: The class list.

    Example:
        >>> count_confusions([("Pug", "Boxer"), ("Pug", "Pug"), ("Pug", "cat")], ["Boxer", "Pug"])
        {1: [0]}
    """
    index = {fold_name(name): number for number, name in enumerate(names)}
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for (true, predicted), number in Counter(pairs).items():
        one, other = index.get(fold_name(true), -1), index.get(fold_name(predicted), -1)
        if one >= 0 and other >= 0 and one != other:
            counts[one][other] += number
    return {one: sorted(found, key=lambda other: (-found[other], other)) for one, found in sorted(counts.items())}


def read_confusions(path: Path, names: Sequence[str]) -> dict[int, list[int]]:
    """The same from an earlier run's predictions; all its rows count.

    Args:
        path: ``predictions.parquet``, or a CSV, with ``true_name`` (or ``class_name``) and ``name`` (or ``prediction``)
            or ``<row>_name`` columns.
        names: The class list.

    Raises:
        FgvrError: The file cannot be read, lacks a column, or confuses no two classes of the list.
    """
    columns: Mapping[str, Sequence[object]]
    if path.suffix.lower() == ".parquet":
        table = read_prediction_table(path)
        columns = {name: table[name].to_pylist() for name in table.column_names if not name.endswith("_score")}
    else:
        rows = read_csv(path, "Give an earlier run's predictions in protocol.confusions.")
        columns = {name: [row.cells[name] for row in rows.rows] for name in rows.header}
    true = next((name for name in _TRUTH if name in columns), None)
    predicted = [name for name in _NAMES if name in columns] or [
        name for name in columns if name.endswith("_name") and name not in _TRUTH
    ]
    if true is None or not predicted:
        raise FgvrError(
            f"{path} has the columns {visible(', '.join(columns), 200)}; expected true_name, and name or ROW_name, as "
            "in predictions.parquet of a run."
        )
    pairs = (
        (str(one or ""), str(other or ""))
        for name in predicted
        for one, other in zip(columns[true], columns[name], strict=True)
    )
    found = count_confusions(pairs, names)
    if not found:
        raise FgvrError(f"{path} confuses no two classes of the list: give predictions over the same class names.")
    return found
