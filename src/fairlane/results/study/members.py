"""The trained models of a study on data: what all of them predict, and how all of them do.

In: the trained weights in a study's store, and data. Out: `Members`, the part of a `Study` that gives the
predictions of many trials as one array, and their evaluations as a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import pandas as pd

from fairlane.engines.program import many
from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.error_text import first_line
from fairlane.kit.text import plural
from fairlane.models import keras_private
from fairlane.models.session import left_as_found
from fairlane.results import cells, frames
from fairlane.results.cells import same
from fairlane.results.study.models import Models
from fairlane.store import Record
from fairlane.store.coding import Named
from fairlane.trials import State, Trial, TrialState, Variant, Weights, short

Chosen = Sequence[Trial | int] | Trial | int | None
"""Which trials, as their user names them."""

OneVariant = Variant | int | Mapping[str, Any] | None
"""A variant, as its user names it."""


class Members(Models):
    """What the trained models of a study give on data."""

    @arguments.checked
    def predict(
        self, x: Any, trials: Chosen = None, variant: OneVariant = None, *, batch_size: int | None = None
    ) -> Any:
        """What many trials' models predict: ``model(trial).predict(x)`` of each, in one vectorised program.

        Models that differ in the values of their weights alone run together. Models of several kinds run
        kind by kind. Where models can't run together (Keras is not on JAX, a model has its own ``predict``,
        or its code can't be traced), Keras predicts with one after another. The numbers are the same, to
        float rounding.

        Args:
            x: inputs, as for ``Model.predict``: an array, a list or dict of them, or a dataset.
            trials: the trials or their numbers, in this order; by default all that are done, in the order
                of their numbers. Those that failed, diverged, or were stopped are left out.
            variant: only trials of this variant: its number, or hyperparameters that only it has, as a dict.
            batch_size: as for ``Model.predict``.

        Returns:
            A NumPy array with the axes trial, sample, and those of the output. Where the models have several
            outputs, a list or dict of them, as ``Model.predict`` gives it.

        Raises:
            StudyError: a trial has no trained model, no trial is done, the models do not take these inputs,
                or their outputs have different shapes.

        Example:
            >>> study.predict(x).shape
            (4, 8, 1)
            >>> spread = study.predict(x, variant=0).std(axis=0)  # over the seeds of one variant
        """
        if any(np.shape(leaf)[:1] == (0,) for leaf in keras.tree.flatten(x) if hasattr(leaf, "shape")):
            raise StudyError("x has no samples, so there is nothing to predict")
        records, data = self._chosen(trials, variant), _Data({"x": x}, batch_size)
        found = many.predictions(self._source(records), len(records), data.batches)
        for i, record in enumerate(records):
            if found[i] is None:
                found[i] = data.run(self.model(record.trial), "predict", record.trial)
        return _stacked(found, records)

    @arguments.checked
    def evaluate(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        trials: Chosen = None,
        variant: OneVariant = None,
        *,
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """How many trials' models do on data: ``model(trial).evaluate(x, y)`` of each, vectorised.

        Values that chose a trial make it look better than it is: data that nothing was chosen by are a test.

        Args:
            x: inputs, as for ``Model.evaluate``.
            y: targets, as for ``Model.evaluate``.
            sample_weight: weights of the samples, as for ``Model.evaluate``.
            trials: as for `predict`.
            variant: as for `predict`.
            batch_size: as for ``Model.evaluate``.

        Returns:
            A data frame with a row per trial, in the order of ``trials``: ``trial``, the hyperparameters,
            ``seed``, and a column for each metric that ``Model.evaluate`` gives.

        Raises:
            StudyError: as for `predict`; or the models can't be evaluated on these data.

        Example:
            >>> study.evaluate(x, y).columns.tolist()
            ['trial', 'learning_rate', 'seed', 'loss']
        """
        records = self._chosen(trials, variant)
        data = _Data({"x": x, "y": y, "sample_weight": sample_weight}, batch_size)
        found = many.evaluations(self._source(records), len(records), data.batches)
        logs = [
            data.run(self.model(record.trial), "evaluate", record.trial, return_dict=True)
            if one is None
            else one
            for one, record in zip(found, records, strict=True)
        ]
        return self._rows(records, logs)

    def _rows(self, records: Sequence[Record], logs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """A row per trial: which it is, and these values."""
        table = frames.trials(self._store).set_index("trial", drop=False)
        names = ["trial", *cells.hyperparameters(self._store), "seed"]
        names += ["fold"] if "fold" in table and "fold" not in names else []
        rows = table.loc[[record.trial.number for record in records], names].reset_index(drop=True)
        columns = dict.fromkeys(name for one in logs for name in one)
        for name in columns:
            rows[name] = [one.get(name, np.nan) for one in logs]
        return rows

    # --- which trials -----------------------------------------------------------------------------------

    def _chosen(self, trials: Chosen, variant: OneVariant) -> list[Record]:
        if trials is not None:
            if variant is not None:
                raise StudyError("give trials= or variant=, not both: trials= names the trials already")
            listed: Any = [trials] if isinstance(trials, Trial) or arguments.is_whole(trials) else trials
            if isinstance(listed, str | Mapping) or not hasattr(listed, "__iter__"):
                raise arguments.wrong("trials", trials, "trials of this study, or their numbers, as a list")
            records = [self._record(one) for one in listed]
            if not records:
                raise StudyError("trials is an empty list, so there is no model")
            return records
        records = [record for record in self._store if record.state is TrialState.DONE]
        of = ""
        if variant is not None:
            number = self._variant_number(variant)
            records = [record for record in records if record.trial.variant.number == number]
            of = f" of variant {number}"
        if not records:
            raise StudyError(
                f"no trial{of} is done, so there is no trained model; see study.trials, and name others "
                "by trials="
            )
        return records

    def _variant_number(self, variant: Variant | int | Mapping[str, Any]) -> int:
        known = {record.trial.variant.number: record.trial.variant for record in self._store}
        if isinstance(variant, Variant):
            return _number_of(variant, known)
        if arguments.is_whole(variant) and variant in known:
            return int(variant)
        if not isinstance(variant, Mapping):
            which = f"0 to {max(known)}, or hyperparameters that only it has, as a dict"
            raise arguments.wrong("variant", variant, f"the number of a variant, {which}")
        found = [number for number, one in known.items() if _fits(one, variant)]
        if len(found) != 1:
            raise StudyError(
                f"variant={dict(variant)!r} fits {plural(len(found), 'variant')}; give hyperparameters that "
                "one alone has, or its number: "
                + "; ".join(f"{n} ({known[n].label})" for n in (found or list(known))[:10])
            )
        return found[0]

    def _source(self, records: Sequence[Record]) -> _Source:
        alike = getattr(self._rebuild, "builds_alike", lambda trial: False)
        return _Source(self, records, alike)


def _number_of(variant: Variant, known: Mapping[int, Variant]) -> int:
    """The number that a variant has in a study, which may come from another one or from an earlier call."""
    alike = [number for number, one in known.items() if one is variant or _is_same(one, variant)]
    if not alike:
        raise StudyError(
            f"variant={variant.label} is no variant of this study; its variants are "
            + "; ".join(f"{number} ({one.label})" for number, one in list(known.items())[:10])
        )
    return variant.number if variant.number in alike else alike[0]


def _is_same(a: Variant, b: Variant) -> bool:
    """Whether two variants have the same hyperparameters; of an object, a store knows a text alone."""
    mine, others = a.hyperparameters, b.hyperparameters
    return mine.keys() == others.keys() and all(
        _equal(mine[name], others[name])
        or (Named in map(type, (mine[name], others[name])) and short(mine[name]) == short(others[name]))
        for name in mine
    )


def _fits(variant: Variant, wanted: Mapping[str, Any]) -> bool:
    there = variant.hyperparameters
    return all(name in there and _equal(there[name], value) for name, value in wanted.items())


def _equal(a: Any, b: Any) -> bool:
    numbers = all(isinstance(value, int | float | np.number) for value in (a, b))
    return bool(a == b) if numbers else same(a, b)


def evaluated_together(
    study: Members, trials: Sequence[Trial], given: Mapping[str, Any], batch_size: int | None
) -> list[Mapping[str, Any] | None]:
    """The logs of trials whose models run no code but that of known libraries, on arrays.

    Args:
        study: whose trials have ended.
        trials: some that are done.
        given: data arguments of ``Model.evaluate``.
        batch_size: as for ``Model.evaluate``.

    Returns:
        For each trial what ``Model.evaluate`` gives; None where its model is to be evaluated by itself.
    """
    records, data = [study._record(trial) for trial in trials], _Data(given, batch_size)
    return list(many.evaluations(study._source(records), len(records), data.batches, own_code=False))


class _Source:
    """The models of some trials, for `fairlane.engines.program.many`."""

    def __init__(self, study: Members, records: Sequence[Record], alike: Callable[[Trial], bool]) -> None:
        self._study, self._records, self._alike = study, records, alike
        self._read: tuple[int, Weights | None] = (-1, None)

    def model(self, number: int) -> keras.Model:
        """The model, each time a new one."""
        return self._study.model(self._records[number].trial)

    def family(self, number: int) -> Hashable | None:
        """The variant, where its models differ in what their variables hold alone."""
        trial = self._records[number].trial
        if not self._alike(trial):
            return None
        weights = self._weights(number)
        if weights is None or weights.layers is None or len(weights.layers):
            return None  # what layers hold besides their variables may be another program
        return trial.variant.number

    def values(self, number: int) -> State:
        """The trained values."""
        weights = self._weights(number)
        assert weights is not None
        return weights.state

    def _weights(self, number: int) -> Weights | None:
        """The stored weights; those of the last trial that was asked for are kept."""
        if self._read[0] != number:
            self._read = number, self._study._store.weights(self._records[number].trial)
        return self._read[1]


class _Data:
    """The data, as often as they are read.

    Args:
        given: Keras's data arguments.
        batch_size: Keras's.
    """

    def __init__(self, given: Mapping[str, Any], batch_size: int | None) -> None:
        if batch_size is not None:
            arguments.whole("batch_size", batch_size, 1)
        self._given = {name: value for name, value in given.items() if value is not None or name == "x"}
        self._size = {} if batch_size is None else {"batch_size": batch_size}
        if isinstance(self._given["x"], GeneratorType):
            self._read = list(self._given["x"])
            self._given["x"] = None

    def _arguments(self) -> dict[str, Any]:
        again = {"x": (batch for batch in self._read)} if hasattr(self, "_read") else {}
        return {**self._given, **again, **self._size}

    def batches(self) -> Iterator[Any]:
        """The batches, as Keras hands them to a model's step."""
        try:
            with left_as_found():
                iterator = keras_private.epoch_iterator(**self._arguments(), shuffle=False)
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            said = " ".join(str(error).split())[:300].rstrip(". ")
            raise StudyError(f"Keras can't use these data: {said}. Given: {self._described()}") from error
        over = object()
        for _, _, batches in iterator:
            batch = next(batches, over)
            if batch is over:  # a generator's length is known at its end alone
                return
            yield batch

    def run(self, model: keras.Model, method: str, trial: Trial, **options: Any) -> Any:
        """What Keras gives."""
        try:
            with left_as_found():
                return getattr(model, method)(**self._arguments(), **options, verbose=0)
        except Exception as error:
            what = "predict x" if method == "predict" else "be evaluated on these data"
            raise StudyError(
                f"the model of {trial} can't {what}: {_of(error)}. Given: {self._described()}"
            ) from error

    def _described(self) -> str:
        return "; ".join(f"{name}: {_shapes(value)}" for name, value in self._given.items())


def _of(error: BaseException) -> str:
    return first_line(error).rstrip(". ")


def _shapes(value: Any) -> str:
    """``float32 (32, 4)``, and the same of nested arrays."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{getattr(dtype, 'name', dtype)} {tuple(shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shapes(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple) and value and all(hasattr(one, "shape") for one in value):
        return "[" + ", ".join(map(_shapes, value)) + "]"
    return arguments.given(value)


def _stacked(found: Sequence[Any], records: Sequence[Record]) -> Any:
    """The outputs of all models as arrays with an axis for the trials in front."""
    first = found[0]
    for one, record in zip(found, records, strict=True):
        try:
            keras.tree.assert_same_structure(first, one)
            alike = all(
                a.shape == b.shape
                for a, b in zip(keras.tree.flatten(first), keras.tree.flatten(one), strict=True)
            )
        except (ValueError, TypeError):
            alike = False
        if not alike:
            raise StudyError(
                f"the outputs of {records[0].trial} and {record.trial} have different shapes "
                f"({_nested(first)} and {_nested(one)}), so they are no array; choose trials by trials= or "
                "variant="
            )
    return keras.tree.map_structure(lambda *arrays: np.stack(arrays), *found)


def _nested(outputs: Any) -> str:
    return str(keras.tree.map_structure(lambda array: "x".join(map(str, array.shape)), outputs))
