"""The command: where it listens, what it says, when it opens a browser; and the whole of it beside a real training."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import _trained
import pytest
import requests
import uvicorn
from _served import Written
from typer.testing import CliRunner

import _processes
import fairlane as fl
from fairlane.cli import app
from fairlane.ui import serving
from store._stores import until


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "runs.db"
    Written(path, "a").close()
    return path


@pytest.fixture
def ended(monkeypatch):
    """The server ends at once, as if by Ctrl-C; which addresses a browser was opened with."""

    def run(self, sockets):
        raise KeyboardInterrupt

    opened = []
    monkeypatch.setattr(uvicorn.Server, "run", run)
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    return opened


def ui(*arguments):
    return CliRunner().invoke(app, ["ui", *map(str, arguments)])


@pytest.fixture
def taken():
    """A port that another program has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_it_says_where_it_is_and_ctrl_c_ends_it_well(store, ended):
    result = ui(store, "--port", 0)
    assert result.exit_code == 0
    assert re.fullmatch(
        rf"{re.escape(str(store))} is on http://127\.0\.0\.1:\d+/ until Ctrl-C\n", result.output
    )
    assert ended == []


def test_the_usual_port_is_left_for_a_free_one_where_it_is_taken(store, ended, taken, monkeypatch):
    monkeypatch.setattr(serving, "PORT", taken)
    result = ui(store)
    assert result.exit_code == 0
    assert f":{taken}/" not in result.output
    with serving.listen("127.0.0.1", None) as one:
        assert one.getsockname()[1] != taken


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(store, ended, taken):
    result = ui(store, "--port", taken)
    assert result.exit_code == 2
    assert (
        f"can't listen on port {taken} of 127.0.0.1: another program uses it. Give another" in result.output
    )


def test_an_address_that_is_not_of_this_machine_is_an_error(store, ended):
    result = ui(store, "--host", "192.0.2.1", "--port", 0)
    assert result.exit_code == 2
    assert "can't listen on port 0 of 192.0.2.1" in result.output
    assert "--host must be an address of this machine" in result.output


def test_others_than_this_machine_are_warned_of(store, ended, monkeypatch):
    listen = serving.listen
    monkeypatch.setattr(serving, "listen", lambda host, port: listen("127.0.0.1", port))
    result = ui(store, "--host", "0.0.0.0", "--port", 0)
    assert (
        "Everyone who can reach 0.0.0.0 can read this store, with the sources of its builders"
        in result.output
    )
    assert "http://127.0.0.1:" in result.output
    assert "Everyone" not in ui(store, "--host", "localhost", "--port", 0).output


def test_a_browser_is_opened_where_one_would_be_seen(store, ended, monkeypatch):
    ui(store, "--port", 0, "--browser")
    assert len(ended) == 1
    monkeypatch.setenv("DISPLAY", ":0")
    ui(store, "--port", 0)
    assert len(ended) == 2
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+/", one) for one in ended)
    ui(store, "--port", 0, "--no-browser")
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    ui(store, "--port", 0)
    assert len(ended) == 2


def test_a_store_that_is_not_there_is_an_error_before_anything_is_served(tmp_path, ended):
    result = ui(tmp_path / "none.db")
    assert result.exit_code == 2
    assert (
        f"fairlane ui: there is no store at {tmp_path / 'none.db'}: check the path, or make one"
        in result.output
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_is_named_with_its_extra(store, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(fl.StoreError, match=rf"fairlane ui needs the package '{package}'.*'fairlane\[ui\]'"):
        serving.serve(store)


def begun(store):
    try:
        return not fl.studies(store).empty
    except fl.StoreError:  # not there, or without its tables
        return False


def test_a_training_is_watched_from_its_first_epoch_to_its_end(tmp_path):
    store, go = tmp_path / "runs.db", tmp_path / "go"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = {"env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    training = _processes.start([sys.executable, _trained.__file__, str(store), str(go)], **options)
    command = [sys.executable, "-m", "fairlane", "ui", str(store), "--port", "0", "--no-browser"]
    until(lambda: training.poll() is not None or begun(store))
    server = _processes.start(command, **options)
    try:
        url = re.search("http://[^ ]*", _processes.line(server))[0]
        session = requests.Session()
        session.trust_env = False

        def told():
            return session.get(url + "study.json?name=waits", timeout=60).json()

        until(lambda: [len(trial["epochs"]) for trial in told()["trials"]] == [1, 0])
        assert [trial["state"] for trial in told()["trials"]] == ["running", "waiting"]
        assert told()["live"]["writer"] == f"process {training.pid} on {socket.gethostname()}"
        go.touch()
        until(lambda: not told()["live"]["writer"])
        assert [trial["state"] for trial in told()["trials"]] == ["done"] * 2
        assert (told()["live"]["epochs"], told()["live"]["planned"]) == (6, 6)
        assert training.wait(60) == 0
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0
        assert server.stderr.read() == ""
    finally:
        go.touch()
        server.kill()
        training.kill()
        for process in (server, training):
            process.communicate(timeout=60)
    assert Path(f"{store.with_suffix('')}.artifacts").is_dir()
