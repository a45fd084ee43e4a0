import subprocess
import sys

import pytest

from fgvr.pipeline import process_watch
from fgvr.pipeline.process_watch import LostProcessError, lost_process


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "failed with exit code 3;"), (143, "was ended by SIGTERM,"), (200, "failed with exit code 200;")],
)
def test_the_end_of_another_process_is_said_whatever_its_exit_code(monkeypatch, code, said):
    """``sys.exit(-1)`` makes 255, which is of no signal."""
    child = subprocess.Popen([sys.executable, "-c", f"raise SystemExit({code})"])
    child.wait()
    monkeypatch.setattr(process_watch, "_children", [child])
    process_watch._several.set()
    try:
        lost = lost_process(RuntimeError("Connection closed by peer"))
    finally:
        process_watch._several.clear()
        process_watch._ending.clear()
    assert isinstance(lost, LostProcessError)
    assert str(lost).startswith(f"Process 1 of this job {said}")
