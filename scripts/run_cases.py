"""Runs small inputs after public bug reports, and says whether each does what its ``expect.txt`` says.

    python scripts/run_cases.py ../shared/cases            # all that are known here
    python scripts/run_cases.py ../shared/cases 05 12      # some of them

Each folder has ``cmd.sh``, which takes the executable from the environment (``FGVR``) and works in a copy, and
``expect.txt``. What is expected is written down here once more, as what must be in the output and what must not. The
last line is JSON.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

FGVR = Path(sys.executable).parent / "fgvr"
SECONDS = 300


class Expected(NamedTuple):
    """What the output of a case must have, and what it must not have: regular expressions."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def names(**expected: str) -> tuple[str, ...]:
    """The photo whose file name begins with each key has this name alone."""
    return tuple(rf"^{key}\S*\.png \| names: (?:None|\[\]) \['{name}'\] \| flag:  \|" for key, name in expected.items())


UNNAMED = (r"\| names: \S+ \['",)
EXPECTED = {
    "01": Expected((r"max_output_tokens",), UNNAMED),
    "02": Expected(names(a="Basset Hound", b="Basset Hound", c="Basset Hound", d="Basset Hound")),
    "04": Expected((r"max_output_tokens",), UNNAMED),
    "05": Expected(names(a="गौरैया", b="นกกระจอกบ้าน", c="மயில்", d="দোয়েল", e="मोर", f="عُصْفُور")),
    "06": Expected((), UNNAMED),
    "08": Expected((), UNNAMED),
    "10": Expected(names(a="A320", b="A380-800", c="747-400", d="C-130", e="B-52", f="T-72", g="Q400")),
    "12": Expected(
        (*names(a="Purple Finch", b="Basset Hound", c="Purple Finch"), r"^d\S* \| names: \S+ \['Basset Hound'")
    ),
    "13": Expected(names(a="Basset Hound", b="Basset Hound", c="Basset Hound")),
    "15": Expected((r"requires more credits", r"requests: [1-3]$")),
    "17": Expected((r"Model does not support images",)),
    "18": Expected((r"\['Basset Hound'\]|tool call",)),
}


def run(folder: Path) -> str:
    environment = {**os.environ, "FGVR": str(FGVR), "PY": sys.executable}
    done = subprocess.run(
        ["bash", str(folder / "cmd.sh")], capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
    )
    return done.stdout + done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cases", nargs="*", help="the numbers that their folders begin with")
    arguments = parser.parse_args()
    found: dict[str, bool] = {}
    for number in arguments.cases or EXPECTED:
        folder = next(arguments.folder.glob(f"{number}_*"))
        output = run(folder)
        missing = [pattern for pattern in EXPECTED[number].has if not re.search(pattern, output, re.MULTILINE)]
        forbidden = [pattern for pattern in EXPECTED[number].lacks if re.search(pattern, output, re.MULTILINE)]
        found[folder.name] = not missing and not forbidden
        print(f"{'as expected' if found[folder.name] else 'NOT AS EXPECTED':16}{folder.name}", flush=True)
        if not found[folder.name]:
            print(f"  missing {missing}, there but not to be {forbidden}\n  " + "\n  ".join(output.splitlines()[-12:]))
    print(json.dumps(found))
    sys.exit(not all(found.values()))


if __name__ == "__main__":
    main()
