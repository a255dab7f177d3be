"""Each trial's own callbacks, and the files that they write.

In: ``compare``'s argument ``callbacks``, and the trials. Out: a function per trial that returns its fresh
callbacks, with ``{trial}`` and ``{seed}`` in their paths filled in; or, before anything is trained, an error
where two trials have one callback or would write one file.
"""

from __future__ import annotations

import copy
import inspect
import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import keras

from fairlane.errors import SharedStateError, StudyError
from fairlane.models.callback_memory.outside_state import shared_by
from fairlane.models.session import Session, left_as_found
from fairlane.trials import Trial

WRITES = {
    "ModelCheckpoint": "filepath",
    "CSVLogger": "filename",
    "TensorBoard": "log_dir",
    "BackupAndRestore": "backup_dir",
    "OrbaxCheckpoint": "directory",
}
"""Keras's callbacks that write, and the attribute that says where."""

_SENDS = {"RemoteMonitor": ("root", "path")}  # to a server, which may hear several trials at one address

_OURS = re.compile(r"(?<!\{)\{(trial|seed)\b([^{}]*)\}")
_FIELD = re.compile(r"\{(\w+)[^{}]*\}")


class Callbacks:
    """Gives each trial its own callbacks.

    A function is called here, once for each trial, so that what is wrong with its callbacks is known before
    the first trial is trained; an exception of its own is left for the trial to meet.

    Args:
        callbacks: ``compare``'s argument: a function, a list, one callback, or None.
        trials: all trials that will ask.

    Raises:
        StudyError: it is of another type, or a callback can't be copied, or two trials would write one file.
        SharedStateError: a function gives one callback to two trials.
    """

    def __init__(self, callbacks: Any, trials: Iterable[Trial]) -> None:
        self._make: Callable[[Trial], list[Any]] | None = None
        self._ready: dict[int, list[Any] | Exception] = {}
        self._owners: dict[int, tuple[weakref.ref[Any], Trial]] = {}
        self._files = _Files()
        self._copies: list[list[Any]] = []
        self._listed: list[Any] | None = None
        if callbacks is None:
            return
        if isinstance(callbacks, (list, tuple, keras.callbacks.Callback)):
            self._take_list(list(_flat(callbacks)), trials)
        elif callable(callbacks):
            ask = callbacks if _takes_trial(callbacks) else lambda trial: callbacks()
            self._make = lambda trial: self._checked(ask(trial), trial)
            with left_as_found():
                self._ready = {trial.number: self._asked(trial) for trial in trials}
        else:
            raise StudyError(
                "callbacks must be a function that returns a list of fresh callbacks, or a list; got "
                f"{type(callbacks).__name__}"
            )
        self._files.check_removals()

    def add(self, trials: Sequence[Trial]) -> None:
        """Make the callbacks of further trials.

        Raises:
            StudyError: as for the first.
            SharedStateError: as for the first.
        """
        if self._make is None:
            return
        if self._listed is None:
            with left_as_found():
                self._ready |= {trial.number: self._asked(trial) for trial in trials}
        else:
            self._claim(self._listed, trials)
        self._files.check_removals()

    @property
    def are_given(self) -> bool:
        """Whether trials have callbacks; an empty list counts as none."""
        return self._make is not None

    @property
    def are_listed(self) -> bool:
        """Whether it is known of what kinds they are, before there is a trial: no function makes them."""
        return self._make is None or self._listed is not None

    def make(self, trial: Trial) -> list[Any]:
        """The trial's own callbacks.

        Called again, for a trial that begins again on another engine, it makes them again.
        """
        assert self._make is not None
        ready = self._ready.pop(trial.number, None)
        if isinstance(ready, Exception):
            raise ready
        return self._make(trial) if ready is None else ready

    def example(self) -> list[Any]:
        """One trial's, to see what they are; none where that is not known."""
        made = (listed for listed in self._ready.values() if not isinstance(listed, Exception))
        return next(iter([*self._copies[:1], *made]), [])

    def shared(self) -> frozenset[int]:
        """The addresses of objects that callbacks of several trials hold; asked before these are given."""
        made = [listed for listed in self._ready.values() if not isinstance(listed, Exception)]
        return shared_by([*made, *self._copies])

    def _take_list(self, listed: Sequence[Any], trials: Iterable[Trial]) -> None:
        for callback in listed:
            if not isinstance(callback, keras.callbacks.Callback):
                raise StudyError(f"{callback!r} in callbacks is not a keras.callbacks.Callback")
        trials = list(trials)
        # What two copies have in common, all have; one is made at least, to see that it can be.
        self._copies = [[copied(callback) for callback in listed] for _ in range(1 + (len(trials) > 1))]
        if not listed:
            return
        self._make = lambda trial: [_named(copied(callback), trial) for callback in listed]
        self._listed = list(listed)
        self._claim(listed, trials)

    def _claim(self, listed: Sequence[Any], trials: Iterable[Trial]) -> None:
        named = [callback for callback in listed if any(_paths(callback))]
        for trial in trials if named else ():
            self._files.claim(trial, named)

    def _asked(self, trial: Trial) -> list[Any] | Exception:
        assert self._make is not None
        try:
            with Session(trial.seed):
                return self._make(trial)
        except (StudyError, SharedStateError):
            raise
        except Exception as error:
            return error

    def _checked(self, made: Any, trial: Trial) -> list[Any]:
        """What a function has returned, as a list of the trial's own callbacks."""
        listed = [] if made is None else list(_flat(made))
        for callback in listed:
            if not isinstance(callback, keras.callbacks.Callback):
                raise StudyError(
                    f"callbacks() for {trial} returned a {type(callback).__name__} in its list, not "
                    "a Callback"
                )
            known, owner = self._owners.get(id(callback), (None, trial))
            if known is not None and known() is callback and owner is not trial:
                raise SharedStateError(
                    f"callbacks() for {trial} returned a {type(callback).__name__} that {owner} has. "
                    "Callbacks remember (the best value, how long to wait): make them inside the function"
                )
            self._owners[id(callback)] = weakref.ref(callback), trial
        self._files.claim(trial, listed)
        return [_named(callback, trial) for callback in listed]


def copied(callback: Any) -> Any:
    """A deep copy of a callback.

    Raises:
        StudyError: it can't be copied; the message recommends a function.
    """
    try:
        return copy.deepcopy(callback)
    except Exception as error:
        raise StudyError(
            f"a {type(callback).__name__} can't be copied for each trial ({type(error).__name__}: "
            f"{error}); give a function that makes the callbacks instead: "
            f"callbacks=lambda: [{type(callback).__name__}(...)]"
        ) from error


def _flat(callbacks: Any) -> Iterator[Any]:
    """The callbacks in a list, those in a ``CallbackList`` (which belongs to one model) included."""
    for callback in keras.tree.flatten(callbacks):
        if type(callback) is keras.callbacks.CallbackList:
            yield from _flat(callback.callbacks)
        else:
            yield callback


def _takes_trial(function: Callable[..., Any]) -> bool:
    """Whether the function has one parameter without a default, for the trial.

    Raises:
        StudyError: it has more.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p for p in parameters if p.default is p.empty and p.kind not in kinds]
    if len(needed) > 1 or any(p.kind is inspect.Parameter.KEYWORD_ONLY for p in needed):
        raise StudyError(
            "callbacks must be a function without arguments, or with one argument, the trial; this one needs "
            f"{', '.join(p.name for p in needed)}"
        )
    return len(needed) == 1


# --- the trial's number in paths ------------------------------------------------------------------------


def _paths(callback: Any) -> Iterator[tuple[str, str]]:
    """The attributes of a callback that Fairlane knows for a path or an address, and what they say."""
    attributes = [(name, (attribute,)) for name, attribute in WRITES.items()]
    for name, known in [*attributes, *_SENDS.items()]:
        kind = getattr(keras.callbacks, name, None)  # not every Keras has OrbaxCheckpoint
        if kind is not None and isinstance(callback, kind):
            for attribute in known:
                value = getattr(callback, attribute, None)
                if isinstance(value, (str, os.PathLike)):
                    yield attribute, os.fsdecode(value)


def _named(callback: Any, trial: Trial) -> Any:
    """Fill the trial's number into a callback's paths, and into what the callback has made of them."""
    for attribute, path in _paths(callback):
        if _filled(path, trial, callback, attribute) == path:
            continue
        for name, value in list(vars(callback).items()):
            if isinstance(value, (str, os.PathLike)) and os.fsdecode(value).startswith(path):
                text = _filled(os.fsdecode(value), trial, callback, name)
                setattr(callback, name, type(value)(text) if isinstance(value, PurePath) else text)
    return callback


def _filled(path: str, trial: Trial, callback: Any, attribute: str) -> str:
    """A path with the trial's number and seed in it; other placeholders are Keras's."""
    where = f"{type(callback).__name__}.{attribute} is {path!r}"

    def fill(found: re.Match[str]) -> str:
        if found[2] and found[2][0] not in ":!":
            raise StudyError(
                f"{where}, and {found[0]} can't be filled in: {{{found[1]}}} is the {_MEANING[found[1]]} "
                f"itself, as in {{{found[1]}}} or {{{found[1]}:03d}}; for more than that, give a function "
                "of the trial: callbacks=lambda trial: [...]"
            )
        try:
            return found[0].format(trial=trial.number, seed=trial.seed)
        except ValueError as error:
            raise StudyError(f"{where}, and {found[0]} can't be filled in: {error}") from error

    text = _OURS.sub(fill, path)
    if text != path and type(callback).__name__ == "OrbaxCheckpoint":
        raise StudyError(
            f"{where}, but an OrbaxCheckpoint opens its directory when it is made, before a trial's number "
            "is known; give a function of the trial: "
            "callbacks=lambda trial: [keras.callbacks.OrbaxCheckpoint(f'.../{trial.number}')]"
        )
    return text


_MEANING = {"trial": "trial's number", "seed": "trial's seed"}


# --- whose files they are -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Claim:
    """A file or folder that a trial will write.

    Attributes:
        trial: which trial.
        what: ``CSVLogger.filename``.
        path: as given, filled in.
        key: the same for all ways to write the path.
        removed: whether all that is in it goes when the trial has ended.
    """

    trial: Trial
    what: str
    path: str
    key: str
    removed: bool


class _Files:
    """Who writes what."""

    def __init__(self) -> None:
        self._claims: dict[str, _Claim] = {}

    def claim(self, trial: Trial, callbacks: Iterable[Any]) -> None:
        """Note what a trial's callbacks write.

        Raises:
            StudyError: another trial writes it.
        """
        for callback in callbacks:
            for attribute, path in _paths(callback):
                if attribute not in WRITES.values():
                    continue
                path = _filled(path, trial, callback, attribute)
                removed = bool(getattr(callback, "delete_checkpoint", False))
                what = f"{type(callback).__name__}.{attribute}"
                claim = _Claim(trial, what, path, _key(path), removed)
                other = self._claims.setdefault(claim.key, claim)
                if other.trial is not trial:
                    raise _collision(other, claim)

    def check_removals(self) -> None:
        """Look for files in a folder that another trial removes when it ends.

        Raises:
            StudyError: there is one.
        """
        removed = {key: claim for key, claim in self._claims.items() if claim.removed}
        for claim in self._claims.values() if removed else ():
            for parent in map(str, PurePath(claim.key).parents):
                owner = removed.get(parent)
                if owner is not None and owner.trial is not claim.trial:
                    raise StudyError(
                        f"{claim.trial} would write {claim.path} ({claim.what}) in the folder {owner.path} "
                        f"({owner.what}) of {owner.trial}, which removes the folder when it ends. "
                        + _ways_on(owner)
                    )


def _key(path: str) -> str:
    """The same for a relative path, an absolute one and one through a link; placeholders by their names."""
    return os.path.normcase(os.path.realpath(_FIELD.sub(r"{\1}", path)))


def _collision(first: _Claim, second: _Claim) -> StudyError:
    what = first.what if first.what == second.what else f"{first.what} and {second.what}"
    return StudyError(
        f"{first.trial} and {second.trial} would both write {second.path} ({what}), so its content "
        "would be wrong. " + _ways_on(second)
    )


def _ways_on(claim: _Claim) -> str:
    kind, attribute = claim.what.split(".")
    function = (
        "give a function of the trial, which names the path after it: "
        f"callbacks=lambda trial: [{kind}({attribute}=f'...{{trial.number}}...')]"
    )
    if kind == "OrbaxCheckpoint":
        return function[0].upper() + function[1:]
    folder, name = os.path.split(claim.path)
    named = os.path.join(folder, "{trial}-" + name)
    return f"Put the trial's number into the path, as in {named!r}; or {function}"
