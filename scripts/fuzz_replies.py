"""Reads random replies, put together from pieces of real kinds of replies, and checks what must hold of every reading.

    python scripts/fuzz_replies.py --replies 200000

Names are clean, short and as many as scientific names; there is a flag exactly where there is no name; a confidence is
in [0, 1]. It stops at the first reply that breaks one of these and prints it. The last line is JSON with the number of
replies, how many gave names, the flags, and the longest time that one took (CPU seconds).
"""

import argparse
import json
import random
import time
from collections import Counter

from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.reading.structures import STRUCTURES
from fgvr.reading.texts import TEXTS
from fgvr.reading.words import lines_of

FLAGS = ("empty", "refusal", "error", "generic", "unparsed")
MARKS = (
    "*", "**", "***", "(", ")", "[", "]", "<", ">", "</", "/>", "<think>", "</think>", "<a ", "{", "}", '{"name": "',
    '"}', '": ', "`", "```", "```json\n", '"', "'", "#", "## ", "|", "|---|", "\n", "\n\n", " ", ". ", "! ", "? ", ": ",
    ":", ",", ", ", ";", " - ", "\u2014", "_", "\\", "\\boxed{", "\u200b", "\u200d", "\ufdfa", "\ud83d", "\ud83d\udc36",
    "\u0301", "\u0e33", "\u0947", "\u3002", "\uff0c", "&lt;", "&#0;", "0", "9", "2012", "90%", "0.7", "-", "is ",
    "is a ", "the ", "a ", "or ", "not ", "of ", "<|channel|>final<|message|>", "<|channel|>analysis<|message|>",
    "[TOOL_CALLS]", "call(label='", "Therefore, ", "Conclusion: ", "known as ", "\t", "\r\n", "\x00", "\x1b[2J",
)  # fmt: skip


def pieces() -> list[str]:
    """Whole examples, their words, marks, and lines of the files of words as they stand."""
    examples = [raw for kind in (*STRUCTURES, *TEXTS) for raw, _ in kind.examples]
    words = [f"{word} " for raw in examples for word in raw.split()]
    patterns = [line for name in ("refusals", "errors", "sentences", "conclusions") for line in lines_of(name)]
    return [*examples, *words, *MARKS * 8, *patterns]


def reply(chance: random.Random, parts: list[str]) -> str:
    """A reply of up to 40 pieces; now and then one piece many times over, or an example cut off anywhere."""
    kind = chance.random()
    if kind < 0.02:
        return (chance.choice(parts) * 12_000)[:12_000]
    text = "".join(chance.choices(parts, k=chance.randint(1, 40)))
    return text[: chance.randint(0, len(text))] if kind < 0.5 else text


def broken(parsed: ParsedReply) -> str:
    """What does not hold of a reading; ``""`` where all does."""
    if bool(parsed.names) == bool(parsed.flag) or (parsed.flag and parsed.flag not in FLAGS):
        return "names and flag"
    if len(parsed.names) != len(parsed.scientific_names):
        return "scientific names"
    if parsed.confidence is not None and not 0 <= parsed.confidence <= 1:
        return "confidence"
    for name in parsed.names:
        if len(name) > 60 or len(name.split()) > 8 or name != name.strip() or set(name) & set('<>{}[]()*`"#|\n\t\\:;,'):
            return f"the name {name!r}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance, parts = random.Random(arguments.seed), pieces()
    flags: Counter[str] = Counter()
    worst, slowest = 0.0, ""
    for number in range(arguments.replies):
        raw = reply(chance, parts)
        start = time.process_time()
        parsed = parse_reply(raw, first_only=bool(number % 2))
        seconds = time.process_time() - start
        if seconds > worst:
            worst, slowest = seconds, raw
        flags[parsed.flag] += 1
        if problem := broken(parsed):
            raise SystemExit(f"Reply {number} breaks {problem}: {raw!r}\n{parsed}")
    print(f"slowest, {worst:.2f} s: {slowest[:80]!r} ({len(slowest)} characters)")
    figures = {
        "replies": arguments.replies,
        "named": flags.pop("", 0),
        "flags": dict(flags),
        "worst_seconds": round(worst, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
