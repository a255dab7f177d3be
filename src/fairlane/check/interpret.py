"""The interpreter: walks a program's forms, and lets `calls` and `events` know what happens.

In: a `forms.Program`. Out: what its `Events` found. Functions of the file are followed where they are called,
loops are run twice (or once per item, where the items are models and the like), and both sides of a branch
are taken, after which only that is known which is so on both. Functions that nothing calls are run at the
end, each on its own, with arguments of which nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from fairlane.check import known, truths
from fairlane.check.again import Found, Where
from fairlane.check.containers import over_folds
from fairlane.check.events import Events
from fairlane.check.forms import (
    Assign,
    Attribute,
    Block,
    Branch,
    Call,
    Class,
    Constant,
    Form,
    Function,
    Group,
    Index,
    Leave,
    Loop,
    Name,
    Operation,
    Program,
    Record,
    Reference,
    Return,
    StarImport,
    Try,
    With,
)
from fairlane.check.functions import Functions, Turns
from fairlane.check.known import Kind
from fairlane.check.machine import Enough, Machine, Notes
from fairlane.check.purpose import Purpose, Reading, averages_of, functions_of, read
from fairlane.check.values import (
    NO_LOOPS,
    Closure,
    Const,
    Made,
    ModelState,
    Ref,
    Scope,
    State,
    Step,
    Thing,
    Value,
    joined,
)
from fairlane.check.walking import definitions

MOST_UNCALLED = 400
_WORDS = re.compile(r"\w+")


def interpret(program: Program, where: Where, notes: Notes = ()) -> list[Found]:
    """Find the faults of a program.

    Args:
        program: what a front end gave.
        where: words for a place, for the messages.
        notes: the prose above pieces of the program, by their first lines.

    Returns:
        the faults, in the order of discovery.
    """
    events = Events(where, program.language, program.lines)
    interpreter = _Interpreter(Machine(program, events, notes))
    with suppress(Enough, RecursionError):  # what was found until there stands
        interpreter.program()
    return events.finish()


class _Interpreter(Functions):
    """Runs programs."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.training: frozenset[str] | None = None
        self.trains: dict[Function, bool] = {}
        self.readings: dict[tuple[Loop, bool | None], Reading] = {}
        self.handlers: dict[type[Form], Callable[..., Value]] = {
            Name: self.name,
            Constant: lambda form, scope: Const(form.at, NO_LOOPS, form.value),
            Reference: lambda form, scope: Ref(form.at, NO_LOOPS, form.path),
            Attribute: self.attribute,
            Index: self.index,
            Call: self.call,
            Function: self.function,
            Class: self.make_class,
            Group: self.group,
            Record: self.record,
            Operation: self.operation,
            Block: self.block,
            Branch: self.branch,
            Assign: self.assign,
            Loop: self.loop,
            Return: self.leave_function,
            Leave: self.leave,
            With: self.with_context,
            Try: self.attempt,
            StarImport: self.star_import,
        }

    # The whole

    def program(self) -> None:
        """Run the program, and then what nothing called."""
        body = self.machine.program.body
        for item in body.items if isinstance(body, Block) else (body,):
            self.run(item, self.root)
            self.machine.alive = True  # a notebook's cells are run after one that raises, too
        done = 0
        while done < MOST_UNCALLED and (todo := self.uncalled()):
            for closure in todo[: MOST_UNCALLED - done]:
                done += 1
                self.run_alone(closure)

    def uncalled(self) -> list[Closure]:
        """The functions that no one has called yet, each once."""
        found: dict[Function, Closure] = {}
        for closure in self.closures:
            assert closure.form is not None
            if closure.form not in self.called and self.may_train(closure.form):
                found.setdefault(closure.form, closure)
        self.closures.clear()
        return list(found.values())

    def may_train(self, form: Function) -> bool:
        """Whether a function trains anything, or calls what does: the others need not be run."""
        if form not in self.trains:
            if self.training is None:
                self.training = _training(self.machine.program)
            lines = self.machine.program.lines[form.at.line - 1 : form.at.end_line]
            text = "\n".join(lines)
            calls = bool(self.training) and not self.training.isdisjoint(_WORDS.findall(text))
            self.trains[form] = calls or known.may_train(text)
        return self.trains[form]

    def run_alone(self, closure: Closure) -> None:
        """Run a function that the file does not call, as if the program had trained nothing yet."""
        machine = self.machine
        assert closure.form is not None
        if closure.form in self.called:
            return
        before = machine.state
        machine.state, machine.alive, machine.path = before.copy(), True, ()
        machine.state.set(None, "#seed", None)
        for thing in machine.models:
            state = machine.state.get(thing, "#model")
            if isinstance(state, ModelState) and state.trained is not None:
                machine.excuse(thing)
        for key in [key for key in machine.state.facts if key[1] in ("#users", "#trained")]:
            machine.state.facts.pop(key)
        at = closure.form.at
        if closure.cls is not None and closure.owner is None:
            owner = self.instantiate(closure.cls, None, at)
            for name in ("setUp", "setup_method", "setUpClass"):
                if name in closure.cls.methods and machine.alive:
                    self.invoke(closure.cls.methods[name], None, at, owner)
            machine.alive = True
            self.invoke(closure, None, at, owner)
        else:
            self.invoke(closure, None, at, closure.owner)
        machine.state, machine.alive = before, True

    def run(self, form: Form, scope: Scope) -> Value:
        """Run a form, where the path has not ended."""
        self.machine.tick()
        if not self.machine.alive:
            return Value(form.at)
        return self.handlers[type(form)](form, scope)

    # Control flow

    def block(self, form: Block, scope: Scope) -> Value:
        """Statements, one after the other."""
        value: Value = Const(form.at)
        for item in form.items:
            if not self.machine.alive:
                break
            value = self.run(item, scope)
        return value

    def end_path(self) -> None:
        """Nothing after this point is run."""
        self.machine.alive = False

    def leave_function(self, form: Return, scope: Scope) -> Value:
        """``return``."""
        value = Const(form.at) if form.value is None else self.run(form.value, scope)
        if self.machine.alive:
            state = self.machine.state
            place: Scope | None = scope
            state.set(place, "#returned", value)
            self.frames[-1].returns.append(state)
            self.end_path()
        return value

    def leave(self, form: Leave, scope: Scope) -> Value:
        """``break``, ``continue`` and ``raise``."""
        if self.turns and form.kind != "raise":
            turns = self.turns[-1]
            (turns.breaks if form.kind == "break" else turns.continues).append(self.machine.state)
        self.end_path()
        return Value(form.at)

    def branch(self, form: Branch, scope: Scope) -> Value:
        """Both sides are run, each from the same state."""
        machine = self.machine
        tests = [self.run(test, scope) for test in form.tests]
        if not machine.alive:
            return Value(form.at)
        options = form.options
        truth = truths.is_true(tests[0]) if len(tests) == 1 else None
        if truth is not None and len(options) == 2:
            options = (options[0] if truth else options[1],)
        elif form.tests and _is_main(form.tests[0]):
            options = options[:1]
        if len(options) == 1:
            return self.run(options[0], scope)
        before, after = machine.state, []
        machine.tick(len(before.facts) // 20)
        for option in options:
            machine.state, machine.alive = before.copy(), True
            value = self.run(option, scope)
            if machine.alive:
                machine.state.set(form, "#value", value)
                after.append(machine.state)
        return self.meet(after, form)

    def meet(self, states: list[State], form: Form) -> Value:
        """Go on where paths meet."""
        state = joined(states)
        self.machine.alive = state is not None
        if state is None:
            return Value(form.at)
        self.machine.state = state
        value = state.get(form, "#value")
        state.drop(form, "#value")
        return value if isinstance(value, Value) else Value(form.at)

    def loop(self, form: Loop, scope: Scope) -> Value:
        """The body is run twice, or once per item where the items matter."""
        machine = self.machine
        over = Value(form.at) if form.over is None else self.run(form.over, scope)
        if not machine.alive:
            return Value(form.at)
        serial, path = machine.next_time(), machine.path
        reading = self.reading(form, over_folds(over))
        turns = Turns()
        self.turns.append(turns)
        collected: list[Value] = []
        items = [Value(form.at)] * (1 if _tries_again(form) else 2)
        if form.target is not None:
            items = self.rounds(over, serial, form.at)
        keyed = machine.state.get(over, "#keyed")  # models by their names: the loop may look them up
        repeated = self.repeated([*keyed.values()] if isinstance(keyed, dict) else items)
        for turn, item in enumerate(items):
            machine.path = (*path, Step(form.at, serial, turn, reading, repeated))
            if form.target is not None:
                bare = reading.purpose is Purpose.FOLDS and type(item) is Value
                self.assign_to(form.target, Value(item.origin) if bare else item, scope)
            collected.append(self.run(form.body, scope))
            if not self.next_turn(turns):
                break
        machine.path = path
        self.turns.pop()
        ends = [*turns.breaks, *([machine.state] if machine.alive else [])]
        self.meet(ends, form)
        if form.otherwise is not None and machine.alive and not turns.breaks:
            self.run(form.otherwise, scope)
        return machine.container(form.at, collected if form.collects else None)

    def reading(self, form: Loop, over_folds: bool | None) -> Reading:
        """What a loop is for; each loop is read once."""
        key = (form, over_folds)
        if key not in self.readings:
            if not self.machine.functions:
                self.machine.functions = functions_of(self.machine.program.body)
            if self.machine.averaged is None:
                self.machine.averaged = averages_of("\n".join(self.machine.program.lines))
            self.readings[key] = read(form, self.machine.functions, over_folds, self.machine.averaged)
        return self.readings[key]

    def repeated(self, items: list[Value]) -> tuple[Thing, ...]:
        """The models that a list holds more than once."""
        models = [
            inner
            for item in items
            for inner in set(self.machine.inside(item))
            if isinstance(inner, Thing) and inner.kind is Kind.MODEL
        ]
        return tuple(model for model in dict.fromkeys(models) if models.count(model) > 1)

    def next_turn(self, turns: Turns) -> bool:
        """The end of a round, where those that continued early come too: whether there is another."""
        machine = self.machine
        states = [*turns.continues, *([machine.state] if machine.alive else [])]
        turns.continues.clear()
        state = joined(states)
        machine.alive = state is not None
        if state is not None:
            machine.state = state
        return machine.alive

    def with_context(self, form: With, scope: Scope) -> Value:
        """A block; in `fairlane.continuing`, one in which training on is meant."""
        machine = self.machine
        context = self.run(form.context, scope)
        if form.target is not None:
            is_known = isinstance(context, Thing | Made)
            self.assign_to(form.target, context if is_known else Value(form.at), scope)
        goes_on = isinstance(context, Thing) and context.kind is Kind.CONTINUING
        if goes_on:
            machine.continuing += 1
        value = self.run(form.body, scope)
        if goes_on:
            machine.continuing -= 1
            machine.excuse_all()
        return value

    def attempt(self, form: Try, scope: Scope) -> Value:
        """A block and its handlers; these start from where the block ended."""
        machine = self.machine
        before = machine.state.copy()
        value = self.run(form.body, scope)
        late = machine.state if machine.alive else before
        after = [machine.state] if machine.alive else []
        for handler in form.handlers:
            machine.state, machine.alive = late.copy(), True
            self.run(handler, scope)
            if machine.alive:
                after.append(machine.state)
        self.meet(after, form)
        if machine.alive:
            self.run(form.final, scope)
        return value


def _training(program: Program) -> frozenset[str]:
    """The names of the functions and classes of a file that train, or that mention one that does."""
    texts: dict[str, str] = {}
    for name, form in definitions(program.body):
        lines = program.lines[form.at.line - 1 : form.at.end_line]
        texts[name] = texts.get(name, "") + "\n".join(lines)
    found = {name for name, text in texts.items() if known.may_train(text)}
    if not found:
        return frozenset()
    words = {name: frozenset(_WORDS.findall(text)) for name, text in texts.items()}
    more = found
    while more:
        more = {name for name in texts.keys() - found if not words[name].isdisjoint(more)}
        found |= more
    return frozenset(found)


def _tries_again(form: Loop) -> bool:
    """``while not done: try: ...``: what fails is done again, and what is done well, once."""
    inside = form.body.items if isinstance(form.body, Block) else ()
    return form.target is None and any(isinstance(item, Try) and item.handlers for item in inside)


def _is_main(form: Form) -> bool:
    """``if __name__ == "__main__"``."""
    return isinstance(form, Operation) and any(
        isinstance(part, Name) and part.id == "__name__" for part in form.parts
    )
