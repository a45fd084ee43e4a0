"""README's Python part, as a newcomer would copy it: into a script, and into a notebook."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

README = (Path(__file__).parents[1] / "README.md").read_text()
CELLS = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def newcomer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_five():
    assert len(CELLS) == 5


def test_as_a_script(newcomer):
    Path("script.py").write_text("\n".join(CELLS))
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "zero_shot (simulated)" in done.stdout
    assert Path("runs/objects/0/report.html").is_file()
    assert Path("runs/mine/vocabulary.json").is_file()


def test_in_a_notebook(newcomer):
    shown = [*CELLS[:3], "run.table", "run.report", *CELLS[3:]]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in shown])
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    table, report = (notebook.cells[number].outputs[0].data["text/html"] for number in (3, 4))
    assert "<td>coop (simulated)</td>" in table
    assert "<iframe srcdoc=" in report
