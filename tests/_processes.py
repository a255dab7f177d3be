"""Processes that tests start: each with a limit, and with Ctrl-C as in a terminal.

A process that is started with ``&`` from a script, or by ``nohup``, ignores SIGINT, and hands that down to those
that it starts: a test that sends them one would wait for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

SHARED = Path("/dev/shm")

LIMIT = 600
"""Seconds that no process of a test comes near."""


@contextlib.contextmanager
def _interruptible():
    """What is started meanwhile can be interrupted, even where pytest itself can not."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may change it; there it was as it is
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run(command, timeout=LIMIT, check=False, **options):
    """As ``subprocess.run``, with a limit."""
    options |= (
        dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) if options.pop("capture_output", 0) else {}
    )
    with start(command, **options) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(command, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


def start(command, **options):
    """As ``subprocess.Popen``."""
    with _interruptible():
        return subprocess.Popen(command, **options)


def line(process, timeout=LIMIT):
    """The next line that a process writes; it is killed where none comes."""
    heard = []
    reader = threading.Thread(target=lambda: heard.append(process.stdout.readline()), daemon=True)
    reader.start()
    reader.join(timeout)
    if not heard:
        process.kill()
        raise AssertionError(f"process {process.pid} has written no line for {timeout} seconds")
    return heard[0]


def segments():
    """The names of what is in shared memory."""
    return {path.name for path in SHARED.glob("psm_*")} if SHARED.is_dir() else set()


def lives(pid):
    """Whether there is a process of this number, and it has not ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True


def eventually(holds):
    """Whether something comes to hold, within a minute that no test is to need."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.1)
    return False
