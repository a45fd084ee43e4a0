"""``report.html`` of a run folder: one file that needs nothing else."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from fgvr.candidates.quality import CandidateQuality
from fgvr.files import replacing
from fgvr.records import LabelRecord, Vocabulary
from fgvr.reports.table import table_cells
from fgvr.runs import RunFolder

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
td, th { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
pre { background: #f6f6f6; padding: 1rem; overflow-x: auto }
"""


def write_report(
    folder: RunFolder,
    rows: Mapping[str, Mapping[str, Any]],
    labels: Sequence[LabelRecord],
    vocabulary: Vocabulary,
    quality: CandidateQuality | None,
    config: str,
) -> None:
    """Write the report. Names and replies are untrusted text: everything is escaped.

    Args:
        folder: The run.
        rows: The result table, as in ``metrics.json``.
        labels: What the labeler said; empty where class names were given.
        vocabulary: The label space.
        quality: What the candidate sets are worth; ``None`` where nothing was trained.
        config: The resolved configuration, YAML.
    """
    title = f"{folder.path.parent.name}, run {folder.path.name}"
    parts = [f"<h1>{escape(title)}</h1>", "<h2>Results</h2>", _table(table_cells(rows))]
    if labels:
        flags = Counter(label.flag or "usable" for label in labels)
        cells = [["replies", "photos"], *([flag, str(count)] for flag, count in flags.most_common())]
        parts += ["<h2>Labels</h2>", _table(cells)]
    spellings = Counter(vocabulary.members.values())
    parts += [
        "<h2>Label space</h2>",
        f"<p>{len(vocabulary.members) or len(vocabulary)} spellings, {len(vocabulary)} classes.</p>",
    ]
    if quality is not None:
        cells = [["candidate sets", ""], ["photos", str(quality.photos)], ["mean size", f"{quality.mean_size:.2f}"]]
        if quality.coverage is not None and quality.purity is not None:
            cells += [["coverage", f"{quality.coverage:.1%}"], ["purity", f"{quality.purity:.1%}"]]
        parts += ["<h2>Candidate sets</h2>", _table(cells)]
    if vocabulary.counts:
        order = sorted(range(len(vocabulary)), key=lambda index: -vocabulary.counts[index])
        cells = [["class", "photos", "spellings"]]
        cells += [[vocabulary.names[i], str(vocabulary.counts[i]), str(spellings[i])] for i in order]
        parts += ["<h2>Classes</h2>", _table(cells)]
    parts += ["<h2>Configuration</h2>", f"<pre>{escape(config)}</pre>"]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    with replacing(folder.report) as path:
        path.write_text(page, encoding="utf-8")


def _table(cells: Sequence[Sequence[str]]) -> str:
    head, *body = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in cells]
    rows = "".join(f"<tr>{row}</tr>" for row in body)
    return f"<table><thead><tr>{head.replace('td>', 'th>')}</tr></thead><tbody>{rows}</tbody></table>"
