"""Variants compared: every number below is worked out by hand from the hand-made records."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.errors import StudyError
from fairlane.results import comparison, ranking
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

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
    options = {"interval": "bootstrap", "resamples": 199, "rng": np.random.default_rng(0)} | options
    return comparison.summary(records, metric, **options)


def same(column, expected):
    return [None if pd.isna(v) else v for v in column] == expected


def test_doctests():
    assert doctest.testmod(comparison).failed == 0


# summary


def test_summary_ranks_variants_and_pairs_seeds():
    # means: 0.1 → (4+6)/2 = 5, 0.2 → (1+5)/2 = 3; differences 4-1 = 3 and 6-5 = 1, mean 2.
    frame = summary(study({0.1: [4.0, 6.0], 0.2: [1.0, 5.0]}))
    assert list(frame.columns) == [
        *("variant", "lr", "metric", "selected_by", "seeds"),
        *("mean", "low", "high", "median", "median_low", "median_high", "iqm", "iqm_low", "iqm_high"),
        *("difference", "difference_low", "difference_high", "probability", "p_value", "pairs", "failed"),
        "unfinished",
    ]
    assert set(frame["metric"]) == set(frame["selected_by"]) == {"val_loss"}
    frame = frame.drop(columns=["metric", "selected_by", "median", "median_low", "median_high"])
    assert same(frame.pop("probability"), [None, 0.0])  # 0.1 is worse on both seeds
    assert same(frame.pop("p_value"), [None, None])
    for end in ("", "_low", "_high"):  # of two values nothing is cut off
        assert frame.pop(f"iqm{end}").equals(frame[end[1:] or "mean"])
    # two values span their interval: see test_stats
    assert frame.loc[0].tolist() == [1, 0.2, 2, 3.0, 1.0, 5.0, 0.0, 0.0, 0.0, 2, 0, 0]
    assert frame.loc[1].tolist() == [0, 0.1, 2, 5.0, 4.0, 6.0, 2.0, 1.0, 3.0, 2, 0, 0]
    assert frame.attrs.pop("detail") == (
        "probability is 0 for variant 0: it is worse than variant 1 in each of its 2 pairs. That is no "
        "certainty: see p_value.",
    )
    notes = frame.attrs.pop("notes")
    assert "a p-value of 0.05 or less needs 6 seeds, and with 2 pairs no p-value is less than 0.5" in notes[0]
    assert frame.attrs == {
        "metric": "val_loss",
        "direction": "min",
        "at": "last",
        "selected_by": "val_loss",
        "test": False,
        "provisional": False,
        "epoch": None,
        "when": "in the last epoch",
        "baseline": 1,
        "confidence": 0.95,
        "interval": "bootstrap",
    }


def test_summary_maximises_accuracy_unless_told_otherwise():
    records = study({"a": [0.5], "b": [0.75]}, metric="val_accuracy")
    assert summary(records, "val_accuracy")["lr"].tolist() == ["b", "a"]
    frame = summary(records, "val_accuracy", mode="min")
    assert frame["lr"].tolist() == ["a", "b"]
    assert frame.attrs["direction"] == "min"


def test_summary_leaves_failures_out_and_pairs_the_common_seeds():
    # 0.2 has the best mean (2); both have a value for seed 2 alone, so the difference is 8-2 = 6.
    frame = summary(study({0.1: [None, 4.0, 8.0], 0.2: [2.0, None, 2.0], 0.3: [None] * 3}))
    assert frame["variant"].tolist() == [1, 0, 2]
    assert frame["seeds"].tolist() == [2, 2, 0]
    assert frame["failed"].tolist() == [1, 1, 3]
    assert frame["pairs"].tolist() == [2, 1, 0]
    assert same(frame["mean"], [2.0, 6.0, None])
    assert same(frame["difference"], [0.0, 6.0, None])
    assert same(frame["difference_low"], [0.0, None, None])  # one pair has no interval


def test_a_diverged_trial_and_a_nan_count_as_failed_and_unfinished_ones_so_far():
    lr = Variant(0, {"lr": 0.1})
    records = [
        record(0, lr, 0, [{"loss": 1.0}]),
        record(1, lr, 1, [{"loss": 0.1}], TrialState.DIVERGED),
        record(2, lr, 2, [{"loss": math.nan}]),
        record(3, lr, 3, [{"loss": 0.2}], TrialState.INTERRUPTED),
        record(4, lr, 4, [{"loss": 0.3}], TrialState.RUNNING),
        record(5, lr, 5, [], TrialState.WAITING),
    ]
    columns = ["seeds", "mean", "failed", "unfinished"]
    assert summary(records, "loss").loc[0, columns].tolist() == [3, 0.5, 2, 3]
    assert ranking.best(records, "loss") is records[3]
    assert summary(records[:3], "loss").loc[0, columns].tolist() == [1, 1.0, 2, 0]
    assert ranking.best(records[:3], "loss") is records[0]


def test_at_last_and_at_best():
    # The best of a is 1 in epoch 1, its last validated value 5 of epoch 2; epoch 3 has none.
    a = [{"val_loss": 3.0}, {"val_loss": 1.0}, {"val_loss": 5.0}, {"loss": 0.0}]
    b = [{"val_loss": 2.0}] * 4
    records = [record(i, Variant(i, {"v": i}), 0, epochs) for i, epochs in enumerate([a, b])]
    assert summary(records)["mean"].tolist() == [2.0, 5.0]
    assert summary(records, at="best")["mean"].tolist() == [1.0, 2.0]
    assert ranking.best(records, "val_loss") is records[1]
    assert ranking.best(records, "val_loss", at="best") is records[0]


def test_summary_without_hyperparameters():
    frame = summary([record(0, Variant(0, {}), 0, [{"loss": 1.0}])], "loss")
    assert frame.loc[0, ["variant", "seeds", "mean"]].tolist() == [0, 1, 1.0]


def test_summary_is_the_same_for_the_same_generator():
    records = study({0.1: [4.0, 6.0, 5.5], 0.2: [1.0, 5.0, 4.5]})
    one, two = (summary(records, rng=np.random.default_rng(8)) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


@given(st.permutations(range(6)))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_the_order_in_which_trials_finished_does_not_matter(order):
    records = study({0.1: [4.0, 6.0, 5.5], 0.2: [1.0, 5.0, 4.5]})
    pd.testing.assert_frame_equal(summary(records), summary([records[i] for i in order]))


# t intervals, p-values and what is too few


def test_t_intervals_are_the_default_and_medians_have_none_below_6_seeds():
    frame = comparison.summary(study({0.1: [1, 2, 3, 4, 5]}), "val_loss", rng=np.random.default_rng(0))
    # as in test_stats: 3 ± 1.963243; the interquartile mean of 2, 3, 4
    assert frame.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx([3, 1.036757, 4.963243], abs=1e-6)
    assert frame.loc[0, ["median", "iqm"]].tolist() == [3.0, 3.0]
    assert math.isnan(frame.loc[0, "median_low"])
    assert frame.attrs["notes"] == ()
    assert frame.attrs["detail"] == ("An interval of the median needs 6 seeds, and there are 5.",)


def test_a_probability_of_nan_or_zero_is_explained():
    frame = summary(study({0.1: [1, 2, 3], 0.2: [2, 3, 4], 0.3: [3, 4], 0.4: [0.5, 4, 4], 0.5: [9]}))
    frame = frame.set_index("variant")["probability"]
    assert frame.loc[[1, 2]].tolist() == [0.0, 0.0]
    assert frame.loc[3] == pytest.approx(1 / 3)
    assert math.isnan(frame.loc[4])
    assert frame.attrs["detail"][-2:] == (
        "probability is NaN for variant 4: a share needs 2 pairs of trials with variant 0, and there are fewer.",
        "probability is 0 for variants 1, 2: they are worse than variant 0 in each of their 2 to 3 pairs. That "
        "is no certainty: see p_value.",
    )
    assert not any("probability" in note for note in summary(better_by(0.5), baseline=0).attrs["detail"])


def better_by(*amounts, seeds=6):
    """Variant 0 has losses 10, 11, ...; the next is better by the amount times 1, 2, ..., and so on."""
    base = [10.0 + s for s in range(seeds)]
    others = {i + 1: [b - a * (s + 1) for s, b in enumerate(base)] for i, a in enumerate(amounts)}
    return study({0: base, **others})


def test_six_seeds_that_agree_have_a_p_value():
    frame = summary(better_by(0.5), baseline=0)
    assert frame["variant"].tolist() == [1, 0]
    assert same(frame["p_value"], [2 / 64, None])
    assert same(frame["probability"], [1.0, None])
    assert frame.loc[0, "difference"] == pytest.approx(-0.5 * 3.5)
    assert frame.attrs["notes"] == ()


def test_five_seeds_that_agree_have_none_and_the_words_say_why():
    frame = summary(better_by(0.5, seeds=5), baseline=0)
    assert frame["p_value"].isna().all()
    assert frame.attrs["notes"] == (
        "Too few seeds, so some columns are NaN: a p-value of 0.05 or less needs 6 seeds, and with 5 pairs no "
        "p-value is less than 0.062.",
    )
    assert summary(better_by(0.5, seeds=5), baseline=0, confidence=0.9)["p_value"][0] == 2 / 32


def test_p_values_are_corrected_for_the_variants():
    # 7 seeds, all of which agree for both others: 2 / 128, of two comparisons to a baseline.
    records = better_by(0.5, 0.25, seeds=7)
    assert same(summary(records, baseline=0)["p_value"], [4 / 128, 4 / 128, None])
    # Without a baseline, of all three pairs of variants: 3 * 2 / 128.
    assert same(summary(records)["p_value"], [None, 6 / 128, 6 / 128])


def test_more_variants_take_more_seeds():
    (note,) = summary(better_by(0.5, 0.25, 0.1), baseline=0).attrs["notes"]
    assert "for 3 comparisons needs 7 seeds, and with 6 pairs no p-value is less than 0.094" in note
    (note,) = summary(better_by(0.5, 0.25, 0.1)).attrs["notes"]
    assert "for 6 comparisons needs 8 seeds, and with 6 pairs no p-value is less than 0.19" in note


def test_more_resamples_where_there_are_seeds_enough():
    (note,) = summary(better_by(*range(1, 9), seeds=16), resamples=199).attrs["notes"]
    assert "needs more than 199 resamples, and" in note


def test_a_single_seed_has_no_interval_and_says_so():
    frame = summary(study({0.1: [1.0], 0.2: [2.0]}))
    assert frame[["low", "high", "median_low", "iqm_low", "p_value", "probability"]].isna().all(axis=None)
    assert frame["difference"].tolist() == [0.0, 1.0]
    assert "an interval needs 2 seeds per variant, and there is 1" in frame.attrs["notes"][0]


# baseline


@pytest.mark.parametrize("baseline", [1, np.int64(1), {"lr": 0.2}, {"lr": np.float64(0.2)}])
def test_a_baseline_by_number_or_hyperparameters(baseline):
    frame = summary(study({0.1: [4.0, 6.0], 0.2: [7.0, 7.0]}), baseline=baseline)
    assert frame["variant"].tolist() == [0, 1]  # the order is still that of the means
    assert frame["difference"].tolist() == [-2.0, 0.0]
    assert same(frame["probability"], [1.0, None])
    assert frame.attrs["baseline"] == 1


def test_a_baseline_that_is_not_one_variant():
    records = [
        record(i, Variant(i, {"lr": lr, "units": u}), 0, [{"loss": 1.0}])
        for i, (lr, u) in enumerate([(0.1, 8), (0.1, 16), (0.2, 8)])
    ]
    assert summary(records, "loss", baseline={"lr": 0.1, "units": 16}).attrs["baseline"] == 1
    with pytest.raises(StudyError, match=r"fits 2 variants \(0, 1\); give one of: 0 \(lr=0.1, units=8\); 1"):
        summary(records, "loss", baseline={"lr": 0.1})
    with pytest.raises(StudyError, match=r"fits no variant; give one of: 0 \(lr=0.1, units=8\)"):
        summary(records, "loss", baseline={"lr": 9})
    for wrong in (3, -1, True, "0.1"):
        with pytest.raises(
            StudyError,
            match=r"baseline must be a variant's number, 0 to 2, or hyperparameters as a dict, not ",
        ):
            summary(records, "loss", baseline=wrong)
    records[2].state = TrialState.FAILED
    with pytest.raises(
        StudyError, match="no trial of the baseline, variant 2, finished with a finite 'loss'"
    ):
        summary(records, "loss", baseline=2)


# selection


def selection():
    """By val_loss a is better, by val_mae b; at a's best val_loss (epoch 0) its val_mae is 7."""
    a = [{"val_loss": 1.0, "val_mae": 7.0}, {"val_loss": 2.0, "val_mae": 5.0}]
    b = [{"val_loss": 4.0, "val_mae": 4.0}, {"val_loss": 3.0, "val_mae": 3.0}]
    records = [record(i, Variant(i, {"v": v}), 0, e) for i, (v, e) in enumerate([("a", a), ("b", b)])]
    records[0].test_logs, records[1].test_logs = {"test_loss": 2.5}, {"test_loss": 1.5}
    return records


def test_one_metric_selects_and_another_is_reported():
    frame = summary(selection(), "val_mae", select="val_loss")
    assert frame[["v", "metric", "selected_by", "selected", "mean"]].to_numpy().tolist() == [
        ["a", "val_mae", "val_loss", 2.0, 5.0],
        ["b", "val_mae", "val_loss", 3.0, 3.0],
    ]
    assert frame["difference"].tolist() == [0.0, -2.0]
    frame = summary(selection(), "val_mae", select="val_loss", at="best")
    assert frame["selected_by"].tolist() == ["val_loss, best epoch"] * 2
    assert frame["selected"].tolist() == [1.0, 3.0]
    assert frame["mean"].tolist() == [7.0, 3.0]


def test_a_test_value_is_selected_by_its_validation_counterpart():
    frame = summary(selection(), "test_loss")
    assert frame[["v", "selected_by", "selected", "mean"]].to_numpy().tolist() == [
        ["a", "val_loss", 2.0, 2.5],
        ["b", "val_loss", 3.0, 1.5],
    ]
    assert frame.attrs["test"]
    assert summary(selection(), "test_loss", select="val_mae")["v"].tolist() == ["b", "a"]
    records = [record(0, Variant(0, {}), 0, [{"loss": 1.0}])]
    records[0].test_logs = {"test_accuracy": 0.5}
    assert summary(records, "test_accuracy")["selected_by"].tolist() == ["loss"]


def test_a_trial_without_a_test_value_does_not_count():
    records = selection()
    records[0].test_logs = {}
    frame = summary(records, "test_loss")
    assert frame[["v", "seeds", "failed"]].to_numpy().tolist() == [["b", 1, 0], ["a", 0, 1]]


def test_what_is_selected_by_itself_says_so():
    note, _ = summary(selection(), "val_loss", select="val_loss").attrs["notes"]
    assert note.startswith("'val_loss' both selects and is reported")
    assert "not a test result" in note


def test_nothing_is_selected_by_the_test_data():
    with pytest.raises(StudyError, match=r"select='test_loss' would choose by the test data"):
        summary(selection(), "test_loss", select="test_loss")


def test_modes_for_two_metrics():
    epochs = [{"pull": 1.0, "loss": 2.0}], [{"pull": 2.0, "loss": 3.0}]
    records = [record(i, Variant(i, {"v": i}), 0, e) for i, e in enumerate(epochs)]
    assert summary(records, "loss", select="pull", mode={"pull": "max"})["v"].tolist() == [1, 0]
    assert summary(records, "loss", select="pull", mode={"pull": "min"})["v"].tolist() == [0, 1]
    with pytest.raises(StudyError, match=r"'pull' are better: neither Keras nor the name"):
        summary(records, "loss", select="pull")
    for r in records:
        r.epochs[0][1]["accuracy"] = 0.5
    with pytest.raises(
        StudyError, match=r"give a mode for each, as mode=\{'loss': 'min', 'accuracy': 'max'\}"
    ):
        summary(records, "loss", select="accuracy", mode="max")


# the rows behind it


def test_values_and_differences_are_what_the_summary_is_made_of():
    records = study({0.1: [4.0, 6.0, 1.0], 0.2: [1.0, 5.0, 2.0]})
    values = comparison.values(records, "val_loss")
    assert values.to_numpy().tolist() == [
        [1, 0.2, 0, 1],
        [1, 0.2, 1, 5],
        [1, 0.2, 2, 2],
        [0, 0.1, 0, 4],
        [0, 0.1, 1, 6],
        [0, 0.1, 2, 1],
    ]
    differences = comparison.differences(records, "val_loss")
    assert differences.to_numpy().tolist() == [[0, 0.1, 0, 3], [0, 0.1, 1, 1], [0, 0.1, 2, -1]]
    frame = summary(records)
    assert frame["mean"].tolist() == values.groupby("variant", sort=False)["value"].mean().tolist()
    assert frame["difference"][1] == differences["difference"].mean()
    assert comparison.differences(records, "val_loss", baseline=0)["difference"].tolist() == [-3, -1, 1]


losses = st.lists(
    st.lists(st.one_of(st.none(), st.floats(-100, 100)), min_size=1, max_size=7), min_size=1, max_size=4
)


@given(losses)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_any_summary_is_consistent(by_variant):
    if all(v is None for vs in by_variant for v in vs):
        return
    records = study(dict(enumerate(by_variant)))
    frame = comparison.summary(records, "val_loss", rng=np.random.default_rng(0))
    assert sorted(frame["variant"]) == list(range(len(by_variant)))
    assert (frame["seeds"] + frame["failed"]).tolist() == [len(by_variant[v]) for v in frame["variant"]]
    counted = frame[frame["seeds"] > 0]
    lost = counted["failed"] / (counted["seeds"] + counted["failed"])
    assert lost.is_monotonic_increasing  # variants that lost more seeds come later, whatever their means
    for _, alike in counted.groupby(lost):
        assert alike["mean"].is_monotonic_increasing
    assert len(counted) == len(frame) or frame["mean"].iloc[-1:].isna().all()
    assert (frame["pairs"] <= frame["seeds"]).all()
    assert frame["difference"][0] == 0
    p = frame["p_value"].dropna()
    assert p.between(0, 1).all()
    flipped = study({i: [None if v is None else -v for v in vs] for i, vs in enumerate(by_variant)})
    other = comparison.summary(flipped, "val_loss", mode="max", rng=np.random.default_rng(0))
    for name in ("variant", "seeds", "pairs", "failed"):
        assert other[name].tolist() == frame[name].tolist()
    for name, mirrored in (("mean", "mean"), ("low", "high"), ("difference_low", "difference_high")):
        assert np.allclose(-other[name], frame[mirrored], equal_nan=True)
    assert np.allclose(other[["probability", "p_value"]], frame[["probability", "p_value"]], equal_nan=True)
