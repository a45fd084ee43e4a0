"""Candidate strategies side by side: `fgvr fit` for each strategy and seed, and the table in docs/results.md.

    python scripts/compare_candidates.py --config dogs120_recorded.yaml --seeds 3 --data.dataset.root FOLDER

Runs that are there already (runs/compare_NAME/STRATEGY-SEED/metrics.json) are not repeated.
"""

import argparse
import csv
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"
FIGURES = {"sacc_all_mpnet_base_v2": "sACC (mpnet)", "sacc_all_minilm_l6_v2": "sACC (MiniLM)"}
FIGURES |= {"cacc": "cACC", "siou": "sIOU", "coverage": "coverage (%)", "seconds": "seconds"}


def run(config: str, strategy: str, seed: int, root: Path, extra: list[str]) -> dict:
    folder = root / f"compare_{Path(config).stem}" / f"{strategy}-{seed}"
    if not (folder / "metrics.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that did not end
        options = ["--config", config, "--data.candidates", strategy, "--seed_everything", str(seed), *extra]
        options += ["--run.root", str(root), "--run.name", folder.parent.name, "--run.version", folder.name]
        subprocess.run([sys.executable, "-m", "fgvr", "fit", *options], check=True)
    metrics = json.loads((folder / "metrics.json").read_text())
    trained = next(row for row in metrics if row != "zero_shot")
    metrics[trained]["coverage"] = 100 * coverage(folder)
    return metrics


def coverage(folder: Path) -> float:
    """Share of the candidate sets that hold the true name, as the run logged it."""
    with next((folder / "logs").rglob("metrics.csv")).open(newline="") as stream:
        return next(float(row["candidates/coverage"]) for row in csv.DictReader(stream) if row["candidates/coverage"])


def cell(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 and max(values) > min(values) else ""
    return f"{statistics.mean(values):.1f}{spread}"


def table(runs: dict[str, list[dict]]) -> list[str]:
    first = next(iter(runs.values()))
    own = next(row for row in first[0] if row != "zero_shot")
    # a zero-shot row has no training, so every run says the same of it
    rows = {"zero-shot": [first[0]["zero_shot"]]}
    rows |= {f"{own}, {strategy}": [record[own] for record in records] for strategy, records in runs.items()}
    shown = {key: heading for key, heading in FIGURES.items() if key in first[0][own]}
    lines = ["| | " + " | ".join(shown.values()) + " |", "|---" * (len(shown) + 1) + "|"]
    for name, records in rows.items():
        cells = [name, *(cell([record[key] for record in records]) if key in records[0] else "" for key in shown)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="+", default=["single", "random", "knn"])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    args, extra = parser.parse_known_args()
    runs = {
        strategy: [run(args.config, strategy, seed, args.runs, extra) for seed in range(args.seeds)]
        for strategy in args.strategies
    }
    name = Path(args.config).stem
    block = "\n".join([f"<!-- begin {name} -->", "", *table(runs), "", f"<!-- end {name} -->"])
    text = RESULTS.read_text()
    replaced, count = re.subn(f"<!-- begin {name} -->.*<!-- end {name} -->", lambda _: block, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{RESULTS} needs one line '<!-- begin {name} -->' and one '<!-- end {name} -->'")
    RESULTS.write_text(replaced)
    print(block)


if __name__ == "__main__":
    main()
