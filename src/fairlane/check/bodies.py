"""What the text of a loop's body does with the names that depend on the round.

In: forms, and the functions of the file, since what is called is read too. Out: facts, such as that a model
is evaluated, or that all samples but this round's are chosen. `purpose` draws the conclusions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlane.check.forms import (
    Assign,
    Attribute,
    Block,
    Branch,
    Call,
    Constant,
    Form,
    Function,
    Group,
    Index,
    Loop,
    Name,
    Operation,
)
from fairlane.check.known import names
from fairlane.check.walking import all_forms, children, last_name, words_of

_SPLIT_CALLS = names("train_test_split initial_split createDataPartition sample.split validation_split "
                     "initial_validation_split random_split")  # fmt: skip
_FOLD_PARTS = names("analysis assessment training testing")
_COMPLEMENTS = names("delete setdiff setdiff1d difference symmetric_difference drop anti_join logical_not")
_JOINING = names("concatenate vstack hstack append concat rbind cbind bind_rows c abind r_ stack chain")
_EVALUATIONS = names(
    "evaluate evaluate_generator predict predict_generator predict_proba predict_classes predict_on_batch "
    "score test_on_batch accuracy_score mean_squared_error roc_auc_score f1_score"
)
_TRAINING = names("fit fit_generator train_on_batch")
_SHOWING = names("plot print semilogy lines points cat message info log writerow write format scatter line")
_SELECTING = names("where which nonzero flatnonzero filter subset query compress select isin")
_DRAWING = names("sample choice choices permutation shuffle randint resample sample_int sample.int runif "
                 "rand random random_sample sample_n sample_frac slice_sample")  # fmt: skip
_NOT_SWEPT = names("object model sample_weight callbacks verbose initial_epoch") | {None}


@dataclass
class Body:
    """Reads the statements of a loop's body; ``varying`` are the names that depend on the round."""

    functions: Mapping[str, Function]
    own: frozenset[str] = frozenset()
    varying: set[str] = field(default_factory=set)
    names: dict[Form, frozenset[str]] = field(default_factory=dict)
    inside: list[Function] = field(default_factory=list)
    parameter_words: frozenset[str] = frozenset()
    evaluates: bool = False
    records: bool = False
    joins: bool = False
    swept: set[str] = field(default_factory=set)
    seeds: bool = False
    splits: bool = False
    complement: bool = False
    fold_parts: bool = False
    data_varies: bool = False
    renewed: set[str] = field(default_factory=set)
    renews: bool = False
    fixed: bool = False
    prefix: bool = False
    same_labels: bool = False
    drawn: set[str] = field(default_factory=set)
    cuts: dict[str, set[Form]] = field(default_factory=dict)
    updating: frozenset[str] = frozenset()
    kept: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)

    def shows(self, form: Call) -> bool:
        """Whether a call shows or writes something beside the loop's own variable."""
        if last_name(form.function) not in _SHOWING:
            return False
        return any(not self.own.isdisjoint(self.mentioned(argument.value)) for argument in form.arguments)

    def vary(self, target: Form | None) -> None:
        """The names of an assignment's target depend on the round."""
        match target:
            case Name():
                self.varying.add(target.id)
            case Group():
                for item in target.items:
                    self.vary(item.value)
            case Index():
                self.vary(target.of)

    def varies(self, form: Form | None) -> bool:
        """Whether a form mentions a name that depends on the round."""
        return form is not None and not self.varying.isdisjoint(self.mentioned(form))

    def mentioned(self, form: Form) -> frozenset[str]:
        """The names in a form."""
        found = self.names.get(form)
        if found is None:
            found = frozenset(inner.id for inner in all_forms(form) if isinstance(inner, Name))
            self.names[form] = found
        return found

    def walk(self, form: Form) -> None:
        """Read a form, and all that is in it, in the order in which it is run."""
        match form:
            case Assign():
                self.updating = frozenset(_targets(form.target))
                self.walk(form.value)
                self.updating = frozenset()
                self.assigned(form)
            case Loop():
                self.inner_loop(form)
            case Call():
                for argument in form.arguments:
                    self.walk(argument.value)
                self.walk(form.function)
                self.called(form)
            case Index():
                self.walk(form.of)
                self.walk(form.key)
                self.indexed(form)
            case Branch():
                for option in form.options:
                    self.walk(option)
            case Function():
                pass  # read where it is called
            case Operation() if form.operator in ("Invert", "Not", "!") and self.varies(form):
                self.complement = True
            case Operation() if form.operator == "Invert" and self.is_drawn(form):
                self.splits = True
            case _:
                self.complement |= _joins_slices(form, self)
                for child in children(form):
                    self.walk(child)

    def inner_loop(self, form: Loop) -> None:
        """A loop in the loop, or a comprehension, whose conditions leave things out."""
        if form.over is not None:
            self.walk(form.over)
            if self.varies(form.over):
                self.vary(form.target)
        if form.collects and isinstance(form.body, Block):
            self.complement |= any(self.excludes(item) for item in form.body.items)
        self.walk(form.body)

    def assigned(self, form: Assign) -> None:
        """A name is assigned."""
        if self.varies(form.value):
            self.vary(form.target)
            self.complement |= self.excludes(form.value)
        calls = {last_name(inner.function) for inner in all_forms(form.value) if isinstance(inner, Call)}
        if calls:
            self.renewed |= _targets(form.target)
        if calls & _DRAWING or self.is_drawn(form.value):
            self.drawn |= _targets(form.target)
        target = form.target
        if isinstance(target, Index):
            if self.varies(target.key):
                self.vary(target)
            if self.varies(target.key) and isinstance(form.value, Constant) and form.value.value is False:
                self.cleared |= self.mentioned(target.of)  # mask[test] = False
            self.records |= self.varies(target.key)
            self.kept |= self.mentioned(target.of)
        value = form.value
        if isinstance(value, Operation) and value.operator == "+" and isinstance(target, Name):
            own = isinstance(value.parts[0], Name) and value.parts[0].id == target.id
            self.joins |= own and _mentions_history(value.parts[1])
        if isinstance(value, Group) and value.items and isinstance(target, Name):  # R's c(scores, score)
            first = value.items[0].value
            if isinstance(first, Name) and first.id == target.id:
                self.records = True
                self.kept.add(target.id)

    def is_drawn(self, form: Form) -> bool:
        """Whether a form mentions what is drawn at random in each round, and is not taken out of a pool."""
        mentioned = self.mentioned(form)
        return not self.drawn.isdisjoint(mentioned) and self.updating.isdisjoint(mentioned)

    def excludes(self, form: Form) -> bool:
        """Whether a form chooses all that is not of this round."""
        return isinstance(form, Operation) and form.operator in ("!=", "not in") and self.varies(form)

    def indexed(self, form: Index) -> None:
        """Something is chosen: all but this round's?"""
        keys = (
            form.key.parts if isinstance(form.key, Operation) and form.key.operator == "keys" else (form.key,)
        )
        for key in keys:
            self.complement |= not self.cleared.isdisjoint(self.mentioned(key))
            self.prefix |= self.is_prefix(key)
            for inner in all_forms(key):
                negative = (
                    isinstance(inner, Operation) and inner.operator in ("-", "!") and len(inner.parts) == 1
                )
                if (negative and self.varies(inner)) or self.excludes(inner):
                    self.complement = True
                elif negative and self.is_drawn(form):
                    self.splits = True  # x[-idx, ], where idx is drawn in each round
            if isinstance(key, Operation) and key.operator in ("slice", ":") and self.is_drawn(form.of):
                name = next(iter(self.mentioned(form.of)))
                self.cuts.setdefault(name, set()).add(form)
                self.splits |= (
                    isinstance(form.of, Name) and len(self.cuts[name]) > 1
                )  # order[:n] and order[n:]

    def is_prefix(self, key: Form) -> bool:
        """``[:n]`` and R's ``[1:n]``, where n is the loop's own variable: the first n of something."""
        if not isinstance(key, Operation) or key.operator not in ("slice", ":"):
            return False
        parts = key.parts
        begins = key.operator == ":" and isinstance(parts[0], Constant) and parts[0].value == 1
        bound = parts[-1] if len(parts) == 1 or begins else None
        return bound is not None and not self.own.isdisjoint(self.mentioned(bound))

    def called(self, form: Call) -> None:
        """A function is called."""
        name, arguments = last_name(form.function), form.arguments
        varies = any(self.varies(argument.value) for argument in arguments)
        self.records |= self.shows(form)
        if name in _EVALUATIONS:
            self.evaluates = True
            self.fixed |= not varies
        self.splits |= name in _SPLIT_CALLS
        self.fold_parts |= name in _FOLD_PARTS and varies and len(arguments) == 1
        if varies and name in _SELECTING | _COMPLEMENTS:
            chosen = any(self.excludes(inner) for a in arguments for inner in all_forms(a.value))
            self.complement |= chosen or name in _COMPLEMENTS
        if name in _COMPLEMENTS and self.is_drawn(form):
            self.splits = True
        if name == "pop" and varies and not self.renewed.isdisjoint(self.mentioned(form.function)):
            self.complement = True  # parts = list(folds); test = parts.pop(k)
        if name == "shuffle":
            self.drawn |= self.mentioned(form) - self.mentioned(form.function)
        if varies and name in _JOINING:
            self.complement |= sum(_slices(argument.value, self) for argument in arguments) > 1
        for argument in arguments:
            seeded = argument.name is not None and argument.name in ("random_state", "seed")
            if (seeded or ("seed" in name and name != "set.seed")) and self.varies(argument.value):
                self.seeds = True
        if name == "append":
            self.records = True
            self.kept |= self.mentioned(form.function)
        if name == "extend":
            self.joins |= any(_mentions_history(argument.value) for argument in arguments)
        if name in _TRAINING:
            self.trained(form)
        self.follow(form)

    def trained(self, form: Call) -> None:
        """A model is trained: on what, and how?"""
        position = 0
        method = isinstance(form.function, Attribute)
        for argument in form.arguments:
            is_data = argument.name in ("x", "y", "data", "generator")
            if argument.spread:
                self.swept |= {"**"} if self.varies(argument.value) else set()
                continue
            if argument.name is None:
                is_data = position < 2 if method else 0 < position < 3  # R's fit(model, x, y)
                position += 1
            if is_data:
                is_labels = argument.name == "y" or (
                    argument.name is None and position == (2 if method else 3)
                )
                self.same_labels |= is_labels and not self.varies(argument.value)
                self.data_varies |= self.varies(argument.value)
                self.renews |= not self.renewed.isdisjoint(self.mentioned(argument.value))
            elif argument.name == "validation_data" or argument.name == "validation_split":
                self.evaluates = True
                self.fixed |= argument.name == "validation_data" and not self.varies(argument.value)
            elif argument.name not in _NOT_SWEPT and self.varies(argument.value):
                self.swept.add(str(argument.name))

    def follow(self, form: Call) -> None:
        """Read a function of the file, with what it is given."""
        function = form.function
        if isinstance(function, Name):
            called = self.functions.get(function.id)
        else:
            called = function if isinstance(function, Function) else None
        if called is None or called in self.inside or len(self.inside) > 5:
            return
        by_name = {argument.name: argument.value for argument in form.arguments if argument.name}
        positional = [argument.value for argument in form.arguments if argument.name is None]
        for parameter in called.parameters:
            value = by_name.get(parameter.name) or (positional.pop(0) if positional else None)
            if self.varies(value):
                self.varying.add(parameter.name)
                if called.name in ("function", "lambda"):
                    self.parameter_words |= words_of(parameter.name)
        self.inside.append(called)
        self.walk(called.body)
        self.inside.pop()


def counters(loop: Loop) -> frozenset[str]:
    """The variables that a ``while`` loop counts with: ``i`` of ``i += 1``."""
    if loop.target is not None or loop.collects:
        return frozenset()
    assigned = [f for f in all_forms(loop.body) if isinstance(f, Assign) and isinstance(f.target, Name)]
    names_of = {form.target.id for form in assigned if isinstance(form.target, Name)}
    found = set()
    for form in assigned:
        value = form.value
        if not (
            isinstance(value, Operation) and value.operator in ("+", "-", "Sub") and len(value.parts) == 2
        ):
            continue
        first, step = value.parts
        steady = isinstance(step, Constant) or (isinstance(step, Name) and step.id not in names_of)
        if steady and isinstance(first, Name) and first.id == getattr(form.target, "id", None):
            found.add(first.id)
    return frozenset(found)


def _targets(target: Form) -> set[str]:
    """The names that an assignment gives values to."""
    return {inner.id for inner in all_forms(target) if isinstance(inner, Name)}


def _slices(form: Form, text: Body) -> int:
    """How many slices with one bound, which depends on the round, are in a form."""
    count = 0
    for inner in all_forms(form):
        if isinstance(inner, Index):
            keys = inner.key.items if isinstance(inner.key, Group) else ()
            parts = [argument.value for argument in keys] or [inner.key]
            count += any(
                isinstance(p, Operation) and p.operator == "slice" and len(p.parts) == 1 and text.varies(p)
                for p in parts
            )
    return count


def _joins_slices(form: Form, text: Body) -> bool:
    """``x[:a] + x[b:]``: all but what lies between."""
    return isinstance(form, Operation) and form.operator == "+" and _slices(form, text) > 1


def _mentions_history(form: Form) -> bool:
    return any(isinstance(inner, Attribute) and inner.name == "history" for inner in all_forms(form))
