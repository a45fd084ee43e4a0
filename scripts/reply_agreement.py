"""How often the name that fgvr reads out of a raw reply is the one that somebody else took out of it.

    python scripts/reply_agreement.py ../shared/data/recorded_labels

A file has one JSON object a line: `raw`, the reply, and `extracted`, the names that another model or a person found in
it, as {"1": name, ...}. The first of them is compared with the first that fgvr reads, in two ways:

strict      Equal but for case, spaces, hyphens, underscores and apostrophes (`fgvr.vocabulary.build.fold_name`).
normalised  Equal also but for accents and other punctuation, "&" and "and", "gray" and "grey", and words for a kind of
            thing at the end that only one of the two has ("Siamese", "Siamese Cat": KINDS in
            `fgvr.reading.names`).
            Where neither has a fine-grained name ("Domestic Cat", flag "generic"), that is agreement too.

In files of vehicles "normalised" compares make and model: without years and words for a body ("sedan"), one name begins
the other, word by word, and both have at least two words.

Rules are to be developed on the rows with even line numbers, which --differences lists, and measured on the odd ones.
The last line is JSON with all figures.
"""

import argparse
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fgvr.errors import FgvrError
from fgvr.reading.names import KINDS, read_name
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.vocabulary.build import APOSTROPHES, fold_name

# not "roadster" and "spyder", which are names of models too
BODIES = {
    "sedan", "saloon", "suv", "crossover", "coupe", "convertible", "cabriolet", "hatchback", "wagon", "estate",
    "station", "van", "minivan", "pickup", "truck", "car", "vehicle", "hybrid",
}  # fmt: skip
NO_NAME = ("generic", "refusal")
YEAR = re.compile(r"(?:19|20)\d\d")


class Row(NamedTuple):
    """A line of a file.

    Attributes:
        line: Its number, from 1.
        ours: What fgvr reads.
        theirs: The first name of `extracted`; "" where there is none.
        strict: Whether the names are equal as they stand.
        normalised: Whether they are equal after normalisation, or both say that there is no fine-grained name.
        unnamed: Whether both say so.
    """

    line: int
    ours: ParsedReply
    theirs: str
    strict: bool
    normalised: bool
    unnamed: bool


def words(name: str) -> list[str]:
    """The words of a name, without accents, apostrophes and other punctuation."""
    text = unicodedata.normalize("NFKD", name.translate(dict.fromkeys(map(ord, APOSTROPHES))))
    text = "".join(char for char in text if not unicodedata.combining(char)).casefold().replace("&", " and ")
    return ["gray" if word == "grey" else word for word in re.findall(r"[^\W_]+", text)]


def same_name(ours: str, theirs: str) -> bool:
    """Whether two names are equal, or would be without the kind of thing at the end of one."""
    first, second = words(ours), words(theirs)
    pairs = (first, second), (without_kind(first), second), (first, without_kind(second))
    return any("".join(one) == "".join(other) for one, other in pairs)


def without_kind(name: list[str]) -> list[str]:
    while len(name) > 1 and name[-1] in KINDS:
        name = name[:-1]
    return name


def same_vehicle(ours: str, theirs: str) -> bool:
    """Whether make and model agree: of the words without years and bodies, those of one name begin the other's."""
    named = [
        [word for word in words(name) if word not in BODIES and not YEAR.fullmatch(word)] for name in (ours, theirs)
    ]
    shorter, longer = sorted(named, key=lambda name: len("".join(name)))
    beginnings = {"".join(longer[:count]) for count in range(2, len(longer) + 1)}  # "TT" and "T T" are the same
    return len(shorter) >= 2 and "".join(shorter) in beginnings


def rows(path: Path, vehicles: bool) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            raw, theirs = str(row["raw"]), str(next(iter(row["extracted"].values()), ""))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FgvrError(
                f'{path}, line {number}: expected a JSON object with "raw" (the reply) and "extracted" '
                f'({{"1": name, ...}}), got {line[:60]!r}. Correct or remove the line.'
            ) from error
        ours = parse_reply(raw)
        name = next(iter(ours.names), "")
        same = same_vehicle if vehicles else same_name
        unnamed = ours.flag in NO_NAME and (not theirs or read_name(theirs).flag in NO_NAME)
        strict = bool(name) and fold_name(name) == fold_name(theirs)
        yield Row(number, ours, theirs, strict, unnamed or (bool(name) and same(name, theirs)), unnamed)


def figures(measured: list[Row]) -> dict[str, float]:
    """Shares in per cent, of all rows and of either half."""
    halves = {"": measured, "_even": [row for row in measured if row.line % 2 == 0]}
    halves["_odd"] = [row for row in measured if row.line % 2]
    found: dict[str, float] = {"rows": len(measured), "both_unnamed": sum(row.unnamed for row in measured)}
    for half, part in halves.items():
        found[f"strict{half}"] = share([row.strict for row in part])
        found[f"normalised{half}"] = share([row.normalised for row in part])
    return found


def share(hits: list[bool]) -> float:
    return round(100 * sum(hits) / len(hits), 1) if hits else 0.0


def files(paths: list[Path]) -> list[Path]:
    """The files given, and those named *.jsonl of the folders given."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside or not all(file.is_file() for file in inside):
            raise FgvrError(f"{path}: expected a file of replies or a folder with *.jsonl files. Check the path.")
        found += inside
    return found


def table(measured: dict[str, dict[str, float]], vehicles: tuple[str, ...]) -> list[str]:
    width = max(len("file"), *map(len, measured))
    lines = [f"{'file':{width}}  rows  strict %  normalised %  even %  odd %  both unnamed  compared"]
    for name, found in measured.items():
        compared = "make and model" if name.startswith(vehicles) else "name"
        lines.append(
            f"{name:{width}}  {found['rows']:4}  {found['strict']:8.1f}  {found['normalised']:12.1f}  "
            f"{found['normalised_even']:6.1f}  {found['normalised_odd']:5.1f}  {found['both_unnamed']:12}  {compared}"
        )
    return lines


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE_OR_FOLDER")
    parser.add_argument("--vehicles", nargs="*", default=["cars"], help="how names of files of vehicles begin")
    parser.add_argument("--differences", action="store_true", help="list the even rows that do not agree")
    parser.add_argument(
        "--names", type=Path, help="write what is read of each row to this file, to compare two versions"
    )
    args = parser.parse_args(argv)
    vehicles = tuple(args.vehicles)
    measured: dict[str, dict[str, float]] = {}
    read: list[str] = []
    try:
        for path in files(args.paths):
            found = list(rows(path, path.name.startswith(vehicles)))
            measured[path.stem] = figures(found)
            read += [f"{path.stem} {row.line} {', '.join(row.ours.names) or row.ours.flag}" for row in found]
            for row in found:
                if args.differences and row.line % 2 == 0 and not row.normalised:
                    ours = next(iter(row.ours.names), f"({row.ours.flag})")
                    print(f"{path.stem}, line {row.line}: {ours!r}, extracted {row.theirs!r}")
    except FgvrError as error:
        sys.exit(f"reply_agreement: {error}")
    if args.names:
        args.names.write_text("\n".join(read) + "\n", encoding="utf-8")
    print("\n".join(table(measured, vehicles)))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
