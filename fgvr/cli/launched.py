"""The program of a process that another run has started: ``fgvr`` with the end of its starter as its own."""

import multiprocessing.connection
import os
import sys
import threading

from fgvr.cli import main as run_command

_STOPPED = 130


def main(args: list[str]) -> int:
    """Run ``fgvr ARGS``; returns the exit code."""
    sys.argv = ["fgvr", *args]
    return run_command(args)


def end_with(starter: int) -> None:
    """Wait for the end of the process that started this one, and end this one; a thread's work.

    Args:
        starter: Descriptor that is ready when that process has ended.
    """
    multiprocessing.connection.wait([starter])
    os._exit(_STOPPED)


if __name__ == "__main__":
    # processes that Lightning starts inherit the pipe, and end with it too
    threading.Thread(target=end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    sys.exit(main(sys.argv[1:]))
