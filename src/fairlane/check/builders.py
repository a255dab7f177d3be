"""Which call builds a model like another one again: ``build()``, where ``model = build()`` made it.

In: assignments, while a program is interpreted. Out: the text of the call, or nothing where its model might
be another one. It is sure where a function of the file makes the model of its arguments and of imports alone,
where these are still what they were, and where nothing but training has been done to the model since.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fairlane.check.forms import Assign, Call, Constant, Form, Function, Loop, Name
from fairlane.check.known import HARMLESS_BUILTINS, Kind, names
from fairlane.check.machine import Machine
from fairlane.check.values import Alias, Closure, Const, ModelState, Ref, Scope, Thing, Value
from fairlane.check.walking import all_forms

Find = Callable[[str, Scope | None], Value | None]
_DIFFERS = re.compile(
    r"random|rng|choice|shuffle|sample|seed|time|environ|input\s*\(|next\s*\(|open\s*\(|trial|load"
)
_BUILTINS = HARMLESS_BUILTINS | names("range map filter True False None")


@dataclass(frozen=True, slots=True)
class Built:
    """How a model was built: the call, what its names meant, and the state of the model after it."""

    text: str
    means: tuple[tuple[str, Value], ...]
    state: ModelState


class Builders:
    """Knows how models were built.

    Args:
        machine: the program being interpreted.
        find: what finds the value of a name.
    """

    def __init__(self, machine: Machine, find: Find) -> None:
        self.machine = machine
        self.find = find

    def note(self, form: Assign, value: Value, scope: Scope) -> None:
        """``model = build(8)``: a model is built, and given a name."""
        call, machine = form.value, self.machine
        if machine.is_r or not isinstance(value, Thing) or value.kind is not Kind.MODEL:
            return
        if (
            not isinstance(call, Call)
            or not isinstance(call.function, Name)
            or call.at.line != call.at.end_line
        ):
            return
        builder = self.find(call.function.id, scope)
        if not isinstance(builder, Closure) or builder.form is None or not self._is_pure(builder.form):
            return
        parts = [argument.value for argument in call.arguments]
        if not all(isinstance(part, Constant | Name) for part in parts):
            return
        needed = {part.id for part in parts if isinstance(part, Name)} | set(_free(builder.form))
        means = [(name, self.find(name, scope)) for name in sorted(needed - _BUILTINS)]
        known = [(name, held) for name, held in means if isinstance(held, Ref | Const)]
        if len(known) == len(means):
            means_all = ((call.function.id, builder), *known)
            built = Built(machine.text(call.at), means_all, machine.state.model(value))
            machine.state.set(value, "#built", built)

    def again(self, model: Value, scope: Scope, earlier: Alias | None) -> str:
        """The call that builds a model like this one; nothing where that is not sure.

        ``earlier`` is the second name that the same line gave in the round of a loop before.
        """
        built = self.machine.state.get(model, "#built")
        if not isinstance(built, Built) or not isinstance(model, Thing):
            return ""
        if any(self.find(name, scope) is not held for name, held in built.means):
            return ""
        now, then = self.machine.state.model(model), built.state
        same = now.layers == then.layers
        same &= bool(earlier.again) if earlier is not None else now.compiled == then.compiled
        return built.text if same and not (now.set_weights or now.touched) else ""

    def _is_pure(self, form: Function) -> bool:
        """Whether a function gives alike models at each call, as far as its text shows."""
        text = "\n".join(self.machine.program.lines[form.at.line - 1 : form.at.end_line])
        return not (form.decorators or form.generator or form.outer or _DIFFERS.search(text))


def _free(form: Function) -> Iterator[str]:
    """The names that a function takes from outside."""
    inner = list(all_forms(form.body))
    bound = {parameter.name for parameter in form.parameters}
    for one in inner:
        target: Form | None = one.target if isinstance(one, Assign | Loop) else None
        if target is not None:
            bound |= {part.id for part in all_forms(target) if isinstance(part, Name)}
    yield from {one.id for one in inner if isinstance(one, Name)} - bound
