"""How many of the labels that CoFT's models learned are right, by true names, which nothing else here looks at.

    python scripts/learned_labels.py runs/methods_fieldguide/coft-seed*

Of each stage: how many labels a model learned, of how many photos; the share of them that is the true name (spelling
aside, so that a synonym counts as wrong); and the share of all photos that were learned under their true name. Beside
them the labeler's first names of the same photos. In percent, as Markdown; means over both models, and over the runs of
a sweep that differ in the seed alone.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

import fgvr
from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import fold_name

Figures = tuple[float, float, float]


def figures(said: Iterable[tuple[str, str]], truth: Mapping[str, str]) -> Figures:
    """How many labels there are, and how many of them and of all photos are right, in percent.

    Args:
        said: Photo and name.
        truth: Photo -> true name, of all support photos.
    """
    pairs = [(name, truth[sample_id]) for sample_id, name in said if sample_id in truth]
    right = sum(fold_name(name) == fold_name(true) for name, true in pairs)
    return len(pairs), 100 * right / max(len(pairs), 1), 100 * right / max(len(truth), 1)


def of_run(path: Path) -> tuple[int, list[tuple[str, Figures]]]:
    """The support photos of a run, and the figures of the labeler and of each model in each stage.

    Raises:
        FgvrError: It has learned no labels of its own making.
    """
    folder = RunFolder(path)
    if not folder.pseudo_labels.is_file():
        raise FgvrError(f"{path} has no {folder.pseudo_labels.name}: expected a finished run of coft or coft_plus.")
    run = fgvr.open_run(path, trust=True)
    known = run.data.images.truth
    truth = {record.sample_id: known[record.sample_id] for record in run.data.support if record.sample_id in known}
    found = []
    if folder.labels.is_file():
        labels = read_labels_file(folder.labels)
        found.append(("labeler", figures([(each.sample_id, each.names[0]) for each in labels if each.names], truth)))
    learned = pq.read_table(folder.pseudo_labels).to_pylist()
    for stage, model in dict.fromkeys((row["stage"], row["model"]) for row in learned):
        own = [(row["sample_id"], row["name"]) for row in learned if (row["stage"], row["model"]) == (stage, model)]
        found.append((f"stage {stage}", figures(own, truth)))
    return len(truth), found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    args = parser.parse_args()
    groups: dict[tuple[str, str, int], list[Figures]] = {}
    for path in args.runs:
        photos, found = of_run(path)
        name, _, seed = path.resolve().name.rpartition("-seed")
        for who, each in found:
            groups.setdefault((name if seed.isdigit() else str(path), who, photos), []).append(each)
    print("| run | who | labels | right | of all photos |\n|---|---|--:|--:|--:|")
    for (run, who, photos), each in groups.items():
        count, right, of_all = (statistics.mean(column) for column in zip(*each, strict=True))
        print(f"| {run} | {who} | {count:.0f} of {photos} | {right:.1f} | {of_all:.1f} |")


if __name__ == "__main__":
    try:
        main()
    except FgvrError as error:
        sys.exit(f"learned_labels: {error}")
