"""Kinds of replies that state their names in a structure: tool calls, JSON, XML, tables, fields."""

import re
from collections.abc import Iterable

from fgvr.reading.fields import is_confidence, is_name_field
from fgvr.reading.json_values import JsonValue, json_values
from fgvr.reading.kinds import ReplyKind
from fgvr.reading.lines import KeyedReply
from fgvr.reading.names import Reading
from fgvr.reading.plain import plain
from fgvr.reading.tables import TableReply
from fgvr.reading.tool_calls import ToolCallReply
from fgvr.reading.values import readings_of

_BOXED = re.compile(
    r"\\f?boxed\{((?:[^{}\n]|\{[^{}\n]{0,150}\}){1,200})\}"
)  # "\boxed{\text{Pug}}" of models that reason
_COMMAND = re.compile(r"\\(?:text|math|emph|underline|it|bf)\w{0,5}\s?\{([^{}\n]{0,150})\}")
_FENCE = re.compile(r"^[^\S\n]*```[\w-]{0,20}[^\S\n]*$|```", re.MULTILINE)


class BoxedReply(ReplyKind):
    """The answer of a model that was trained on sums: what stands in the last box."""

    examples = (
        (r"The face is flat, so \boxed{\text{Pug}}", "Pug"),
        (r"$\boxed{Royal Tern}$", "Royal Tern"),
        (r"Not \boxed{Beagle}, but \boxed{\textbf{Basset Hound}}", "Basset Hound"),
        (r"\[ \boxed{\mathrm{Boeing\ 747-400}} \]", "Boeing 747-400"),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        if "boxed" not in text:
            return None
        text = re.sub(r"\\[ ,;~]", " ", text)
        for _ in range(3):
            text = _COMMAND.sub(r"\1", text)
        boxed = _BOXED.findall(text)
        return list(readings_of(boxed[-1].strip("{} "))) or None if boxed else None


# before what is no answer: "I also considered {...}", "(instead of {...})"
_ALSO = re.compile(
    r"(?:also considered|considered|instead of|rather than|not|unlike|ruled out|rejected|"
    r"alternative\w*|excluded|previously|"
    r"runner-?up|less likely)[^.{}\n]{0,40}\Z",
    re.IGNORECASE,
)


class JsonReply(ReplyKind):
    """JSON, also in a fence, behind prose or within it.

    Values that stand side by side are a list of candidates; of those with prose between, earlier ones are drafts, and
    the last that names something counts.
    """

    examples = (
        ('{"common_name": "Pug", "confidence": 0.9}', "Pug"),
        ('```json\n{"Corn Bunting": 0.7, "Skylark": 0.2}\n```', "Corn Bunting"),
        ('{"Skylark": "20 %", "Corn Bunting": "70 %"}', "Corn Bunting"),
        ('{"Corn Bunting": {"scientific_name": "Emberiza calandra", "probability": 0.7}}', "Corn Bunting"),
        ('{"result": {"bird": {"name": "Corn Bunting"}, "draft": {"name": "Skylark"}}}', "Corn Bunting"),
        ('First guess: {"name": "Beagle"}. After a closer look: {"name": "Basset Hound"}', "Basset Hound"),
        ('{"name": "Pug"}\n{"name": "Boxer"}', "Pug"),
        ('{"name": "classify", "arguments": {"label": "Basset Hound"}}', "Basset Hound"),
        ('{"function": {"name": "f", "arguments": "{\\"breed\\": \\"Basset Hound\\"}"}}', "Basset Hound"),
        ("{name: 'Pug', // a flat face\n confidence: .9}", "Pug"),
        ('{"genus": "Emberiza", "species": "calandra"}', "Emberiza calandra"),
        ('{"error": {"message": "overloaded"}}', ""),
        ('{"name": null}', ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        text = plain(text)
        if text[:2] in ('"{', '"['):  # JSON in a string of JSON
            text = text.strip('"').replace('\\"', '"')
        values = json_values(text)
        if not values:
            return None
        groups = _side_by_side(values, text)
        aside = [bool(_ALSO.search(text[: group[0].start])) for group in groups]
        for group in [
            group
            for flag in (False, True)
            for group, also in zip(groups[::-1], aside[::-1], strict=True)
            if also is flag
        ]:
            value = group[0].value if len(group) == 1 else [each.value for each in group]
            readings = list(readings_of(value))
            if any(reading.name for reading in readings):
                return readings
        before = _FENCE.sub("", text[: values[0].start]).strip()
        if before and not before.endswith(":"):  # "Here is the JSON:"
            return None
        return readings or [Reading("", None, "refusal" if values[0].complete else "unparsed")]


def _side_by_side(values: list[JsonValue], text: str) -> list[list[JsonValue]]:
    groups = [[values[0]]]
    for value in values[1:]:
        if text[groups[-1][-1].end : value.start].strip(" \n,;"):
            groups.append([value])
        else:
            groups[-1].append(value)
    return groups


# "<name>Pug</name>"
_LEAF = re.compile(r"<([^\W\d_][\w:.-]{0,40})(\s[^<>]{0,200})?>([^<>]{1,2000})</\1\s{0,5}>")
_TAGS = re.compile(r"<[^<>]{0,300}>")
_ERROR = re.compile(
    r"\s*(?:<\?xml[^<>]{0,200}>)?\s*<(?:\w{1,20}:)?(?:error|fault|exception|errors|errorresponse)\b", re.IGNORECASE
)
_ANSWERS = frozenset(
    ("answer", "final", "final_answer", "response", "result", "output", "label", "species", "breed", "name")
)
_OF_HTML = frozenset(("class", "title", "label", "name", "id"))
# 'name="Pug"' of '<bird name="Pug" confidence="0.9"/>'
_ATTRIBUTES = re.compile(
    r"<([A-Za-z][\w:.-]{0,40})((?:\s+[\w:.-]{1,40}\s?=\s?(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'))+)\s?/?>"
)
_ATTRIBUTE = re.compile(r"([\w:.-]{1,40})\s?=\s?(?:\"([^\"<>]{0,200})\"|'([^'<>]{0,200})')")
_INLINE = re.compile(
    r"</?(?:b|i|em|strong|u|span|mark|code|small|sup|sub|font|a|p)(?:\s[^<>]{0,200})?>|<br\s?/?>", re.IGNORECASE
)
_WEB = frozenset((
    "title", "label", "html", "head", "body", "th", "td", "tr", "table", "li", "ul", "ol", "div", "meta", "link", "img",
    "input", "option", "script", "style", "details", "summary", "section", "article", "h1", "h2", "h3", "h4", "dl",
    "dt", "dd", "pre", "svg",
))  # fmt: skip


class XmlReply(ReplyKind):
    """Fields in tags: <name>Pug</name><confidence>0.9</confidence>."""

    examples = (
        (
            "<common_name>Purple Finch</common_name><scientific_name>Haemorhous purpureus</scientific_name>",
            "Purple Finch",
        ),
        ("<name>Basset Hound</name><confidence>0.9</confidence>", "Basset Hound"),
        ("<answer>\n**Silver Birch** (*Betula pendula*)\n</answer>", "Silver Birch"),
        ('<bird name="Corn Bunting" probability="0.7"/>', "Corn Bunting"),
        (
            "<candidates><c><species>Skylark</species><p>x</p><probability>0.2</probability></c>"
            "<c><species>Corn Bunting</species><probability>0.7</probability></c></candidates>",
            "Corn Bunting",
        ),
        ("<species>unknown</species>", ""),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        bare = _INLINE.sub("", text)
        leaves = list(_LEAF.finditer(bare))
        fields = [field for leaf in leaves for field in _fields(leaf)]
        if not any(is_name_field(key) and key.lower() not in _WEB for key, _ in fields):
            attributes = [
                (key, double or single)
                for attributes in _ATTRIBUTES.findall(text)
                for key, double, single in _ATTRIBUTE.findall(attributes[1])
                if attributes[0].lower() not in _WEB and (key not in _OF_HTML or not leaves)
            ]
            if any(is_name_field(key) for key, _ in attributes):
                fields = attributes
            elif _ERROR.match(bare):
                return [Reading("", None, "error")]
            elif not fields or any(key.lower() in _WEB for key, _ in fields) or _outside(bare):
                return None
            else:
                found = list(readings_of(dict(fields)))
                return found if any(reading.name for reading in found) else None
        rows = _rows(fields)
        drafts = [leaf for leaf in leaves if leaf[1].lower() in _ANSWERS]
        if len(drafts) > 1 and len(drafts) == len(leaves) and _outside(bare):
            return list(readings_of(drafts[-1][3].strip()))
        return list(readings_of(rows[0] if len(rows) == 1 else list(rows)))


def _fields(leaf: re.Match[str]) -> list[tuple[str, str]]:
    """A tag as a field, and the confidence that stands in its attributes."""
    stated = [
        (key, double or single) for key, double, single in _ATTRIBUTE.findall(leaf[2] or "") if is_confidence(key)
    ]
    return [(leaf[1], leaf[3].strip()), *stated]


def _outside(text: str) -> bool:
    """Whether anything stands outside the tags."""
    return bool(_TAGS.sub("", _LEAF.sub("", text)).strip(" \n`"))


def _rows(fields: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Fields as mappings; a new one begins where a key comes again."""
    rows: list[dict[str, str]] = [{}]
    for key, value in fields:
        if key in rows[-1]:
            rows.append({})
        rows[-1][key] = value
    return rows


STRUCTURES: tuple[ReplyKind, ...] = (BoxedReply(), ToolCallReply(), TableReply(), XmlReply(), JsonReply(), KeyedReply())
"""Kinds of structure in the order in which they are tried."""
