"""The facts of a report: the request, the verdict in words, and what was unusual."""

import doctest
import importlib
import json
import math

import numpy as np
import pytest
from _made import diverge, facts, fail, study

from fairlane.errors import StudyError
from fairlane.provenance.origin import Origin
from fairlane.results import statistics
from fairlane.store import Decision, MemoryStore
from fairlane.trials import EpochEnded, Site, Trial, TrialDone, TrialStarted, TrialState, Variant


def sentence(records, metric="val_loss"):
    return facts(records, metric=metric)["verdict"]["sentence"]


@pytest.mark.parametrize("name", ["facts", "verdict", "page", "values"])
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(f"fairlane.results.report.{name}")).failed == 0


# The verdict


def test_enough_seeds_have_an_interval_and_a_p_value():
    said = sentence(study(2, seeds=8))
    assert said.startswith("units=8 has the lowest val_loss, 1.285 (95 % interval 1.265 to 1.305, 8 seeds); ")
    assert "the next, units=9, is 1.0035 higher (1.0015 to 1.0055, p = 0.0078, 8 seeds in common)." in said


def test_a_difference_that_may_be_chance_is_called_so():
    records = study(2, seeds=8, gap=0.0)
    for record in records[8:]:
        record.epochs[-1][1]["val_loss"] += 0.01 * (-1) ** record.trial.seed
    assert "8 seeds in common: it may be chance)." in sentence(records)


def test_few_seeds_have_an_interval_and_no_p_value():
    assert "(0.9985 to 1.0035, 3 seeds in common: too few for a p-value)." in sentence(study(2, seeds=3))


def test_one_seed_says_that_chance_can_not_be_told():
    said = sentence(study(2, seeds=1))
    assert said == (
        "units=8 has the lowest val_loss, 1.25 (1 seed: no interval); the next, units=9, is 1 higher "
        "(1 seed in common: too few to say whether that is chance)."
    )


def test_the_largest_is_best_where_it_is_an_accuracy():
    records = study(2, seeds=3, logs=("accuracy",))
    assert sentence(records, "accuracy").startswith("units=9 has the highest accuracy, 2.26")
    assert "the next, units=8, is 1.0010 lower (0.9985 to 1.0035," in sentence(records, "accuracy")


def test_the_only_variant_is_compared_with_nothing():
    said = sentence(study(1, seeds=3, names=lambda n: {}))
    assert said.startswith("The only variant has a val_loss of 1.260 (95 % interval 1.235 to 1.285, 3 seeds)")
    assert said.endswith("; there is no other variant to compare it with.")


def test_variants_that_failed_are_not_compared():
    records = study(3, seeds=2)
    for record in records[2:]:
        fail(record)
    assert sentence(records).endswith(
        "; no trial of the 2 other variants has finished with a finite value, so nothing is compared."
    )


def test_variants_without_a_common_seed_are_not_compared():
    records = study(2, seeds=2)
    fail(records[0])
    fail(records[3])
    assert "the next, units=9, has no seed in common with it, so the two are not compared." in sentence(
        records
    )


def test_equal_variants_are_called_so():
    records = study(2, seeds=2, gap=0.0)
    for record in records:
        record.epochs[-1][1]["val_loss"] = 0.5
    assert sentence(records).endswith("; the next, units=9, has the same mean (2 seeds in common).")


def test_a_test_metric_says_what_chose():
    records = study(2, seeds=3)
    for record in records:
        record.test_logs = {"test_loss": 2.0 + record.trial.seed / 10}
    found = facts(records, metric="test_loss")
    assert found["verdict"]["sentence"].startswith(
        "units=8, which is the best by val_loss, has a test_loss of 2.10 (95 %"
    )
    assert found["tests"] == ["test_loss"]
    assert found["trials"][1]["tests"] == [2.1]


def test_nothing_finished_is_no_verdict_but_a_reason():
    records = study(2, seeds=1)
    for record in records:
        fail(record)
    said = sentence(records)
    assert said.startswith("No verdict: no trial has finished: 2 of 2 failed")
    assert "ValueError: no" in said


def test_nothing_begun_and_no_trials_at_all():
    records = study(1, seeds=1)
    records[0].state, records[0].epochs = TrialState.WAITING, []
    assert sentence(records).startswith("No verdict: no trial has finished yet")
    assert sentence([]).startswith("No verdict: ")


def test_no_finite_value_is_no_verdict():
    records = study(1, seeds=1)
    records[0].epochs = [(0, {"loss": 0.5, "val_loss": math.nan})]
    assert sentence(records).startswith("No verdict: none of the 1 finished trials has a finite 'val_loss'")


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    with pytest.raises(StudyError, match=r"no trial has logged a metric 'val_los'. Did you mean 'val_loss'"):
        facts(study(), metric="val_los")


def test_notes_say_that_the_best_is_flattered_and_not_that_cells_are_nan():
    notes = facts(study(2, seeds=2))["verdict"]["notes"]
    assert notes[0].startswith("Too few seeds: ")
    assert notes[-1].startswith("The values that are shown also chose the best variant")


# Mean curves and their intervals


def test_bands_are_the_t_intervals_of_the_statistics():
    records = study(3, seeds=5, epochs=3)
    told = facts(records)
    assert told["confidence"] == 0.95
    for number, variant in enumerate(told["variants"]):
        means = variant["means"]
        some = [record for record in records if record.trial.variant.number == number]
        assert variant["counted"] == [record.trial.number for record in some]
        assert means["epochs"] == [0, 1, 2]
        for epoch in means["epochs"]:
            values = [record.epochs[epoch][1]["val_loss"] for record in some]
            expected = statistics.estimate(values, rng=np.random.default_rng(0))
            found = [means[end][1][epoch] for end in ("values", "low", "high")]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_two_seeds_there_are_no_bands_and_of_one_no_mean():
    (two,) = facts(study(1, seeds=2))["variants"]
    assert set(two["means"]) == {"epochs", "values"}
    (one,) = facts(study(1, seeds=1))["variants"]
    assert (one["counted"], one["means"]) == ([0], None)


def test_a_mean_is_a_gap_where_a_trial_lacks_a_number():
    records = study(1, seeds=3, epochs=5)
    del records[0].epochs[4]
    records[1].epochs[0][1]["loss"] = math.inf
    del records[2].epochs[1][1]["loss"]
    (variant,) = facts(records)["variants"]
    means = variant["means"]
    assert means["epochs"] == [0, 1, 2, 3, 4]
    for end in ("values", "low", "high"):
        loss, val_loss = means[end]
        assert [value is None for value in loss] == [True, True, False, False, True]
        assert [value is None for value in val_loss] == [False] * 4 + [True]


def test_finished_trials_count_and_till_there_are_any_those_in_training():
    records = study(1, seeds=5)
    for record in records[1:]:
        record.state = TrialState.RUNNING
    fail(records[4])
    assert facts(records)["variants"][0]["counted"] == [0]
    records[0].state = TrialState.INTERRUPTED
    assert facts(records)["variants"][0]["counted"] == [1, 2, 3]
    records[1].epochs = []  # just begun
    assert facts(records)["variants"][0]["counted"] == [2, 3]
    for record in records[2:4]:
        record.state = TrialState.INTERRUPTED
    assert facts(records)["variants"][0]["counted"] == [0, 2, 3]


# What was unusual


def test_a_study_without_surprises_has_none():
    assert facts(study())["unusual"] == []


def test_states_are_told_with_their_trials():
    records = study(3, seeds=3)
    diverge(records[3])
    diverge(records[4])
    fail(records[6])
    records[8].state = TrialState.INTERRUPTED
    told = facts(records)["unusual"]
    assert told[0] == "2 trials diverged: the training loss became NaN or infinite (trials 3, 4)."
    assert told[1] == "1 trial failed with an error (trial 6)."
    assert told[2] == "1 trial interrupted: the epochs before that are shown (trial 8)."


def test_unpaired_seeds_are_told_once_for_those_alike():
    records = study(2, seeds=5)
    for seed in (1, 2, 3):
        fail(records[5 + seed])
    assert facts(records)["unusual"][-1] == (
        "Seeds 1 to 3 are unpaired: there is no finished trial of units=9, so differences to it leave them out."
    )


def test_a_variant_that_failed_altogether_unpairs_no_seed():
    records = study(2, seeds=2)
    fail(records[2])
    fail(records[3])
    assert not any("unpaired" in text for text in facts(records)["unusual"])


def test_a_seed_that_is_still_trained_is_not_called_unpaired():
    records = study(2, seeds=2)
    records[3].state = TrialState.RUNNING
    told = facts(records)
    assert told["unusual"] == []
    assert told["unended"] == "1 trial waiting or running (trial 3)."


def test_reasons_off_lanes_are_told_together():
    records = study(1, seeds=4)
    for record in records[:3]:
        record.reason, record.engine = "the data are sparse", "reference"
    assert facts(records)["unusual"] == [
        "3 trials trained one after another instead of on lanes, because the data are sparse (trials 0 to 2)."
    ]


def test_reasons_to_be_apart_from_other_sizes_are_told():
    records = study(1, seeds=2)
    records[1].reason, records[1].engine = "top_k is not known on arrays of different sizes", "lanes"
    assert facts(records)["unusual"] == [
        "1 trial trained in a program of its own size, because top_k is not known on arrays of different sizes "
        "(trial 1)."
    ]


def test_a_test_that_failed_is_told():
    records = study(1, seeds=2)
    records[1].error = "the test data could not be evaluated: ValueError: shapes"
    assert facts(records)["unusual"] == [
        "1 trial not evaluated on the test data: the test data could not be evaluated: ValueError: shapes (trial 1)."
    ]


# Values, errors, the request


def test_values_that_are_no_numbers_keep_their_names_and_json_holds_them():
    records = study(1, seeds=1)
    records[0].epochs = [
        (0, {"loss": 1.0, "val_loss": math.nan}),
        (1, {"loss": math.inf}),
        (3, {"loss": -math.inf}),
    ]
    found = facts(records)
    trial = json.loads(json.dumps(found, allow_nan=False))["trials"][0]
    assert found["metrics"] == [{"name": "loss", "training": 0, "validation": 1}]
    assert trial["epochs"] == [0, 1, 3]
    assert trial["curves"] == [[1.0, "Infinity", "-Infinity"], ["NaN", None, None]]


def test_logs_that_are_arrays_have_no_curve():
    records = study(1, seeds=1)
    for _, logs in records[0].epochs:
        logs["per_class"] = np.ones(3)
    assert [metric["name"] for metric in facts(records)["metrics"]] == ["loss"]


def test_hyperparameters_of_any_kind_are_plain():
    odd = [{"a": np.float32(0.5), "b": [1, 2]}, {"a": 2**60, "c": len}, {"a": None}, {"a": True}]
    found = facts(study(4, names=odd.__getitem__))
    assert found["hyperparameters"] == ["a", "b", "c"]
    assert [variant["hyperparameters"] for variant in found["variants"]] == [
        [0.5, "[1, 2]", None],
        [str(2**60), None, "len"],
        [None, None, None],
        [True, None, None],
    ]


def test_errors_that_are_alike_stand_once():
    records = study(2, seeds=2)
    fail(records[1])
    fail(records[2])
    fail(records[3], "KeyError: 'x'", "another")
    assert facts(records)["errors"] == [
        {
            "state": "failed",
            "text": "ValueError: no",
            "traceback": "Traceback ...\nValueError: no",
            "trials": [1, 2],
        },
        {"state": "failed", "text": "KeyError: 'x'", "traceback": "another", "trials": [3]},
    ]


def test_the_request_is_shown():
    spec = {
        "model": {"build": "def build(): ..."},
        "data": {"x": "float32 (8, 2), SHA-256 ab", "validation_data": {"0": "float32 (4, 2), SHA-256 cd"}},
        "arguments": {"batch_size": "32"},
        "callbacks": {"0, EarlyStopping": {"patience": "3"}},
    }
    found = facts(
        study(2, seeds=3), origin=Origin(spec, {"keras": "3.99"}, 30, [Site("a machine", "abc123")])
    )
    assert dict(found["requested"]) == {
        "Variants": "2",
        "units": "8, 9",
        "Seeds": "0 to 2",
        "Epochs": "30",
        "Data, x": "float32 (8, 2), SHA-256 ab",
        "Data, validation_data, 0": "float32 (4, 2), SHA-256 cd",
        "fit, batch_size": "32",
        "keras": "3.99",
        "Machine": "a machine",
        "Commit": "abc123",
    }
    model, callbacks = found["sources"]
    assert model == ["Model", "# build\ndef build(): ..."]
    assert callbacks[0] == "Callbacks"
    assert '"patience": "3"' in callbacks[1]


def test_what_nobody_knows_is_said():
    told = dict(facts(study(), origin=Origin(created=0.0))["requested"])
    assert told["Machine"] == told["Commit"] == "not recorded"
    assert told["Started"] == "1970-01-01 00:00 UTC"
    assert dict(facts(study(), origin=Origin(sites=[Site("m")]))["requested"])["Commit"] == "none"


def test_long_texts_are_cut_and_say_so():
    records = study(1, seeds=1)
    fail(records[0], traceback="x" * 30_000)
    cut = facts(records)["errors"][0]["traceback"]
    assert len(cut) < 21_000
    assert cut.endswith("... and 10000 more characters")


# A search


def searched():
    """Two seeds of six variants: 3 to 5 are stopped after the first of two epochs, 1 diverged, 2 trains."""
    trials = [Trial(2 * n + seed, Variant(n, {"rate": n / 10}), seed) for n in range(6) for seed in (0, 1)]
    store = MemoryStore(trials)
    goals = [["val_loss", "auto"], ["parameters", "auto"]]
    store.decide(
        Decision(
            ("search",), {"sampler": "tpe", "objective": "val_loss", "mode": "auto", "objectives": goals}
        )
    )
    store.decide(Decision(("bracket", 0), {"sizes": [6, 3], "epochs": [1, 2]}))
    for n in range(6):
        store.decide(Decision(("variant", n), {"values": [], "asked": n, "bracket": 0}))
        store.decide(Decision(("parameters", n), {"count": 100 - n}))
    for trial in trials:
        n = trial.variant.number
        store.write(TrialStarted(trial, "lanes"))
        store.write(EpochEnded(trial, 0, {"loss": 1.0, "val_loss": n + 1.0}))
        if n < 2:
            last = math.nan if n == 1 else 0.5 + trial.seed
            store.write(EpochEnded(trial, 1, {"loss": last, "val_loss": last}))
        if n != 2:
            store.write(TrialDone(trial, 1.0, None, stopped=n > 2))
    store.decide(Decision(("rung", 0, 0), {"epochs": 1, "values": {}, "promoted": [0, 1, 2]}))
    return store


def test_a_search_shows_its_values_its_rungs_and_its_front():
    found = facts(searched(), metric=None)["search"]
    assert found["words"] == [
        "6 variants by sampler 'tpe' until now. 12 trials: 2 trained to the end, 6 stopped by a rule, 2 diverged, 2 running."
    ]
    values = [(one["variant"], one["value"], one["stopped"], one["best"]) for one in found["values"]]
    assert values == [(0, 1.0, False, 1.0), (1, "NaN", False, 1.0)] + [
        (n, n + 1.0, True, 1.0) for n in (3, 4, 5)
    ]
    assert [list(row.values()) for row in found["rungs"]] == [[0, 0, 1, 6, 6, 3], [0, 1, 2, 3, 2, None]]
    assert (found["objective"], found["better"]) == ("val_loss", "min")
    assert found["front"][0]["values"][1] == 100
    json.dumps(found, allow_nan=False)


def test_a_search_that_has_nothing_yet_and_a_study_that_is_none():
    store = MemoryStore([Trial(0, Variant(0, {"rate": 1.0}), 0)])
    assert facts(store)["search"] is None
    store.decide(Decision(("search",), {"sampler": "random", "objective": "val_auc", "mode": "max"}))
    found = facts(store, metric=None)["search"]
    assert found["words"] == ["1 variant by sampler 'random' until now. 1 trial: 1 waiting."]
    assert found["values"] == found["rungs"] == found["front"] == []
    assert found["better"] == "max"
