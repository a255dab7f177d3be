"""Where a study comes from: machine and commit."""

import os
import shutil
import subprocess

import keras
import pytest

from fairlane import origin

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
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def head(folder):
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@needs_git
def test_the_commit_is_told_and_whether_there_are_changes(repository):
    assert origin.commit(repository) == head(repository)
    (repository / "notes.txt").write_text("of no importance")
    assert origin.commit(repository) == head(repository)
    (repository / "train.py").write_text("def build(): pass\n")
    assert origin.commit(repository) == f"{head(repository)}, with changes that were not committed"


@needs_git
def test_the_builders_own_folder_counts(repository):
    names = {}
    file = repository / "train.py"
    exec(compile(file.read_text(), str(file), "exec"), names)
    asking = origin.Asking(names["build"], {}, None, None)
    assert asking.origin().commit == head(repository)


@needs_git
def test_no_repository_and_no_commit_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert origin.commit(tmp_path) == ""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert origin.commit(tmp_path) == ""


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.commit(tmp_path) == ""


def test_the_machine_is_told():
    assert "Python 3." in origin.machine()
    assert f"Keras on {keras.backend.backend()}" in origin.machine()


def test_versions():
    assert list(origin.versions()) == ["fairlane", "keras", "jax"]
