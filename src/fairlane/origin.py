"""Where a study comes from: what was asked, with which versions, on which machine, from which commit.

In: ``compare``'s arguments. Out: an `Origin`, plain data for a report. The data are read, for their
fingerprint, when somebody asks; machine and commit are looked up at once, since they may change meanwhile.
"""

from __future__ import annotations

import inspect
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from fairlane import fingerprint

_PATIENCE = 2.0
"""Seconds that git has to answer."""


@dataclass(frozen=True)
class Origin:
    """What is known of where a study comes from.

    Attributes:
        spec: what was asked, as `fairlane.fingerprint.spec` gives it.
        versions: package → version.
        epochs: how long trials were to be trained; of several answers, the largest; None if nobody knows.
        machine: system, processors and accelerators, in words; empty if nobody knows.
        commit: of git, in words; empty if there is none, or nobody knows.
        created: when the study was begun, in seconds of UTC since 1970; None if nobody knows.
    """

    spec: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    machine: str = ""
    commit: str = ""
    created: float | None = None


class Asking:
    """A call of ``compare``, and the session that makes it.

    Args:
        model: a builder or a template.
        common: ``Model.fit``'s arguments that are the same for all trials, data among them.
        callbacks: ``compare``'s argument.
        test_data: ``compare``'s argument.
    """

    def __init__(self, model: Any, common: Mapping[str, Any], callbacks: Any, test_data: Any) -> None:
        self._model, self._common, self._callbacks, self._test_data = model, common, callbacks, test_data
        self._epochs = int(common.get("epochs", 1))
        self._machine, self._commit = machine(), commit(_folder(model))

    @cached_property
    def spec(self) -> fingerprint.Spec:
        """What is asked of the training; reads all of its data, the first time."""
        return fingerprint.spec(self._model, self._common, self._callbacks)

    def origin(self) -> Origin:
        """All that is known."""
        told = fingerprint.spec(self._model, {"test_data": self._test_data}, None)
        spec = {**self.spec, "data": {**self.spec["data"], **told["data"]}}
        return Origin(spec, versions(), self._epochs, self._machine, self._commit)


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
    except (OSError, subprocess.TimeoutExpired):
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
