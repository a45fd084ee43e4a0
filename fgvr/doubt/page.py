"""The photos in doubt as one HTML page that needs nothing else, for a person who decides with the CSV file beside it.

Names, labels and file names are untrusted text: Jinja escapes them, and the page's policy lets no script run.
"""

from collections import defaultdict
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fgvr.datasets.images import Images
from fgvr.doubt.find import Doubts
from fgvr.files import replacing
from fgvr.reports.printable import printable
from fgvr.reports.run_files import Predictions
from fgvr.reports.thumbnails import thumbnails

EXAMPLES = 3
"""Photos that are shown of each of the two names."""
MOST_IN_DOUBT = 500
_MOST_THUMBNAILS = 3000
_MOST_BYTES = 25_000_000
_SIDE = 192
_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(doubts: Doubts, predictions: Predictions, own_row: str, images: Images, path: Path) -> None:
    """Write the page, whole or not at all.

    Beside each photo are its nearest support photos, with what the labeler called them, and photos of the two names:
    evaluated photos that are not in doubt and whose own row is right, the surest ones.

    Args:
        doubts: What was found; the first 500 are shown.
        predictions: What each row says of each evaluated photo.
        own_row: The row that the run is about.
        images: Where the photos are; without any, the page has text only.
        path: The HTML file.
    """
    shown = doubts.images[:MOST_IN_DOUBT]
    in_doubt = {each.sample_id for each in doubts.images}
    examples = _examples(predictions, own_row, in_doubt)
    paths = {record.sample_id: record.path for records in images.splits.values() for record in records}
    wanted = [each.sample_id for each in shown]
    for each in shown:
        wanted += each.nearest.support_ids if each.nearest is not None else ()
        wanted += [*examples.get(each.true_name, []), *examples.get(each.other_name, [])]
    found = {sample_id: paths[sample_id] for sample_id in dict.fromkeys(wanted) if sample_id in paths}
    pictures = thumbnails(found, _MOST_THUMBNAILS, _MOST_BYTES, _SIDE)
    environment = Environment(
        loader=PackageLoader("fgvr.doubt", "template"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["clip"] = printable
    page = environment.get_template("doubtful.html").render(
        doubts=doubts,
        shown=shown,
        examples=examples,
        pictures=pictures,
        policy=_POLICY,
        style=Markup(files(__package__).joinpath("template", "doubtful.css").read_text(encoding="utf-8")),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _examples(predictions: Predictions, own_row: str, in_doubt: set[str]) -> Mapping[str, list[str]]:
    """True name -> photos of it."""
    said = predictions.rows[own_row]
    order = sorted(range(len(predictions.sample_ids)), key=lambda number: -_number(float(said.scores[number])))
    found: dict[str, list[str]] = defaultdict(list)
    second: dict[str, list[str]] = defaultdict(list)
    for number in order:
        name, sample_id = predictions.true_names[number], predictions.sample_ids[number]
        if name and sample_id not in in_doubt:
            (found if said.names[number] == name else second)[name].append(sample_id)
    return {name: [*found[name], *second[name]][:EXAMPLES] for name in {*found, *second}}


def _number(score: float) -> float:
    return score if score == score else 0.0
