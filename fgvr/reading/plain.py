"""A reply as plain text: without markup, tags, and characters that are not seen."""

import html
import re
import unicodedata

from fgvr.vocabulary.build import APOSTROPHES, HYPHENS

MAX_REPLY = 10_000
"""Characters of a reply that are read."""

_TYPOGRAPHY = str.maketrans(
    dict.fromkeys(APOSTROPHES.replace("`", ""), "'")  # backticks are markup here
    | dict.fromkeys(HYPHENS.replace("\u00ad", ""), "-")  # a soft hyphen is not shown
    | {"\u2014": " - ", "\u2015": " - ", "\u201c": '"', "\u201d": '"', "\u00d7": "x"}
    | dict.fromkeys("\u201e\u201f\u00ab\u00bb\u2039\u203a", '"')
)
# Thai and Lao vowels that NFKC takes apart
_WHOLE = re.compile("([\u0e33\u0eb3]+)")
# joiners within a word of a script that needs them: Persian, Hindi, Sinhala
_JOINER = re.compile("(?<=[\u0600-\u0dff])[\u200c\u200d](?=[\u0600-\u0dff])")
_JOINERS = str.maketrans({"\u200c": "\ue000", "\u200d": "\ue001"})  # private characters, which no reply keeps
_JOINED = str.maketrans({"\ue000": "\u200c", "\ue001": "\u200d"})
# "<script>alert(1)</script>", "<style>..."
_SCRIPT = re.compile(r"<(script|style|head|title)\b[^<>]{0,300}>.*?(?:</\1[^<>]{0,20}>|\Z)", re.DOTALL | re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.{0,2000}?)\]\]>", re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/li|/h\d|/div|/tr|/dt|/dd)\b[^<>]{0,100}>", re.IGNORECASE)
_INLINE = re.compile(
    r"</?(?:b|i|em|strong|u|span|mark|code|small|sup|sub|font|a|abbr|cite|q|s|tt|kbd|big|ins|bdi|wbr|ruby|rt|rp)"
    r"(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^<>]{0,300}>")
_TAG_BETWEEN = re.compile(r"(?<=[^\s<>])(?:<[^<>]{0,300}>)+(?=[^\s<>.,;:!?)])")  # of "Pug</name><confidence>0.8"
_FENCE = re.compile(r"^[^\S\n]*```[\w+.-]{0,20}[^\S\n]*$\n?", re.MULTILINE)
_STRUCK = re.compile(r"~~[^~\n]{1,100}~~")  # "~~Beagle~~ Basset Hound"
_LATEX = re.compile(
    r"\\(?:text\w{0,6}|math\w{2,6}|fbox|mbox|emph|underline|boxed|textbf|textit|operatorname)\s?\{([^{}\n]{0,150})\}"
)
_LATEX_EDGES = re.compile(r"\\[()\[\]]|\$\$?(?=[^\d\s]|\s?\Z|\n)|\\displaystyle\b")
_DRAWN = frozenset((*map(chr, range(0x2500, 0x2580)), *"\u2705\u2714\u2713\u2611\u274c\u2718\u2717\u2610"))
"""Signs that say something in a table."""
_SIGNS = re.compile(f"[{''.join(sorted(_DRAWN))}]")
_PAIRS = {
    "(": ")", "[": "]", "{": "}", "<": ">", "\u300c": "\u300d", "\u300e": "\u300f", "\u3010": "\u3011",
    "\u300a": "\u300b", "\u3008": "\u3009", "\u3014": "\u3015", '"': '"', "'": "'",
}  # fmt: skip
_ARROW = re.compile(r"\A(?:\u2192|\u21d2|\u27a1|=>|->|>>>|\u25b6)\ufe0f?\s*")
_ASKED = re.compile(r"\A\s*\[(?:final\s)?(?:answer|response|output|result|label)\]\s*", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,100})\]\([^()\s]{0,300}\)")  # "[Pug](https://example.org/pug)"
_QUOTED = re.compile(r"^[^\S\n]*(?:>[^\S\n]?)+", re.MULTILINE)  # "> Pug"
_RULE = re.compile(r"^[^\S\n]*(?:[-*_=][^\S\n]?){3,}$", re.MULTILINE)  # "---"
_GREETING = re.compile(r"\A(?:sure|certainly|of course|ok|okay|hello|hi|yes)[,.!]\s+", re.IGNORECASE)
# "B. " of "B. Pug", "The correct answer is (B) " of "The correct answer is (B) Pug", not "E. " of "E. coli"
_CHOICE = re.compile(
    r"\A[\s*]{0,4}(?:(?:the\s)?(?:(?:correct|best|final|right)\s)?(?:answer|option|choice)(?:\sis)?:?[\s*]{0,4})?"
    r"(?:\([A-H]\)|[A-H][.)]|(?<=\s)\d[.:)])\s(?=[*\s]{0,4}(?-i:[A-Z]))",
    re.IGNORECASE,
)


def decoded(raw: str) -> str:
    """The reply with one way to write each character, tags and lines still in it.

    Args:
        raw: The reply as it came; untrusted. Only the first 10,000 characters are read.
    """
    text = _CDATA.sub(r"\1", html.unescape(raw[:MAX_REPLY]))
    text = text.translate(_TYPOGRAPHY)  # first, because NFKC makes a space and more of an acute accent
    text = _JOINER.sub(lambda match: match[0].translate(_JOINERS), re.sub("[\ue000\ue001]", "", text))
    parts = _WHOLE.split(text)
    parts[::2] = (unicodedata.normalize("NFKC", part) for part in parts[::2])
    text = "".join(parts)[:MAX_REPLY]
    # category C is also halves of surrogate pairs
    seen = (char for char in text if char in "\n\t\ue000\ue001" or unicodedata.category(char)[0] != "C")
    # pictures are no part of a name
    kept = "".join(
        " " if unicodedata.category(char) == "So" and char not in _DRAWN else char for char in seen if char != "\ufe0f"
    )
    return kept.translate(_JOINED)


def plain(text: str) -> str:
    """A decoded text without tags, link targets, marks of quotations, greetings and runs of spaces."""
    text = _INLINE.sub("", _BREAK.sub("\n", _SCRIPT.sub("", text)))
    text = _TAG.sub("", _TAG_BETWEEN.sub("\n", text))
    text = _RULE.sub("", _QUOTED.sub("", _LINK.sub(r"\1", text)))
    text = _SIGNS.sub(" ", text)
    text = _STRUCK.sub("", _FENCE.sub("", text))
    if "\\" in text:
        text = _without_latex(text)
    text = re.sub(r"[^\S\n]+", " ", text).strip()
    text = _ASKED.sub("", _ARROW.sub("", text, count=1), count=1)
    return _unwrapped(_CHOICE.sub("", _GREETING.sub("", text, count=1), count=1))


def _without_latex(text: str) -> str:
    """A text without commands of LaTeX, and with line breaks for those that were written as a backslash and an n."""
    for _ in range(3):
        text = _LATEX.sub(r"\1", text)
    text = _LATEX_EDGES.sub("", text.replace("\\,", " "))
    return text if "\n" in text.strip() else re.sub(r"\\n(?![a-z])", "\n", text)


def _unwrapped(text: str) -> str:
    """A text of one line without the brackets and quotes around all of it: "\u300cPug\u300d"."""
    while 2 < len(text) <= 120 and "\n" not in text:
        bare = text.rstrip("\u3002. ")
        opening, closing, inner = text[0], _PAIRS.get(text[0]), bare[1:-1]
        if not closing or bare[-1:] != closing or not inner.strip():
            break
        nested = inner[:1] == opening and inner[-1:] == closing
        if not nested and (closing in inner or opening in inner):
            break
        if opening in "[{" and re.search(r"[\"':=]", inner):
            break  # JSON
        text = inner.strip()
    return text
