"""Draws support sets and names anew, from a data set whose true names are known: simulated draws, for ablations.

    python scripts/redraw.py data/grocery81 data/draws/grocery81
    python scripts/redraw.py data/dogs120 data/draws/dogs120 --replies replies.jsonl

The first argument is a folder with ``manifest.csv``. Each file of the second, ``SEED.csv``, is a manifest of the same
photos with other ones for support, as many of each class as before, and with columns of names for the labeler
``fixed``. Its photos are relative to the folder above the first (``data.dataset.root: data``).

lookalike  Wrong for the share ``--wrong`` of the draws, towards a class of the same ``group``, where the manifest has
           that column (a group of one class stays right), or else one of the three nearest by text.
uniform    Wrong for the same share, towards any other class.
replies    With ``--replies``: what the labeler said of the photos of the same class, in another order, so that mistakes
           are real, and hardly depend on how a photo looks.

``--empty`` is the share of photos without a name in the first two. All of it is simulated; say so beside every figure.
"""

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fgvr.backbones.lite import LiteBackbone
from fgvr.reading.replies import parse_reply

LOOKALIKES = 3


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def lookalikes(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """Class -> the classes that it may be taken for."""
    classes = sorted({row["class_name"] for row in rows})
    if "group" in rows[0]:
        group_of = {row["class_name"]: row["group"] for row in rows}
        return {
            name: [other for other in classes if other != name and group_of[other] == group_of[name]]
            for name in classes
        }
    backbone = LiteBackbone()
    backbone.load()
    texts = backbone.encode_text(classes).numpy(force=True)
    cosines = texts @ texts.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argsort(-cosines, axis=1, kind="stable")[:, :LOOKALIKES]
    return {name: [classes[other] for other in near[row]] for row, name in enumerate(classes)}


def replies_of(path: Path) -> dict[str, list[str]]:
    """True class -> the first name in each of its replies, ``""`` where there is none."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            reply = json.loads(line)
            found[reply["class_name"]].append((parse_reply(reply["raw"]).names or ("",))[0])
    return found


def draw(
    rows: list[dict[str, str]],
    place: str,
    wrong: float,
    empty: float,
    alike: dict[str, list[str]],
    said: dict[str, list[str]],
    generator: np.random.Generator,
) -> list[dict[str, str]]:
    images: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        images[row["class_name"]].append(number)
    classes = sorted(images)
    drawn = [{"file": f"{place}/{row['file']}", "class_name": row["class_name"], "split": "test"} for row in rows]
    for name in classes:
        size = sum(rows[number]["split"] == "support" for number in images[name])
        support = generator.permutation(images[name])[:size]
        for number, reply in zip(support, _moved(said.get(name, []), size, generator), strict=True):
            entry = drawn[number]
            entry["split"], entry["replies"] = "support", reply
            mistaken, unnamed = generator.random() < wrong, generator.random() < empty
            others = [other for other in classes if other != name]
            for column, instead in (("lookalike", alike[name] or [name]), ("uniform", others)):
                entry[column] = "" if unnamed else str(generator.choice(instead)) if mistaken else name
    return drawn


def _moved(replies: list[str], size: int, generator: np.random.Generator) -> list[str]:
    """The replies of a class in another order, some of them twice where there are too few."""
    if not replies:
        return [""] * size
    order: NDArray[np.int64] = np.concatenate([generator.permutation(len(replies)) for _ in range(size)])
    return [replies[number] for number in order[:size]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--wrong", type=float, default=0.4)
    parser.add_argument("--empty", type=float, default=0.0)
    parser.add_argument("--replies", type=Path)
    options = parser.parse_args()
    rows = read_manifest(options.folder)
    alike = lookalikes(rows)
    said = replies_of(options.replies) if options.replies else {}
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.draws):
        drawn = draw(rows, options.folder.name, options.wrong, options.empty, alike, said, np.random.default_rng(seed))
        columns = ["file", "class_name", "split", "lookalike", "uniform", *(["replies"] if said else [])]
        with (options.out / f"{seed}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(drawn)
    support = [row for row in drawn if row["split"] == "support"]
    right = {
        column: sum(row.get(column) == row["class_name"] for row in support) for column in ("lookalike", "uniform")
    }
    print(json.dumps({"draws": options.draws, "support": len(support), "right in the last draw": right}))


if __name__ == "__main__":
    main()
