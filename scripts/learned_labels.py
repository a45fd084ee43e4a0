"""How many of the labels that CoFT's models learned are right, by true names, which nothing else here looks at.

    python scripts/learned_labels.py runs/coft/0 runs/coft_candidates/0

Of each run, stage and model: how many labels it learned, of how many photos; the share of them that is the true name
(spelling aside, so that a synonym counts as wrong); and the share of all photos that were learned under their true
name. Beside them the labeler's first names of the same photos. In percent, as Markdown.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

import fgvr
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import fold_name


def line(run: str, what: str, said: Iterable[tuple[str, str]], truth: dict[str, str]) -> str:
    """A line of the table.

    Args:
        run: The run's folder.
        what: Who learned, or said, and when.
        said: Photo and name.
        truth: Photo -> true name, of all support photos.
    """
    pairs = [(name, truth[sample_id]) for sample_id, name in said if sample_id in truth]
    right = sum(fold_name(name) == fold_name(true) for name, true in pairs)
    share, of_all = (100 * right / max(count, 1) for count in (len(pairs), len(truth)))
    return f"| {run} | {what} | {len(pairs)} of {len(truth)} | {share:.1f} | {of_all:.1f} |"


def lines(path: Path) -> list[str]:
    """Those of a run."""
    folder = RunFolder(path)
    if not folder.pseudo_labels.is_file():
        raise FgvrError(f"{path} has no {folder.pseudo_labels.name}: expected a finished run of coft or coft_plus.")
    run = fgvr.open_run(path, trust=True)
    known = run.data.images.truth
    truth = {record.sample_id: known[record.sample_id] for record in run.data.support if record.sample_id in known}
    found = []
    if folder.labels.is_file():
        labels = read_labels_file(folder.labels)
        first = [(label.sample_id, label.names[0]) for label in labels if label.names]
        found.append(line(str(path), "labeler", first, truth))
    learned = pq.read_table(folder.pseudo_labels).to_pylist()
    for stage, model in dict.fromkeys((row["stage"], row["model"]) for row in learned):
        own = [(row["sample_id"], row["name"]) for row in learned if (row["stage"], row["model"]) == (stage, model)]
        found.append(line(str(path), f"stage {stage}, model {model}", own, truth))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    args = parser.parse_args()
    print("| run | who | labels | right | of all photos |\n|---|---|--:|--:|--:|")
    for path in args.runs:
        print("\n".join(lines(path)))


if __name__ == "__main__":
    try:
        main()
    except FgvrError as error:
        sys.exit(f"learned_labels: {error}")
