"""``metrics.json`` of a run folder: one object per row of the result table."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from fgvr.checksums import check, replacing_noted
from fgvr.errors import FgvrError
from fgvr.text import visible
from fgvr.yaml_text import load_json

_AGAIN = "remove it and write it again with evaluate, or test the run again."


def write_metrics(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes ``metrics.json``, whole or not at all.

    Args:
        path: The file; its folder is made if it is missing.
        rows: Row name (``"zero_shot"``, ``"coop"``, ...) -> its record: the figures of
            :func:`fgvr.metrics.protocol.score`, ``seconds``, ``cost_usd``, the ``scoring`` of
            :func:`fgvr.metrics.protocol.scoring`, and ``intervals``: figure -> its lower and upper bound.

    Raises:
        FgvrError: A figure is NaN or infinite, which JSON cannot hold.
    """
    for row, record in rows.items():
        for name, figure in record.items():
            if isinstance(figure, float) and not math.isfinite(figure):
                raise FgvrError(f"{path}: {name} of row {row!r} is {figure}; expected a finite number. Leave it out.")
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing_noted(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_metrics(path: Path) -> dict[str, dict[str, Any]]:
    """Reads ``metrics.json``.

    Args:
        path: The file.

    Returns:
        Row name -> its record, in the order of the file.

    Raises:
        FgvrError: There is no such file, it is not what fgvr left in a run folder, it does not hold one object per row,
            or a value in one is not of its kind.
    """
    check(path)
    try:
        rows = load_json(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise FgvrError(f"{path} is missing: a run writes one, and evaluate with output={path}.") from None
    except (ValueError, RecursionError) as error:
        raise FgvrError(f"{path} is not JSON ({visible(str(error), 200)}): {_AGAIN}") from None
    except OSError as error:
        raise FgvrError(f"{path} cannot be read ({error.strerror}): {_AGAIN}") from None
    if not isinstance(rows, dict):
        raise FgvrError(f"{path} holds a {type(rows).__name__}; expected an object that maps row names to records.")
    if not rows:
        raise FgvrError(f"{path} has no row; expected an object that maps row names to records: {_AGAIN}")
    for row, record in rows.items():
        if not isinstance(record, dict):
            raise FgvrError(f"{path}: row {row!r} is {_shown(record)}; expected an object of figures.")
        if "ruler" in record:  # as the key was called before
            record["scoring"] = record.pop("ruler")
    figures = {key for record in rows.values() for key, value in record.items() if _is_number(value)}
    for row, record in rows.items():
        for key, value in record.items():
            expected = _expected(key, value, key in figures)
            if expected:
                raise FgvrError(f"{path}: {key} of row {row!r} is {_shown(value)}; expected {expected}: {_AGAIN}")
    return rows


def _expected(key: str, value: object, is_figure: bool) -> str:
    """What should stand in the place of a value; ``""`` where it may stand there."""
    if _is_number(value):
        return "" if math.isfinite(value) and key not in (*_FIELDS, *_TEXTS, "intervals") else "another kind of value"
    if key in _FIELDS and value is not None:
        fields = _FIELDS[key]
        whole = isinstance(value, dict) and all(name in value and holds(value[name]) for name, holds in fields.items())
        return "" if whole else " with ".join(["an object", *([", ".join(fields)] if fields else [])])
    if key == "intervals" and value is not None:
        whole = isinstance(value, dict) and all(map(_is_interval, value.values()))
        return "" if whole else "an object of pairs of finite numbers, each of which rises"
    if key in _TEXTS:
        return "" if value is None or isinstance(value, str) else "a text"
    return "a finite number or null" if (is_figure or key in _FIGURES) and value is not None else ""


def _is_number(value: object) -> TypeGuard[int | float]:
    # a whole number beyond all floats is a number for Python alone
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def _is_interval(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(_is_number(bound) for bound in value):
        return False
    low, high = value
    return math.isfinite(low) and math.isfinite(high) and low <= high


def _is_tests(value: object) -> bool:
    """Whether it maps figures to tests, as :class:`fgvr.metrics.comparison.RowTest` has them."""
    numbers = ("difference", "low", "high", "p", "p_holm")
    return isinstance(value, dict) and all(
        isinstance(test, dict)
        and isinstance(test.get("test"), str)
        and all(_is_number(test.get(name)) and math.isfinite(test[name]) for name in numbers)
        for test in value.values()
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FIELDS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "scoring": {},
    "vocabulary": {},
    "follow_ups": {},
    "relabelling": {},
    "against": {"row": _is_text, "tests": _is_tests},
    "fusion": {
        "visual": _is_text,
        "text": _is_text,
        "text_weight": lambda value: value == "infinite" or _is_number(value),
        "weight_by": ("leave-one-out", "option", "nothing").__contains__,
    },
    "selected": {
        "held_out": lambda value: isinstance(value, bool),
        "by": _is_text,
        **dict.fromkeys(("epoch", "epochs", "figure", "photos"), _is_number),
    },
}
"""Keys of a record that are objects -> what a reader needs of them."""
_TEXTS = ("candidates", "captions", "warning", "agreement_of")
_FIGURES = (
    *("accuracy", "accuracy_macro", "cacc", "cacc_macro", "siou", "siou_hyphen", "textual_inclusion"),
    *("textual_inclusion_words", "generic", "nmi", "ari", "ece", "selective_accuracy_50", "selective_accuracy_80"),
    *("agreement", "neighbour_agreement", "covering_rate", "left_candidates"),
    *("class_means_agreement", "shared_names", "seconds", "label_seconds", "cost_usd"),
)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no JSON")


def _shown(value: object) -> str:
    return visible(repr(value), 60)
