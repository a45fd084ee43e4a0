"""Write what each file of the package is for into docs/architecture.md, from the first lines of their docstrings.

    python scripts/write_file_list.py

A test holds the list equal to the files.
"""

import ast
import re
import sys
from pathlib import Path

from fgvr.files import replacing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BLOCK = re.compile(r"(<!-- begin files -->\n).*?(<!-- end files -->)", re.DOTALL)


def file_list() -> str:
    """A paragraph a folder, a line a file."""
    lines = []
    for folder in sorted({path.parent for path in (ROOT / "fgvr").rglob("*.py")}):
        about = [(path.name, summary(path)) for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        if about:
            lines += [f"`{folder.relative_to(ROOT)}/`", "", *(f"- `{name}`: {text}" for name, text in about), ""]
    return "\n".join(lines)


def summary(path: Path) -> str:
    """The first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def with_list(page: str) -> str:
    """The page with the list as it should be.

    Raises:
        ValueError: The page has no place for it.
    """
    page, count = BLOCK.subn(lambda match: f"{match[1]}\n{file_list()}\n{match[2]}", page)
    if count != 1:
        raise ValueError(f"{PAGE} has {count} places between '<!-- begin files -->' and '<!-- end files -->'.")
    return page


if __name__ == "__main__":
    try:
        text = with_list(PAGE.read_text(encoding="utf-8"))
    except ValueError as error:
        sys.exit(f"write_file_list: {error}")
    with replacing(PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
