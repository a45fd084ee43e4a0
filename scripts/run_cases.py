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
TRACEBACK = (r"^Traceback",)
FAILED = (*TRACEBACK, r"^fgvr: error")
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
    "20": Expected(tuple(f"'true_name': '{name}'" for name in ("1 Euro", "2 Euro", "10 Cent", "20 Cent"))),
    "23": Expected((r"^runs/run/0$", r"^runs/run/1$"), FAILED),
    "24": Expected((r"^runs/run/0$",), FAILED),
    "25": Expected((r"features: 2 photos", r"^runs/run/0$"), (*FAILED, "no such file")),
    "27": Expected((r"^runs/run/0$",), FAILED),
    "28": Expected((r"== cwd[^=]*2 usable[^=]*== win[^=]*2 usable[^=]*== abs[^=]*2 usable",), FAILED),
    "30": Expected((r"^runs/run/0$", r"^predictions +100\.0"), FAILED),
    "31": Expected((r"2 replies changed",), FAILED),
    "32": Expected((r"5 files .*3 \.HEIC", r"pillow-heif", r"1 \.CR2", r"1 without an ending"), FAILED),
    "34": Expected(("'true_name': 'Chihuahua'", "'true_name': 'Afghan hound'"), (r"'true_name': 'n0",)),
    "35": Expected((r"error: lfs\.safetensors .*git lfs pull",), TRACEBACK),
    "37": Expected((r"error: cn\.txt, line 2: not UTF-8",), TRACEBACK),
    "38": Expected((r"(?s)\"name\": \"Pug\".*\"name\": \"Boxer\"",), (*FAILED, "id,name", "0,Pug")),
    "40": Expected((r"max_epochs: 3$",), FAILED),
    "42": Expected((r"error: .*project.*trainer\.logger\.entity",), TRACEBACK),
    "44": Expected((r"^runs/run/0$",), FAILED),
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
