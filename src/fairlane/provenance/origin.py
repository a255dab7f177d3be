"""Where a study comes from: what was asked, with which versions, on which machine, from which commit.

In: ``compare``'s arguments. Out: an `Origin`, plain data for a report. The data are read, for their
fingerprint, when somebody asks. The commit may be another by then, so git is asked at once; but nobody waits
for its answer before it is needed.
"""

from __future__ import annotations

import inspect
import os
import platform
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from fairlane.provenance import fingerprint, settings
from fairlane.trials import Site

_PATIENCE = 10.0
"""Seconds that git has to answer; in a huge repository it takes a few."""


@dataclass(frozen=True)
class Origin:
    """What is known of where a study comes from.

    Attributes:
        spec: what was asked, as `fairlane.provenance.fingerprint.spec` gives it.
        versions: package → version.
        epochs: how long trials were to be trained; of several answers, the largest; None if nobody knows.
        sites: where its trials were trained, in order, each once; none if none was.
        created: when the study was begun, in seconds of UTC since 1970; None if nobody knows.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    sites: Sequence[Site] = (Site(),)
    created: float | None = None


class Asking:
    """A call of ``compare``, and the session that makes it.

    Git is asked for the commit when this is made, by a thread of its own. So what is told is the commit that
    training began with (to the moment that git takes to look), whatever is committed before somebody wants to
    know; and ``compare`` does not wait before it trains, however large the repository is. It does so when it
    ends, by using this as a context, and leaves no thread behind.

    Args:
        model: a builder or a template.
        common: ``Model.fit``'s arguments that are the same for all trials, data among them.
        callbacks: ``compare``'s argument.
        test_data: ``compare``'s argument.
    """

    def __init__(self, model: Any, common: Mapping[str, Any], callbacks: Any, test_data: Any) -> None:
        self._model, self._common, self._callbacks, self._test_data = model, common, callbacks, test_data
        self._epochs = int(common.get("epochs", 1))
        self._machine, self._commit, self._settings = machine(), Future[str](), settings.settings()
        self._thread = threading.Thread(
            target=self._ask, args=[_folder(model)], name="fairlane-git", daemon=True
        )
        self._thread.start()

    def _ask(self, folder: Path) -> None:
        try:
            self._commit.set_result(commit(folder))
        except BaseException as error:  # it is raised where the answer is asked for
            self._commit.set_exception(error)

    @cached_property
    def spec(self) -> fingerprint.Spec:
        """What is asked of the training; reads all of its data, the first time."""
        spec = fingerprint.spec(self._model, self._common, self._callbacks)
        return {**spec, "settings": self._settings}

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def site(self) -> Site:
        """This machine, and the commit as it was when this was made; waits for git."""
        return Site(self._machine, self._commit.result())

    def origin(self, sites: Sequence[Site]) -> Origin:
        """All that is known.

        Args:
            sites: where the study was trained, as its store tells: here, and maybe elsewhere before.
        """
        told = fingerprint.spec(self._model, {"test_data": self._test_data}, None)
        spec = {**self.spec, "data": {**self.spec["data"], **told["data"]}}
        return Origin(spec, versions(), self._epochs, sites)


def versions() -> dict[str, str]:
    """The packages that results depend on → their versions."""
    found = {"fairlane": metadata.version("fairlane"), "keras": keras.__version__}
    if keras.backend.backend() == "jax":
        found["jax"] = metadata.version("jax")
    return found


def machine() -> str:
    """This machine in words, such as ``Linux x86_64, Python 3.12.3, 8 CPUs, Keras on jax``."""
    cpus = os.cpu_count() or 1
    parts = [
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"{cpus} CPU" if cpus == 1 else f"{cpus} CPUs",
        f"Keras on {keras.backend.backend()}",
    ]
    if keras.backend.backend() == "jax":
        import jax

        parts += sorted({str(d.device_kind) for d in jax.devices() if d.platform != "cpu"})
    return ", ".join(parts)


def commit(folder: Path) -> str:
    """The commit of git that a folder is at, in words; empty where there is none, or no git.

    A git that does not answer in time is no sign that there is no commit, and the words say so.

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
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
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


def _folder(model: Any) -> Path:
    """Where a builder's source lies; of other things, the current folder."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(model))
    except (TypeError, ValueError):  # a template, or a callable without a file
        file = None
    return Path(file).parent if file is not None and Path(file).is_file() else Path.cwd()
