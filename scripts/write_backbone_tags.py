"""Write which of open_clip's tags are good for fine-grained photos, with the accuracies that open_clip publishes.

    python scripts/write_backbone_tags.py openclip_results.csv

The file is docs/openclip_results.csv of https://github.com/mlfoundations/open_clip, at the commit below; its figures
are copied as they stand there, and nothing was measured here. The choice is this script's: the highest mean over the
five fine-grained sets of the table up to some work a photo, which is checked against all rows of the table; DFN's
ViT-L/14 beside DataComp's; and OpenAI's ViT-B/16, because papers use it. ``fgvr list backbones`` prints the result.
"""

import csv
import json
import statistics
import sys
from pathlib import Path

from fgvr.files import replacing

TARGET = Path(__file__).parents[1] / "fgvr" / "backbones" / "open_clip_tags.json"
COMMIT = "29b90b8dde9125c479c0ddbab477310f665a0435"
SOURCE = f"https://github.com/mlfoundations/open_clip/blob/{COMMIT}/docs/openclip_results.csv"
DATE = "2023-11-22"
SETS = {
    "cars": "Stanford Cars",
    "aircraft": "FGVC Aircraft",
    "flowers": "Oxford Flowers-102",
    "pets": "Oxford-IIIT Pet",
    "food": "Food-101",
}
CHOSEN = {
    ("ViT-B-16", "openai"): (None, "what papers use; for comparison"),
    ("ViT-B-32-256", "datacomp_s34b_b86k"): (20, "prompts share their beginning"),
    ("ViT-B-16-SigLIP", "webli"): (50, "prompts run as a whole"),
    ("ViT-B-16-SigLIP-384", "webli"): (150, "384 pixels; prompts run as a whole"),
    ("ViT-L-14-quickgelu", "dfn2b"): (
        None,
        "near the next one, better at cars and flowers; prompts share their beginning",
    ),
    ("ViT-L-14", "datacomp_xl_s13b_b90k"): (200, "prompts share their beginning"),
    ("ViT-L-16-SigLIP-256", "webli"): (210, "prompts run as a whole"),
    ("ViT-H-14-quickgelu", "dfn5b"): (1000, "prompts share their beginning"),
}
"""Up to how many GFLOP a tag is the best, and what else speaks for it."""


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as stream:
        published = {(row["name"], row["pretrained"]): row for row in csv.DictReader(stream)}
    means = {key: statistics.fmean(_accuracies(row).values()) for key, row in published.items()}
    tags = []
    for (model, pretrained), (limit, why) in CHOSEN.items():
        row = published[model, pretrained]
        if limit is not None:
            best = max((key for key, other in published.items() if _gflops(other) <= limit), key=means.__getitem__)
            if best != (model, pretrained):
                sys.exit(
                    f"write_backbone_tags: up to {limit} GFLOP the best is {' '.join(best)}, not {model} {pretrained}"
                )
            why = f"the best up to {limit:,} GFLOP; {why}"
        tags.append(
            {
                "model": model,
                "pretrained": pretrained,
                "million_parameters": round(float(row["params (M)"])),
                "gflop": round(_gflops(row)),
                **{name: round(100 * accuracy, 2) for name, accuracy in _accuracies(row).items()},
                "mean": round(100 * means[model, pretrained], 1),
                "why": why,
            }
        )
    content = {
        "about": "zero-shot accuracy in percent as open_clip publishes it; choice and mean are fgvr's",
        "source": SOURCE,
        "date": DATE,
        "sets": SETS,
        "tags": tags,
    }
    with replacing(TARGET) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")
    return 0


def _accuracies(row: dict[str, str]) -> dict[str, float]:
    return {name: float(row[column]) for name, column in SETS.items()}


def _gflops(row: dict[str, str]) -> float:
    return float(row["FLOPs (B)"])


if __name__ == "__main__":
    sys.exit(main())
