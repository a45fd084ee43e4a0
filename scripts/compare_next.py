"""What further questions buy after a first run: the photos that it doubts, or photos drawn at random.

    python scripts/compare_next.py --config quickstart.yaml --data.shots null --data.direct false --compare null

For each seed, a first run asks about ``--first`` photos that were drawn at random and learns. A second one has
``--more`` names beside these: of the photos that the first run doubts most (``data.select: uncertain``), or of photos
that are drawn on. Both learn from scratch, with the options that are given; the seed is that of the draw and of the
training. True names measure what came of it, and choose nothing. Runs and replies are kept in a temporary folder.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from fgvr.cli.ask_next import choose_next, parsed
from fgvr.cli.stages import add_label_options
from fgvr.config.cli import FgvrCLI
from fgvr.pipeline.run import Run


def second_rounds(options: list[str], first: int, more: int, seed: int, folder: Path) -> dict[str, Run]:
    """The first run, and both second ones."""
    options = [*options, "--seed_everything", str(seed), "--run.root", str(folder)]
    options += ["--data.label_store", str(folder / "labels.sqlite")]
    drawn = ["--data.select", "random", "--data.select.seed", str(seed), "--data.select.n"]
    runs = {"before": fitted([*options, *drawn, str(first), "--run.name", f"first{seed}"])}
    runs["random"] = fitted([*options, *drawn, str(first + more), "--run.name", f"random{seed}"])
    doubted = ["--data.select", "uncertain", "--data.select.run", str(runs["before"].folder.path)]
    doubted += ["--data.select.n", str(more)]
    cli = parsed([*options, *doubted], add_label_options)
    data = Run(cli.build()).data
    choose_next(cli, data, data.select)
    runs["uncertain"] = fitted([*options, *doubted, "--data.select.keep", "true", "--run.name", f"uncertain{seed}"])
    return runs


def fitted(options: list[str]) -> Run:
    """A run of these options."""
    run = Run(FgvrCLI("fit", options).build())
    run.fit()
    run.end_writing()
    return run


def main() -> None:
    """Print mean and standard deviation over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=80, help="photos that the first run asks about (80)")
    parser.add_argument("--more", type=int, default=40, help="further ones (40)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (5)")
    args, options = parser.parse_known_args()
    figures: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            for name, run in second_rounds(options, args.first, args.more, seed, Path(folder)).items():
                record = run.table[run.method.row]
                for figure in ("cacc", "siou"):
                    figures.setdefault((name, figure), []).append(float(record[figure]))  # type: ignore[arg-type]
                figures.setdefault((name, "classes"), []).append(float(len(run.data.vocabulary or ())))
    for (name, figure), values in figures.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name:10} {figure:8} {statistics.mean(values):5.1f} ± {spread:.1f}   {[round(v, 1) for v in values]}")


if __name__ == "__main__":
    main()
