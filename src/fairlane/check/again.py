"""A model that is trained again: is that a fault, and how sure is it?

In: what is known of the model, its last training, and the one that begins. Out: a `Found`, or None.

The event at the core is: *a model was trained, compiled again and trained again, and nothing in between says
that this is meant*. A second name for the model makes it FL001, samples that are held back FL010, a loop
FL003, and anything else FL002. What a loop is for (`purpose`) decides whether its rounds may share a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from fairlane.check.forms import At
from fairlane.check.purpose import Purpose
from fairlane.check.rules import Confidence
from fairlane.check.values import Alias, Const, ModelState, Path, Step, Thing, Training, Value

Where = Callable[[At], str]
CERTAIN, LIKELY = Confidence.CERTAIN, Confidence.LIKELY
_MADE_UP = re.compile(r"rand|\b(?:normal|uniform|ones|zeros|arange|linspace|full|eye)\s*\(")
_STEPWISE = ("train_on_batch", "apply_gradients")


@dataclass(frozen=True, slots=True)
class Found:
    """A fault: its rule, its place, what to say of it, the places it is about, and how sure it is.

    ``edit`` is a place and what to write there instead, where that is sure to mend it.
    """

    code: str
    at: At
    message: str
    fix: str
    related: tuple[tuple[At, str], ...] = ()
    confidence: Confidence = Confidence.CERTAIN
    edit: tuple[At, str] | None = None


class Again:
    """Judges trainings of models that were trained before.

    Args:
        where: words for a place.
        lines: the program.
        is_r: whether the program is R.
        fresh: how to make a fresh model, for the advice.
    """

    def __init__(self, where: Where, lines: Sequence[str], is_r: bool, fresh: str) -> None:
        self.where = where
        self.lines = lines
        self.is_r = is_r
        self.fresh = fresh

    def judge(self, model: Thing, old: ModelState, before: Training, now: Training) -> Found | None:
        """A model is trained again.

        Args:
            model: the model.
            old: what has been done to it.
            before: its last training.
            now: the training that begins.

        Returns:
            the fault, or None where there is none, or where it is likely to be meant.
        """
        here, there = _parting(before.path, now.path)
        loop = _same_loop(here, there)
        if before.carried is not None:
            validates = loop is not None and loop.reading.validates
            return self._saved(model, before.carried, now, loop) if validates and loop else None
        if loop is None:
            found = self._apart(model, old, before, now)
        else:
            found = self._in_loop(model, old, before, now, loop)
        if found is not None and model.doubtful:
            return replace(found, confidence=LIKELY)
        return found

    def _in_loop(
        self, model: Thing, old: ModelState, before: Training, now: Training, loop: Step
    ) -> Found | None:
        """The rounds of a loop share a model."""
        reading, again = loop.reading, old.compiled_since
        onward = reading.purpose is Purpose.ONWARD
        alias = _second_name(before, now)
        if alias is not None and (again or not (onward or now.how in _STEPWISE)):
            calm = reading.purpose in (Purpose.STREAM, Purpose.UNTIL) and not again
            return self._alias(model, alias, before, now, loop, LIKELY if calm else CERTAIN)
        if reading.validates:
            return self._folds(model, now, loop)
        if now.goes_on or now.meant or onward or reading.joins:
            return None
        if model in loop.repeated:
            return self._loop(model, now, loop, CERTAIN)
        if not again:
            compares = reading.sweeps and (reading.records or reading.evaluates)
            is_plain = reading.purpose in (Purpose.PLAIN, Purpose.REPEATS)
            sure = now.how == "fit" and is_plain and (compares or reading.purpose is Purpose.REPEATS)
            sure |= now.how == "fit" and reading.compares_data and reading.purpose is Purpose.STREAM
            return self._loop(model, now, loop, LIKELY) if sure else None
        if reading.purpose is Purpose.STREAM:
            shown = reading.records or reading.evaluates
            return self._loop(model, now, loop, LIKELY) if shown else None
        unshown = not reading.records and (reading.falling or reading.renews)
        doubt = reading.purpose is Purpose.UNTIL or unshown
        return self._loop(model, now, loop, LIKELY if doubt else CERTAIN)

    def _apart(self, model: Thing, old: ModelState, before: Training, now: Training) -> Found | None:
        """Two trainings that are not of one loop."""
        again, other_data = old.compiled_since, differ(before, now)
        if now.goes_on:
            return None
        alias = _second_name(before, now)
        made_first = alias is not None and alias.time < before.time and now.name != before.name
        twice = now.at == before.at
        if alias is not None and made_first and (other_data or not again):
            sure = not other_data or _is_called_copy(alias.name)
            return self._alias(model, alias, before, now, None, CERTAIN if sure else LIKELY)
        if other_data:
            return None
        if alias is not None and (again or twice or _two_names(before, now)):
            return self._alias(model, alias, before, now, None, CERTAIN)
        if now.meant or before.meant:
            return None
        kept = all(self._is_kept(at) for at in _apart(before, now))
        if again:
            recursive = before.path == now.path[: len(before.path)]  # it may be a second attempt
            return self._twice(model, before, now, CERTAIN if twice and kept and not recursive else LIKELY)
        if twice and kept and now.how == "fit" and _settings_differ(before, now):
            return self._twice(model, before, now, LIKELY)
        return None

    def _alias(
        self,
        model: Thing,
        alias: Alias,
        before: Training,
        now: Training,
        loop: Step | None,
        confidence: Confidence,
    ) -> Found:
        first, second = _apart(before, now)
        both = (
            f"every round of the loop in {self.where(loop.at)} trains"
            if loop
            else self._both(first, second, now)
        )
        message = (
            f"`{alias.name}` is a second name for the model `{alias.old}`{self._built(model)}, not a copy: "
            f"{both} that one network again and again{self._no_reset(now)}"
        )
        copy = f"clone_model({alias.old})" if self.is_r else alias.again or f"fairlane.copy({alias.old})"
        fix = f"build the model where it is trained, or make another one: `{alias.name} = {copy}`"
        related = [self._origin(model), *self._trainings(before, now, loop)]
        edit = None if self.is_r else (alias.source, copy)
        return Found("FL001", alias.at, message, fix, tuple(related), confidence, edit)

    def _is_kept(self, at: At) -> bool:
        """Whether the value of what stands at a place is kept: assigned, returned or handed on."""
        line = self.lines[at.line - 1] if at.line <= len(self.lines) else ""
        return line[: at.column - 1].rstrip().endswith(("=", "<-", "(", ",", "[", "return", "%>%", "|>"))

    def _no_reset(self, now: Training) -> str:
        """That compile() is no new beginning; where it is not called, that fit() is none."""
        method = "fit" if now.compiled is None or not _within(now.compiled_path, now.path) else "compile"
        return f", and {method}() does not reset weights"

    def _saved(self, model: Thing, saved: At, now: Training, loop: Step) -> Found:
        message = (
            f"the model loaded in {self.where(model.origin)} is what {self.where(saved)} saved in an earlier "
            f"round of the loop in {self.where(loop.at)}: it has already been trained on the samples that "
            "validate it"
        )
        fix = "build the model inside the loop, or load weights that were saved before the loop"
        related = ((saved, "saved here, in each round"), (loop.at, "the loop over the folds"))
        whole = CERTAIN if model.name == "load_model" else LIKELY  # weights may be loaded on occasion
        return Found("FL010", now.at, message, fix, related, whole)

    def _folds(self, model: Thing, now: Training, loop: Step) -> Found:
        rounds = "fold" if loop.reading.purpose is Purpose.FOLDS else "split"
        message = (
            f"{self._the(model, now)} is not rebuilt for each {rounds} of the loop in {self.where(loop.at)}: "
            f"from the second {rounds} on it has already been trained on the samples that validate it"
        )
        fix = f"build and compile the model inside the loop, once per {rounds}"
        related = (self._origin(model), (loop.at, f"the loop over the {rounds}s"))
        return Found("FL010", now.at, message, fix, related)

    def _loop(self, model: Thing, now: Training, loop: Step, confidence: Confidence) -> Found:
        inside = any(step.serial == loop.serial for step in now.compiled_path)
        does, method = ("compiled and trained", "compile") if inside else ("trained", "fit")
        message = (
            f"{self._the(model, now)} is {does} in every round of the loop in "
            f"{self.where(loop.at)}: each round continues from the weights of the one before, because "
            f"{method}() does not reset them"
        )
        fix = f"build the model inside the loop, or start each round from `{self.fresh}`"
        related = [self._origin(model), (loop.at, "the loop")]
        if now.compiled is not None and inside:
            related.append((now.compiled, "compiled again here, with the weights as they are"))
        return Found("FL003", now.at, message, fix, tuple(related), confidence)

    def _twice(self, model: Thing, before: Training, now: Training, confidence: Confidence) -> Found:
        first, second = _apart(before, now)
        message = (
            f"{self._the(model, now)} has been trained before: {self._both(first, second, now)} one network, "
            f"the second from the weights that the first left{self._no_reset(now)}"
        )
        fix = (
            f"build a model for each training, or train `{self.fresh}`; if the second is meant to "
            "continue the first, say so with `fairlane.continuing(model)`"
        )
        if self.is_r:  # Fairlane itself is for Python
            fix = f"build a model for each training, or train `{self.fresh}`"
        related = [self._origin(model), *self._trainings(before, now, None)]
        return Found("FL002", now.at, message, fix, tuple(related), confidence)

    def _trainings(self, before: Training, now: Training, loop: Step | None) -> Iterable[tuple[At, str]]:
        first, second = _apart(before, now)
        if loop is not None:
            yield loop.at, "the loop that trains it again"
        else:
            yield first, "the first training"
            yield second, "the second training, of the same network"
        if now.at not in (first, second):
            if now.compiled is not None:
                yield now.compiled, "compiled here, which leaves the weights as they are"
            yield now.at, "trained here"

    def _both(self, first: At, second: At, now: Training) -> str:
        """The two trainings by their lines; those of one function by the lines of its calls."""
        one, two, fit = self.where(first), self.where(second), self.where(now.at)
        within = "" if fit in (one, two) else f" (fit in {fit})"
        if one == two:
            return f"the two trainings of {one}{within} train"
        if one.startswith("line ") and two.startswith("line "):
            return f"the trainings of lines {one[5:]} and {two[5:]}{within} train"
        return f"the trainings of {one} and {two}{within} train"

    def _built(self, model: Thing) -> str:
        return "" if model.stands_for else f" (built in {self.where(model.origin)})"

    def _the(self, model: Thing, now: Training) -> str:
        name = now.name or model.label
        how = "first used" if model.stands_for else "built"
        return f"the model {f'`{name}` ' if name else ''}{how} in {self.where(model.origin)}"

    def _origin(self, model: Thing) -> tuple[At, str]:
        return model.origin, "the model is used here first" if model.stands_for else "the model is built here"


def _same_loop(a: Step | None, b: Step | None) -> Step | None:
    """The loop in whose rounds two paths part, if it is one."""
    return a if a is not None and b is not None and a.is_loop and a.serial == b.serial else None


def _parting(a: Path, b: Path) -> tuple[Step | None, Step | None]:
    """Where two paths part."""
    for x, y in zip(a, b, strict=False):
        if x != y:
            return x, y
    return (a[len(b)] if len(a) > len(b) else None), (b[len(a)] if len(b) > len(a) else None)


def _apart(a: Training, b: Training) -> tuple[At, At]:
    """The two lines by which two trainings differ: of two calls of one function, the calls."""
    x, y = _parting(a.path, b.path)
    first, second = (x.at if x else a.at), (y.at if y else b.at)
    return first, second


def _second_name(before: Training, now: Training) -> Alias | None:
    """The alias that is the cause: made for each training, or beside a name that trains too."""
    for alias in (now.alias, before.alias):
        if alias is None:
            continue
        if now.name != before.name or (alias is now.alias and alias.time > before.time):
            return alias
    return None


def _two_names(before: Training, now: Training) -> bool:
    return before.name != now.name and before.name != "" and now.name != "" and before.path == now.path


def _within(inner: Path, path: Path) -> bool:
    """Whether something was done on the way to a place, and not before it."""
    return len(inner) > 0 and inner == path[: len(inner)]


def _is_called_copy(name: str) -> bool:
    """Whether a name says that it is another model than the first."""
    return re.search(r"copy|clone|fresh|new|backup|orig|initial|base|\d$", name.lower()) is not None


def _settings_differ(a: Training, b: Training) -> bool:
    """Whether two trainings are of different hyperparameters."""
    theirs = dict(b.own)
    return any(name in theirs and _different(value, theirs[name]) for name, value in a.own)


def differ(a: Training, b: Training) -> bool:
    """Whether two trainings are plainly of different data."""
    for x, y, one, other in zip(a.data, b.data, a.texts, b.texts, strict=False):
        if _different(x, y) and (one != other or not one or _MADE_UP.search(one)):
            return True  # what is made in the call itself is shown, or is new each time
    return False


def _different(x: Value, y: Value) -> bool:
    if x is y or x.origin == y.origin:
        return False
    return not (isinstance(x, Const) and isinstance(y, Const) and x.value == y.value)
