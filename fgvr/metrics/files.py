"""``metrics.json`` of a run folder: one object per row of the result table."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fgvr.errors import FgvrError
from fgvr.files import replacing


def write_metrics(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes ``metrics.json``, whole or not at all.

    Args:
        path: The file; its folder is made if it is missing.
        rows: Row name (``"zero_shot"``, ``"coop"``, ...) -> its record: the figures of
            :func:`fgvr.metrics.protocol.score`, ``seconds``, ``cost_usd``, and the ``scoring`` of
            :func:`fgvr.metrics.protocol.scoring`.

    Raises:
        FgvrError: A figure is NaN or infinite, which JSON cannot hold.
    """
    for row, record in rows.items():
        for name, figure in record.items():
            if isinstance(figure, float) and not math.isfinite(figure):
                raise FgvrError(f"{path}: {name} of row {row!r} is {figure}; expected a finite number. Leave it out.")
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_metrics(path: Path) -> dict[str, dict[str, Any]]:
    """Reads ``metrics.json``.

    Args:
        path: The file.

    Returns:
        Row name -> its record, in the order of the file.

    Raises:
        FgvrError: There is no such file, or it does not hold one object per row.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FgvrError(f"{path} is missing: a run writes one, and evaluate with output={path}.") from None
    except ValueError as error:
        raise FgvrError(f"{path} is not JSON ({error}): remove it and write it again with evaluate.") from None
    if not isinstance(rows, dict):
        raise FgvrError(f"{path} holds a {type(rows).__name__}; expected an object that maps row names to records.")
    for row, record in rows.items():
        if not isinstance(record, dict):
            raise FgvrError(f"{path}: row {row!r} is {record!r}; expected an object of figures.")
        if "ruler" in record:  # as the key was called before
            record["scoring"] = record.pop("ruler")
    return rows
