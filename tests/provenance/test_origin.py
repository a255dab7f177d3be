"""Where a study comes from: machine and commit."""

import os
import shutil
import threading
import time

import keras
import pytest

import _processes
from fairlane.provenance import commit, machine
from fairlane.provenance.request import Request
from fairlane.trials import Site

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder with one commit of one file."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "train.py").write_text("def build(): ...\n")
    who = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        _processes.run(["git", *command], cwd=folder, check=True)
    return folder


def head(folder):
    command = ["git", "rev-parse", "HEAD"]
    return _processes.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@needs_git
def test_the_commit_is_told_and_whether_there_are_changes(repository):
    assert commit.commit(repository) == head(repository)
    (repository / "notes.txt").write_text("of no importance")
    assert commit.commit(repository) == head(repository)
    (repository / "train.py").write_text("def build(): pass\n")
    assert commit.commit(repository) == f"{head(repository)}, with changes that were not committed"


@needs_git
def test_the_builders_own_folder_counts(repository):
    names = {}
    file = repository / "train.py"
    exec(compile(file.read_text(), str(file), "exec"), names)
    request = Request(names["build"], {}, None, None)
    assert request.site() == Site(machine.machine(), head(repository))


@needs_git
def test_no_repository_and_no_commit_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit.commit(tmp_path) == ""
    _processes.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert commit.commit(tmp_path) == ""


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit.commit(tmp_path) == ""


@pytest.fixture
def slow_git(tmp_path, monkeypatch):
    """A git that says that it was called, and answers when somebody has written the answer."""
    folder, called, answer = tmp_path / "bin", tmp_path / "called", tmp_path / "answer"
    folder.mkdir()
    os.mkfifo(answer)
    script = folder / "git"
    script.write_text(f"#!/bin/sh\n: > '{called}'\nread -r line < '{answer}'\necho \"$line\"\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return called, answer


def test_git_is_asked_at_once_and_nobody_waits_for_it(slow_git):
    called, answer = slow_git
    request = Request(None, {}, None, None)  # which returns, though git has not
    end = time.monotonic() + 60
    while not called.exists():  # though nobody wants to know the commit yet
        assert time.monotonic() < end
        time.sleep(0.01)
    answer.write_text("# branch.oid abc\n")
    assert request.site().commit == request.site().commit == "abc"


def test_compare_leaves_no_thread_that_asks(slow_git):
    _, answer = slow_git
    with Request(None, {}, None, None):
        asked = [t for t in threading.enumerate() if t.name == "fairlane-git"]
        answer.write_text("# branch.oid abc\n")
    assert [t.is_alive() for t in asked] == [False]


def test_a_git_that_does_not_answer_is_no_lack_of_a_commit(slow_git, tmp_path, monkeypatch):
    monkeypatch.setattr(commit, "_PATIENCE", 0.01)
    assert commit.commit(tmp_path) == "not known: git did not answer within 0.01 s"


def test_what_can_not_be_found_out_is_an_error_where_it_is_asked_for(tmp_path, monkeypatch):
    def broken(folder):
        raise ValueError("no")

    monkeypatch.setattr(commit, "commit", broken)
    request = Request(None, {}, None, None)
    with pytest.raises(ValueError, match="no"):
        request.site()


def test_the_machine_is_told():
    assert "Python 3." in machine.machine()
    assert f"Keras on {keras.backend.backend()}" in machine.machine()


def test_versions():
    assert list(machine.versions()) == ["fairlane", "keras", "jax"]
