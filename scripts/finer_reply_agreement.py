"""How often the names that fgvr reads out of FineR's published replies are those that its released code takes.

    git clone https://github.com/OatmealLiu/FineR
    python scripts/finer_reply_agreement.py FineR

Of each data set with three photos a class: a reply is read by FineR where the text that it has cut out is JSON, whose
keys are then the names. They are equal but for case, hyphens and apostrophes (``equal``); equal when FineR's keys are
divided at their commas, as its code does for dogs and pets (``at_commas``); or equal without Latin names in brackets
or what is around a list (``aside``). ``further`` are replies that FineR leaves out and in which names are read here.
Prints a Markdown table.
"""

import argparse
import json
import re
from pathlib import Path

from fgvr.labelers.tasks.guess_names import GuessNamesTask
from fgvr.vocabulary.build import fold_name

SETS = {
    "CUB-200": ("bird200", "bird"),
    "Stanford Cars": ("car196", "car"),
    "Stanford Dogs": ("dog120", "dog"),
    "Flowers-102": ("flower102", "flower"),
    "Oxford Pets": ("pet37", "pet"),
}
COLUMNS = ("replies", "read by FineR", "equal", "at_commas", "aside", "other", "left out by FineR", "further")
_BRACKETS_AND_QUOTES = re.compile(r"\([^)]*\)|[\[\]\"'`]")


def main() -> None:
    """Print a line for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="a clone of OatmealLiu/FineR")
    clone: Path = parser.parse_args().clone
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for title, (folder, prefix) in SETS.items():
        guesses = clone / "experiments" / folder / "guess"
        raw, cut_out = (
            json.loads((guesses / f"{prefix}_llm_replies_{kind}_3.json").read_text(encoding="utf-8"))
            for kind in ("raw", "jsoned")
        )
        print(f"| {title} | {' | '.join(map(str, compared(raw, cut_out).values()))} |")


def compared(raw: dict[str, str], cut_out: dict[str, str]) -> dict[str, int]:
    """Counts of the replies of one data set.

    Args:
        raw: Key of a reply -> the reply.
        cut_out: The same key -> what FineR has cut out of it, which may be JSON.
    """
    task = GuessNamesTask(guesses=3)
    counts = dict.fromkeys(COLUMNS, 0)
    for key, text in cut_out.items():
        counts["replies"] += 1
        names = task.read(raw[key]).names
        mine = {fold_name(name) for name in names}
        try:
            theirs = list(json.loads(text))
        except ValueError:
            counts["left out by FineR"] += 1
            counts["further"] += bool(names)
            continue
        counts["read by FineR"] += 1
        divided = [name for each in theirs for name in each.split(",")]
        bare = {fold_name(_BRACKETS_AND_QUOTES.sub("", name).strip()) for name in theirs}
        if {fold_name(name) for name in theirs} == mine:
            counts["equal"] += 1
        elif {fold_name(name) for name in divided} == mine:
            counts["at_commas"] += 1
        else:
            counts["aside" if bare == mine else "other"] += 1
    return counts


if __name__ == "__main__":
    main()
