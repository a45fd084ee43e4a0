"""Ten kills of what matters most; ``scripts/kill_matrix.py`` does more of all stages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/kill_matrix.py"
KILLS = 10
STAGES = ["remote", "batch", "elsewhere"]


@pytest.mark.slow
def test_kills_lose_nothing_and_change_no_result():
    chosen = [token for stage in STAGES for token in ("--stage", stage)]
    command = [sys.executable, str(SCRIPT), "--kills", str(KILLS), *chosen]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] >= KILLS - len(STAGES), "most kills met a process that was at work"
    for stage in found["stages"].values():
        assert stage["lost"] == stage["too_many"] == stage["unequal"] == stage["stuck"] == stage["outlived"] == 0
