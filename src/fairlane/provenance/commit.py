"""The git commit that training starts from.

In: a folder. Out: the commit in words. Git may take seconds in a large repository, and the commit may change
while a study is trained; so `CommitReader` starts git immediately, in a thread, and waits only for whoever
needs the answer.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

_PATIENCE = 10.0
"""Seconds that git has to answer; in a huge repository it takes a few."""


class CommitReader:
    """Reads the commit of a folder in a thread, from the moment that this is made.

    Args:
        folder: any folder.
    """

    def __init__(self, folder: Path) -> None:
        self._commit = Future[str]()
        self._thread = threading.Thread(target=self._read, args=[folder], name="fairlane-git", daemon=True)
        self._thread.start()

    def _read(self, folder: Path) -> None:
        try:
            self._commit.set_result(commit(folder))
        except BaseException as error:  # `result` raises it in the thread that needs the answer
            self._commit.set_exception(error)

    def result(self) -> str:
        """The commit, as `commit` gives it; waits for git."""
        return self._commit.result()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()


def commit(folder: Path) -> str:
    """The commit of git that a folder is at, in words; empty where there is no commit, or no git.

    If git does not answer in time there may well be a commit, and the words say so.

    Args:
        folder: any folder.
    """
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            timeout=_PATIENCE,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # or it would write to the repository's index
        )
    except subprocess.TimeoutExpired:
        return f"not known: git did not answer within {_PATIENCE:g} s"
    except OSError:
        return ""
    lines = answer.stdout.decode("utf-8", "replace").splitlines()
    found = [line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")]
    if answer.returncode or not found or found[0] == "(initial)":
        return ""
    changed = any(not line.startswith("#") for line in lines)
    return f"{found[0]}, with changes that were not committed" if changed else found[0]


def folder_of(model: Any) -> Path:
    """The folder of a builder's source; of anything else, the current folder."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(model))
    except (TypeError, ValueError):  # a template, or a callable without a file
        file = None
    return Path(file).parent if file is not None and Path(file).is_file() else Path.cwd()
