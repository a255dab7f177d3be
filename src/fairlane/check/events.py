"""The rules: what has happened to models → findings.

In: calls such as `Events.trained`, made while a program is interpreted. Out: of `Events.finish`, one `Found`
for each fault, in the order of discovery.
A model that is trained again is judged in `again`; what several models share is judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairlane.check.again import CERTAIN, LIKELY, Again, Found, Where, differ
from fairlane.check.forms import At
from fairlane.check.known import LAYERS_WITH_WEIGHTS, RANDOM_INITIALIZERS, STATEFUL_CALLBACKS, Kind
from fairlane.check.purpose import Purpose
from fairlane.check.values import Loops, ModelState, Seed, State, Step, Thing, Training, Use


class Events:
    """Hears what happens to models, and notes the faults.

    Args:
        where: words for a place: ``line 3``, or ``cell 2, line 3``.
        language: ``python`` or ``r``, for the words of the advice.
        lines: the program.
    """

    def __init__(self, where: Where, language: str, lines: Sequence[str]) -> None:
        self.where = where
        self.is_r = language == "r"
        fresh = "clone_model(model)" if self.is_r else "fairlane.fresh(model)"
        self.again = Again(where, lines, self.is_r, fresh)
        self.shared: set[At] = set()
        self.seed_words = "keras.utils.set_random_seed" if language == "python" else "set_random_seed"
        self.by_place: dict[tuple[str, At], Found] = {}
        self.shared_layers: list[tuple[Thing, Training, Thing, Training, Found]] = []
        self.last_trained: dict[Thing, int] = {}

    def finish(self) -> list[Found]:
        """The faults of a program at its end, without those that a later training showed to be meant."""
        for first, _, _, then, found in self.shared_layers:
            layer = found.related[0][0]
            if self.last_trained.get(first, 0) < then.time and layer not in self.shared:  # not in turns
                self.shared.add(layer)
                self.report(found)
        self.shared_layers.clear()
        covered = {at for f in self.by_place.values() if f.code != "FL002" for at, _ in f.related}
        return [f for f in self.by_place.values() if f.code != "FL002" or f.at not in covered]

    def report(self, found: Found) -> None:
        """Note a fault, once for a rule and a place."""
        key = (found.code, found.at)
        if key not in self.by_place or found.confidence is CERTAIN is not self.by_place[key].confidence:
            self.by_place[key] = found

    # FL001, FL002, FL003, FL010: the same model again

    def trained(self, model: Thing, now: Training, state: State) -> None:
        """A model is trained: is it one that was trained before?"""
        old = state.model(model)
        if old.trained is not None and (found := self.again.judge(model, old, old.trained, now)):
            self.report(found)
        if now.how != "apply_gradients":
            for use in old.uses:
                self.used(model, use, now.at, state)
            self._layers_used(model, old, now, state)
        self.last_trained[model] = now.time
        state.change(model, lambda known: replace(known, trained=now, compiled_since=False))

    def one_for_all(self, model: Thing, at: At) -> None:
        """A function that should build a model for each trial returns one and the same."""
        label = f"`{model.label}` " if model.label else ""
        message = (
            f"the function handed over here returns one model each time, {label}built in "
            f"{self.where(model.origin)}: each trial continues from the weights of the one before"
        )
        fix = "build the model inside the function"
        self.report(Found("FL003", at, message, fix, ((model.origin, "the model is built here"),)))

    # FL004, FL005, FL006: one instance for several models

    def used(self, model: Thing, use: Use, trained: At, state: State) -> None:
        """Something is used in the training of a model: was it used for another one?"""
        if use.thing.kind is Kind.CALLBACK and use.thing.name not in STATEFUL_CALLBACKS:
            return
        users = state.get(use.thing, "#users")
        users = users if isinstance(users, tuple) else ()
        others = [at for other, at in users if other is not model and not _goes_on_from(model, use.thing)]
        if others and use.thing.origin not in self.shared:
            self.shared.add(use.thing.origin)
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
        sure = LIKELY if thing.name in _RESET_THEMSELVES or thing.doubtful else CERTAIN
        return Found(code, use.at, message, fix, tuple(related), sure)

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
        if known.trained is not None or known.set_weights:
            return
        for layer, _ in sorted(known.layers, key=lambda pair: (pair[0].origin.line, pair[1])):
            if not _has_weights(layer, state) or state.get(layer, "#frozen") or known.touched:
                continue
            first = state.get(layer, "#trained")
            if not isinstance(first, tuple):
                state.set(layer, "#trained", (model, now))
                continue
            other, training = first
            theirs = state.model(other)
            each_has_more = known.layers - theirs.layers and theirs.layers - known.layers
            same = theirs.layers == known.layers and not now.meant and not now.goes_on
            apart = (not theirs.layers & known.layers or each_has_more or same) and not theirs.touched
            if other is layer or model is layer or differ(training, now) or self._stacks(model, known, state):
                continue
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
                one_graph = theirs.layers & known.layers
                sure = (layer.kind is Kind.LAYER and not one_graph) or other.origin == model.origin
                confidence = CERTAIN if sure else LIKELY
                found = Found("FL008", model.origin, message, fix, tuple(related), confidence)
                self.shared_layers.append((other, training, model, now, found))
                return

    def _stacks(self, model: Thing, known: ModelState, state: State) -> bool:
        """Whether a model puts together what several others have trained, as greedy training does."""
        trained = {state.get(layer, "#trained") for layer, _ in known.layers}
        return len({first[0] for first in trained if isinstance(first, tuple) and first[0] is not model}) > 1

    # FL009

    def variant(self, model: Thing, now: Training, loops: Loops, state: State) -> None:
        """A model is trained that a loop's variable may have a part in: was a seed set in this round?"""
        seed = model.seed
        if seed is None or state.model(model).set_weights:
            return
        for depth, step in enumerate(now.path):
            inside = model.path[: depth + 1] == now.path[: depth + 1]
            repeats = step.reading.validates or step.reading.purpose is Purpose.REPEATS
            if not (step.is_loop and inside and not repeats and step.serial in loops):
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
        return Found("FL009", seed.at, message, fix, related, LIKELY)


_RESET_THEMSELVES = frozenset({"EarlyStopping", "ReduceLROnPlateau", "History", "TensorBoard"})
"""Callbacks that begin each training anew, so that what is carried over is little."""


def _has_weights(layer: Thing, state: State) -> bool:
    """Whether a layer, or a model that is used as one, has weights that are trained."""
    if layer.kind is Kind.LAYER:
        return layer.name in LAYERS_WITH_WEIGHTS
    inner = state.model(layer).layers
    if not inner:
        return layer.name not in ("Sequential", "Model")  # a network that comes with Keras, or from a file
    return any(part is not layer and _has_weights(part, state) for part, _ in inner)


def _goes_on_from(model: Thing, thing: Thing) -> bool:
    """Whether a model was loaded from the file that a callback wrote: the training rolls back and goes on."""
    return thing.kind is Kind.CALLBACK and thing.file is not None and model.file == thing.file


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
