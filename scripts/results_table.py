"""The summary of sweeps, as Markdown in docs/results.md and, where a number is varied, a figure in docs/figures.

    python scripts/results_table.py runs/candidates runs/shots

The table of the sweep NAME goes between the lines '<!-- begin NAME -->' and '<!-- end NAME -->'.
"""

import argparse
import re
import sys
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.sweeps.figure import axis_column, write_figure
from fgvr.sweeps.result import markdown_summary, read_tidy

DOCS = Path(__file__).parents[1] / "docs"


def put(folder: Path, docs: Path) -> None:
    """Put the table, and the figure if there is one, of a sweep's folder into the documentation."""
    name, results = folder.resolve().name, docs / "results.md"
    tidy = read_tidy(folder)
    parts = [f"<!-- begin {name} -->", markdown_summary(tidy), f"<!-- end {name} -->"]
    if axis_column(tidy) is not None:
        write_figure(tidy, docs / "figures" / f"{name}.svg")
        parts.insert(2, f"![{name}: the figures of the table as curves](figures/{name}.svg)")
    block = re.compile(rf"{re.escape(parts[0])}.*?{re.escape(parts[-1])}", re.DOTALL)
    replaced, count = block.subn(lambda _: "\n\n".join(parts), results.read_text(encoding="utf-8"))
    if count != 1:
        raise FgvrError(f"{results} has {count} pairs of the lines '{parts[0]}' and '{parts[-1]}'; expected one.")
    with replacing(results) as path:
        path.write_text(replaced, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP_FOLDER")
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args()
    try:
        for folder in args.folders:
            put(folder, args.docs)
    except FgvrError as error:
        sys.exit(f"results_table: {error}")


if __name__ == "__main__":
    main()
