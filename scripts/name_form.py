"""What years and words for a body are worth in the names of recorded replies about vehicles.

    python scripts/name_form.py ../shared/data/cars98/replies.jsonl

Nothing is classified: each photo has the name of its own reply. Four ways of writing it:

read             What fgvr reads in the reply.
extracted        What a second language model made of the same reply.
extracted, bare  That, without years and words for a body that "read" has not.
read, dressed    What fgvr reads, with those years and words behind it.
"""

import json
import re
import sys
from pathlib import Path

from fgvr.metrics.protocol import score
from fgvr.reading.replies import parse_reply

ADDED = re.compile(r"(?:19|20)\d\d|sedan|suv|coupe|convertible|hatchback|wagon|van|minivan|truck|hybrid", re.IGNORECASE)
ENCODERS = ["all-MiniLM-L6-v2"]


def added(extracted: str, read: str) -> set[str]:
    """Years and words for a body that only the extracted name has."""
    known = read.casefold()
    return {word for word in extracted.split() if ADDED.fullmatch(word) and word.casefold() not in known}


def main(replies: Path) -> None:
    lines = [json.loads(line) for line in replies.read_text(encoding="utf-8").split("\n") if line.strip()]
    read = [(parse_reply(line["raw"]).names or ("",))[0] for line in lines]
    extracted = [next(iter(line["extracted"].values()), "") for line in lines]
    extra = [added(theirs, ours) for theirs, ours in zip(extracted, read, strict=True)]
    ways = {
        "read": read,
        "extracted": extracted,
        "extracted, bare": [
            " ".join(word for word in theirs.split() if word not in words)
            for theirs, words in zip(extracted, extra, strict=True)
        ],
        "read, dressed": [
            " ".join([ours, *(word for word in theirs.split() if word in words)])
            for ours, theirs, words in zip(read, extracted, extra, strict=True)
        ],
    }
    figures = {way: score(names, [line["class_name"] for line in lines], ENCODERS) for way, names in ways.items()}
    print("| names | different | sACC (MiniLM) | cACC | sIoU |\n|---|---|---|---|---|")
    for way, row in figures.items():
        sacc, cacc, siou = row["sacc_all_minilm_l6_v2"], row["cacc"], row["siou"]
        print(f"| {way} | {len(set(ways[way]))} | {sacc:.1f} | {cacc:.1f} | {siou:.1f} |")
    print(json.dumps(figures))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
