"""TensorBoard's files, read back by TensorBoard: its event accumulator, and its HPARAMS page's reader."""

import math

import pytest
from _studies import HOSTILE, made_up, started, study_of, tell, told, trials_of

import fairlane as fl
from fairlane.store import MemoryStore, Record
from fairlane.trackers import Facts, TensorBoard
from fairlane.trackers.contract import safe
from fairlane.trials import EpochEnded, Trial, TrialDone, TrialStarted, Variant
from fairlane.trials import Tested as Evaluated

pytest.importorskip("tensorboard", reason="needs the extra 'tensorboard'")

from tensorboard.backend.event_processing import event_accumulator, event_multiplexer
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.util import tensor_util


def runs(folder):
    """Every run under a folder, as TensorBoard finds and reads them: its path → its accumulator."""
    multiplexer = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    return {name: multiplexer.GetAccumulator(name) for name in multiplexer.Runs()}


def scalars(run, tag="epoch_loss"):
    return [(event.step, event.value) for event in run.Scalars(tag)]


def state(run):
    """What the TEXT page shows last."""
    value = run.Tensors("state")[-1].tensor_proto
    return tensor_util.make_ndarray(value).item().decode()


def session(run):
    """The hyperparameters' group and values, and how the session ended, as the HPARAMS page reads them."""
    data = run.summary_metadata
    start = metadata.parse_session_start_info_plugin_data(
        data[metadata.SESSION_START_INFO_TAG].plugin_data.content
    )
    values = {}
    for name, value in start.hparams.items():
        values[name] = getattr(value, value.WhichOneof("kind"))
    end = data.get(metadata.SESSION_END_INFO_TAG)
    if end is None:
        return start.group_name, values, None
    return (
        start.group_name,
        values,
        metadata.parse_session_end_info_plugin_data(end.plugin_data.content).status,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    assert made_up().to_tensorboard(folder) == 5
    return folder, runs(folder)


def run_of(found, number, part=""):
    """The one run of a trial whose name starts as it must."""
    parts = [run for run in found if run.startswith(f"sweep/trial-{number:03d} optimizer.learning_rate=")]
    wanted = [run for run in parts if run.count("/") == 1 + bool(part) and run.endswith(part)]
    assert len(wanted) == 1, parts
    return found[wanted[0]]


def test_curves_have_kerass_names(exported):
    found = exported[1]
    assert scalars(run_of(found, 0, "train")) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert scalars(run_of(found, 0, "validation")) == [(0, 4.0), (1, 3.0), (2, 2.0)]
    assert run_of(found, 0, "train").Tags()["scalars"] == ["epoch_loss"]


def test_the_test_value_stands_at_the_last_epoch(exported):
    assert scalars(run_of(exported[1], 0, "test")) == [(2, 1.25)]


def test_nan_and_infinity_stay(exported):
    (_, first), (_, second), (_, third) = scalars(run_of(exported[1], 1, "train"))
    assert (first, math.isnan(second), third) == (1.0, True, math.inf)


def test_cut_off_and_failed_trials_have_what_was_finished(exported):
    found = exported[1]
    assert scalars(run_of(found, 2, "train")) == [(0, 4.0)]
    assert scalars(run_of(found, 3, "train")) == [(0, 5.0)]


def test_every_trial_says_how_it_ended(exported):
    texts = [state(run_of(exported[1], number)) for number in range(5)]
    assert texts[0] == "done"
    assert texts[1].startswith("diverged: the loss became NaN in epoch 2")
    assert texts[2:] == [
        "failed: ValueError: no more data",
        "interrupted",
        "failed: TypeError: no such layer",
    ]


def test_hyperparameters_are_on_the_hparams_page(exported):
    sessions = [session(run_of(exported[1], number)) for number in range(5)]
    assert sessions[0][1] == {"optimizer.learning_rate": 0.1, "units": "[8, 4]"}
    assert [end for _, _, end in sessions] == [api_pb2.STATUS_SUCCESS] + [api_pb2.STATUS_FAILURE] * 4


def test_seeds_of_a_variant_are_one_group(tmp_path, exported):
    trials = trials_of({"units": 1}, {"units": 2}, seeds=(0, 1))
    store = MemoryStore(trials)
    for trial in trials:
        for event in (started(trial), *told(trial, [1.0]), TrialDone(trial, 0.0, None)):
            store.write(event)
    study_of(store, None).to_tensorboard(tmp_path)
    found = runs(tmp_path)
    groups = [
        session(found[f"trial-{t.number:03d} units={t.variant.number + 1} seed={t.seed}"])[0] for t in trials
    ]
    assert groups == ["study: variant 0"] * 2 + ["study: variant 1"] * 2
    assert session(run_of(exported[1], 1))[0] == "sweep: variant 1"


def test_exporting_again_replaces_and_leaves_other_files_alone(tmp_path):
    study = made_up()
    study.to_tensorboard(tmp_path)
    before = runs(tmp_path)
    folder = next((tmp_path / "sweep").glob("trial-000*"))
    (folder / "train" / "events.out.tfevents.1.mine").write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    open_one = event_accumulator.EventAccumulator(str(folder / "train")).Reload()
    assert study.to_tensorboard(tmp_path) == 5
    again = runs(tmp_path)
    assert sorted(again) == sorted(before)
    assert scalars(run_of(again, 0, "train")) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "train" / "events.out.tfevents.1.mine").exists()
    open_one.Reload()  # a TensorBoard that was open all the while
    assert scalars(open_one) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    study.to_tensorboard(tmp_path)
    files = list(folder.rglob("events.out.tfevents.*.fairlane"))
    assert len(files) == 4 * 2  # of each part the newest, and the one before, emptied
    assert sum(path.stat().st_size > 0 for path in files) == 4


def test_a_trial_begun_anew_or_from_an_epoch_forgets_what_came_after(tmp_path):
    (trial,) = trials_of({"units": 1})
    store = MemoryStore([trial])
    tracker = TensorBoard(tmp_path)
    tracker.begin(Facts(None, [trial]))
    tell(tracker, [started(trial), *told(trial, [9.0, 8.0])], store)
    tell(tracker, [started(trial), *told(trial, [3.0, 2.0, 1.0])], store)
    tracker.end(store)
    path = tmp_path / "trial-000 units=1 seed=0" / "train"
    open_one = event_accumulator.EventAccumulator(str(path)).Reload()
    assert scalars(open_one) == [(0, 3.0), (1, 2.0), (2, 1.0)]

    tracker = TensorBoard(tmp_path)  # of the process that goes on
    tracker.begin(Facts(None, [trial]))
    tell(tracker, [started(trial, epoch=1), *told(trial, [0.5], first=1)], store)
    tracker.end(store)
    assert scalars(runs(tmp_path)["trial-000 units=1 seed=0/train"]) == [(0, 3.0), (1, 0.5)]
    assert scalars(open_one.Reload()) == [(0, 3.0), (1, 0.5)]


@pytest.mark.parametrize(("study", "left"), [("sweep", 0), (None, 1)])
def test_only_studies_with_a_name_replace_trials_whose_values_had_other_words(tmp_path, study, left):
    for value in ("before", "after"):
        (trial,) = trials_of({"units": value})
        store = MemoryStore([trial])
        for event in (started(trial), *told(trial, [1.0]), TrialDone(trial, 0.0, None)):
            store.write(event)
        study_of(store, study).to_tensorboard(tmp_path)
    found = runs(tmp_path)
    before = [run for name, run in found.items() if "before" in name and run.Tags()["scalars"]]
    assert len(before) == left * 2  # its training and its validation
    assert len([run for name, run in found.items() if "after" in name and run.Tags()["scalars"]]) == 2


def test_what_was_told_can_be_read_at_once(tmp_path):
    (trial,) = trials_of({})
    store = MemoryStore([trial])
    tracker = TensorBoard(tmp_path)
    tracker.begin(Facts(None, [trial]))
    tell(tracker, [started(trial), *told(trial, [9.0])], store)
    assert scalars(runs(tmp_path)["trial-000 seed=0/train"]) == [(0, 9.0)]


def test_hostile_names_stay_in_the_folder(tmp_path):
    folder = tmp_path / "a" / "logs"
    trials = trials_of({HOSTILE: HOSTILE}, {HOSTILE: HOSTILE + "!"}, {"units": ".."})
    store = MemoryStore(trials)
    for trial in trials:
        store.write(started(trial))
        store.write(EpochEnded(trial, 0, {"loss": 1.0, f"val_{HOSTILE}": 2.0, "words": "no number"}))
        store.write(TrialDone(trial, 0.0, None))
    study_of(store, HOSTILE).to_tensorboard(folder)
    study_of(store, "..").to_tensorboard(folder)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2 * 3 * 3
    assert all(path.is_relative_to(folder) for path in files)
    assert all(part.isascii() and len(part) <= 80 for path in files for part in path.parts)
    found = runs(folder)
    assert len(found) == 2 * 3 * 3
    tags = {tag for run in found.values() for tag in run.Tags()["scalars"]}
    assert tags == {"epoch_loss", f"epoch_{HOSTILE}"}


def test_a_test_that_failed_is_told(tmp_path):
    (trial,) = trials_of({})
    store = MemoryStore([trial])
    for event in (
        started(trial),
        *told(trial, [1.0]),
        TrialDone(trial, 0.0, None),
        Evaluated(trial, {}, "E: no"),
    ):
        store.write(event)
    study_of(store, None).to_tensorboard(tmp_path)
    assert state(runs(tmp_path)["trial-000 seed=0"]) == "done: the test data could not be evaluated: E: no"


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "logs").write_text("")
    with pytest.raises(fl.StudyError, match=r"TensorBoard\('.*logs'\) can't begin: .*Nothing was exported"):
        made_up().to_tensorboard(tmp_path / "logs")


def test_no_path_is_refused():
    with pytest.raises(fl.StudyError, match="takes the path of a folder, not 3"):
        fl.trackers.TensorBoard(3)


def test_long_names_make_short_paths_and_go_on_where_they_were_written_before(tmp_path):
    long = Variant(0, {f"hyperparameter_{i}": f"value {i}" * 5 for i in range(20)})
    trials = [Trial(0, long, 0), Trial(1, long, 1)]

    def written():
        tracker = TensorBoard(tmp_path)
        tracker.begin(Facts("n" * 200, trials))
        for trial in trials:
            tracker.take(TrialStarted(trial, "lanes"), Record(trial))
        tracker.end([Record(trial) for trial in trials])
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path.parent.relative_to(tmp_path).as_posix() for path in files}, files

    folders, files = written()
    assert len(folders) == 2
    assert max(len(path.relative_to(tmp_path).as_posix()) for path in files) < 200
    assert written()[0] == folders
    before = safe("n" * 200, 120)
    (tmp_path / next(iter(folders)).split("/")[0]).rename(tmp_path / before)
    assert {folder.split("/")[0] for folder in written()[0]} == {before}
