"""What a model thought before it answered is no answer: thoughts are cut out, in whatever markup they come."""

import re

_WORD = (
    r"(?:[a-z]{2,6}:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|rationale|reflections?|scratch_?pad|deliberations?|"
    r"analysis|inner_?(?:monologue|thoughts?)|internal(?:_?\w{1,12})?|monologue|"
    r"chain[_-]?of[_-]?thoughts?|cot(?:_budget_reflect)?|"
    r"plan(?:ning)?|step[_-]by[_-]step|reasoning_steps)(?:[_ ]process|_steps?)?"
)
# "<think>", "[THINK]", "◁think▷", "<|begin_of_thought|>", "<|START_THINKING|>", and what they are closed with
_MARK = re.compile(
    rf"<(?P<closed>/)?{_WORD}(?:\s[^<>]{{0,100}})?>|\u25c1(?P<closed2>/)?{_WORD}\u25b7"
    rf"|\[(?:(?P<closed3>/|end\s(?:of\s)?)|(?:begin|start)\s)?{_WORD}\]"
    rf"|<\|(?:(?P<closed4>/|end_(?:of_)?)|begin_(?:of_)?|start_(?:of_)?)?{_WORD}(?:(?P<closed7>_end)|_begin|_start)?\|>"
    r"|<unused94>|(?P<closed5><unused95>)|<\|channel>|(?P<closed6><channel\|>)",
    re.IGNORECASE,
)
# where an answer begins, for thoughts that were never closed
_ANSWER = re.compile(
    r"<(?:final_?)?(?:answer|response|output|result)>|<\|(?:begin_of_solution|start_response)\|>"
    r"|(?P<bracket>\[(?:final\s)?(?:answer|response|output|result|conclusion)\])",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>[a-z]+)(?P<rest>[^<]{0,100}(?:<\|constrain\|>[^<]{0,20})?)<\|message\|>", re.IGNORECASE
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>", re.IGNORECASE)
# the same where a server cut the marks off: "analysisThe user wants ...assistantfinalPug"
_BARE_CHANNEL = re.compile(r"\A(?:analysis|commentary)(?=[A-Z\"'*]).*?(?:assistant\s?final(?P<final>.*)|\Z)", re.DOTALL)


# tags that hold thoughts only where an answer stands outside them
_SOFT = re.compile(
    r"<(?P<tag>observations?|summary|caption|description|explanation|evidence|draft|notes?|image_description|context|"
    r"details|box|bbox|points?|look|features?)(?:\s[^<>]{0,200})?>(?:(?!<(?P=tag)\b).)*?</(?P=tag)\s*>",
    re.IGNORECASE | re.DOTALL,
)
_DETAILS = re.compile(r"<details\b[^<>]{0,200}>.*?</details\s*>", re.IGNORECASE | re.DOTALL)
_ANY_TAG = re.compile(r"<[^<>]{0,300}>")
_FINAL = r"(?:the\s)?(?:final\s)?(?:answer|response|output|result|conclusion|verdict|identification|label)"
# how thoughts begin and end that have no tags; what follows is the answer
_TOLD = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"\A[\s*_>#]*thinking\s?\.\.\.[*_]*\s*\n.*?\.\.\.\s?done thinking\.?[*_]*",
        r"\A\s*```(?:thinking|thoughts?|think|reasoning|analysis|scratchpad)[^\S\n]*\n.*?\n\s*```",
        r"\A[\s*_>#]*here (?:is|are|'s) my (?:thought process|thoughts|thinking|"
        r"reasoning)[*_]*\s*:.*?here (?:is|'s) my "
        r"(?:final )?(?:response|answer)[*_]*\s*:",
        r"\A\s*[*_]{1,2}\(?(?:my )?(?:thinking|thoughts?|reasoning)(?: "
        r"process)?\s?:[^\n]{0,4000}?[*_]{1,2}[^\S\n]*\n\s*\n",
        r"\A\s*\((?:thinking|thoughts?|reasoning)(?: process)?\s?:[^()]{0,4000}\)\s*\n",
        r"\A[>*_\s]*(?:thought|reasoned|thinking)(?: process)? for (?:a |an |about |~)?[\w. ]{1,30}?"
        r"(?:seconds?|minutes?|moments?|s|secs?|while)\b[^\n]{0,10}\n(?:\s*>[^\n]*\n)*",
        r"\A(?:[^\S\n]*>[^\n]{40,}\n)(?:[^\S\n]*>[^\n]*\n)*\s*\n(?=[^>\s])",
        r"\A\s*#{1,6}\s*[*_]*(?:thinking|thoughts?|reasoning)(?: process)?[*_:]*\s*\n.*\n#{1,6}\s*[*_]*"
        + _FINAL
        + r"[*_:]*\s*\n",
        r"\A\s*(?:思考(?:过程|過程)?|思路|推理(?:过程)?|考え|思考プロセス|생각|사고 과정)\s?:.*\n\s*"
        r"(?=(?:最终|最終)?(?:答案|答え|回答|结论|結論|정답|답|결론)\s?:)",
        r"\A[*_#\s]*(?:thinking|thought|reasoning) "
        r"process\s?:[*_]*[^\S\n]{0,9}\n.*\n[^\S\n]{0,9}\n(?=[^\s*#\d-][^\n]*\s*\Z)",
        r"\Athoughts?\n.*\n\s*(?=\S[^\n]*\s*\Z)",
        r"\A\s*(?:analysis|commentary)\b.*(?:assistant\s?final|\n\s*final\s?:|assistant<\|channel\|>final)\s*",
        r"\A\s*assistant\s?final\s*",
    )
)


_BLANK = re.compile(r"\n(?:[^\S\n]{0,99}\n){2,}")


def without_thoughts(text: str) -> str:
    """The text without thoughts.

    Where thoughts were closed but never opened, all before is thoughts; where they were never closed, all after.

    Args:
        text: A reply with its tags.

    Example:
        >>> without_thoughts("<think>A Beagle? No, the ears are too long.</think>Basset Hound")
        'Basset Hound'
        >>> without_thoughts("<think>It could be a Beagle")
        ''
    """
    text = _BLANK.sub("\n\n", text)
    if "<|channel|>" in text:
        text = _final_channel(text)
    elif bare := _BARE_CHANNEL.match(text):
        text = bare["final"] or ""
    for told in _TOLD:
        text = _without(told, text)
    kept: list[str] = []
    depth = start = 0
    for mark in _MARK.finditer(text):
        if depth == 0:
            kept.append(text[start : mark.start()])
        if mark.lastgroup:
            kept = kept if depth else []
            depth = max(depth - 1, 0)
        else:
            depth += 1
        start = mark.end()
    if depth == 0:
        kept.append(text[start:])
    elif answer := _ANSWER.search(text, start):
        kept.append(text[answer.end() if answer["bracket"] else answer.start() :])
    said = "".join(kept)
    return _without(_SOFT, _without(_DETAILS, said)) if "</" in said else said


def _without(thoughts: re.Pattern[str], text: str) -> str:
    """The text without what a pattern finds, where something is left then."""
    rest = thoughts.sub("", text)
    return rest if len(rest) < len(text) and _ANY_TAG.sub("", rest).strip() else text


def _final_channel(text: str) -> str:
    """What was said in the last channel that is meant for the user, or for a function; ``""`` where there is none."""
    said = ""
    for channel in _CHANNEL.finditer(text):
        end = _CHANNEL_END.search(text, channel.end())
        if channel["name"].lower() == "final" or "to=" in channel["rest"]:
            said = text[channel.end() : end.start() if end else len(text)]
    return said
