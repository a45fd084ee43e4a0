"""One ``fgvr`` command as a process of its own, which ends when the one that started it does.

A process is either a fresh interpreter or a fork of a server that has imported fgvr already, which saves the seconds
that imports take. Both do what the command does when it is typed.
"""

import contextlib
import importlib
import logging
import multiprocessing
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from fgvr.checkpoints.whole import checkpoint_to_go_on
from fgvr.errors import FgvrError
from fgvr.runs import RunFolder, check_run_config

log = logging.getLogger(__name__)

# what tells a process that it is one of several, or seeds it: a process started here is on its own
_PARENT_VARIABLES = (
    *("LOCAL_RANK", "RANK", "GLOBAL_RANK", "GROUP_RANK", "NODE_RANK", "ROLE_RANK"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED", "PL_SEED_WORKERS", "WANDB_SERVICE"),
)
PROGRAM = "fgvr.cli.launched"
"""What a process runs, by name: this module starts programs and imports none."""
_GRACE_SECONDS = 10.0
_STOPPED = 130


class Launcher:
    """Starts ``fgvr`` commands and waits for them; several threads may do so at once.

    Args:
        fork: Fork the processes from a server that has imported fgvr, on Linux. Not for processes that use a GPU, whose
            driver does not survive a fork.
        environment: Variables that libraries read when they are imported, for the server.
    """

    def __init__(self, fork: bool = False, environment: Mapping[str, str] | None = None) -> None:
        self._server = multiprocessing.get_context("forkserver") if fork and sys.platform == "linux" else None
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes] | ForkServerProcess] = set()
        self._stopped = False
        if self._server is not None:
            self._server.set_forkserver_preload([PROGRAM, "fgvr.config.cli"])
            with _environment(_own_variables(environment)):
                try:
                    forkserver.ensure_running()
                except OSError as error:  # its socket has a name in TMPDIR, of which the system takes a hundred letters
                    log.warning("Processes start slower than they could: %s. A shorter TMPDIR may help", error)
                    self._server = None

    def run(
        self,
        args: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        fresh: bool = False,
    ) -> int:
        """Run ``fgvr ARGS`` to its end.

        Args:
            args: Command and options.
            environment: Variables that the process has beside those of this one.
            log: File that its output is appended to; where not given, the output goes where that of this process does.
            fresh: Start an interpreter in any case: Lightning starts the other processes of a run in the way in which
                its first one was started, and a fork was not.

        Returns:
            The exit code; that of a process which was killed is not 0.
        """
        variables = _own_variables(environment)
        with self._lock:
            if self._stopped:
                return _STOPPED
            process = self._start(args, variables, log, fresh)
            self._running.add(process)
        try:
            if isinstance(process, subprocess.Popen):
                return process.wait()
            process.join()
            return _STOPPED if process.exitcode is None else process.exitcode
        finally:
            with self._lock:
                self._running.discard(process)
            _close(process)

    def stop(self) -> None:
        """End every process that runs, and start no other."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                if isinstance(process, subprocess.Popen):
                    process.wait(_GRACE_SECONDS)
                else:
                    process.join(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            process.kill()

    def _start(
        self, args: Sequence[str], variables: dict[str, str], log: Path | None, fresh: bool
    ) -> subprocess.Popen[bytes] | ForkServerProcess:
        if self._server is not None and not fresh:
            process = self._server.Process(target=_forked, args=(list(args), variables, log), daemon=False)
            process.start()
            return process
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log is not None else None
            return subprocess.Popen(
                [sys.executable, "-m", PROGRAM, *args],
                # nobody writes to it; it closes when this process ends, however it ends
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,  # Ctrl-C is for the starter, which then stops what it started
            )


@contextlib.contextmanager
def launching(fork: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Launcher]:
    """A launcher whose processes do not outlive the block; see :class:`Launcher`."""
    launcher = Launcher(fork, environment)
    try:
        yield launcher
    finally:
        launcher.stop()


def resume_args(folder: RunFolder, begun_with: Sequence[str] | None = None) -> list[str] | None:
    """Arguments of ``fgvr`` that go on with a run; ``None`` where it must begin anew.

    That is where it has no checkpoint, or its files are damaged.

    Args:
        folder: The run.
        begun_with: The arguments that began it. Without, its own ``config.yaml`` is given, which is for a person to do:
            what it names is imported.
    """
    if not folder.config.is_file() or (checkpoint := checkpoint_to_go_on(folder.checkpoints)) is None:
        return None
    try:
        check_run_config(folder.config, folder.config.read_text(encoding="utf-8"))
    except (FgvrError, UnicodeDecodeError) as error:
        log.warning("%s The run begins anew.", error)
        return None
    begin = ["fit", "--config", str(folder.config)] if begun_with is None else begun_with
    return [*begin, "--ckpt_path", str(checkpoint)]


def command_line(args: Sequence[str]) -> str:
    """The command that a person types to do the same.

    Example:
        >>> command_line(["fit", "--config", "my run.yaml"])
        "fgvr fit --config 'my run.yaml'"
    """
    return shlex.join(["fgvr", *args])


def _own_variables(environment: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a process that is on its own."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in _PARENT_VARIABLES and not key.startswith("TORCHELASTIC_")
    }
    return inherited | dict(environment or {})


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    _set_environment(variables)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(variables: Mapping[str, str]) -> None:
    for key in os.environ.keys() - variables.keys():
        del os.environ[key]
    os.environ.update(variables)


def _close(process: Any) -> None:
    if isinstance(process, subprocess.Popen) and process.stdin is not None:
        process.stdin.close()


def _forked(args: list[str], variables: dict[str, str], log: Path | None) -> None:
    """What a forked process does."""
    os.setsid()
    starter = multiprocessing.parent_process()
    assert starter is not None, "this runs in a process that multiprocessing has started"
    _set_environment(variables)
    if log is not None:
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
    program = importlib.import_module(PROGRAM)
    threading.Thread(target=program.end_with, args=(starter.sentinel,), daemon=True).start()
    sys.exit(program.main(args))
