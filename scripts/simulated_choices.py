"""What a labeler that is asked to choose among its own names might choose: simulated, from true names.

    python scripts/simulated_choices.py data/cars98 data/cars98/replies.jsonl choices

Writes ``choices_0.5.csv``, ``choices_0.7.csv`` and ``choices_0.9.csv``, for the labeler ``fixed`` as the ``chooser`` of
``reconsider``, and ``choices_1.0.csv``, a perfect join, for ``fixed`` alone. With the probability in the file's name a
photo gets the name that most photos of its true class were given, and otherwise the one, of all names that were given,
whose text is nearest to that. Say that it is simulated beside every figure that rests on it.
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from fgvr.backbones.lite import LiteBackbone
from fgvr.reading.replies import parse_reply

RIGHT = (0.5, 0.7, 0.9, 1.0)


def main(folder: Path, replies: Path, out: str) -> None:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        true_of = {row["file"]: row["class_name"] for row in csv.DictReader(stream) if row["split"] == "support"}
    said = [json.loads(line) for line in replies.read_text(encoding="utf-8").split("\n") if line.strip()]
    by_file = {Path(line["image"]).name: (parse_reply(line["raw"]).names or ("",))[0] for line in said}
    given = {file: by_file.get(Path(file).name, "") for file in true_of}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for file, name in given.items():
        if name:
            counts[true_of[file]][name] += 1
    names = sorted({name for name in given.values() if name})
    backbone = LiteBackbone()
    backbone.load()
    texts = backbone.encode_text(names).numpy(force=True)
    cosines = texts @ texts.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = {name: names[other] for name, other in zip(names, cosines.argmax(axis=1), strict=True)}
    best = {true: min(found, key=lambda name: (-found[name], len(name), name)) for true, found in counts.items()}
    for right in RIGHT:
        generator = np.random.default_rng(0)
        with Path(f"{out}_{right}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["file", "name"])
            for file in sorted(true_of):
                name = best.get(true_of[file], given[file])
                chosen = name if generator.random() < right else nearest.get(name, name)
                writer.writerow([file, chosen])
    print(json.dumps({"photos": len(true_of), "names": len(names), "true classes with a name": len(best)}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
