"""The files that callbacks write: ``{trial}`` in their paths, and an error before two trials write one."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import callbacks as kc

import fairlane as fl
from _trial import FIT, X, Y, alone, build, check_logs, check_weights
from fairlane.running.callbacks import Callbacks
from fairlane.trials import Trial, Variant

both_engines = pytest.mark.parametrize("engine", ["lanes", "reference"])
VARIANTS = [{"lr": 0.05}, {"lr": 0.2}]
BRIEF: dict[str, Any] = {**FIT, "epochs": 2}
TRIALS = [Trial(i, Variant(i, {"lr": i}), 30 + i) for i in range(3)]


def compare(callbacks: Any, variants: Any = VARIANTS, builder: Any = build, **arguments: Any) -> fl.Study:
    return fl.compare(builder, variants, X, Y, callbacks=callbacks, verbose=0, **{**BRIEF, **arguments})


def given(callbacks: Any, number: int = 2) -> list[Any]:
    """What the trial of a number gets."""
    makers = Callbacks(callbacks, TRIALS)
    assert makers.are_given
    return makers.make(TRIALS[number])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(p) for p in Path().rglob("*") if p.is_file())


# --- {trial} ------------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("as_function", [False, True])
def test_each_trial_writes_files_of_its_own(engine, as_function):
    def make():
        return [
            kc.CSVLogger("log-{trial}.csv"),
            kc.ModelCheckpoint(Path("models") / "{trial:03d}-{epoch}.weights.h5", save_weights_only=True),
        ]

    compare(make if as_function else make(), engine=engine)
    names = [f"models/00{trial}-{epoch}.weights.h5" for trial in (0, 1) for epoch in (1, 2)]
    assert files() == ["log-0.csv", "log-1.csv", *names]
    for trial, variant in enumerate(VARIANTS):
        expected = alone(variant, **BRIEF)
        with open(f"log-{trial}.csv") as lines:
            losses = [float(row["loss"]) for row in csv.DictReader(lines)]
        np.testing.assert_allclose(losses, expected.history["loss"], rtol=1e-5)
        model = build()
        model.optimizer.build(model.trainable_variables)
        model.load_weights(f"models/00{trial}-2.weights.h5")
        for a, b in zip(model.get_weights(), expected.model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class Stumble(kc.Callback):
    """Cuts the training off after its first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            raise RuntimeError("power cut")


@both_engines
@pytest.mark.parametrize("as_path", [False, True])
@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_each_trial_resumes_from_a_backup_of_its_own(engine, as_path):
    folder = Path("backup") / "{trial}" if as_path else "backup/{trial}"
    study = compare([kc.BackupAndRestore(folder), Stumble()], engine=engine)
    assert study.trials["error"].tolist() == ["RuntimeError: power cut"] * 2
    assert files() == [
        f"backup/{trial}/{name}"
        for trial in (0, 1)
        for name in ("latest.weights.h5", "training_metadata.json")
    ]
    assert json.loads(Path("backup/1/training_metadata.json").read_text()) == {"epoch": 1, "batch": 0}
    study = compare([kc.BackupAndRestore(folder)], engine=engine)
    for trial, variant in enumerate(VARIANTS):
        with pytest.raises(RuntimeError, match="power cut"):
            alone(variant, make_callbacks=lambda: [kc.BackupAndRestore("alone"), Stumble()], **BRIEF)
        expected = alone(variant, make_callbacks=lambda: [kc.BackupAndRestore("alone")], **BRIEF)
        assert expected.epochs == [1]
        check_logs(study, trial, expected)
        check_weights(study, trial, expected)
    assert files() == []  # Keras removes a backup at the end
    assert sorted(p.name for p in Path("backup").iterdir()) == []


def test_fit_numbers_the_models():
    models = [build(0.1), build(0.2)]
    fl.fit(models, X, Y, seed=5, callbacks=kc.CSVLogger("{trial}-{seed:02d}.csv"), verbose=0, **BRIEF)
    assert files() == ["0-05.csv", "1-05.csv"]


BACKUP = {  # what Keras makes of the folder at once
    "_weights_path": "b/2/latest.weights.h5",
    "_training_metadata_path": "b/2/training_metadata.json",
    "_prev_weights_path": "b/2/latest.weights.h5.bkp",
    "_prev_training_metadata_path": "b/2/training_metadata.json.bkp",
}


@pytest.mark.parametrize("as_function", [False, True])
@pytest.mark.parametrize(
    ("make", "filled"),
    [
        (lambda: kc.TensorBoard("runs/{trial}"), {"log_dir": "runs/2"}),
        (lambda: kc.TensorBoard(Path("runs") / "{seed}-{trial}"), {"log_dir": "runs/32-2"}),
        (lambda: kc.CSVLogger("{trial:>3d}{trial!r}.csv"), {"filename": "  22.csv"}),
        (
            lambda: kc.ModelCheckpoint("{trial}/{epoch:02d}-{val_loss:.2f}.keras"),
            {"filepath": "2/{epoch:02d}-{val_loss:.2f}.keras"},
        ),
        (lambda: kc.ModelCheckpoint("{{trial}}-{trial}.keras"), {"filepath": "{{trial}}-2.keras"}),
        (lambda: kc.BackupAndRestore("b/{trial}"), {"backup_dir": "b/2", **BACKUP}),
        (lambda: kc.BackupAndRestore(Path("b") / "{trial}"), {"backup_dir": Path("b") / "2", **BACKUP}),
        (
            lambda: kc.RemoteMonitor("http://localhost:1/{seed}", "/{trial}/"),
            {"root": "http://localhost:1/32", "path": "/2/", "field": "data"},
        ),
    ],
)
def test_what_is_filled_in(make, filled, as_function):
    callback = make()
    before = dict(vars(callback))
    [ours] = given((lambda: [make()]) if as_function else [callback])
    assert vars(ours) == {**before, **filled}
    assert vars(callback) == before


class Own(kc.ModelCheckpoint):
    """Makes something else of the path."""

    def __init__(self, filepath):
        super().__init__(filepath)
        self.beside = Path(str(filepath) + ".json")


def test_what_a_derived_class_makes_of_the_path_is_filled_in_too():
    [ours] = given([Own("{trial}.keras")])
    assert (ours.filepath, ours.beside) == ("2.keras", Path("2.keras.json"))


def test_paths_of_a_class_of_the_users_own_stay_as_they_are():
    class Unknown(kc.Callback):
        filename = "{trial}.csv"

    [ours] = given([Unknown()])
    assert ours.filename == "{trial}.csv"


@pytest.mark.parametrize("as_function", [False, True])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "{trial.number}.csv",
            [r"'{trial.number}.csv'", "{trial} is the trial's number itself", "{trial:03d}"],
        ),
        ("{seed[0]}.csv", ["{seed} is the trial's seed itself", "callbacks=lambda trial: [...]"]),
        ("{trial:zz}.csv", ["CSVLogger.filename", "{trial:zz} can't be filled in: Unknown format code 'z'"]),
    ],
)
def test_what_cannot_be_filled_in(path, words, as_function):
    logger = [kc.CSVLogger(path)]
    with pytest.raises(fl.StudyError) as error:
        compare((lambda: logger) if as_function else logger, VARIANTS[:1], must_not_be_called)
    for word in words:
        assert word in str(error.value)
    assert files() == []


def test_an_orbax_directory_is_named_in_a_function():
    pytest.importorskip("orbax.checkpoint")
    if not hasattr(kc, "OrbaxCheckpoint"):
        pytest.skip("this Keras has no OrbaxCheckpoint")
    with pytest.raises(fl.StudyError, match=r"opens its directory when it is made.*OrbaxCheckpoint\(f'"):
        compare(lambda: [kc.OrbaxCheckpoint(os.path.abspath("{trial}"))], builder=must_not_be_called)
    with pytest.raises(
        fl.StudyError, match=r"both write .*same \(OrbaxCheckpoint.directory\).* Give a function"
    ):
        compare(lambda: [kc.OrbaxCheckpoint(os.path.abspath("same"))], builder=must_not_be_called)


# --- collisions -----------------------------------------------------------------------------------------


def must_not_be_called(**_: Any) -> keras.Model:
    raise AssertionError("a model was built, and should not be")


def by_number(*callbacks: Any) -> Any:
    """A function of the trial."""
    return lambda trial: [callbacks[trial.number]()]


def _linked(path: str) -> str:
    os.makedirs("real", exist_ok=True)
    if not os.path.islink("link"):
        os.symlink("real", "link")
    return path


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (lambda: [kc.CSVLogger("log.csv")], ["log.csv (CSVLogger.filename)", "'{trial}-log.csv'"]),
        (lambda: kc.CSVLogger("log.csv"), ["log.csv (CSVLogger.filename)"]),
        (lambda: lambda: [kc.CSVLogger("log.csv")], ["CSVLogger(filename=f'...{trial.number}...')]"]),
        (lambda: [kc.TensorBoard()], ["would both write logs (TensorBoard.log_dir)", "'{trial}-logs'"]),
        (
            lambda: [kc.BackupAndRestore(Path("a") / "b")],
            ["a/b (BackupAndRestore.backup_dir)", "'a/{trial}-b'"],
        ),
        (lambda: [kc.ModelCheckpoint("{epoch}.keras")], ["{epoch}.keras (ModelCheckpoint.filepath)"]),
        (lambda: [kc.CSVLogger("{seed}.csv")], ["would both write 0.csv"]),
        (lambda: [kc.CallbackList([kc.CSVLogger("log.csv")])], ["log.csv (CSVLogger.filename)"]),
        (lambda: [Own("own.keras")], ["own.keras (Own.filepath)"]),
        (
            lambda: [kc.EarlyStopping(), kc.CSVLogger("{trial}.csv"), kc.CSVLogger("all.csv")],
            ["write all.csv"],
        ),
        (
            lambda: by_number(lambda: kc.ModelCheckpoint("one.keras"), lambda: kc.CSVLogger("one.keras")),
            ["one.keras (ModelCheckpoint.filepath and CSVLogger.filename)"],
        ),
        (
            lambda: by_number(
                lambda: kc.CSVLogger("log.csv"), lambda: kc.CSVLogger(Path("x/../log.csv").absolute())
            ),
            ["x/../log.csv (CSVLogger.filename)"],
        ),
        (
            lambda: by_number(
                lambda: kc.CSVLogger(_linked("real/log.csv")), lambda: kc.CSVLogger(_linked("link/log.csv"))
            ),
            ["link/log.csv (CSVLogger.filename)"],
        ),
        (
            lambda: by_number(
                lambda: kc.ModelCheckpoint("{epoch}.keras"), lambda: kc.ModelCheckpoint("{epoch:02d}.keras")
            ),
            ["{epoch:02d}.keras"],
        ),
        (
            lambda: by_number(
                lambda: kc.BackupAndRestore("run"), lambda: kc.CSVLogger(Path("run/1/log.csv").absolute())
            ),
            ["in the folder run (BackupAndRestore.backup_dir) of trial 0", "removes the folder when it ends"],
        ),
    ],
)
def test_two_trials_that_would_write_one_file_are_an_error_before_any_training(callbacks, words):
    with pytest.raises(fl.StudyError) as error:
        compare(callbacks(), builder=must_not_be_called)
    assert type(error.value) is fl.StudyError
    for word in (
        "trial 0 (lr=0.05, seed 0)",
        "trial 1 (lr=0.2, seed 0)",
        "callbacks=lambda trial: [",
        *words,
    ):
        assert word in str(error.value), str(error.value)
    assert files() == []


@pytest.mark.parametrize("as_function", [False, True])
def test_fit_refuses_them_too_and_draws_nothing(as_function):
    models = [build(0.1), build(0.2)]
    callbacks = (lambda: [kc.CSVLogger("log.csv")]) if as_function else [kc.CSVLogger("log.csv")]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(
        fl.StudyError, match=r"trial 0 \(model=.* and trial 1 \(model=.* would both write log.csv"
    ):
        fl.fit(models, X, Y, callbacks=callbacks, verbose=0, **BRIEF)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert [int(m.optimizer.iterations) for m in models] == [0, 0]
    assert files() == []


@pytest.mark.parametrize(
    "callbacks",
    [
        [kc.CSVLogger("log.csv")],
        lambda: [kc.CSVLogger("log.csv")],
        [kc.CSVLogger("log.csv"), kc.ModelCheckpoint("log.csv.keras"), kc.BackupAndRestore("b")],
    ],
)
def test_one_trial_collides_with_nothing(callbacks):
    assert compare(callbacks, VARIANTS[:1], epochs=1).trials["state"].tolist() == ["done"]
    assert "log.csv" in files()


def test_files_that_only_look_alike_are_no_collision():
    def make(trial):
        here = f"{trial.number}"
        return [
            kc.CSVLogger("log" + here * 2),
            kc.BackupAndRestore("run" + here),
            kc.CSVLogger(f"run{here}.csv"),
        ]

    assert len(given(make, 1)) == 3


def test_a_folder_that_is_kept_may_hold_another_trials_file():
    def make(trial):
        if trial.number == 2:
            return []
        inside = kc.CSVLogger("keep/1.csv")
        return [inside] if trial.number else [kc.BackupAndRestore("keep", delete_checkpoint=False)]

    assert len(given(make, 1)) == 1


# --- when a function is called --------------------------------------------------------------------------


def test_a_function_is_called_once_per_trial_before_the_first_is_trained():
    order: list[Any] = []

    def builder(lr):
        order.append("build")
        return build(lr)

    def make(trial):
        order.append(trial.number)
        return [kc.EarlyStopping("loss")]

    compare(make, builder=builder, seeds=2)
    assert order[:6] == ["build", "build", 0, 1, 2, 3]  # two models are built to try the data on
    assert set(order[6:]) == {"build"}


class Random(kc.Callback):
    def __init__(self):
        super().__init__()
        self.number = np.random.rand()  # noqa: NPY002


@both_engines
def test_what_a_function_draws_comes_from_the_trials_seed_and_moves_nothing(engine):
    made: list[Random] = []

    def make():
        made.append(Random())
        return made[-1:]

    before = np.random.get_state()[1].copy()  # noqa: NPY002
    study = compare(make, VARIANTS[:1], seeds=[3, 4], engine=engine)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for trial, seed in enumerate((3, 4)):
        np.random.seed(seed)  # noqa: NPY002
        assert made[trial].number == np.random.rand()  # noqa: NPY002
        check_logs(study, trial, alone(VARIANTS[0], seed=seed, **BRIEF))


class EveryBatch(kc.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


def test_a_trial_that_lanes_give_up_gets_callbacks_made_anew():
    made: list[Any] = []

    def make(trial):
        made.append([kc.CSVLogger("{trial}.csv"), EveryBatch()])
        return made[-1]

    study = compare(make, VARIANTS, engine="auto", epochs=1)
    assert study.trials["engine"].tolist() == ["reference"] * 2
    assert study.trials["error"].tolist() == [""] * 2
    assert len(made) == 4
    assert files() == ["0.csv", "1.csv"]
