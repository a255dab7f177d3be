"""What a loop is for, as its text shows it: folds, repetitions, a sweep, a stream of data, or more epochs.

In: a loop's form, and the functions of the file, since what is called is read too. Out: a `Reading`.
Whether it matters that one model is trained in all rounds depends on it: folds that share a model are a
fault, and days of a stream that share one are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from fairlane.check.bodies import Body, counters
from fairlane.check.forms import (
    Attribute,
    Block,
    Call,
    Constant,
    Form,
    Function,
    Group,
    Loop,
    Name,
    Operation,
)
from fairlane.check.known import names
from fairlane.check.walking import definitions, last_name, words_of


class Purpose(StrEnum):
    """What the rounds of a loop are."""

    FOLDS = "folds"
    SPLITS = "splits"
    REPEATS = "repeats"
    ONWARD = "onward"
    UNTIL = "until"
    STREAM = "stream"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a loop's text shows.

    Attributes:
        purpose: what its rounds are.
        evaluates: whether a model is evaluated in it.
        records: whether a round's result is kept apart from the others'.
        joins: whether the rounds' curves become one.
        falling: whether it runs over numbers that only get smaller, as rates that are lowered do.
        renews: whether the data are made in each round.
        compares_data: whether it trains on more and more samples, or on versions of them, and evaluates
            on the same each time: a learning curve, an ablation.
        sweeps: whether the loop's variable is an argument of ``fit`` other than its data.
    """

    purpose: Purpose = Purpose.PLAIN
    evaluates: bool = False
    records: bool = False
    joins: bool = False
    falling: bool = False
    sweeps: bool = False
    renews: bool = False
    compares_data: bool = False

    @property
    def validates(self) -> bool:
        """Whether its rounds hold samples back for a model that must not have seen them."""
        return self.purpose in (Purpose.FOLDS, Purpose.SPLITS)


UNREAD = Reading()
"""Of a loop that nothing is known of."""

_FOLD_WORDS = names("fold folds kfold kfolds nfolds cv splits split_id loo loso subject_out")
_SPLITTER_WORDS = names("kf skf gkf rkf rskf sgkf ss sss splitter cv")
_REPEAT_WORDS = names(
    """
    rep reps repeat repeats repetition repetitions replicate replication run runs trial trials seed seeds
    experiment experiments attempt bag bags bagging boot bootstrap
    """
)
_ONWARD_WORDS = names(
    """
    epoch epochs ep cycle cycles snapshot round rounds step steps stage stages phase phases batch batches
    chunk chunks episode episodes generation day days week month increment session task tasks rnd level levels
    difficulty curriculum file files path paths shard shards year years window
    """
)
_SIZE_WORDS = names("size sizes n samples frac fraction fractions percent percentage pct proportion subset")
_MEAN_OF = re.compile(
    r"\b(?:nan)?(?:mean|std|average|median|sd|stdev|var|sem)\s*\(\s*(?:\w+\.array\(\s*)?([A-Za-z_]\w*)\s*[,)]"
)
_AVERAGES = ("mean(", "std(", "average(", "median(", "sd(", "stdev(", "var(", "sem(", "sum(")
_ITS_MEAN = re.compile(r"\b([A-Za-z_]\w*)\.(?:mean|std|median)\s*\(|\bsum\s*\(\s*([A-Za-z_]\w*)\s*\)\s*/")
_HANDING_ON = names("enumerate list tqdm zip seq_along range len length nrow")


def read(
    loop: Loop,
    functions: Mapping[str, Function],
    over_folds: bool | None,
    averaged: frozenset[str] = frozenset(),
) -> Reading:
    """Read a loop.

    Args:
        loop: the loop.
        functions: the functions of the file by their names.
        over_folds: whether its values are the folds of a cross-validation; None if that is not known.
        averaged: the names of what the program takes the mean or the deviation of.

    Returns:
        what it is for.
    """
    text = Body(functions)
    text.vary(loop.target)
    counts = counters(loop)
    text.varying |= counts
    text.own = frozenset(text.varying)
    for _ in range(2):  # what the end of a round assigns is read at the beginning of the next
        text.walk(loop.body)
    words = _words(loop.target) | text.parameter_words
    words = words.union(*(words_of(name) for name in counts))
    records = text.records or loop.collects
    return Reading(
        _purpose(loop, text, words, _runs_over_folds(loop) if over_folds is None else over_folds, averaged),
        text.evaluates,
        records,
        text.joins,
        _falls(loop.over),
        bool(text.swept),
        text.renews,
        _compares_data(text, words) and text.data_varies and records,
    )


def _purpose(
    loop: Loop, text: Body, words: frozenset[str], over_folds: bool, averaged: frozenset[str]
) -> Purpose:
    if over_folds or text.fold_parts or (text.complement and text.evaluates):
        return Purpose.FOLDS
    if _is_written(loop):
        words -= {"window"}  # windows of several sizes, and not one after the other
    if words & _ONWARD_WORDS and not text.swept - {"epochs"} and not _compares_epochs(loop, text):
        return Purpose.ONWARD
    if text.splits and text.evaluates:
        return Purpose.SPLITS
    if text.seeds or words & _REPEAT_WORDS or (loop.collects and loop.target is None):
        return Purpose.REPEATS
    if text.evaluates and not text.data_varies and not text.swept and text.kept & averaged:
        return Purpose.REPEATS
    if loop.target is None and not _is_counted(loop):
        return Purpose.UNTIL
    return Purpose.STREAM if text.data_varies and not text.complement else Purpose.PLAIN


def _compares_data(text: Body, words: frozenset[str]) -> bool:
    """Whether models are compared that are trained on more samples, or on versions of the same."""
    more = text.prefix or bool(words & _SIZE_WORDS)
    return (text.fixed and more) or (text.evaluates and text.same_labels)


def _compares_epochs(loop: Loop, text: Body) -> bool:
    """``for epochs in [10, 20, 50]``, each with its score: numbers of epochs are compared."""
    if loop.collects and text.swept:
        return True
    return _is_written(loop) and "epochs" in text.swept and text.evaluates and not _falls(loop.over)


def _is_written(loop: Loop) -> bool:
    """Whether a loop runs over numbers or names that are written out: ``for n in [10, 20, 50]``."""
    return isinstance(loop.over, Group) and all(isinstance(item.value, Constant) for item in loop.over.items)


def _is_counted(loop: Loop) -> bool:
    """``while i < 5``, where the loop adds to i: as good as ``for``."""
    if loop.target is not None:
        return True
    test = loop.body.items[0] if isinstance(loop.body, Block) and loop.body.items else None
    names_in = (
        {part.id for part in test.parts if isinstance(part, Name)} if isinstance(test, Operation) else set()
    )
    return not names_in.isdisjoint(counters(loop))


def averages_of(text: str) -> frozenset[str]:
    """The names of what a program takes the mean or the deviation of.

    Example:
        >>> sorted(averages_of("np.mean(scores), np.std(scores), losses.mean()"))
        ['losses', 'scores']
    """
    found: set[str] = set()
    for line in text.split("\n"):
        if any(word in line for word in _AVERAGES):
            found.update(name for names_in in _ITS_MEAN.findall(line) for name in names_in if name)
            found.update(_MEAN_OF.findall(line))
    return frozenset(found - {"np", "numpy", "statistics"})


def functions_of(form: Form) -> dict[str, Function]:
    """The functions that a program gives names to."""
    found: dict[str, Function] = {}
    for name, value in definitions(form):
        if isinstance(value, Function):
            found.setdefault(name, value)
    return found


def _runs_over_folds(loop: Loop) -> bool:
    """``for train, test in cv.split(x)``, ``map(folds$splits, ...)``, ``for k in range(n_folds)``."""
    pending = [loop.over] if loop.over is not None else []
    while pending:
        form = pending.pop()
        if isinstance(form, Call):
            function = form.function
            takes = [argument.value for argument in form.arguments]
            if isinstance(function, Attribute) and function.name == "split":
                is_text = any(isinstance(value, Constant) and isinstance(value.value, str) for value in takes)
                if takes and not is_text and isinstance(_pair(loop.target), Group):
                    return True
            elif words_of(last_name(function)) & _FOLD_WORDS:  # createFolds(y), vfold_cv(data)
                return True
            elif last_name(function) in _HANDING_ON:
                pending += takes
        elif isinstance(form, Operation):
            pending += form.parts
        elif isinstance(form, Name) and words_of(form.id) & _SPLITTER_WORDS:
            if isinstance(_pair(loop.target), Group):
                return True
        elif isinstance(form, Attribute) and form.name == "splits":
            return True
    return bool((_words(loop.target) | _words(loop.over)) & _FOLD_WORDS)


def _pair(target: Form | None) -> Form | None:
    """The target of what is enumerated: of ``i, (train, test)`` the pair."""
    if isinstance(target, Group) and len(target.items) == 2 and isinstance(target.items[1].value, Group):
        return target.items[1].value
    return target


def _falls(over: Form | None) -> bool:
    """Whether a list is of numbers that only get smaller."""
    if not isinstance(over, Group) or len(over.items) < 2:
        return False
    numbers = [item.value.value for item in over.items if isinstance(item.value, Constant)]
    found = [number for number in numbers if isinstance(number, int | float)]
    if len(found) != len(over.items):
        return False
    return all(a > b for a, b in pairwise(found))


def _words(form: Form | None) -> frozenset[str]:
    """The words of the names in a loop's head."""
    found: frozenset[str] = frozenset()
    pending: list[Form] = [] if form is None else [form]
    while pending:
        current = pending.pop()
        if isinstance(current, Name):
            found |= words_of(current.id)
        elif isinstance(current, Attribute):
            found |= words_of(current.name)
        elif isinstance(current, Group):
            pending.extend(item.value for item in current.items)
        elif isinstance(current, Operation):
            pending.extend(current.parts)
        elif isinstance(current, Call):
            pending.extend(argument.value for argument in current.arguments)
    return found
