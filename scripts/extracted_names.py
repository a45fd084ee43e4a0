"""The names that a second language model took out of recorded replies, as a CSV for the labeler "fixed".

    python scripts/extracted_names.py REPLIES.jsonl NAMES.csv

Each line of the replies has "image" and "extracted", an object whose first value is the name.
"""

import csv
import json
import sys
from pathlib import Path


def main(replies: Path, names: Path) -> None:
    lines = [json.loads(line) for line in replies.read_text(encoding="utf-8").split("\n") if line.strip()]
    with names.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "name"])
        writer.writerows([line["image"], next(iter(line["extracted"].values()), "")] for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
