"""Ensembles of a study's trained models.

In: the trained weights in a study's store, and held-out data. Out: `Ensembles`, the part of a `Study` that
makes one model of several, and says how several differ.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.models import keras_private
from fairlane.models.ensembles import Scale, ensemble, scales
from fairlane.models.scoring import scorer
from fairlane.models.session import left_as_found
from fairlane.provenance import fingerprint
from fairlane.results import ranking
from fairlane.results.directions import Direction, Modes, bare, direction
from fairlane.results.logs import known_directions
from fairlane.results.selection import Means, Picks, greedy
from fairlane.results.study.base import CALLER
from fairlane.results.study.crossed import out_of_fold, whole_crosses
from fairlane.results.study.members import Chosen, Members, OneVariant
from fairlane.store import Record

_MOST = 10
"""How many members there are, or picks, where nothing else is requested."""


class Ensembles(Members):
    """What several trained models of a study give together."""

    @arguments.checked
    def ensemble(
        self,
        top: int | None = None,
        *,
        trials: Chosen = None,
        variant: OneVariant = None,
        method: Literal["mean", "greedy"] = "mean",
        on: Any = None,
        objective: str | None = None,
        mode: Modes = "auto",
    ) -> keras.Model:
        """Several trials' models as one ``keras.Model``, which gives their mean.

        Keras saves and loads it without Fairlane. It is functional, has the models in it as ``member_0``,
        ``member_1``, ..., and is compiled with the loss and metrics of the first of them. Its outputs are the
        mean of the members' probabilities or values. Where the loss has ``from_logits=True``, outputs are
        logits: then the probabilities are averaged, and the model gives the logits of their mean.

        ``method="mean"`` counts all members alike. ``"greedy"`` begins with the best model on the data
        ``on`` and adds, one by one, the model that improves the mean most; a model may be picked again and
        counts more then. The picks end where the mean was best. It needs data that no model was trained
        on. The ensemble's value on the data ``on`` is better than on new data, since they have chosen it.

        Source: R. Caruana et al., Ensemble Selection from Libraries of Models, ICML 2004.

        Args:
            top: for ``"mean"``, how many members: the best; by default 10, or all that ``trials`` or
                ``variant`` name. For ``"greedy"``, how many picks at most; by default 10.
            trials: the trials to choose from, or their numbers; by default all that are done.
            variant: only trials of this variant: its number, or hyperparameters that only it has, as a dict.
            method: ``"mean"`` or ``"greedy"``.
            on: held-out data ``(x, y)`` or ``(x, y, sample_weight)`` to choose by, as arrays; without them,
                the metrics of the training choose. ``"oof"``, for a study with folds, chooses whole
                cross-validations (of a variant and a seed, all folds) by their out-of-fold predictions;
                ``top`` counts these. Where callbacks stopped at the best validation, these predictions are a
                little too good.
            objective: the metric to choose by; with ``on``, ``"loss"`` by default, else as for `summary`.
            mode: as for `summary`.

        Returns:
            The model. Its attribute ``members`` is a data frame of what was chosen, which is not saved with
            the model: ``member`` (its name), ``trial``, the hyperparameters, ``seed``, ``count``, ``weight``,
            and ``value``, the objective of this member alone, where it has one.

        Raises:
            StudyError: ``"greedy"`` without ``on``, or with the data that the models were trained on; a trial
                has no trained model; models of classes of their own; members whose inputs, outputs or losses
                differ; a metric that they do not have, or whose direction is not known.

        Example:
            >>> model = study.ensemble(variant=0)  # a deep ensemble: all seeds of one variant
            >>> model.members[["member", "trial", "count"]]
                 member  trial  count
            0  member_0      0      1
            1  member_1      1      1
            >>> model.predict(x, verbose=0).shape
            (8, 1)
        """
        arguments.one_of("method", method, ("mean", "greedy"))
        if top is not None:
            arguments.whole("top", top, 1)
        if isinstance(on, str):
            arguments.one_of("on", on, ("oof",))
            return self._of_folds(self._chosen(trials, variant), method, top, objective, mode)
        records, data = self._chosen(trials, variant), self._held_out(on)
        if method == "greedy":
            if data is None:
                raise StudyError(
                    "method='greedy' chooses by how good means are on held-out data; give on=(x, y), data "
                    "that the models were not trained on"
                )
            picks, values = self._picks(records, data, top or _MOST, objective, mode)
            counts = Counter(picks.order)
        else:
            everything = top is None and (trials is not None or variant is not None)
            values = {}
            if not everything or data is not None or objective is not None:
                values = self._values(records, data, objective, mode)
            if not everything and data is None and any(r.trial.fold is not None for r in records):
                warnings.warn(
                    "the members are chosen by their values on different folds, and one fold is easier than "
                    "another; on='oof' chooses whole cross-validations by all samples",
                    FairlaneWarning,
                    stacklevel=CALLER,
                )
            _note_fewer(top, len(values) or len(records), "trials")
            order = list(range(len(records))) if everything else list(values)[: top or _MOST]
            counts = Counter(order)
        return self._built(
            [records[i] for i in counts], list(counts.values()), [values.get(i) for i in counts]
        )

    def _of_folds(
        self, records: Sequence[Record], method: str, top: int | None, objective: str | None, mode: Modes
    ) -> keras.Model:
        """An ensemble of whole cross-validations, chosen by their out-of-fold predictions."""
        crossed = whole_crosses(records)
        outputs, y, sample_weight = out_of_fold(self, self._rebuild, crossed)
        name, better = self._objective(objective, mode, True)
        means, scores = self._scoring(crossed[0][0], outputs, y, sample_weight, name)
        with left_as_found():
            found = [float(value) for value in scores(means)]
            if method == "greedy":
                counts = Counter(greedy(means, scores, top or _MOST, better).order)
            else:
                order = sorted(range(len(found)), key=lambda i: found[i] if better == "min" else -found[i])
                counts = Counter(order[: top or _MOST])
                _note_fewer(top, len(order), "whole cross-validations")
        members = [(record, count, found[i]) for i, count in counts.items() for record in crossed[i]]
        return self._built(*map(list, zip(*members, strict=True)))

    def _built(
        self, records: Sequence[Record], counts: Sequence[int], values: Sequence[float | None]
    ) -> keras.Model:
        members = [self.model(record.trial) for record in records]
        with left_as_found():
            model = ensemble(members, counts, "ensemble")
        total = sum(counts)
        logs = [
            {"count": count, "weight": count / total, "value": np.nan if value is None else value}
            for count, value in zip(counts, values, strict=True)
        ]
        frame = self._rows(records, logs)
        frame.insert(0, "member", [member.name for member in members])
        model.members = frame
        return model

    # --- choosing ---------------------------------------------------------------------------------------

    def _held_out(self, on: Any) -> tuple[Any, Any, Any] | None:
        """The data to choose by: x, y and sample weights."""
        if on is None:
            return None
        if not isinstance(on, tuple | list) or not 2 <= len(on) <= 3:
            raise arguments.wrong("on", on, "held-out data: (x, y), or (x, y, sample_weight)")
        if not keras_private.is_array_data(*on):
            raise StudyError(
                "on must hold arrays, (x, y) or (x, y, sample_weight); it is read more than once"
            )
        trained = self._origin().spec.get("data", {})
        if isinstance(trained, dict) and trained.get("x") is not None:
            given = fingerprint.spec(lambda: None, {"x": on[0]}, None)["data"]
            if given.get("x") == trained["x"]:
                raise StudyError(
                    "on holds the x that the models were trained on: there, the model that has learnt it by "
                    "heart looks best. Give data that were held out"
                )
        return on[0], on[1], on[2] if len(on) == 3 else None

    def _objective(self, objective: str | None, mode: Modes, on: bool) -> tuple[str, Direction]:
        """The metric to choose by, and which of its values are good."""
        if on:
            name = "loss" if objective is None else bare(arguments.metric("objective", objective))
        else:
            name = self._logged(objective)
        return name, direction(name, self._mode(mode, name), known_directions(self._store))

    def _values(
        self, records: Sequence[Record], data: tuple[Any, Any, Any] | None, objective: str | None, mode: Modes
    ) -> dict[int, float]:
        """How good each trial is, the best first, by its place; without those that have no finite value."""
        name, better = self._objective(objective, mode, data is not None)
        if data is None:
            pairs = list(enumerate(self._by_training(records, name, mode)))
        else:
            frame = self.evaluate(data[0], data[1], data[2], [record.trial for record in records])
            if name not in frame:
                names = ", ".join(map(repr, frame.columns[frame.columns.get_loc("seed") + 1 :]))
                raise StudyError(f"the models have no metric {name!r}; there are {names}")
            pairs = list(enumerate(frame[name].tolist()))
        known = [(i, float(value)) for i, value in pairs if value is not None and np.isfinite(value)]
        if not known:
            raise StudyError(f"no trial has a finite {name!r} to be chosen by")
        return dict(sorted(known, key=lambda pair: pair[1] if better == "min" else -pair[1]))

    def _by_training(self, records: Sequence[Record], name: str, mode: Modes) -> list[float | None]:
        """Each trial's value in the epoch that its weights belong to; None where it has none."""
        ranking.choosing(list(records), name, self._mode(mode, name), "last")  # says what is wrong with all
        _, better = self._objective(name, mode, False)
        values: list[float | None] = []
        for record in records:
            try:
                found = ranking.choosing([record], name, better, "last")
            except StudyError:
                values.append(None)
            else:
                values += next(iter(found.values.values())).values()
        return values

    def _picks(
        self,
        records: Sequence[Record],
        data: tuple[Any, Any, Any],
        most: int,
        objective: str | None,
        mode: Modes,
    ) -> tuple[Picks, dict[int, float]]:
        name, better = self._objective(objective, mode, True)
        means, scores = self._scored(records, data, name)
        with left_as_found():
            return greedy(means, scores, most, better), dict(enumerate(map(float, scores(means))))

    def _scored(
        self, records: Sequence[Record], data: tuple[Any, Any, Any], name: str
    ) -> tuple[Means, Callable[[Means], Any]]:
        """What the members predict, as it is averaged; and how good means are."""
        x, y, sample_weight = data
        outputs = self.predict(x, [record.trial for record in records])
        return self._scoring(records[0], outputs, y, sample_weight, name)

    def _scoring(
        self, first: Record, outputs: Any, y: Any, sample_weight: Any, name: str
    ) -> tuple[Means, Callable[[Means], Any]]:
        """What members have predicted, as it is averaged; and how good means are."""
        model = self.model(first.trial)
        kinds = scales(model) if keras_private.is_graph(model) else []
        flat = keras.tree.flatten(outputs)
        if len(kinds) != len(flat):
            raise StudyError(f"model {model.name!r} is no graph of layers, of which an ensemble can be made")
        means = [kind.to_mean(array) for kind, array in zip(kinds, flat, strict=True)]
        with left_as_found():
            of_outputs = scorer(model, outputs, y, sample_weight, name)

        def scores(some: Means) -> Any:
            again = zip(kinds, some, flat, strict=True)
            return of_outputs([kind.from_mean(mean).astype(like.dtype) for kind, mean, like in again])

        return means, scores

    def _sizes(
        self, records: Sequence[Record], on: Any, objective: str | None, mode: Modes
    ) -> tuple[list[float], list[float], list[float], str]:
        """Values on held-out data: of each member, the best by training first; of means; of greedy picks."""
        data = self._held_out(on)
        if data is None:
            raise StudyError("plot('ensemble') needs on=(x, y), data that the models were not trained on")
        name, better = self._objective(objective, mode, True)
        order = list(self._values(records, None, self._of_training(name), mode))
        means, scores = self._scored([records[i] for i in order], data, name)
        with left_as_found():
            counts = np.arange(1, len(order) + 1)
            growing = [one.cumsum(axis=0) / counts.reshape(-1, *[1] * (one.ndim - 1)) for one in means]
            picks = greedy(means, scores, len(order), better)
            return scores(means).tolist(), scores(growing).tolist(), picks.values, name

    def _of_training(self, name: str) -> str:
        """The log that goes with a metric: that of the validation, where there is one."""
        known = {log for record in self._store for _, logs in record.epochs for log in logs}
        return next((log for log in (f"val_{name}", name) if log in known), self._metric(None))

    def _probabilities(self, records: Sequence[Record], x: Any) -> Any:
        """The probabilities that each member gives, and their mean."""
        outputs, model = self.predict(x, [r.trial for r in records]), self.model(records[0].trial)
        if not isinstance(outputs, np.ndarray):
            raise StudyError("the models have several outputs; give one to fl.expected_calibration_error")
        kinds = scales(model) if keras_private.is_graph(model) else [Scale()]
        return kinds[0].to_mean(outputs)

    # --- how members differ -----------------------------------------------------------------------------

    @arguments.checked
    def disagreement(self, x: Any, trials: Chosen = None, variant: OneVariant = None) -> pd.DataFrame:
        """How often each two trials' models predict other classes: the share of samples.

        Members that agree everywhere gain nothing from an ensemble.

        Args:
            x: as for `predict`.
            trials: as for `predict`.
            variant: as for `predict`.

        Returns:
            A square data frame, with the trials' numbers as its index and columns.

        Raises:
            StudyError: as for `predict`; or the models have several outputs, or give no classes.

        Example:
            >>> def classify():
            ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
            ...     model.compile("sgd", "sparse_categorical_crossentropy")
            ...     return model
            >>> found = fl.compare(classify, [{}], x, np.arange(8) % 3, seeds=2, epochs=1, verbose=0)
            >>> found.disagreement(x).shape
            (2, 2)
        """
        records = self._chosen(trials, variant)
        classes = classes_of(self.predict(x, [r.trial for r in records]), self.model(records[0].trial))
        share = (classes[:, None] != classes[None]).reshape(len(records), len(records), -1).mean(axis=2)
        numbers = pd.Index([record.trial.number for record in records], name="trial")
        return pd.DataFrame(share, index=numbers, columns=numbers)


def _note_fewer(top: int | None, found: int, what: str) -> None:
    """Warn where there are not as many to choose from as are wanted."""
    if top is not None and top > found:
        warnings.warn(
            f"top={top}, and there are {found} {what} with a value; the ensemble has all of them",
            FairlaneWarning,
            stacklevel=CALLER + 1,
        )


def classes_of(outputs: Any, model: keras.Model) -> Any:
    """The class that each model predicts for each sample."""
    if not isinstance(outputs, np.ndarray):
        raise StudyError("the models have several outputs, so there is no one class per sample")
    if outputs.shape[-1] > 1:
        return outputs.argmax(axis=-1)
    kind = scales(model)[0].kind if keras_private.is_graph(model) else "values"
    if kind == "values" and (outputs.min() < 0 or outputs.max() > 1):
        raise StudyError("the models' outputs are no probabilities, so they stand for no classes")
    return outputs[..., 0] > (0.0 if kind == "sigmoid" else 0.5)
