"""MLflow's runs, read back by MLflow's client from a database."""

import math
import os

import pytest
from _studies import HOSTILE, made_up, started, study_of, tell, told, trials_of

import fairlane as fl
from fairlane.store import MemoryStore
from fairlane.trackers import Facts, MLflow
from fairlane.trials import EpochEnded, TrialDone, TrialFailed

mlflow = pytest.importorskip("mlflow", reason="needs the extra 'mlflow'")
pytest.importorskip("sqlalchemy", reason="needs the extra 'mlflow'")
pytest.importorskip("alembic", reason="needs the extra 'mlflow'")
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated",  # MLflow with SQLAlchemy 2.1
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database for all, since making its tables takes seconds; each test has an experiment of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def read(uri, experiment):
    """The studies' runs of an experiment, and their trials' runs by number."""
    client = mlflow.MlflowClient(uri)
    where = [client.get_experiment_by_name(experiment).experiment_id]
    runs = list(client.search_runs(where, order_by=["attributes.start_time ASC"]))
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [
        {
            int(run.data.tags["fairlane.trial"]): run
            for run in runs
            if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
        }
        for parent in parents
    ]
    assert len(parents) + sum(map(len, children)) == len(runs)
    return parents, children


def history(uri, run, metric="loss"):
    found = mlflow.MlflowClient(uri).get_metric_history(run.info.run_id, metric)
    return sorted((one.step, one.value) for one in found)


@pytest.fixture(scope="module")
def exported(uri):
    assert made_up().to_mlflow(uri, "exported") == 5
    (parent,), (children,) = read(uri, "exported")
    return parent, children


def test_a_parent_for_the_study_and_a_child_for_each_trial(exported):
    parent, children = exported
    assert parent.info.run_name == "sweep"
    assert sorted(children) == [0, 1, 2, 3, 4]
    assert children[0].info.run_name == "trial-000 optimizer.learning_rate=0.1 units=[8, 4] seed=0"


def test_hyperparameters_are_params(exported):
    assert exported[1][2].data.params == {"optimizer.learning_rate": "0.001", "units": "[8, 4]", "seed": "0"}


def test_metrics_have_the_epoch_as_step(uri, exported):
    run = exported[1][0]
    assert history(uri, run) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert history(uri, run, "val_loss") == [(0, 4.0), (1, 3.0), (2, 2.0)]
    assert history(uri, run, "test_loss") == [(2, 1.25)]


def test_nan_stays_and_infinity_is_the_largest_number(uri, exported):
    (_, first), (_, second), (_, third) = history(uri, exported[1][1])
    assert (first, math.isnan(second)) == (1.0, True)
    assert third > 1e308  # MLflow's own way


def test_states_are_statuses_and_errors_tags(exported):
    parent, children = exported
    assert parent.info.status == "KILLED"
    assert [children[n].info.status for n in range(5)] == ["FINISHED", "FAILED", "FAILED", "KILLED", "FAILED"]
    tags = [children[n].data.tags for n in range(5)]
    assert [one["fairlane.state"] for one in tags] == ["done", "diverged", "failed", "interrupted", "failed"]
    assert "fairlane.error" not in tags[0]
    assert "became NaN in epoch 2" in tags[1]["fairlane.error"]
    assert tags[4]["fairlane.error"] == "TypeError: no such layer"


def test_the_studys_run_has_the_summary(uri, exported):
    data = exported[0].data
    # In the first epoch, the last one that the interrupted trial has.
    assert data.metrics == {"trials": 5, "trials_done": 1, "trials_failed": 3, "val_loss": 4.0}
    assert data.tags["fairlane.best_variant"] == "optimizer.learning_rate=0.1, units=[8, 4]"

    good, bad = (
        trials_of({"units": 1}, {"units": 2}, seeds=(0, 1))[:2],
        trials_of({"units": 1}, {"units": 2}, seeds=(0, 1))[2:],
    )
    store = MemoryStore([*good, *bad])
    for trial, loss in zip((*good, *bad), (1.0, 3.0, 5.0, 5.0), strict=True):
        for event in (started(trial), *told(trial, [9.0, loss]), TrialDone(trial, 0.0, None)):
            store.write(event)
    study_of(store).to_mlflow(uri, "summary")
    (parent,), _ = read(uri, "summary")
    assert parent.data.metrics["val_loss"] == 3.0  # of units=1, in the last epoch
    assert parent.data.metrics["val_loss_low"] < 3.0 < parent.data.metrics["val_loss_high"]
    assert parent.data.tags["fairlane.best_variant"] == "units=1"


def test_where_variants_can_not_be_ranked_the_studys_run_has_counts(uri):
    (trial,) = trials_of({})
    store = MemoryStore([trial])
    store.write(TrialFailed(trial, None, "ValueError: no", ""))
    study_of(store, None).to_mlflow(uri, "counts")
    (parent,), _ = read(uri, "counts")
    assert parent.data.metrics == {"trials": 1, "trials_done": 0, "trials_failed": 1}


def test_a_trial_is_written_in_three_calls(uri, monkeypatch):
    calls = []
    for name in ("create_run", "log_batch", "set_terminated", "log_metric", "set_tag", "update_run"):
        real = getattr(mlflow.MlflowClient, name)
        monkeypatch.setattr(
            mlflow.MlflowClient,
            name,
            lambda *args, _real=real, _name=name, **kw: calls.append(_name) or _real(*args, **kw),
        )
    trials = trials_of({"units": 1}, {"units": 2})
    store = MemoryStore(trials)
    for trial in trials:
        for event in (started(trial), *told(trial, [3.0, 2.0]), TrialDone(trial, 0.0, None)):
            store.write(event)
    study_of(store, None).to_mlflow(uri, "calls")
    of_a_trial = ["create_run", "log_batch", "set_terminated"]
    assert calls == ["create_run", *of_a_trial, *of_a_trial, "log_batch", "set_terminated"]


def test_exporting_again_replaces_the_runs_of_a_study_with_a_name(uri):
    for _ in range(2):
        made_up().to_mlflow(uri, "again")
    made_up("another's").to_mlflow(uri, "again")
    parents, children = read(uri, "again")
    assert [parent.info.run_name for parent in parents] == ["sweep", "another's"]
    assert history(uri, children[0][0]) == [(0, 3.0), (1, 2.0), (2, 1.0)]


def test_a_trial_goes_on_in_its_run_or_is_written_anew(uri):
    same, more, less = trials = trials_of({"units": 1}, {"units": 2}, {"units": 3})
    store = MemoryStore(trials)
    tracker = MLflow(uri, "goes on")
    tracker.begin(Facts("sweep", trials))
    for trial in trials:
        tell(tracker, [started(trial), *told(trial, [3.0, 2.0])], store)
    tell(tracker, [TrialFailed(same, 2, "ValueError: no", "")], store)
    store.interrupt()
    tracker.end(store)
    _, (before,) = read(uri, "goes on")
    assert [before[n].info.status for n in range(3)] == ["FAILED", "KILLED", "KILLED"]

    tracker = MLflow(uri, "goes on")  # of the process that goes on
    store.write(started(less))
    for event in told(less, [3.0, 2.0, 1.5]):
        store.write(event)  # the tracker had been switched off
    tracker.begin(Facts("sweep", trials))
    for trial, epoch in ((same, 2), (more, 1), (less, 3)):
        new = told(trial, [0.5], first=epoch)
        tell(tracker, [started(trial, epoch), *new, TrialDone(trial, 0.0, None)], store)
    tracker.end(store)
    (parent,), (after,) = read(uri, "goes on")
    assert parent.info.status == "FINISHED"
    assert [after[n].info.status for n in range(3)] == ["FINISHED"] * 3
    assert after[0].info.run_id == before[0].info.run_id
    assert "fairlane.error" not in after[0].data.tags
    assert history(uri, after[0]) == [(0, 3.0), (1, 2.0), (2, 0.5)]
    assert history(uri, after[1]) == [(0, 3.0), (1, 0.5)]
    assert history(uri, after[2]) == [(0, 3.0), (1, 2.0), (2, 1.5), (3, 0.5)]


def test_names_that_mlflow_refuses_are_made_fit(uri):
    (trial,) = trials_of({HOSTILE: HOSTILE, "a/../b": 1, "x=y": 2, "x_y": 3})
    store = MemoryStore([trial])
    for event in (
        started(trial),
        EpochEnded(trial, 0, {"loss": 1.0, "a,b": 2.0, "a b": 3.0}),
        TrialDone(trial, 0.0, None),
    ):
        store.write(event)
    assert study_of(store, HOSTILE).to_mlflow(uri, "hostile") == 1
    assert study_of(store, HOSTILE).to_mlflow(uri, "hostile") == 1
    (_,), (children,) = read(uri, "hostile")
    assert len(children[0].data.params) == 5
    assert sorted(children[0].data.metrics.values()) == [1.0, 2.0, 3.0]
    assert children[0].data.metrics["a b"] == 3.0


def test_more_metrics_than_mlflow_takes_at_once(uri):
    (trial,) = trials_of({})
    store = MemoryStore([trial])
    events = [EpochEnded(trial, n, {"loss": float(n)}) for n in range(1001)]
    for event in (started(trial), *events, TrialDone(trial, 0.0, None)):
        store.write(event)
    study_of(store, None).to_mlflow(uri, "many")
    _, (children,) = read(uri, "many")
    assert len(history(uri, children[0])) == 1001


def test_the_session_is_left_as_found(uri):
    before = (mlflow.get_tracking_uri(), mlflow.active_run(), dict(os.environ))
    made_up().to_mlflow(uri, "session")
    assert (mlflow.get_tracking_uri(), mlflow.active_run(), dict(os.environ)) == before


def test_a_database_that_can_not_be_opened_is_said(tmp_path):
    place = f"sqlite:///{tmp_path}/missing/folder/mlflow.db"
    (tmp_path / "missing").write_text("")
    with pytest.raises(fl.StudyError, match=r"MLflow\('sqlite.*can't begin: .*Nothing was exported"):
        made_up().to_mlflow(place)


def test_wrong_arguments_are_refused():
    with pytest.raises(fl.StudyError, match="a URI and an experiment's name, not 3 and 'fairlane'"):
        fl.trackers.MLflow(3)
