"""Variants × seeds → trials; every check of the request, before anything is trained.

In: ``compare``'s arguments. Out: trials, with their variants and seeds.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError, StudyError
from fairlane.kit.text import did_you_mean
from fairlane.models.identity import objects
from fairlane.models.template import Template
from fairlane.provenance import fingerprint
from fairlane.running.fit_arguments import COMPARES_OWN, FIT_ARGUMENTS, check_fit_arguments
from fairlane.running.models import of_the_fold
from fairlane.running.seeds import seeds_of
from fairlane.trials import RESERVED_COLUMNS, Trial, Variant


def plan(
    model: Any,
    variants: Any,
    seeds: Any,
    arguments: Mapping[str, Any],
    folds: int | None = None,
    made_from: Collection[str] = (),
) -> list[Trial]:
    """All trials of a study, checked.

    Args:
        model: a builder or a template.
        variants: a dict of lists, or a list of dicts.
        seeds: a number of replicates, or the seeds themselves.
        arguments: those of ``Model.fit`` that are the same for all trials.
        folds: how many folds there are; None where the samples are not cut into folds.
        made_from: the hyperparameters that phases and a function of the data take.

    Returns:
        The trials: every variant with every seed and fold, variant by variant, seed by seed.

    Raises:
        StudyError: the request is not possible.
        BuilderError: the model is neither a builder nor a template.
    """
    check_fit_arguments(arguments)
    assignments = _assignments(variants)
    _check_names(assignments, folds is not None)
    to_fit = _fit_names(model, assignments, arguments, folds is not None, made_from)
    numbers = seeds_of(seeds)
    made = [Variant(i, a, {k: v for k, v in a.items() if k in to_fit}) for i, a in enumerate(assignments)]
    for variant in made:
        own = {k: v for k, v in variant.fit_arguments.items() if k not in made_from or k in FIT_ARGUMENTS}
        check_fit_arguments(own)
    of_seed = [None] if folds is None else range(folds)
    every = itertools.product(made, numbers, of_seed)
    return [Trial(i, *one) for i, one in enumerate(every)]


def _assignments(variants: Any) -> list[dict[str, Any]]:
    """The variants as a list of dicts."""
    if isinstance(variants, Mapping):
        return _grid(variants)
    if not isinstance(variants, Sequence) or isinstance(variants, (str, bytes)):
        raise StudyError(
            "variants must be a dict of lists, such as {'learning_rate': [1e-3, 1e-4]}, or a list of "
            f"dicts; got {type(variants).__name__}"
        )
    if len(variants) == 0:
        raise StudyError(
            "the list of variants is empty, so there is nothing to train; [{}] is one variant without "
            "hyperparameters"
        )
    for i, variant in enumerate(variants):
        if not isinstance(variant, Mapping):
            raise StudyError(f"variant {i} is not a dict but {type(variant).__name__}: {variant!r}")
    plain = [{k: _plain(v) for k, v in variant.items()} for variant in variants]
    for i, j in _twins(plain, lambda variant: [(k, _known_by(variant[k])) for k in sorted(variant, key=str)]):
        raise StudyError(
            f"variants {i} and {j} are the same ({plain[i]}), but would count as two; "
            "for replicates of one variant, use seeds"
        )
    return plain


def _grid(lists: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not lists:
        raise StudyError(
            "the grid is empty, so there is nothing to compare; to train replicates of one model, "
            "give one variant without hyperparameters: [{}]"
        )
    for name, values in lists.items():
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(
            values, (Sequence, np.ndarray, set, frozenset)
        ):
            raise StudyError(
                f"the values of {name!r} must be a list, not {values!r}; write [{values!r}] for one value"
            )
        if len(values) == 0:
            raise StudyError(f"the list of values of {name!r} is empty, so the grid is empty")
    grid = itertools.product(*([_plain(v) for v in values] for values in lists.values()))
    made = [dict(zip(lists, values, strict=True)) for values in grid]
    for name, values in lists.items():
        listed = [_plain(value) for value in values]
        for i, j in _twins(listed, _known_by):
            equal = "" if listed[i] is listed[j] else f" (values {i} and {j} of its list have the same state)"
            raise StudyError(
                f"{name!r} has the value {listed[i]!r} twice{equal}, which would count as two variants; "
                "for replicates of one variant, use seeds"
            )
    return made


def _check_names(assignments: Iterable[Mapping[str, Any]], folded: bool) -> None:
    for name in {name for a in assignments for name in a}:
        if not isinstance(name, str):
            raise StudyError(f"a hyperparameter's name must be a string, not {name!r}")
        if name in RESERVED_COLUMNS or (folded and name == "fold"):
            instead = " (give the seeds as seeds=...)" if name == "seed" else ""
            raise StudyError(
                f"a hyperparameter can't have the name {name!r}: the results have a column of that name"
                f"{instead}; rename it, for example to {name + '_'!r}"
            )


def _fit_names(
    model: Any,
    assignments: Sequence[Mapping[str, Any]],
    arguments: Mapping[str, Any],
    folded: bool,
    made_from: Collection[str],
) -> set[str]:
    """Which hyperparameters go to ``Model.fit``, or make the data; all others must be the builder's."""
    names = list(dict.fromkeys(name for a in assignments for name in a))
    taken, any_name = ([], False) if isinstance(model, keras.Model) else _parameters(model)
    of_fold = of_the_fold(model, folded) - set(names)
    for name in names:
        if name in COMPARES_OWN and name not in taken:
            raise StudyError(
                f"{name!r} must be the same for all trials: give it as an argument, {name}=..., "
                "not as a hyperparameter"
            )
    if isinstance(model, keras.Model):
        template = Template(model)
        to_fit = {n for n in names if n in FIT_ARGUMENTS or n in made_from}
        for name in names:
            if name not in to_fit:
                _check_path(template, name, made_from)
    else:
        to_fit = {n for n in names if n not in taken and n in FIT_ARGUMENTS}
        to_fit |= {n for n in names if n not in taken and n in made_from and not any_name}
        others = f"Phases and data= take: {', '.join(sorted(made_from))}. " if made_from else ""
        for name in names:
            if name not in taken and name not in to_fit and not any_name:
                raise StudyError(
                    f"{name!r} is neither an argument of the builder nor of Model.fit."
                    f"{did_you_mean(name, [*taken, *sorted(made_from), *FIT_ARGUMENTS])} The builder's "
                    f"arguments are: {', '.join(taken) or 'none'}. {others}Model.fit's are: "
                    f"{', '.join(FIT_ARGUMENTS)}."
                )
        _check_required(model, assignments, to_fit, of_fold)
    for name in to_fit & set(arguments):
        raise StudyError(f"{name!r} is given twice: in the variants, and as an argument for all trials")
    return to_fit


def _check_path(template: Template, path: str, made_from: Collection[str]) -> None:
    """Refuse a path that leads nowhere in a template, with the hyperparameter of a phase that is like it."""
    try:
        template.check(path)
    except StudyError as error:
        hint = did_you_mean(path, sorted(made_from))
        raise (StudyError(f"{error}{hint} A phase or data= takes it.") if hint else error) from None


def _parameters(builder: Any) -> tuple[list[str], bool]:
    """The names of a builder's arguments, and whether it accepts any name."""
    if not callable(builder):
        raise BuilderError(
            "the first argument must be a builder, which is a function that returns a fresh, compiled "
            f"keras.Model, or a compiled keras.Model as a template; got {type(builder).__name__}"
        )
    parameters = inspect.signature(builder).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.kind in named], any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters
    )


def _check_required(
    builder: Callable[..., Any],
    assignments: Sequence[Mapping[str, Any]],
    to_fit: set[str],
    of_fold: Collection[str],
) -> None:
    signature = inspect.signature(builder)
    for i, assignment in enumerate(assignments):
        try:
            signature.bind(
                **dict.fromkeys(of_fold), **{k: v for k, v in assignment.items() if k not in to_fit}
            )
        except TypeError as error:
            raise StudyError(
                f"the builder can't be called with variant {i} ({dict(assignment)}): {error}; give the "
                "argument a default, or put it into every variant"
            ) from error


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, because Keras accepts only these as a learning rate."""
    return value.item() if isinstance(value, np.generic) else value


def _twins(values: Sequence[Any], known_by: Callable[[Any], Any]) -> Iterator[tuple[int, int]]:
    """The positions of equal values."""
    first: dict[str, int] = {}
    for i, value in enumerate(values):
        j = first.setdefault(repr(known_by(value)), i)
        if i != j:
            yield j, i


def _known_by(value: Any) -> Any:
    """What identifies a value: its state or, where that can't be read, the object itself."""
    described = fingerprint.described(value)
    return (described, id(value)) if objects.is_unknown(described) else described
