"""The rules: what has happened to models → findings.

In: calls such as `Events.trained`, made while a program is interpreted. Out: of `Events.finish`, one `Found`
for each fault, in the order of discovery.

The event at the core is: *a model was trained, compiled again and trained again, and nothing in between says
that this is meant*. A second name for the model makes it FL001, a cross-validation FL010, a loop FL003, and
anything else FL002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fairlane.check.forms import At
from fairlane.check.known import LAYERS_WITH_WEIGHTS, RANDOM_INITIALIZERS, STATEFUL_CALLBACKS, Kind
from fairlane.check.values import (
    Alias,
    Const,
    Loops,
    ModelState,
    Path,
    Seed,
    State,
    Step,
    Thing,
    Training,
    Use,
    Value,
)

Where = Callable[[At], str]


@dataclass(frozen=True, slots=True)
class Found:
    """A fault: its rule, its place, what to say of it, and the places it is about."""

    code: str
    at: At
    message: str
    fix: str
    related: tuple[tuple[At, str], ...] = ()


class Events:
    """Hears what happens to models, and notes the faults.

    Args:
        where: words for a place: ``line 3``, or ``cell 2, line 3``.
        language: ``python`` or ``r``, for the words of the advice.
    """

    def __init__(self, where: Where, language: str) -> None:
        self.where = where
        self.is_r = language == "r"
        self.fresh = "clone_model(model)" if self.is_r else "fairlane.fresh(model)"
        self.seed_words = "keras.utils.set_random_seed" if language == "python" else "set_random_seed"
        self.by_place: dict[tuple[str, At], Found] = {}
        self.shared_layers: list[tuple[Thing, Training, Thing, Training, Found]] = []
        self.last_trained: dict[Thing, int] = {}

    def finish(self) -> list[Found]:
        """The faults of a program at its end, without those that a later training showed to be meant."""
        for first, _, _, then, found in self.shared_layers:
            if self.last_trained.get(first, 0) < then.time:  # not trained in turns
                self.report(found)
        self.shared_layers.clear()
        covered = {at for f in self.by_place.values() if f.code != "FL002" for at, _ in f.related}
        return [f for f in self.by_place.values() if f.code != "FL002" or f.at not in covered]

    def report(self, found: Found) -> None:
        """Note a fault, once for a rule and a place."""
        self.by_place.setdefault((found.code, found.at), found)

    # FL001, FL002, FL003, FL010: the same model again

    def trained(self, model: Thing, now: Training, state: State) -> None:
        """A model is trained: is it one that was trained before?"""
        old = state.model(model)
        if old.trained is not None:
            self._trained_again(model, old, old.trained, now)
        for use in old.uses:
            self.used(model, use, now.at, state)
        self._layers_used(model, old, now, state)
        self.last_trained[model] = now.time
        state.change(model, lambda known: replace(known, trained=now, compiled_since=False))

    def _trained_again(self, model: Thing, old: ModelState, before: Training, now: Training) -> None:
        here, there = _parting(before.path, now.path)
        loop = _same_loop(here, there)
        folds = loop is not None and loop.folds
        alias = _second_name(before, now)
        again = old.compiled_since
        if loop is None and (now.goes_on or _differ(before, now)):
            return
        if alias is not None and (again or _two_names(before, now)):
            self.report(self._alias(model, alias, before, now, loop))
        elif loop is not None and folds:
            self.report(self._folds(model, now, loop))
        elif loop is not None and again:
            self.report(self._loop(model, now, loop))
        elif loop is None and again:
            self.report(self._twice(model, before, now))

    def _alias(self, model: Thing, alias: Alias, before: Training, now: Training, loop: Step | None) -> Found:
        first, second = _apart(before, now)
        both = (
            f"every round of the loop in {self.where(loop.at)} trains"
            if loop
            else self._both(first, second, now)
        )
        message = (
            f"`{alias.name}` is a second name for the model `{alias.old}`{self._built(model)}, not a copy: "
            f"{both} that one network again and again, and compile() does not reset weights"
        )
        copy = self.fresh.replace("(model)", f"({alias.old})")
        fix = f"build the model where it is trained, or make another one: `{alias.name} = {copy}`"
        related = [(model.origin, "the model is built here"), *self._trainings(before, now, loop)]
        return Found("FL001", alias.at, message, fix, tuple(related))

    def _folds(self, model: Thing, now: Training, loop: Step) -> Found:
        message = (
            f"{self._the(model, now)} is not rebuilt for each fold of the loop in {self.where(loop.at)}: "
            "from the second fold on it has already been trained on the samples that validate it"
        )
        fix = "build and compile the model inside the loop, once per fold"
        related = ((model.origin, "the model is built here"), (loop.at, "the loop over the folds"))
        return Found("FL010", now.at, message, fix, related)

    def _loop(self, model: Thing, now: Training, loop: Step) -> Found:
        message = (
            f"{self._the(model, now)} is compiled and trained in every round of the loop in "
            f"{self.where(loop.at)}: each round continues from the weights of the one before, because "
            "compile() does not reset them"
        )
        fix = f"build the model inside the loop, or start each round from `{self.fresh}`"
        related = [(model.origin, "the model is built here"), (loop.at, "the loop")]
        if now.compiled is not None:
            related.append((now.compiled, "compiled again here, with the weights as they are"))
        return Found("FL003", now.at, message, fix, tuple(related))

    def _twice(self, model: Thing, before: Training, now: Training) -> Found:
        first, second = _apart(before, now)
        message = (
            f"{self._the(model, now)} has been trained before: {self._both(first, second, now)} one network, "
            "the second from the weights that the first left, because compile() does not reset them"
        )
        fix = (
            f"build a model for each training, or train `{self.fresh}`; if the second is meant to "
            "continue the first, say so with `fairlane.continuing(model)`"
        )
        if self.is_r:  # Fairlane itself is for Python
            fix = f"build a model for each training, or train `{self.fresh}`"
        related = [(model.origin, "the model is built here"), *self._trainings(before, now, None)]
        return Found("FL002", now.at, message, fix, tuple(related))

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
        return f" (built in {self.where(model.origin)})"

    def _the(self, model: Thing, now: Training) -> str:
        name = now.name or model.label
        return f"the model {f'`{name}` ' if name else ''}built in {self.where(model.origin)}"

    # FL004, FL005, FL006: one instance for several models

    def used(self, model: Thing, use: Use, trained: At, state: State) -> None:
        """Something is used in the training of a model: was it used for another one?"""
        if use.thing.kind is Kind.CALLBACK and use.thing.name not in STATEFUL_CALLBACKS:
            return
        users = state.get(use.thing, "#users")
        users = users if isinstance(users, tuple) else ()
        others = [at for other, at in users if other is not model]
        if others:
            self.report(self._shared(use, others[0], trained))
        state.set(use.thing, "#users", (*users, (model, use.at)))

    def _shared(self, use: Use, first: At, trained: At) -> Found:
        thing = use.thing
        code, what, why, fix = _SHARED[thing.kind]
        label = f"`{thing.label}` " if thing.label else ""
        message = (
            f"the {what} {label}made in {self.where(thing.origin)} is used for more than one model: {why}"
        )
        related = [(thing.origin, f"the {what} is made here"), (first, "used for the first model here")]
        related.append((trained, "the next model is trained with it here"))
        return Found(code, use.at, message, fix, tuple(related))

    # FL007

    def used_initializer(self, initializer: Thing, layer: Thing, at: At, state: State) -> None:
        """A layer is made with an initializer."""
        if initializer.name not in RANDOM_INITIALIZERS:
            return
        first = state.get(initializer, "#layer")
        if not isinstance(first, Use):
            state.set(initializer, "#layer", Use(layer, at))
        elif first.thing is not layer and not state.get(initializer, "#reported"):
            state.set(initializer, "#reported", True)
            label = f"`{initializer.label}` " if initializer.label else ""
            message = (
                f"the initializer {label}made in {self.where(initializer.origin)} is used for several "
                "layers: one instance draws the same numbers each time, so layers of one shape start "
                "with the same weights"
            )
            related = ((initializer.origin, "the initializer is made here"), (first.at, "used first here"))
            fix = "make an initializer for each layer, or give its name, such as 'he_normal'"
            self.report(Found("FL007", at, message, fix, related))

    # FL008

    def _layers_used(self, model: Thing, known: ModelState, now: Training, state: State) -> None:
        """Layers with weights that another model has trained, which is not a view of the same graph."""
        if known.trained is not None:
            return
        for layer, _ in sorted(known.layers, key=lambda pair: (pair[0].origin.line, pair[1])):
            has_weights = layer.kind is Kind.LAYER and layer.name in LAYERS_WITH_WEIGHTS
            if not has_weights or state.get(layer, "#frozen") or known.touched:
                continue
            first = state.get(layer, "#trained")
            if not isinstance(first, tuple):
                state.set(layer, "#trained", (model, now))
                continue
            other, training = first
            theirs = state.model(other)
            apart = not (theirs.layers & known.layers) and not theirs.touched
            if other is not model and apart:
                label = f"`{layer.label}` " if layer.label else ""
                message = (
                    f"the layer {label}made in {self.where(layer.origin)} is in two models, so they "
                    f"share its weights: training the one built in {self.where(model.origin)} continues "
                    f"from, and changes, the one built in {self.where(other.origin)}"
                )
                related = [
                    (layer.origin, "the layer is made here"),
                    (other.origin, "the first model with it"),
                ]
                related += [(training.at, "the first model is trained here")]
                fix = "make the layers in a function, and call it for each model"
                found = Found("FL008", model.origin, message, fix, tuple(related))
                self.shared_layers.append((other, training, model, now, found))
                return

    # FL009

    def variant(self, model: Thing, now: Training, loops: Loops, state: State) -> None:
        """A model is trained that a loop's variable may have a part in: was a seed set in this round?"""
        seed = model.seed
        if seed is None or state.model(model).set_weights:
            return
        for depth, step in enumerate(now.path):
            inside = model.path[: depth + 1] == now.path[: depth + 1]
            if not (step.is_loop and inside and not step.folds and step.serial in loops):
                continue
            if step in seed.path:
                return
            key = (step.serial, "#varied")
            first = state.get(*key)
            if first is None:
                state.set(*key, (seed, step.iteration))
            elif isinstance(first, tuple) and first[0] is seed and first[1] != step.iteration:
                self.report(self._seed(seed, step, now))
            return

    def _seed(self, seed: Seed, loop: Step, now: Training) -> Found:
        message = (
            f"the seed is set once, before the loop over variants in {self.where(loop.at)}: each variant "
            "starts where the ones before it left the random numbers, so the results depend on their order"
        )
        fix = f"set the seed inside the loop, before the model is built: `{self.seed_words}(seed)`"
        related = ((loop.at, "the loop over variants"), (now.at, "trained here"))
        return Found("FL009", seed.at, message, fix, related)


_SHARED = {
    Kind.OPTIMIZER: (
        "FL004",
        "optimizer",
        "its moments, its step count and its learning rate carry over from one to the next",
        "make an optimizer for each model, where it is compiled",
    ),
    Kind.CALLBACK: (
        "FL005",
        "callback",
        "its best value, its patience or its file carries over from one to the next",
        "make the callbacks for each training, for example in a function that returns a new list",
    ),
    Kind.METRIC: (
        "FL006",
        "metric",
        "all models add to one state, so the value of one contains what the others added",
        "make a metric for each model, where it is compiled",
    ),
}


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


def _differ(a: Training, b: Training) -> bool:
    """Whether two trainings are plainly of different data."""
    pairs = zip(a.data, b.data, a.texts, b.texts, strict=False)
    return any(_different(x, y) and (one != other or not one) for x, y, one, other in pairs)


def _different(x: Value, y: Value) -> bool:
    if x is y or x.origin == y.origin:
        return False
    return not (isinstance(x, Const) and isinstance(y, Const) and x.value == y.value)
