"""Variants × seeds → trials; and every check of what was asked, before anything is trained.

In: ``compare``'s arguments. Out: variants, seeds, trials, and functions that give each trial its fresh
model.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError, SharedStateError, StudyError
from fairlane.models.identity import objects
from fairlane.models.isolation import PAST, check_independent
from fairlane.models.session import Session, left_as_found
from fairlane.models.sharing import Known, changed_by_step
from fairlane.models.template import Template
from fairlane.provenance import fingerprint
from fairlane.trials import RESERVED_COLUMNS, Trial, Variant

_OWN_ARGUMENTS = ("x", "y", "callbacks", "verbose")

FIT_ARGUMENTS = tuple(
    name for name in inspect.signature(keras.Model.fit).parameters if name not in ("self", *_OWN_ARGUMENTS)
)
"""The arguments of ``Model.fit`` that ``compare`` passes on."""

_LARGEST_SEED = 2**32 - 1  # of numpy.random.seed, which keras.utils.set_random_seed calls


# --- variants, seeds, arguments -------------------------------------------------------------------------


def plan(model: Any, variants: Any, seeds: Any, arguments: Mapping[str, Any]) -> list[Trial]:
    """All trials of a study, checked.

    Args:
        model: a builder or a template.
        variants: a dict of lists, or a list of dicts.
        seeds: a number of replicates, or the seeds themselves.
        arguments: of ``Model.fit``, the same for all.

    Returns:
        The trials: every variant with every seed, variant by variant.

    Raises:
        StudyError: what was asked can't be done.
        BuilderError: the model is neither a builder nor a template.
    """
    check_fit_arguments(arguments)
    assignments = _assignments(variants)
    _check_names(assignments)
    to_fit = _fit_names(model, assignments, arguments)
    numbers = _seeds(seeds)
    made = [Variant(i, a, {k: v for k, v in a.items() if k in to_fit}) for i, a in enumerate(assignments)]
    for variant in made:
        check_fit_arguments(variant.fit_arguments)
    pairs = itertools.product(made, numbers)
    return [Trial(i, variant, seed) for i, (variant, seed) in enumerate(pairs)]


def check_fit_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that ``Model.fit`` does not have, or would stumble over when it has begun.

    Raises:
        StudyError: which; the nearest that there is, or what it may be.
    """
    for name, value in arguments.items():
        if name not in FIT_ARGUMENTS:
            raise StudyError(
                f"{name!r} is not an argument of Model.fit.{_did_you_mean(name, FIT_ARGUMENTS)} "
                f"Those are: {', '.join(FIT_ARGUMENTS)}."
            )
        holds, meant = _VALUES.get(name, (None, ""))
        if holds is not None and not holds(value):
            raise StudyError(f"{name}={value!r}: {name} is {meant}")


def _is_number(value: Any, least: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return bool(whole and value >= least)


def _is_count(value: Any) -> bool:
    return value is None or _is_number(value, 1)


def _is_share(value: Any) -> bool:
    if value is None:
        return True
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return bool(number and 0 <= value < 1)


def _is_frequency(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_number(epoch, 1) for epoch in value)
    return isinstance(value, int) and _is_number(value, 1)


def _is_class_weight(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        _is_number(of, 0) and isinstance(weight, int | float | np.number) for of, weight in value.items()
    )


def _is_shuffle(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and value == "batch")


_EPOCHS = (lambda value: _is_number(value, 0), "a whole number, 0 or more")
_COUNT = (_is_count, "a whole number, 1 or more, or None for Keras's default")
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": _EPOCHS,
    "initial_epoch": _EPOCHS,
    "batch_size": _COUNT,
    "steps_per_epoch": _COUNT,
    "validation_steps": _COUNT,
    "validation_batch_size": _COUNT,
    "validation_split": (_is_share, "the share of the samples to validate on, at least 0 and less than 1"),
    "validation_freq": (
        _is_frequency,
        "a whole number (validate after every so many epochs), or a list of epochs, counted from 1",
    ),
    "shuffle": (_is_shuffle, "True, False or 'batch'"),
    "class_weight": (
        lambda value: value is None or _is_class_weight(value),
        "a dict from class to weight, a whole number to a number, or None",
    ),
}
"""Argument → what its values are, in code and in words."""


def _assignments(variants: Any) -> list[dict[str, Any]]:
    """The variants as a list of dicts."""
    if isinstance(variants, Mapping):
        return _grid(variants)
    if not isinstance(variants, Sequence) or isinstance(variants, (str, bytes)):
        raise StudyError(
            "variants are a dict of lists, such as {'learning_rate': [1e-3, 1e-4]}, or a list of "
            f"dicts; got {type(variants).__name__}"
        )
    if len(variants) == 0:
        raise StudyError("the list of variants is empty, so there is nothing to train; see [{}]")
    for i, variant in enumerate(variants):
        if not isinstance(variant, Mapping):
            raise StudyError(f"variant {i} is not a dict but {type(variant).__name__}: {variant!r}")
    plain = [{k: _plain(v) for k, v in variant.items()} for variant in variants]
    for i, j in _twins(plain, lambda variant: [(k, _known_by(variant[k])) for k in sorted(variant, key=str)]):
        raise StudyError(
            f"variants {i} and {j} are the same ({plain[i]}), and would be counted as two; "
            "for replicates of one variant, use seeds"
        )
    return plain


def _grid(lists: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not lists:
        raise StudyError(
            "the grid is empty, so there is nothing to compare; to train replicates of one model, "
            "give the one variant without hyperparameters: [{}]"
        )
    for name, values in lists.items():
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(
            values, (Sequence, np.ndarray, set, frozenset)
        ):
            raise StudyError(
                f"the values of {name!r} are not a list but {values!r}; write [{values!r}] for one value"
            )
        if len(values) == 0:
            raise StudyError(f"the list of values of {name!r} is empty, so the grid is empty")
    grid = itertools.product(*([_plain(v) for v in values] for values in lists.values()))
    made = [dict(zip(lists, values, strict=True)) for values in grid]
    for name, values in lists.items():
        listed = [_plain(value) for value in values]
        for i, j in _twins(listed, _known_by):
            alike = "" if listed[i] is listed[j] else f" (values {i} and {j} of its list are of one state)"
            raise StudyError(
                f"{name!r} has the value {listed[i]!r} twice{alike}, which would be counted as two variants; "
                "for replicates of one variant, use seeds"
            )
    return made


def _check_names(assignments: Iterable[Mapping[str, Any]]) -> None:
    for name in {name for a in assignments for name in a}:
        if not isinstance(name, str):
            raise StudyError(f"a hyperparameter's name is a string, not {name!r}")
        if name in RESERVED_COLUMNS:
            raise StudyError(
                f"a hyperparameter can't be called {name!r}: the results have a column of that name"
                + (" (the seeds are given by seeds=...)" if name == "seed" else "")
                + f"; call it {name + '_'!r}, say"
            )


def _fit_names(
    model: Any, assignments: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any]
) -> set[str]:
    """Which hyperparameters are arguments of ``Model.fit``; all others must be the builder's."""
    names = list(dict.fromkeys(name for a in assignments for name in a))
    taken, any_name = ([], False) if isinstance(model, keras.Model) else _parameters(model)
    for name in names:
        if name in _OWN_ARGUMENTS and name not in taken:
            raise StudyError(f"{name!r} is the same for all trials: give it to compare, not as a variant")
    if isinstance(model, keras.Model):
        template = Template(model)
        to_fit = {n for n in names if n in FIT_ARGUMENTS}
        for name in names:
            if name not in to_fit:
                template.check(name)
    else:
        to_fit = {n for n in names if n not in taken and n in FIT_ARGUMENTS}
        for name in names:
            if name not in taken and name not in to_fit and not any_name:
                raise StudyError(
                    f"the builder does not take {name!r}, and Model.fit does not either."
                    f"{_did_you_mean(name, [*taken, *FIT_ARGUMENTS])} The builder takes: "
                    f"{', '.join(taken) or 'nothing'}. Model.fit takes: {', '.join(FIT_ARGUMENTS)}."
                )
        _check_required(model, assignments, to_fit)
    for name in to_fit & set(arguments):
        raise StudyError(f"{name!r} is given twice: as a variant and as the same for all")
    return to_fit


def _parameters(builder: Any) -> tuple[list[str], bool]:
    """The names that a builder takes, and whether it takes any."""
    if not callable(builder):
        raise BuilderError(
            "the first argument is a builder, a function that returns a fresh, compiled keras.Model, "
            f"or such a model as a template; got {type(builder).__name__}"
        )
    parameters = inspect.signature(builder).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named], any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters
    )


def _check_required(
    builder: Callable[..., Any], assignments: Sequence[Mapping[str, Any]], to_fit: set[str]
) -> None:
    signature = inspect.signature(builder)
    for i, assignment in enumerate(assignments):
        try:
            signature.bind(**{k: v for k, v in assignment.items() if k not in to_fit})
        except TypeError as error:
            raise StudyError(
                f"the builder can't be called with variant {i} ({dict(assignment)}): {error}; give it "
                "a default, or name it in every variant"
            ) from error


def _seeds(seeds: Any) -> list[int]:
    if isinstance(seeds, (bool, float, str)):
        raise StudyError(_not_a_seed(seeds))
    if isinstance(seeds, (int, np.integer)):
        if seeds < 1:
            raise StudyError(f"seeds={seeds} leaves nothing to train: give at least 1 replicate")
        return list(range(int(seeds)))
    if not isinstance(seeds, Iterable):
        raise StudyError(_not_a_seed(seeds))
    numbers = [check_seed(seed) for seed in seeds]
    if not numbers:
        raise StudyError("the list of seeds is empty, so there is nothing to train")
    twice = {seed for seed in numbers if numbers.count(seed) > 1}
    if twice:
        raise StudyError(
            f"seed {min(twice)} is given twice: its two trials would be the same, and counted as two"
        )
    return numbers


def check_seed(seed: Any) -> int:
    """A seed as Python's integer.

    Raises:
        StudyError: it is none, or NumPy does not take it.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise StudyError(_not_a_seed(seed))
    if not 0 <= seed <= _LARGEST_SEED:
        raise StudyError(f"seed {seed} is outside of what NumPy takes: 0 to {_LARGEST_SEED}")
    return int(seed)


def _not_a_seed(value: Any) -> str:
    return (
        f"a seed is an integer, not {value!r}; seeds= takes a number of replicates (5 for the seeds "
        "0 to 4) or a list of integers"
    )


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, which Keras insists on for a learning rate."""
    return value.item() if isinstance(value, np.generic) else value


def _twins(values: Sequence[Any], known_by: Callable[[Any], Any]) -> Iterator[tuple[int, int]]:
    """The positions of values that nothing tells apart."""
    first: dict[str, int] = {}
    for i, value in enumerate(values):
        j = first.setdefault(repr(known_by(value)), i)
        if i != j:
            yield j, i


def _known_by(value: Any) -> Any:
    """What a value is known by: its state; or, where that can't be read, that it is this object."""
    described = fingerprint.described(value)
    return (described, id(value)) if objects.is_unknown(described) else described


def _did_you_mean(name: Any, options: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(options), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


# --- data -------------------------------------------------------------------------------------------


def data_reason(x: Any, arguments: Mapping[str, Any], trials: int, on_lanes: bool) -> str:
    """Why data can't be trained on in lanes; empty where they can.

    Args:
        x: ``Model.fit``'s ``x``.
        arguments: its other arguments, ``y`` among them.
        trials: how many trials read it.
        on_lanes: whether lanes may be used at all.

    Raises:
        StudyError: it can't be trained on at all.
    """
    if x is None:
        raise StudyError("x is missing: what are the models to be trained on?")
    held_out = arguments.get("validation_data")
    for name, source in (("x", x), ("validation_data", held_out)):
        if isinstance(source, types.GeneratorType) and trials > 1 and not on_lanes:
            raise StudyError(
                f"{name} is a generator, which can be read once, and there are {trials} trials, which read "
                "it one after another; on lanes they read it together. Give arrays, or a "
                "keras.utils.PyDataset"
            )
    for name, data in (
        ("x", (x, arguments.get("y"), arguments.get("sample_weight"))),
        ("validation_data", _flat(held_out)),
    ):
        for leaf in keras.tree.flatten(data):
            if _is_sparse(leaf):
                return (
                    f"{name} has sparse arrays ({type(leaf).__name__}), and lanes take dense ones; "
                    "convert them (.toarray()) where they fit into memory"
                )
    return ""


def _is_sparse(array: Any) -> bool:
    """Whether it is a sparse array of SciPy's, JAX's, torch's or TensorFlow's."""
    dense_by_name = hasattr(array, "to_dense") and getattr(array, "is_sparse", False)
    return hasattr(array, "todense") or dense_by_name or type(array).__name__ == "SparseTensor"


def _flat(held_out: Any) -> tuple[Any, ...]:
    return tuple(held_out) if isinstance(held_out, (tuple, list)) else (held_out,)


# --- models -----------------------------------------------------------------------------------------


class Models:
    """Gives each trial its fresh model.

    Args:
        model: a builder or a template.
    """

    def __init__(self, model: Any) -> None:
        self._build: Callable[[dict[str, Any]], Any]
        self.builder: Callable[..., Any] | None = None if isinstance(model, keras.Model) else model
        if isinstance(model, keras.Model):
            self._build, self.what = Template(model).build, f"the template {model.name!r}"
        else:
            self._build = lambda hyperparameters: model(**hyperparameters)
            self.what = f"{getattr(model, '__name__', 'the builder')}()"
        self._given: weakref.WeakSet[Any] = weakref.WeakSet()
        self.known = Known()

    def build(self, trial: Trial, to_train: bool = True) -> keras.Model:
        """The trial's model.

        Args:
            trial: the trial.
            to_train: whether it is to be trained, and not only to be given trained weights.

        Raises:
            BuilderError: the builder gave something else.
            SharedStateError: the builder gave a model again, or one trains what an earlier one has too.
        """
        model = self._built(trial)
        self.known.take(model, f"{self.what} for {trial}", to_train)
        return model

    def _built(self, trial: Trial) -> keras.Model:
        model = self._build(trial.variant.builder_arguments)
        who = f"{self.what} for {trial}"
        if not isinstance(model, keras.Model):
            raise BuilderError(
                f"{who} returned {_article(model)}, not a keras.Model; a builder ends with `return model`"
            )
        if not model.compiled:
            raise BuilderError(
                f"{who} returned a model that is not compiled, so it has no optimizer and no loss; "
                "call model.compile(...) in the builder"
            )
        if model in self._given:
            raise SharedStateError(
                f"{who} returned a model that it has returned before. It would be trained twice as long "
                "rather than anew: build it inside the function"
            )
        self._given.add(model)
        return model

    def rehearse(self, trial: Trial, batch: Callable[[], Any] = lambda: None) -> list[keras.Model]:
        """Build one trial's model twice: are they compiled, and independent?

        An exception of the builder's own is left for the trial to meet.

        Args:
            trial: the trial.
            batch: tells what its training batches look like; None where that is not known.

        Returns:
            Both, to try data on, and to be thrown away; none where the builder raised.

        Raises:
            BuilderError: it gives something else than a compiled model.
            SharedStateError: the two share state.
        """
        models = []
        for _ in range(2):
            try:
                with left_as_found(), Session(trial.seed):
                    models.append(self._built(trial))
            except (BuilderError, SharedStateError):
                raise
            except Exception:
                return []

        def changed(model: keras.Model) -> set[int] | None:
            with left_as_found(), Session(trial.seed):
                return changed_by_step(model, batch())

        names = [f"the {nth} model that {self.what} returned" for nth in ("first", "second")]
        check_independent(*models, names=names, ignore=PAST, changed=changed)
        for model in models:
            self.known.take(model, f"{self.what} for {trial}")
        return models


def _article(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
