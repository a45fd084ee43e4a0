"""``fgvr fit`` in two processes that are forks of one which has imported all: imports are most of a small run."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path

SECONDS = 300
FORKS = multiprocessing.get_context("forkserver")
PRELOADED = [
    *["forked_fit", "fgvr.api", "fgvr.cli.train", "fgvr.config.cli", "fgvr.candidates.knn", "fgvr.reports.recorder"],
    *["fgvr.backbones.open_clip", "fgvr.heads.prompt", "fgvr.losses.proden", "fgvr.methods.class_means"],
    *["fgvr.methods.coop", "fgvr.labelers.recorded", "fgvr.testing.tiny"],
    # these are imported where they are used first
    *["sentence_transformers.models", "timm", "torch._dynamo", "transformers", "wandb"],
]


def fit_in_two_processes(options, **environment):
    """``fgvr fit`` on two devices, its processes started from outside, as torchrun starts them.

    Args:
        options: Of the command.
        environment: Variables that differ from those of the test.
    """
    FORKS.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "NODE_RANK": "0"}
    command = ["fit", *options, "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    processes = []
    for rank in range(2):
        variables = {**os.environ, **environment, **place, "LOCAL_RANK": str(rank)}
        processes.append(FORKS.Process(target=_run, args=(command, Path.cwd(), variables)))
        processes[-1].start()
    try:
        for process in processes:
            process.join(SECONDS)
        assert [process.exitcode for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()


def _run(command, folder, variables):
    # not before a test needs them
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from fgvr.cli import main

    rank_zero_only.rank = int(variables["LOCAL_RANK"])  # which is read when Lightning is imported
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["fgvr", *command]
    sys.exit(main(command))
