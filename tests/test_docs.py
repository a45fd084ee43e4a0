"""The pages of docs/ as a reader finds them."""

import doctest
import re
from pathlib import Path

import pytest

from fgvr.metrics.sentence_encoder import available

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_nothing_is_left_to_fill_in(page):
    text = page.read_text()
    assert not re.search(r"\b(?:TEXT|TODO|FIXME)(?:_\w+)?\b", text)
    assert not re.search(r"<!-- begin (\S+) -->\s*<!-- end \1 -->", text), "a sweep's table is missing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.skipif(not available("all-MiniLM-L6-v2"), reason="needs the sentence encoder all-MiniLM-L6-v2")
def test_examples_of_what_figures_mean():
    page = ROOT / "docs/explanation/evaluation.md"
    assert doctest.testfile(str(page), module_relative=False) == (0, page.read_text().count(">>>"))
