"""Tests that wait for a process end: it can be interrupted, whatever pytest was started with, and has a limit."""

import signal
import subprocess
import sys
import time

import pytest

import _processes

SLEEPS = "import time; print('ready', flush=True); time.sleep(60)"


@pytest.fixture(params=["heard", "ignored"])
def sigint(request):
    """As in a terminal; or as it is for what a script starts with ``&``."""
    handler = signal.SIG_IGN if request.param == "ignored" else signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)
    yield handler
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, before)


def test_a_process_can_be_interrupted(sigint):
    code = f"try:\n {SLEEPS}\nexcept KeyboardInterrupt:\n print('interrupted')"
    code = code.replace("; ", "\n ")
    with _processes.start([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert _processes.line(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted\n"
    done = _processes.run(
        [sys.executable, "-c", "import signal; print(signal.getsignal(2) is signal.default_int_handler)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0)


def test_a_process_that_hangs_is_killed():
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        _processes.run([sys.executable, "-c", SLEEPS], timeout=0.5)
    with _processes.start([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE, text=True) as process:
        assert _processes.line(process) == "ready\n"
        with pytest.raises(AssertionError, match=r"has written no line for 0\.5 seconds"):
            _processes.line(process, timeout=0.5)
    assert time.monotonic() - began < 50
    with pytest.raises(subprocess.CalledProcessError):
        _processes.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)
