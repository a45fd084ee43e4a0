"""What all methods of a sweep come to on the same photos, as Markdown in docs/results.md.

    python scripts/methods_table.py runs/methods_fieldguide

The table of the sweep NAME goes between the lines '<!-- begin NAME -->' and '<!-- end NAME -->'. A row is a row of a
run, once: the same row of several runs that is equal in all seeds is that of the first. Figures are means over seeds.

- way closed: (x - zero-shot) / (oracle - zero-shot), in accuracy where the vocabulary was given, else in cACC; the
  oracle is the best row of the method "oracle", which was given the true names.
- against zero-shot: the difference in that figure over the photos of all seeds, its 95 % interval by a paired
  bootstrap, and the p-value of McNemar's exact test, adjusted by Holm's method for the number of rows. In cACC each row
  has its own matching in each seed.

Ends with one line of JSON.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.metrics.comparison import compare_rows
from fgvr.metrics.contributions import contributions
from fgvr.reports.predictions import read_prediction_table
from fgvr.runs import RunFolder
from fgvr.sweeps.result import read_tidy

DOCS = Path(__file__).parents[1] / "docs"
ORACLE, BASE, SACC = "oracle", "zero_shot", "sacc_all_minilm_l6_v2"
HEAD = ("row", "method", "sACC (MiniLM)", "cACC", "way closed", "against zero-shot", "p (Holm)", "computing s")

Line = dict[str, Any]


def counts(folder: Path, lines: Sequence[Line], figure: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What each photo of all seeds counts for in a row."""
    found = []
    for line in sorted(lines, key=lambda line: line["seed"]):
        table = read_prediction_table(RunFolder(folder / line["run"]).predictions)
        names = [name or "" for name in table[f"{line['row']}_name"].to_pylist()]
        truth = table["true_name"].to_pylist()
        found.append(contributions(names, truth, encoders=[], closed=figure == "accuracy")[figure])
    return np.concatenate(found)


def cells(folder: Path) -> tuple[list[list[str]], dict[str, Any]]:
    """The body of the table, and what goes into the line of JSON."""
    tidy = read_tidy(folder)
    (varied,) = tidy.columns
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in tidy.rows:
        groups.setdefault((line["row"], line[varied]), []).append(dict(line))
    figure = "accuracy" if all(line.get("accuracy") is not None for line in tidy.rows) else "cacc"
    kept: dict[tuple[str, str], list[Line]] = {}
    for (row, method), lines in groups.items():
        values = [(line["seed"], line[SACC], line[figure]) for line in lines]
        same = [
            other
            for (name, of), other in kept.items()
            if name == row
            and (of == ORACLE) == (method == ORACLE)
            and [(line["seed"], line[SACC], line[figure]) for line in other] == values
        ]
        if not same:
            kept[row, method] = lines
    rows = {key: counts(folder, lines, figure) for key, lines in kept.items()}
    base = next(key for key in rows if key[0] == BASE and key[1] != ORACLE)
    means = {key: float(each.mean()) for key, each in rows.items()}
    best = max(mean for (_, method), mean in means.items() if method == ORACLE)
    tested = {" ".join(key): {figure: rows[key]} for key in rows if key[1] != ORACLE}
    tests = compare_rows(tested, " ".join(base))
    body, told = [], {}
    for (row, method), lines in kept.items():
        key = row, method
        oracle = method == ORACLE
        test = tests.get(" ".join(key), {}).get(figure)
        share = (means[key] - means[base]) / (best - means[base])
        p = "" if test is None else "<0.001" if test.p_holm < 0.001 else f"{test.p_holm:.3f}"
        body.append(
            [
                f"{row} (true names)" if oracle else row,
                method,
                spread([line[SACC] for line in lines]),
                spread([line["cacc"] for line in lines]),
                "" if oracle or key == base else f"{100 * share:.0f} %",
                "" if test is None else f"{test.difference:+.1f} [{test.low:+.1f}, {test.high:+.1f}]",
                p,
                f"{statistics.mean(line['seconds'] for line in lines):.0f}",
            ]
        )
        told[f"{row} {method}"] = round(means[key], 2)
    return body, {"figure": figure, "photos": len(rows[base]), "seeds": len(kept[base]), "means": told}


def spread(values: Sequence[float]) -> str:
    """Mean and, of several seeds, standard deviation."""
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def put(folder: Path, docs: Path) -> dict[str, Any]:
    """Put a sweep's table into the documentation."""
    name, results = folder.resolve().name, docs / "results.md"
    body, told = cells(folder)
    lines = [f"| {' | '.join(row)} |" for row in (HEAD, *body)]
    table = "\n".join([lines[0], "|---|---" + "|--:" * (len(HEAD) - 2) + "|", *lines[1:]])
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    block = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text, count = block.subn(lambda _: f"{begin}\n\n{table}\n\n{end}", results.read_text(encoding="utf-8"))
    if count != 1:
        raise FgvrError(f"{results} has {count} pairs of the lines '{begin}' and '{end}'; expected one.")
    with replacing(results) as path:
        path.write_text(text, encoding="utf-8")
    return {name: told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP_FOLDER")
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args()
    told: dict[str, Any] = {}
    for folder in args.folders:
        told |= put(folder, args.docs)
    print(json.dumps(told))


if __name__ == "__main__":
    try:
        main()
    except FgvrError as error:
        sys.exit(f"methods_table: {error}")
