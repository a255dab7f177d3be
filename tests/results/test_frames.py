"""Records → data frames: every number below is read off the hand-made records."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.errors import StudyError
from fairlane.results import cells, comparison, directions, frames, histories, logs, ranking
from fairlane.store import Record
from fairlane.trials import RESERVED_COLUMNS, Trial, TrialState, Variant

DONE = TrialState.DONE


def record(number, variant, seed, epochs, state=DONE, **known):
    return Record(Trial(number, variant, seed), state, list(enumerate(epochs)), **known)


def study(losses, *, name="lr", metric="val_loss"):
    """A study of one hyperparameter: ``losses[value][seed]`` is the only epoch's."""
    records = []
    for number, (value, by_seed) in enumerate(losses.items()):
        variant = Variant(number, {name: value})
        for seed, loss in enumerate(by_seed):
            ended = ([{metric: loss}], DONE) if loss is not None else ([], TrialState.FAILED)
            records.append(record(len(records), variant, seed, *ended))
    return records


def summary(records, metric="val_loss", **options):
    return comparison.summary(records, metric, rng=np.random.default_rng(0), **options)


def same(column, expected):
    return [None if pd.isna(v) else v for v in column] == expected


@pytest.mark.parametrize("module", [cells, frames, histories, logs])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


# history, long, trials


def test_history_orders_logs_and_leaves_gaps_where_validation_did_not_run():
    # Keras logs in alphabetical order; here with validation_freq=2, so epoch 1 has no val_ logs.
    first = {"accuracy": 0.5, "loss": 2.0, "val_accuracy": 0.25, "val_loss": 3.0}
    frame = frames.history([record(4, Variant(0, {"lr": 0.1}), 9, [first, {"accuracy": 0.75, "loss": 1.0}])])
    assert list(frame.columns) == [
        *("trial", "lr", "seed", "epoch"),
        *("loss", "accuracy", "val_loss", "val_accuracy"),
    ]
    assert frame.loc[0].tolist() == [4, 0.1, 9, 0, 2.0, 0.5, 3.0, 0.25]
    assert frame.loc[1, ["epoch", "loss", "accuracy"]].tolist() == [1, 1.0, 0.75]
    assert frame.loc[1, ["val_loss", "val_accuracy"]].isna().all()


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        (frames.history, ["trial", "seed", "epoch"]),
        (frames.long, ["trial", "seed", "epoch", "metric", "data", "value"]),
        (
            frames.trials,
            [
                *("trial", "seed", "state", "epochs", "weights_epoch"),
                *("seconds", "engine", "worker", "fleet", "loop", "reason", "error"),
            ],
        ),
    ],
)
def test_without_records_the_fixed_columns_remain(function, columns):
    frame = function([])
    assert list(frame.columns) == columns
    assert frame.empty


def test_records_may_come_from_an_iterator():
    records = study({0.1: [1.0], 0.2: [2.0]})
    assert len(frames.history(iter(records))) == 2
    assert ranking.best(iter(records), "val_loss") is records[0]


def test_a_hyperparameter_that_a_variant_lacks_is_missing():
    records = [
        record(0, Variant(0, {"units": 8}), 0, [{"loss": 1.0}]),
        record(1, Variant(1, {"units": 8, "rate": 0.5}), 0, [{"loss": 1.0}]),
        record(2, Variant(2, {"name": "deep"}), 0, [{"loss": 1.0}]),
    ]
    frame = frames.history(records)
    assert list(frame.columns) == ["trial", "units", "rate", "name", "seed", "epoch", "loss"]
    assert same(frame["units"], [8, 8, None])
    assert same(frame["rate"], [None, 0.5, None])
    assert same(frame["name"], [None, None, "deep"])


def test_hyperparameters_of_any_kind_make_columns_that_group():
    def relu(x):
        return x

    layers = [[64, 32], [64, 32], (64,), relu, "relu", lambda x: x, lambda x: -x, None, 3]
    records = [record(i, Variant(i, {"h": value}), 0, [{"loss": float(i)}]) for i, value in enumerate(layers)]
    frame = frames.history(records)
    assert frame["h"].tolist()[:7] == [
        # equal lists are one value, the function "relu" and the string are two, lambdas differ
        *("[64, 32]", "[64, 32]", "(64,)", "relu (2)", "relu", "<lambda>", "<lambda> (2)"),
    ]
    assert same(frame["h"][7:], [None, 3])
    assert len(frame.groupby("h")) == 7


def test_long_lists_that_are_cut_at_one_place_stay_apart():
    one, two = [1000] * 20 + [1], [1000] * 20 + [2]
    column = frames.history(
        [record(i, Variant(i, {"h": h}), 0, [{"loss": 1.0}]) for i, h in enumerate([one, two])]
    )["h"]
    assert column[1] == column[0] + " (2)"


def test_arrays_as_hyperparameters():
    values = [np.arange(2), np.arange(2), np.arange(3)]
    records = [record(i, Variant(i, {"h": v}), 0, [{"loss": 1.0}]) for i, v in enumerate(values)]
    assert frames.history(records)["h"].tolist() == ["array([0, 1])"] * 2 + ["array([0, 1, 2])"]


def test_a_log_with_the_name_of_a_hyperparameter_gets_a_column_of_its_own():
    # ReduceLROnPlateau logs "learning_rate", which is the hyperparameter here.
    logs = {"loss": 1.0, "learning_rate": 0.05, "seconds": 7.0}
    records = [record(0, Variant(0, {"learning_rate": 0.1}), 0, [logs], seconds=2.0)]
    frame = frames.history(records)
    assert frame.loc[0, "learning_rate"] == 0.1
    assert frame.loc[0, "logged_learning_rate"] == 0.05
    assert frames.trials(records).loc[0, ["seconds", "logged_seconds"]].tolist() == [2.0, 7.0]
    assert histories.metric_columns(frame, ["learning_rate"]) == {
        "loss": ("loss", None),
        "learning_rate": ("logged_learning_rate", None),
        "seconds": ("logged_seconds", None),
    }
    for name in ("learning_rate", "logged_learning_rate"):
        assert summary(records, name, mode="min").loc[0, "mean"] == 0.05


def test_a_varied_loss_does_not_hide_the_logged_one():
    records = [record(0, Variant(0, {"loss": "mse"}), 0, [{"loss": 2.0, "val_loss": 3.0}])]
    frame = frames.history(records)
    assert frame.loc[0, ["loss", "logged_loss", "val_loss"]].tolist() == ["mse", 2.0, 3.0]
    assert histories.metric_columns(frame, ["loss"]) == {"loss": ("logged_loss", "val_loss")}


def test_long_has_no_row_for_what_was_not_logged_and_keeps_a_logged_nan():
    epochs = [{"loss": math.nan, "val_loss": math.nan}, {"loss": 1.0}]
    frame = frames.long([record(3, Variant(0, {"lr": 0.1}), 5, epochs)])
    assert list(frame.columns) == ["trial", "lr", "seed", "epoch", "metric", "data", "value"]
    assert frame["epoch"].tolist() == [0, 0, 1]
    assert frame["metric"].tolist() == ["loss"] * 3
    assert frame["data"].tolist() == ["training", "validation", "training"]
    assert same(frame["value"], [None, None, 1.0])


def test_trials_tell_how_each_ended():
    lr = Variant(0, {"lr": 0.1})
    records = [
        record(0, lr, 0, [{"loss": 2.0, "val_loss": 4.0}, {"loss": 1.0}], seconds=1.5),
        record(1, lr, 1, [{"loss": math.nan}], TrialState.DIVERGED, error="the loss became NaN"),
        record(2, lr, 2, [], TrialState.WAITING),
    ]
    records[0].engine, records[0].fleet, records[0].loop = "lanes", 0, "vmap×8"
    frame = frames.trials(records)
    assert list(frame.columns) == [
        *("trial", "lr", "seed", "state", "epochs", "weights_epoch", "loss", "val_loss"),
        *("seconds", "engine", "worker", "fleet", "loop", "reason", "error"),
    ]
    assert frame["state"].tolist() == ["done", "diverged", "waiting"]
    assert frame["epochs"].tolist() == [2, 1, 0]
    assert same(frame["loss"], [1.0, None, None])
    assert frame.loc[0, "val_loss"] == 4.0  # of epoch 0: epoch 1 was not validated
    assert same(frame["fleet"], [0, None, None])
    assert str(frame["fleet"].dtype) == "Int64"
    assert frame.loc[0, ["seconds", "engine", "loop"]].tolist() == [1.5, "lanes", "vmap×8"]
    assert frame.loc[1, "error"] == "the loss became NaN"


def test_varied_epochs_stand_beside_the_number_done():
    stopped = record(0, Variant(0, {"epochs": 9}, {"epochs": 9}), 0, [{"loss": 1.0}])
    frame = frames.trials([stopped])
    assert frame.loc[0, ["epochs", "epochs_done"]].tolist() == [9, 1]


def test_reserved_names_are_the_fixed_columns_of_all_frames():
    records = study({0.1: [1.0]})
    fixed = set()
    for frame in (
        frames.history(records),
        frames.long(records),
        frames.trials(records),
        summary(records),
        summary([replace(r, epochs=[(0, {"loss": 1.0, "val_loss": 1.0})]) for r in records], select="loss"),
    ):
        fixed |= set(frame.columns)
    # "epochs" gives way to the hyperparameter of that name, which is an argument of Model.fit.
    assert fixed - {"lr", "val_loss", "epochs"} == RESERVED_COLUMNS - {"folds"}


logs = st.dictionaries(
    st.sampled_from(["loss", "accuracy", "val_loss", "val_accuracy", "mae"]),
    st.floats(allow_nan=True, allow_infinity=True),
    min_size=1,
)
some_histories = st.lists(st.lists(logs, max_size=4), max_size=5)


@given(some_histories)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_records_can_be_read_back_from_both_frames(epochs_of):
    records = [record(i, Variant(i, {"lr": i}), i + 7, e) for i, e in enumerate(epochs_of)]
    expected = {
        (i, epoch, name): value
        for i, epochs in enumerate(epochs_of)
        for epoch, logged in enumerate(epochs)
        for name, value in logged.items()
    }
    long = frames.long(records)
    prefix = long["data"].map({"training": "", "validation": "val_"})
    names = [p + m for p, m in zip(prefix, long["metric"], strict=True)]
    keys = list(zip(long["trial"], long["epoch"], names, strict=True))
    assert len(set(keys)) == len(keys)
    assert set(keys) == set(expected)
    assert np.array_equal(
        long["value"].to_numpy(dtype=float), [expected[key] for key in keys], equal_nan=True
    )
    wide = frames.history(records)
    assert len(wide) == sum(map(len, epochs_of))
    for row in wide.to_dict("records"):
        for name in set(wide.columns) - {"trial", "lr", "seed", "epoch"}:
            value = expected.get((row["trial"], row["epoch"], name), math.nan)
            assert row[name] == value or (math.isnan(row[name]) and math.isnan(value))


# best


def test_best_takes_the_first_of_equals():
    records = study({0.1: [2.0, 1.0], 0.2: [1.0, 3.0]})
    assert ranking.best(records, "val_loss") is records[1]
    assert ranking.best(records, "val_loss", mode="max") is records[3]


# errors


@pytest.mark.parametrize(
    "ask", [lambda r, m: summary(r, m), lambda r, m: ranking.best(r, m)], ids=["summary", "best"]
)
def test_errors_say_what_there_is(ask):
    records = [record(0, Variant(0, {}), 0, [{"loss": 1.0, "val_loss": 2.0}])]
    with pytest.raises(StudyError, match=r"Did you mean 'val_loss'\? Logged metrics: loss, val_loss"):
        ask(records, "vall_loss")
    with pytest.raises(StudyError, match=r"metric 'xyz'\. Logged metrics: loss, val_loss"):
        ask(records, "xyz")
    records[0].state, epochs = TrialState.RUNNING, records[0].epochs
    records[0].epochs = []
    with pytest.raises(StudyError, match="no trial has finished yet"):
        ask(records, "loss")
    records[0].epochs = epochs
    records[0].state, records[0].error = TrialState.FAILED, "ValueError: boom"
    with pytest.raises(StudyError, match=r"1 of 1 failed.*trial 0 .*seed 0\): ValueError: boom"):
        ask(records, "loss")
    with pytest.raises(StudyError, match="none of the 1 finished trials has a finite 'loss'"):
        ask([record(0, Variant(0, {}), 0, [{"loss": math.nan}])], "loss")
    with pytest.raises(StudyError, match="no trial has finished yet"):
        ask([], "loss")


def test_errors_of_options():
    records = study({0.1: [1.0]})
    with pytest.raises(StudyError, match="at must be 'last' or 'best', not 'first'"):
        summary(records, at="first")
    with pytest.raises(
        StudyError, match=r"mode must be 'auto', 'min' or 'max', or a dict .*; not 'maximise'"
    ):
        ranking.best(records, "val_loss", mode="maximise")
    with pytest.raises(StudyError, match="confidence must lie between 0 and 1"):
        summary(records, confidence=95)


def test_a_metric_per_class_has_no_best_but_has_rows():
    # keras.metrics.F1Score with average=None gives a value per class.
    records = [record(0, Variant(0, {}), 0, [{"loss": 1.0, "f1_score": np.array([0.5, 0.25])}])]
    assert frames.history(records).loc[0, "f1_score"].tolist() == [0.5, 0.25]
    assert list(histories.metric_columns(frames.history(records), [])) == ["loss"]
    with pytest.raises(StudyError, match="'f1_score' as an array"):
        summary(records, "f1_score")


# direction


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        # names that Keras 3 gives its metrics, with and without an output's name
        *(("accuracy", "max"), ("acc", "max"), ("val_acc", "max"), ("auc_1", "max")),
        *(("val_sparse_top_k_categorical_accuracy", "max"), ("mean_io_u", "max")),
        *(("f1_score", "max"), ("fbeta_score", "max"), ("r2_score", "max")),
        *(("true_positives", "max"), ("cosine_similarity", "max"), ("out_precision", "max")),
        *(("recall_at_precision", "max"), ("cohen_kappa", "max"), ("hit_rate", "max")),
        *(("loss", "min"), ("val_loss", "min"), ("mse", "min"), ("mean_squared_error", "min")),
        *(("false_positives", "min"), ("accuracy_loss", "min"), ("hit_loss", "min")),
        *(("binary_crossentropy", "min"), ("kl_divergence", "min"), ("perplexity", "min")),
    ],
)
def test_direction(metric, expected):
    assert directions.direction(metric) == expected


# the mean over seeds


def test_the_mean_over_seeds_ends_where_a_seed_stops():
    variant = Variant(0, {"lr": None})  # a missing value is a group, too
    records = [
        record(0, variant, 0, [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]),
        record(1, variant, 1, [{"loss": 3.0}, {"loss": 4.0}]),
        record(2, Variant(1, {"lr": 0.5}), 0, [{"loss": 9.0}]),
    ]
    means, low, high = histories.over_seeds(frames.history(records), ["lr"], ["loss"])
    assert means["variant"].tolist() == [0, 0, 0, 1]
    assert means["seeds"].tolist() == [2, 2, 2, 1]
    assert same(means["loss"], [2.0, 3.0, None, 9.0])
    # two values 2 apart: s = sqrt 2, s / sqrt 2 = 1, and t of 1 degree of freedom is 12.706
    assert low["loss"].tolist() == pytest.approx(
        [2 - 12.7062, 3 - 12.7062, math.nan, math.nan], nan_ok=True, abs=1e-4
    )
    assert high["loss"].tolist() == pytest.approx(
        [14.7062, 15.7062, math.nan, math.nan], nan_ok=True, abs=1e-4
    )


# test data


def test_values_of_test_data_are_columns_of_the_trials_and_of_nothing_else():
    records = study({0.1: [1.0, 2.0]})
    records[0].test_logs = {"test_loss": 0.5, "test_mae": 0.25}
    frame = frames.trials(records)
    assert list(frame.columns)[5:9] == ["weights_epoch", "val_loss", "test_loss", "test_mae"]
    assert same(frame["test_loss"], [0.5, None])
    assert "test_loss" not in frames.history(records)
    assert "test_loss" not in set(frames.long(records)["metric"])


def test_an_epochs_log_with_the_name_of_a_test_value_gives_way():
    records = study({0.1: [1.0]}, metric="test_loss")
    records[0].test_logs = {"test_loss": 0.5}
    frame = frames.trials(records)
    assert frame.loc[0, ["logged_test_loss", "test_loss"]].tolist() == [1.0, 0.5]
    records = study({0.1: [1.0]}, name="test_loss")
    records[0].test_logs = {"test_loss": 0.5}
    assert frames.trials(records).loc[0, ["test_loss", "logged_test_loss"]].tolist() == [0.1, 0.5]


def test_nothing_is_chosen_by_the_test_data():
    records = study({0.1: [1.0]})
    records[0].test_logs = {"test_loss": 0.5}
    with pytest.raises(
        StudyError, match=r"no longer tests the choice; choose by a validation metric, and read 'test_loss'"
    ):
        ranking.best(records, "test_loss")
