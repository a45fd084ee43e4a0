"""How many invented replies are read as a careful reader reads them.

    python scripts/invented_replies.py

The files are in ``tests/reading/invented``: ``building.jsonl``, by which rules were made, and
``held_out.jsonl``, which was written by somebody who saw no rules, and looked at once. Nobody asked a model: the
replies are in the manner of several, made up, so that this is no test of models. A reply is right where the first name
is the expected one, but for spelling, or where there is none and none is expected. The last line is JSON with all
figures.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from fgvr.reading.replies import parse_reply
from fgvr.vocabulary.build import fold_name

FOLDER = Path(__file__).parent.parent / "tests" / "reading" / "invented"


def is_right(row: dict[str, object]) -> bool:
    """Whether the first name read is the one that is expected, or there is none in both."""
    expected, read = row["names"], parse_reply(str(row["raw"])).names
    assert isinstance(expected, list)
    return [fold_name(name) for name in read[:1]] == [fold_name(name) for name in expected[:1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--differences", action="store_true", help="list the replies that are read otherwise")
    arguments = parser.parse_args()
    measured: dict[str, dict[str, list[int]]] = {}
    if not FOLDER.is_dir():
        raise SystemExit(f"invented_replies: there is no {FOLDER}. Run it from a checkout, which has the tests.")
    for path in sorted(FOLDER.glob("*.jsonl")):
        right: Counter[str] = Counter()
        count: Counter[str] = Counter()
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found = is_right(row)
            for key in (row["kind"], "all"):
                right[key] += found
                count[key] += 1
            if arguments.differences and not found:
                print(f"{row['id']} ({row['kind']}): expected {row['names']}, read {parse_reply(row['raw']).names}")
        measured[path.stem] = {key: [right[key], count[key]] for key in sorted(count)}
    kinds = sorted({kind for found in measured.values() for kind in found} - {"all"})
    print(f"{'kind':20}" + "".join(f"{name:>12}" for name in measured))
    for kind in (*kinds, "all"):
        cells = ("{} of {}".format(*found.get(kind, [0, 0])) for found in measured.values())
        print(f"{kind:20}" + "".join(f"{cell:>12}" for cell in cells))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
