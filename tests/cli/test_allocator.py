"""What glibc does is counted in a process of its own: it cannot be undone in this one."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from fgvr.cli.allocator import keep_freed_memory

print(keep_freed_memory())
for _ in range(8):  # a step's activations, 16,000 pages in all; the first few find their places
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(2_000_000) for _ in range(8)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GLIBC = sys.platform.startswith("linux") and "glibc" in os.confstr("CS_GNU_LIBC_VERSION")


def run(**environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    changed, faults = done.stdout.split()
    return changed == "True", int(faults)


@pytest.mark.skipif(not GLIBC, reason="another allocator than glibc's")
def test_a_step_finds_the_memory_of_the_one_before():
    changed, faults = run()
    assert changed
    assert faults < 1000


@pytest.mark.parametrize(
    "setting", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_the_users_own_settings_stay(setting):
    assert not run(**setting)[0]
