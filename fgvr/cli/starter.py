"""The process that has started this one, where this is one of several of a job: both end together."""

import os
import sys
import threading
import time

from fgvr.cli.say import say

_LOOK_SECONDS = 0.2
_FAILED = 2


def end_with_starter() -> None:
    """End this process, from a thread, when the one has ended that started it.

    Lightning's first process and torchrun end the others where they can; one that was killed cannot, and the others
    wait for it, or go on without it.
    """
    starter = os.getppid()

    def watch() -> None:
        while os.getppid() == starter:
            time.sleep(_LOOK_SECONDS)
        line = "fgvr: error: The process that has started this job has ended, and so do all of its processes."
        say(line, file=sys.stderr)
        os._exit(_FAILED)

    threading.Thread(target=watch, name="fgvr-starter", daemon=True).start()
