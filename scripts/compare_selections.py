"""What a budget of n questions buys: the selections side by side, and the tables in docs/how-to/ask-less.md.

    python scripts/compare_selections.py --config quickstart.yaml --data.shots null
    python scripts/compare_selections.py --config dogs120_recorded.yaml --data.dataset.root FOLDER

The photos to choose from are the support photos of the configuration. Its backbone looks at them, in the space that
--space says, and its labeler is asked about all of them, so take one that costs nothing: simulated or recorded. True
names serve the figures alone. With --imbalance 20 the commonest class has 20 times as many photos as the rarest; the
others lie exponentially between them. The second table says what the cascade's look at the neighbours finds. With the
simulated labeler there is a third one, of votes between labelers that differ in their seed alone.
"""

import argparse
import hashlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from fgvr.candidates.base import NamedImages
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.quality import measure
from fgvr.config.cli import ParsedCLI
from fgvr.labelers.cascade import CascadeLabeler
from fgvr.labelers.combined import first_classes
from fgvr.labelers.fieldguide import FieldguideLabeler
from fgvr.labelers.vote import VoteLabeler
from fgvr.labelling.labelling import label, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord, LabelRecord, Space
from fgvr.registry import SELECTIONS
from fgvr.vocabulary.build import build_vocabulary, labels_as_indices


@dataclass
class Pool:
    """The photos to choose from, what the labeler says of each, and the truth."""

    images: Sequence[ImageRecord]
    labels: Sequence[LabelRecord]
    features: np.ndarray
    truth: dict[str, str]

    @property
    def ids(self) -> list[str]:
        return [image.sample_id for image in self.images]

    @property
    def classes(self) -> int:
        return len(set(self.truth.values()))


def thinned(images: Sequence[ImageRecord], truth: dict[str, str], imbalance: float) -> list[ImageRecord]:
    """A long tail (Cui et al. 2019): the i-th of C classes keeps ``imbalance ** (-i / (C - 1))`` of its photos."""
    # an order that has nothing to do with looks, as the alphabetical one has
    names = sorted(set(truth.values()), key=lambda name: hashlib.sha256(name.encode()).digest())
    kept = []
    for number, name in enumerate(names):
        mine = [image for image in images if truth[image.sample_id] == name]
        kept += mine[: max(1, round(len(mine) * imbalance ** (-number / max(1, len(names) - 1))))]
    return sorted(kept, key=lambda image: image.sample_id)


def bought(pool: Pool, chosen: np.ndarray) -> float:
    """Percentage of the true names that occur among the chosen photos."""
    return 100 * len({pool.truth[pool.ids[number]] for number in chosen}) / pool.classes


def covered(pool: Pool, chosen: np.ndarray) -> float:
    """Percentage of all photos whose candidate set holds the true name where the chosen ones alone are labelled."""
    asked = set(chosen.tolist())
    labels = [
        record if number in asked else LabelRecord(record.sample_id, (), flag="unasked")
        for number, record in enumerate(pool.labels)
    ]
    vocabulary = build_vocabulary(labels)
    named = NamedImages(tuple(pool.ids), labels_as_indices(labels, vocabulary), len(vocabulary), pool.features)
    return 100 * (measure(KnnCandidates(3).build(named), vocabulary, pool.truth).coverage or 0.0)


def cell(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 and max(values) > min(values) else ""
    return f"{statistics.mean(values):.1f}{spread}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(header) + " |", "|---" * len(header) + "|", sep="\n")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def compare_selections(pool: Pool, budgets: Sequence[int], seeds: int) -> None:
    figures: dict[str, Callable[[Pool, np.ndarray], float]] = {"true names": bought, "sets with the truth": covered}
    rows = []
    for n in budgets:
        row = [str(n)]
        choices = {
            name: [SELECTIONS.load(name)(n, seed).choose(pool.ids, pool.features) for seed in range(seeds)]
            for name in ("random", "k_centre", "typical")
        }
        for figure in figures.values():
            row += [cell([figure(pool, chosen) for chosen in drawn]) for drawn in choices.values()]
        rows.append(row)
    table(["n", *(f"{figure} (%): {name}" for figure in figures for name in choices)], rows)


def rightness(labels: Sequence[LabelRecord], truth: dict[str, str]) -> np.ndarray:
    """1 where the first name is the true one, 0 where it is another, -1 where there is none."""
    known = [LabelRecord(record.sample_id, (truth[record.sample_id],)) for record in labels]
    said, true = first_classes([labels, known])
    return np.where(said < 0, -1, (said == true).astype(int))


def compare_neighbours(pool: Pool) -> None:
    right = rightness(pool.labels, pool.truth)
    rows = []
    for neighbours, confirmed in ((0, 1), (3, 1), (5, 1), (10, 1), (5, 2), (10, 2)):
        cascade = CascadeLabeler(FieldguideLabeler(), FieldguideLabeler(), neighbours, confirmed)
        asked = np.array(cascade.wanted(1, [pool.labels], pool.features))
        shares = [
            100 * asked.mean(),
            *(100 * asked[right == kind].mean() for kind in (-1, 0, 1) if (right == kind).any()),
        ]
        rows.append([str(neighbours), str(confirmed), *(f"{share:.1f}" for share in shares)])
    kinds = {-1: "no name", 0: "a wrong name", 1: "the right name"}
    present = [
        f"{100 * (right == kind).mean():.1f} % with {text}" for kind, text in kinds.items() if (right == kind).any()
    ]
    table(["neighbours", "min_confirmed", "asked again (%) of all", *present], rows)


def compare_votes(pool: Pool, store: LabelStore) -> None:
    rows = []
    for count, share in ((1, 0.0), (2, 1.0), (3, 0.0), (3, 0.6), (5, 0.0), (5, 0.6)):
        labelers = [FieldguideLabeler(seed=seed) for seed in range(count)]
        labeler = VoteLabeler(labelers, min_agreement=share) if count > 1 else labelers[0]
        label(labeler, pool.images, store, progress=False)
        right = rightness(read_labels(labeler, pool.images, store), pool.truth)
        shares = [f"{100 * (right == kind).mean():.1f}" for kind in (1, 0, -1)]
        rows.append([str(count), str(share) if count > 1 else "", *shares])
    table(["labelers", "min_agreement", "right (%)", "wrong (%)", "no name (%)"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 40, 80, 160])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--imbalance", type=float, default=1.0)
    parser.add_argument("--space", choices=get_args(Space), default="visual")
    args, extra = parser.parse_known_args()
    cli = ParsedCLI(["--config", args.config, *extra])
    data, backbone = cli.data, cli.method.backbone
    truth = {image.sample_id: data.images.truth[image.sample_id] for image in data.support}
    images = thinned(data.support, truth, args.imbalance)
    backbone.load()
    features = data.image_features(images, backbone, args.space)
    with LabelStore(data.label_store) as store:
        label(data.labeler, images, store, progress=False)
        labels = read_labels(data.labeler, images, store)
        pool = Pool(images, labels, features, {image.sample_id: truth[image.sample_id] for image in images})
        simulated = ", simulated labels" if data.labeler.simulated else ""
        print(f"{len(images)} photos of {pool.classes} classes{simulated}; {args.seeds} seeds\n")
        compare_selections(pool, args.budgets, args.seeds)
        compare_neighbours(pool)
        if isinstance(data.labeler, FieldguideLabeler):
            compare_votes(pool, store)


if __name__ == "__main__":
    main()
