"""A study as Optuna's: read back by Optuna itself."""

import math

import numpy as np
import optuna
import pytest

import fairlane as fl
from fairlane.results import optuna_study, ranking
from fairlane.results.variants import variants
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant


def records(seeds=(0, 1)):
    """Twelve variants whose loss is the square of ``rate``'s distance from 1e-2, and hardly of ``units``."""
    made = []
    for i in range(12):
        rate = 10 ** (-4 + i * 3 / 11)
        variant = Variant(i, {"rate": rate, "units": 8 + i % 3, "act": ["relu", "gelu"][i % 2]})
        for seed in seeds:
            end = (math.log10(rate) + 2) ** 2 + 0.001 * (i % 3) + 0.01 * seed
            epochs = [(0, {"loss": end + 1}), (1, {"loss": end})]
            state = TrialState.STOPPED if i == 11 else TrialState.DONE
            made.append(Record(Trial(len(made), variant, seed), state, epochs[: 1 if i == 11 else 2]))
    return made


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_reads_it_back(tmp_path):
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna_study.to_optuna(records(), "rates", url, "loss", "auto")
    study = optuna.load_study(study_name="rates", storage=url)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE"] * 11 + ["PRUNED"]
    first = study.trials[0]
    assert first.params == {"rate": 1e-4, "units": 8, "act": "relu"}
    assert math.isclose(first.value, 4.005)  # the mean of (−4 + 2)² and that + 0.01
    assert first.intermediate_values == {0: pytest.approx(5.005), 1: pytest.approx(4.005)}
    assert first.user_attrs == {"variant": 0, "trials": [0, 1], "seeds": [0, 1]}
    assert study.best_trial.user_attrs["variant"] == 7
    assert optuna.visualization.matplotlib.plot_optimization_history(study) is not None
    with pytest.raises(fl.StudyError, match="has a study 'rates' of Optuna's already"):
        optuna_study.to_optuna(records(), "rates", url, "loss", "auto")


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_values_are_those_of_the_trained_weights_where_seeds_ended_in_different_epochs():
    """EarlyStopping ended one seed after 2 epochs, and restored the first; the other was trained for 4."""
    made = []
    for number, losses in enumerate([[3.0, 4.0], [2.0, 2.5]]):
        variant = Variant(number, {"rate": 0.1 * (number + 1)})
        short = [(i, {"loss": loss}) for i, loss in enumerate(losses)]
        long = [(i, {"loss": 8.0 - i - 4 * (1 - number) * (i == 3)}) for i in range(4)]
        made.append(Record(Trial(2 * number, variant, 0), TrialState.DONE, short, weights_epoch=0))
        made.append(Record(Trial(2 * number + 1, variant, 1), TrialState.DONE, long, weights_epoch=3))
    study = optuna_study.to_optuna(made, None, None, "loss", "auto")
    assert [trial.value for trial in study.trials] == [(3.0 + 1.0) / 2, (2.0 + 5.0) / 2]
    best = ranking.best(made, "loss").trial.variant.number
    assert study.best_trial.user_attrs["variant"] == best == 0
    assert variants(made, "loss")["value"].tolist() == [2.0, 3.5]


@pytest.mark.parametrize("method", ["fanova", "pedanova"])
def test_what_matters_is_found(method):
    table = optuna_study.importance(records(), "loss", "auto", method, 0)
    assert table["hyperparameter"][0] == "rate"
    assert math.isclose(table["importance"].sum(), 1.0, rel_tol=1e-6)
    assert (table["low"] <= table["high"]).all()
    one = optuna_study.importance(records(seeds=(0,)), "loss", "auto", method, 0)
    assert np.isnan(one["low"]).all()


def test_too_few_variants_say_nothing():
    with pytest.raises(fl.StudyError, match="importance needs 4 variants that were trained to their end"):
        optuna_study.importance(records()[:4], "loss", "auto", "fanova", 0)
    with pytest.raises(fl.StudyError, match="method must be 'fanova' or 'pedanova'"):
        optuna_study.importance(records(), "loss", "auto", "forest", 0)
