"""Tables: of Markdown, of HTML, with tabs, with commas, and of lines that are drawn."""

import re

from fgvr.reading.fields import is_confidence, is_field, is_name_field
from fgvr.reading.kinds import ReplyKind
from fgvr.reading.names import Reading, read_name
from fgvr.reading.plain import plain
from fgvr.reading.scores import confidence_of, grade_of
from fgvr.reading.values import readings_of

_CELL = re.compile(r"\s*</?(?:t[hd]|d[td])\b[^<>]{0,100}>\s*", re.IGNORECASE)
_TABLE_ROW = re.compile(r"\s*</(?:tr|dd)\s*>\s*", re.IGNORECASE)
_DASHES = re.compile(r"[\s|:+-]*-[\s|:+-]*")
_DRAWN = re.compile(r"^\s*[\u250c\u251c\u2514\u2500\u2554\u2560\u255a\u2550+].*$\n?", re.MULTILINE)
_ROW = re.compile(r"\s*\|.*\|\s*")
# headings of columns beside that of the names
_BESIDE = re.compile(
    r"why|reason\w*|fits?|match\w*|notes?|verdict|how likely|%|likel\w+|comments?|evidence|"
    r"explanation|key features?|features?|"
    r"for|against|pros|cons|support|judg[e]?ment|assessment|score|rank|#|confidence.*|prob\w*|p|"
    r"status|decision|certainty.*|"
    r"details?|remarks?|observations?|because|plausib\w+|chance",
    re.IGNORECASE,
)


_KEYS = re.compile(
    r"taxon|taxonomy|rank|level|field|attribute|property|characteristic|feature|parameter|key|item|aspect",
    re.IGNORECASE,
)
_TICKS = re.compile("([\u2705\u2714\u2713\u2611])|[\u274c\u2718\u2717\u2610]")


class TableReply(ReplyKind):
    """A table: a column of names below a heading, or a field and its value in each row."""

    examples = (
        ("| Name | Confidence |\n|------|-----------|\n| Purple Finch | 0.9 |", "Purple Finch"),
        (
            "| Rank | Name | Confidence |\n|---|---|---|\n| 1 | Basset Hound | 80% |\n| 2 | Beagle | 15% |",
            "Basset Hound",
        ),
        ("| # | Candidate | Likelihood |\n|---|---|---|\n| 1 | Pink Lady | 64 % |", "Pink Lady"),
        ("| Field | Value |\n|---|---|\n| **Species** | Corn Bunting |\n| Size | 18 cm |", "Corn Bunting"),
        ("| Breed | Pug |\n|---|---|\n| Coat | fawn |", "Pug"),
        ("| Guess | Why |\n|---|---|\n| Pug | flat face |\n| Boxer | short coat |", "Pug"),
        ("| Skylark | 20% |\n|---|---|\n| Corn Bunting | 80% |", "Corn Bunting"),
        ("Rank\tName\tScore\n1\tPug\t0.8\n2\tBoxer\t0.1", "Pug"),
        ("rank;species;confidence\n1;Corn Bunting;0,9\n2;Skylark;0,1", "Corn Bunting"),
        ("<table><tr><th>Name</th><th>Confidence</th></tr><tr><td>Pug</td><td>0.8</td></tr></table>", "Pug"),
        ("<dl><dt>Species</dt><dd>Corn Bunting</dd><dt>Size</dt><dd>18 cm</dd></dl>", "Corn Bunting"),
        ("| Feature | Seen |\n|---|---|\n| Bill | heavy |\n\nThis is a **Corn Bunting**.", "Corn Bunting"),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        least = 2
        if "<t" in text.lower() or "<dt" in text.lower():
            text, least = _CELL.sub(" | ", _TABLE_ROW.sub(" |\n", text)).replace(" |  | ", " | "), 1
        if "\u2502" in text or "\u2551" in text:
            text = _DRAWN.sub("", text).replace("\u2502", "|").replace("\u2551", "|")
        if "|" in text:
            text = _TICKS.sub(lambda tick: " yes " if tick[1] else " no ", text)
        rows = _cells(plain(text) if "\t" not in text else text, least) or _separated(plain(text))
        if len(rows) < 2:
            return None
        return _read(rows)


def without_tables(text: str) -> str:
    """A text without the rows of its tables, where anything else is left: what the kinds behind are to read.

    Args:
        text: A reply of several lines.
    """
    lines = text.splitlines()
    rows = [bool(_ROW.fullmatch(line)) for line in lines]
    kept = [
        line
        for index, line in enumerate(lines)
        if not (rows[index] and (any(rows[max(index - 1, 0) : index]) or any(rows[index + 1 : index + 2])))
    ]
    left = "\n".join(kept)
    return left if len(kept) < len(lines) and left.strip() else text


def _read(rows: list[list[str]]) -> list[Reading] | None:
    named = next((row for row in rows if len(row) > 1 and is_name_field(row[0])), None)
    header, *body = rows
    if len(header) == 1:
        return list(readings_of(body[0][0])) if is_name_field(header[0]) else None
    candidates = _candidates(rows) or (_candidates(body) if _BESIDE.fullmatch(header[1].strip(" ?:")) else [])
    if candidates and (named is None or named is header):
        return list(readings_of(candidates))
    if named and named is not header and _KEYS.fullmatch(header[0]):
        return list(readings_of({row[0]: row[1] for row in reversed(body) if len(row) > 1}))
    columns = [is_field(cell) for cell in header]
    if sum(columns) >= 2 or (any(map(is_name_field, header[1:])) and not named):
        return list(readings_of([dict(zip(header, row, strict=False)) for row in body]))
    if named is header and _BESIDE.fullmatch(header[1].strip(" ?:")):
        return list(readings_of([row[0] for row in body]))
    if named:
        return list(readings_of({row[0]: row[1] for row in reversed(rows) if len(row) > 1}))
    return None


def _candidates(rows: list[list[str]]) -> list[object]:
    """Names of the first column with the scores of the second; empty where these are none."""
    pairs = [(row[0], row[1]) for row in rows if len(row) == 2]
    scores = [confidence_of(score) if confidence_of(score) is not None else grade_of(score) for _, score in pairs]
    if not pairs or len(pairs) < len(rows) or any(score is None for score in scores):
        return []
    if any(is_field(name) or not read_name(name).name for name, _ in pairs):
        return []
    return [{"name": name, "confidence": score} for name, score in pairs]


def _cells(text: str, least: int = 2) -> list[list[str]]:
    """The cells of the first table of a text; empty where it has none."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        mark = "\t" if "\t" in line.strip() and "|" not in line else "|"
        cells = [cell.strip(" *_`") for cell in line.strip().strip("|").split(mark)]
        while least == 1 and len(cells) > 1 and not cells[-1]:
            cells.pop()
        if (len(cells) > 1 or (least == 1 and "|" in line)) and not _DASHES.fullmatch(line):
            rows.append(cells)
        elif rows and line.strip() and not _DASHES.fullmatch(line):
            break
    return rows


def _separated(text: str) -> list[list[str]]:
    """The cells of lines with commas or semicolons below a line of keys; empty where the text is no such lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    for mark in (";", ","):
        rows = [[cell.strip(' "*') for cell in line.split(mark)] for line in lines]
        if len(rows) < 2 or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
            continue
        if (
            any(map(is_name_field, rows[0]))
            and sum(is_field(cell) or is_confidence(cell) or cell.lower() in ("rank", "id", "no") for cell in rows[0])
            >= 2
        ):
            return rows
    return []
