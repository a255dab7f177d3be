"""What methods of layers, weights, optimizers and unknown things do to models.

In: the thing and the arguments of the call. Out: its value, and what it changes in the `Machine`. What is
unknown
is taken to be able to give a model new weights, so that nothing is claimed of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from fairlane.check.forms import At, Form, Name
from fairlane.check.known import Kind, names
from fairlane.check.machine import Given, Machine
from fairlane.check.values import NO_LOOPS, Folds, Part, Seed, Tensor, Thing, Use, Value

SETTERS = frozenset(
    {"set_weights", "load_weights", "assign", "restore", "load_state_dict", "load_own_variables"}
)
PART_READERS = names(
    "get_weights numpy count_params get_config index summary copy call keys values items pop append"
)


class Others:
    """Everything that is not a model itself.

    Args:
        machine: the program being interpreted.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def trained(self, model: Thing, how: str, given: list[Given], at: At, receiver: Form) -> None:
        """A model is trained."""
        raise NotImplementedError

    def seeded(self, at: At) -> None:
        """A seed is set."""
        self.machine.state.set(None, "#seed", Seed(at, self.machine.path))

    def result(self, values: Iterable[Value], at: At) -> Value:
        """The value of a call of something unknown: a tensor, if one went in."""
        values = list(values)
        applied = self.machine.applied(values)
        is_tensor = any(isinstance(i, Tensor) for v in values for i in self.machine.inside(v))
        return Tensor(at, NO_LOOPS, applied) if is_tensor else Value(at)

    def part_method(self, part: Part, name: str, given: list[Given], at: At) -> Value:
        """A method of a layer or a weight of a model."""
        if part.whole is not None and name not in PART_READERS:
            self.machine.excuse(part.whole)
        values = [one.value for one in given]
        applied = self.machine.applied(values)
        if applied or any(isinstance(value, Tensor) for value in values):
            return Tensor(at, NO_LOOPS, applied)
        return Part(at, NO_LOOPS, part.whole)

    def thing_method(self, thing: Thing, name: str, given: list[Given], at: At) -> Value:
        """A method of an optimizer, a layer, a splitter ..."""
        if thing.kind is Kind.SPLITTER and name == "split":
            return Folds(at, NO_LOOPS, thing.name == "TimeSeriesSplit")
        if thing.kind is Kind.OPTIMIZER and name in ("apply_gradients", "apply", "minimize"):
            self.stepped(thing, given, at)
        if thing.kind is Kind.LAYER and name in SETTERS:
            self.machine.excuse_all()
        return self.result([one.value for one in given], at)

    def stepped(self, optimizer: Thing, given: list[Given], at: At) -> None:
        """``optimizer.apply_gradients(...)``: one step of a training of the program's own."""
        machine = self.machine
        wholes = {
            inner.whole
            for one in given
            for inner in machine.inside(one.value)
            if isinstance(inner, Part) and inner.whole is not None
        }
        if len(wholes) == 1 and not machine.continuing:  # several are trained together, as one
            model = wholes.pop()
            machine.events.used(model, Use(optimizer, at), at, machine.state)
            self.trained(model, "apply_gradients", [], at, Name(at, ""))

    def other_method(self, of: Value, name: str, given: list[Given], at: At) -> Value:
        """A method of something unknown."""
        values = [one.value for one in given]
        if name == "fromkeys" and len(values) == 2:  # dict.fromkeys(names, model)
            made = self.machine.container(at, None)
            count = len(self.machine.items(values[0]) or (None, None))
            self.machine.state.set(made, "#keyed", {f"\0{i}": values[1] for i in range(count)})
            return made
        if name in SETTERS or "reset" in name or "reinit" in name:
            self.machine.excuse_all()
        if "seed" in name:
            self.seeded(at)
        self.machine.state.drop(of, "#attributes")
        if name != "append":
            self.machine.escape(values)
        if isinstance(of, Tensor):
            return Tensor(at, NO_LOOPS, of.applied | self.machine.applied(values))
        return self.result(values, at)
