"""What sweeps of visual classifiers come to, as Markdown in docs/results.md.

    python scripts/visual_results.py runs/visual_grocery81 runs/visual_plants41 ...

Puts, between the lines '<!-- begin visual_closed -->' and '<!-- end visual_closed -->', the share of the way from
zero-shot to the oracle that each row has closed: (x - zero-shot) / (oracle - zero-shot), where the oracle is the best
row that learned from true names. It is counted in accuracy where the vocabulary was given, else in cACC. And between
'visual_agreement' how well the agreement of a row ranks it: Spearman's rank correlation with the same figure. Rows
that learned from true names are left out of that. Between 'visual_choices': what leave-one-out chose in the runs of
class means. Ends with one line of JSON.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.metrics.files import read_metrics
from fgvr.sweeps.result import read_tidy

DOCS = Path(__file__).parents[1] / "docs"
ORACLE = "oracle"
KINDS = ("class_means", "ridge", "gaussian")
ROWS = ("class_means", "class_means_fused", "linear", "linear_fused", "coop", "coop_fused")

Line = dict[str, Any]


def figure_of(lines: Sequence[Line]) -> str:
    return "accuracy" if all(line.get("accuracy") is not None for line in lines) else "cacc"


def mean(lines: Sequence[Line], figure: str) -> float:
    return statistics.mean(line[figure] for line in lines)


def closed(name: str, lines: Sequence[Line]) -> list[list[str]]:
    """A line of the table for each kind of names."""
    figure, found = figure_of(lines), []
    oracle = {row: mean(own, figure) for row in ROWS if (own := select(lines, ORACLE, row))}
    best = max(oracle, key=oracle.__getitem__)
    for names in dict.fromkeys(line["names"] for line in lines):
        zero_shot = mean(select(lines, names, "zero_shot"), figure)
        cells = [name, names, {"accuracy": "accuracy", "cacc": "cACC"}[figure], f"{zero_shot:.1f}"]
        if names == ORACLE:
            cells += [f"{oracle[row]:.1f}" if row in oracle else "" for row in ROWS]
        else:
            for row in ROWS:
                value = mean(select(lines, names, row), figure)
                share = 100 * (value - zero_shot) / (oracle[best] - zero_shot)
                cells.append(f"{value:.1f} ({share:.0f} %)")
        found.append(cells)
    return found


def select(lines: Sequence[Line], names: str, row: str) -> list[Line]:
    return [line for line in lines if line["names"] == names and line["row"] == row]


def choices(name: str, folder: Path, lines: Sequence[Line]) -> list[list[str]]:
    """A line for each kind of names and choice: in how many seeds, and the mean agreement of each kind there."""
    found: dict[tuple[str, str, str], list[Mapping[str, float]]] = {}
    for line in lines:
        if line["row"] == "class_means_fused":
            fusion = read_metrics(folder / line["run"] / "metrics.json")[line["row"]]["fusion"]
            key = line["names"], fusion["visual"], str(fusion["text_weight"])
            found.setdefault(key, []).append(fusion["agreement_by_kind"])
    return [
        [name, names, str(len(kinds)), visual, weight]
        + [_mean([kind[each] for kind in kinds if each in kind]) for each in KINDS]
        for (names, visual, weight), kinds in found.items()
    ]


def _mean(agreements: Sequence[float]) -> str:
    """Empty for a kind that was not tried: there are too few photos a name."""
    return f"{statistics.mean(agreements):.1f}" if agreements else ""


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len({first for first, _ in pairs}) < 2 or len({second for _, second in pairs}) < 2:
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *body)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def put(block: str, text: str, docs: Path) -> None:
    results = docs / "results.md"
    begin, end = f"<!-- begin {block} -->", f"<!-- end {block} -->"
    pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    replaced, count = pattern.subn(lambda _: f"{begin}\n\n{text}\n\n{end}", results.read_text(encoding="utf-8"))
    if count != 1:
        raise FgvrError(f"{results} has {count} pairs of the lines '{begin}' and '{end}'; expected one.")
    with replacing(results) as path:
        path.write_text(replaced, encoding="utf-8")


def main(folders: Sequence[Path], docs: Path) -> None:
    body: list[list[str]] = []
    ranks: list[list[str]] = []
    chosen: list[list[str]] = []
    pooled: list[tuple[float, float]] = []
    answer: dict[str, Any] = {}
    for folder in folders:
        name = folder.resolve().name.removeprefix("visual_")
        lines = list(read_tidy(folder).rows)
        body += closed(name, lines)
        chosen += choices(name, folder, lines)
        figure = figure_of(lines)
        for names in dict.fromkeys(line["names"] for line in lines):
            judged = [line for line in lines if line["names"] == names and line.get("agreement") is not None]
            if names == ORACLE:
                continue
            pairs = [(line["agreement"], line[figure]) for line in judged]
            unseen = [(line["agreement"], line[figure]) for line in judged if line["row"] in ("zero_shot", *ROWS[:2])]
            pooled += pairs
            found = [correlation(pairs), correlation(unseen)]
            ranks.append([name, names, str(len(pairs)), *("-" if each is None else f"{each:.2f}" for each in found)])
            answer[f"{name}/{names}"] = found
    answer["pooled"] = correlation(pooled)
    ranks.append(["all of them", "", str(len(pooled)), f"{answer['pooled']:.2f}", ""])
    put("visual_choices", table(["photos", "names", "seeds", "visual", "weight of the text", *KINDS], chosen), docs)
    put("visual_closed", table(["photos", "names", "figure", "zero-shot", *ROWS], body), docs)
    heads = ["photos", "names", "rows of runs", "rank correlation", "of the rows that have not seen the names"]
    put("visual_agreement", table(heads, ranks), docs)
    print(json.dumps(answer))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP_FOLDER")
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args()
    try:
        main(args.folders, args.docs)
    except FgvrError as error:
        sys.exit(f"visual_results: {error}")
