"""What glibc does is counted in a process of its own: it cannot be undone in this one."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from fgvr.pipeline.allocator import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "keep" else False)
for _ in range(8):  # a step's activations, 20,000 pages; of 40 MB each, which glibc maps and returns whatever it adapts
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(10_000_000) for _ in range(2)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
LIBRARY, VERSION = platform.libc_ver()
KEEPS_40_MB = LIBRARY == "glibc" and tuple(map(int, VERSION.split("."))) >= (2, 35)


def run(what, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, what], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    changed, faults = done.stdout.split()
    return changed == "True", int(faults)


@pytest.mark.skipif(not KEEPS_40_MB, reason="needs the allocator of glibc 2.35 or later")
def test_a_step_finds_the_memory_of_the_one_before():
    assert run("leave")[1] > 10_000
    # where the system puts the heap is drawn: one time in five something is in its way, and a part is returned
    runs = [run("keep")]
    while runs[-1][1] >= 1000 and len(runs) < 10:
        runs.append(run("keep"))
    assert all(changed for changed, _ in runs)
    assert runs[-1][1] < 1000


@pytest.mark.parametrize(
    "setting", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_the_users_own_settings_stay(setting):
    assert not run("keep", **setting)[0]
