import subprocess
import sys
import time

import torch.distributed as dist

from fgvr.data.together import ALONE, together


def test_a_process_alone_waits_for_nobody():
    processes = together()
    assert processes is ALONE
    processes.wait()
    assert processes.agree([1]) == [1]


def share(rank, world_size):
    processes = together()
    agreed = processes.agree({"of": rank})
    if rank == 0:
        time.sleep(2)
    started = time.monotonic()
    processes.wait()
    waited = time.monotonic() - started
    again = together(machines=2)
    assert again.group is processes.group, "one is made for a job"
    return processes.rank, processes.count, processes.here, again.here, agreed, waited, dist.get_backend()


def test_all_hear_what_process_0_says_and_wait_for_the_last(ddp_pool):
    (first, *_, waited_0, _), (second, *_, waited_1, _) = results = ddp_pool.run(share)
    assert (first, second) == (0, 1)
    for _, count, here, spread, agreed, _, backend in results:
        assert (count, here, spread, agreed, backend) == (2, 2, 1, {"of": 0}, "gloo")
    assert waited_1 > 1 > waited_0


ENDS = """
import datetime, sys
import torch.distributed as dist
from fgvr.data.together import together
from fgvr.errors import FgvrError

rank = int(sys.argv[1])
store = dist.FileStore(sys.argv[2], 2)
dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60))
processes = together()
if rank == 1:
    raise FgvrError("a photo is gone")
try:
    processes.wait()
except FgvrError as error:
    sys.exit(f"told: {error}")
"""


def test_a_process_that_fails_is_not_waited_for(tmp_path):
    ranks = [
        subprocess.Popen([sys.executable, "-c", ENDS, f"{rank}", tmp_path / "store"], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=60)[1] for process in ranks]
    assert [process.returncode for process in ranks] == [1, 1]
    assert "told: Another process of this job has ended; what it printed says why." in said[0]
    assert "a photo is gone" in said[1]
