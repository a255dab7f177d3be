"""Studies kept by ``compare``, gone on with, and read back by ``fairlane.open`` and the command line."""

import doctest
import functools
import json
import os
import re
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from _stores import until
from typer.testing import CliRunner

import _processes
import _trial
import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.cli import app
from fairlane.provenance import commit, fingerprint, machine
from fairlane.results import opening
from fairlane.results.export import export
from fairlane.store import written

compare = functools.partial(fl.compare, build, x=X, y=Y, verbose=0, **FIT)
RATES = {"lr": [0.1, 0.01]}
built = []


def counted(lr=0.05):
    built.append(lr)
    return build(lr)


@pytest.fixture(scope="module")
def plain():
    """What a study in memory gives."""
    return compare(RATES, seeds=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A store with that study, kept."""
    path = tmp_path_factory.mktemp("kept") / "runs.db"
    compare(RATES, seeds=2, store=path, name="rates")
    return path


def read_csv(path):
    """Numbers exactly as they stand, whichever way this pandas reads them by default."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.apply(lambda column: column.map(lambda text: text or "nan"))


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def same_models(ours, theirs):
    for a, b in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


# --- reading back ---


def test_a_kept_study_is_the_one_in_memory(runs, plain):
    kept = fl.open(runs, "rates")
    pd.testing.assert_frame_equal(kept.history, plain.history)
    pd.testing.assert_frame_equal(kept.to_frame(long=True), plain.to_frame(long=True))
    pd.testing.assert_frame_equal(kept.summary(), plain.summary())
    volatile = ["seconds"]
    pd.testing.assert_frame_equal(kept.trials.drop(columns=volatile), plain.trials.drop(columns=volatile))
    assert kept.best().number == plain.best().number
    assert repr(kept) == repr(plain).replace("Study:", "Study 'rates':")
    assert len(kept.plot().axes) == len(plain.plot().axes)


def test_a_kept_study_tells_the_machine_and_the_commit(runs, plain, tmp_path):
    for study in (fl.open(runs, "rates"), plain):
        page = study.report(tmp_path / "report.html").read_text(encoding="utf-8")
        assert machine.machine() in page
        assert (commit.commit(Path(_trial.__file__).parent) or "none") in page


def test_a_kept_model_is_the_trained_one(runs, plain, tmp_path):
    kept = fl.open(runs, "rates")
    for number in range(4):
        same_models(kept.model(number), plain.model(number))
    assert kept.model(0).evaluate(X, Y, verbose=0) == pytest.approx(plain.model(0).evaluate(X, Y, verbose=0))
    kept.save(1, tmp_path / "m.keras")
    for a, b in zip(
        keras.saving.load_model(tmp_path / "m.keras").weights, plain.model(1).weights, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(fl.StudyError, match=r"must end with \.keras"):
        kept.save(1, tmp_path / "m.h5")


def test_a_kept_model_goes_on_training_as_the_trained_one(runs, plain):
    logs = []
    for study in (fl.open(runs, "rates"), plain):
        model = study.model(2)
        keras.utils.set_random_seed(3)
        logs.append(model.fit(X, Y, epochs=1, shuffle=False, verbose=0).history["mae"])
    np.testing.assert_allclose(logs[0], logs[1], rtol=1e-5)


def test_the_builder_will_do_instead_of_the_config(runs, plain):
    same_models(fl.open(runs, "rates", build=build).model(3), plain.model(3))
    with pytest.raises(fl.BuilderError, match="no compiled"):
        fl.open(runs, "rates", build=lambda lr: keras.Sequential()).model(3)


def test_a_study_is_found_by_its_name_alone(runs):
    with pytest.raises(fl.StudyError, match=r"there is no study 'rate' in .*runs\.db; there are: 'rates'"):
        fl.open(runs, "rate")


def test_reading_needs_no_program_and_another_process_may_do_it(runs, plain):
    code = "import sys, fairlane as fl; print(fl.open(sys.argv[1], 'rates').history.to_json(double_precision=15))"
    done = _processes.run([sys.executable, "-c", code, runs], capture_output=True, text=True, env=os.environ)
    assert done.stdout.strip() == plain.history.to_json(double_precision=15), done.stderr


def test_inputs_of_several_parts_are_kept(tmp_path):
    def of_parts():
        a, b = keras.Input((3,), name="shape"), keras.Input((3,), name="dtype")
        model = keras.Model({"shape": a, "dtype": b}, keras.layers.Dense(1)(a + b))
        model.compile("sgd", loss="mse", metrics=[keras.losses.mean_absolute_error])
        return model

    x = {"shape": X, "dtype": X}
    study = fl.compare(of_parts, [{}], x, Y, store=tmp_path / "r.db", name="a", verbose=0, **FIT)
    same_models(fl.open(tmp_path / "r.db", "a").model(0), study.model(0))


def test_models_without_inputs_are_built_for_the_batch_that_was_kept(tmp_path):
    def without():
        model = keras.Sequential(
            [keras.layers.Dense(2), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
        )
        model.compile("adam", loss="mse", metrics=["mae"])
        return model

    study = fl.compare(without, [{}], X, Y, store=tmp_path / "r.db", name="a", verbose=0, **FIT)
    kept = fl.open(tmp_path / "r.db", "a")
    same_models(kept.model(0), study.model(0))
    np.testing.assert_array_equal(kept.model(0).predict(X, verbose=0), study.model(0).predict(X, verbose=0))


def test_the_examples_hold():
    for module in (opening, fingerprint):
        assert doctest.testmod(module).attempted
        assert not doctest.testmod(module).failed


def test_weights_may_be_anywhere_that_fsspec_reaches(tmp_path, plain):
    store = f"sqlite:///{tmp_path}/r.db?artifacts=memory://{tmp_path.name}"
    compare(RATES, seeds=2, store=store, name="a")
    assert [path.name for path in tmp_path.iterdir()] == ["r.db"]
    same_models(fl.open(store, "a").model(3), plain.model(3))
    same_models(compare(RATES, seeds=2, store=store, name="a").model(3), plain.model(3))


# --- going on ---


def test_finished_trials_are_read_and_not_trained_again(tmp_path):
    runs = tmp_path / "runs.db"
    go = functools.partial(fl.compare, counted, x=X, y=Y, verbose=0, store=runs, name="a", **FIT)
    first = go(RATES)
    built.clear()
    again = go(RATES)
    assert built == [0.1, 0.1]  # the rehearsal of what is asked, and no more
    pd.testing.assert_frame_equal(again.trials, first.trials)
    same_models(again.model(1), first.model(1))
    more = go({"lr": [0.05, 0.1, 0.01]}, seeds=2)
    assert built.count(0.05) == 2 + 2 + 1  # and one more shows what models that differ in rates begin with
    assert more.trials["state"].tolist() == ["done"] * 6
    assert more.trials[["lr", "seed"]].values.tolist() == [
        [0.1, 0],
        [0.01, 0],
        [0.05, 0],
        [0.05, 1],
        [0.1, 1],
        [0.01, 1],
    ]
    alone = fl.compare(counted, {"lr": [0.05, 0.1, 0.01]}, X, Y, seeds=2, verbose=0, **FIT)
    order = ["lr", "seed", "epoch"]
    ours, theirs = (
        s.history.drop(columns="trial").sort_values(order).reset_index(drop=True) for s in (more, alone)
    )
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-4)
    fewer = go({"lr": [0.01]})
    assert len(fewer.trials) == 6
    same_models(fewer.model(0), first.model(0))  # which is not asked for now, and built from its config


def test_test_data_are_kept_too(tmp_path):
    go = functools.partial(compare, RATES, store=tmp_path / "r.db", name="a")
    go()
    for test in ((X, Y), (X[:8], Y[:8])):
        study = go(test_data=test)
        kept = fl.open(tmp_path / "r.db", "a")
        pd.testing.assert_frame_equal(kept.trials, study.trials)
        loss = study.model(0).evaluate(*test, batch_size=8, verbose=0)[0]
        assert kept.trials["test_loss"][0] == pytest.approx(loss, rel=1e-5)


def test_trials_that_failed_are_trained_again(tmp_path):
    mended = tmp_path / "mended"  # no variable: another value of that would be another request

    def sometimes(lr=0.1):
        if not mended.exists() and lr < 0.05:
            raise OSError("no such file")
        return build(lr)

    go = functools.partial(
        fl.compare, sometimes, x=X, y=Y, verbose=0, store=tmp_path / "r.db", name="a", **FIT
    )
    assert go(RATES).trials["state"].tolist() == ["done", "failed"]
    assert "no such file" in fl.open(tmp_path / "r.db", "a").trials["error"][1]
    mended.touch()
    assert go(RATES).trials["state"].tolist() == ["done", "done"]


def test_what_changed_is_named(tmp_path):
    runs = tmp_path / "runs.db"
    compare(RATES, store=runs, name="a")
    asked = {
        r"data, x:\n    - float32 \(42, 3\), SHA-256": lambda: compare(RATES, x=X + 1, store=runs, name="a"),
        r"arguments, batch_size:\n    - 8\n    \+ 9": lambda: compare(
            RATES, store=runs, name="a", batch_size=9
        ),
        r"callbacks:": lambda: compare(
            RATES, store=runs, name="a", callbacks=[keras.callbacks.TerminateOnNaN()]
        ),
        r"model, counted:\n    \+ def counted": lambda: fl.compare(
            counted, RATES, X, Y, store=runs, name="a", verbose=0, **FIT
        ),
    }
    for words, act in asked.items():
        with pytest.raises(fl.StudyError, match=words):
            act()
    study = compare(RATES, store=runs, name="a", batch_size=9, resume="force")
    assert study.trials["state"].tolist() == ["done", "done"]
    with pytest.raises(fl.StudyError, match="resume='never'"):
        compare(RATES, store=runs, name="a", resume="never")
    with pytest.raises(fl.StudyError, match="resume must be one of 'auto', 'force', 'never', not 'yes'"):
        compare(RATES, store=runs, name="b", resume="yes")


def test_an_interrupted_study_goes_on(tmp_path):
    runs = tmp_path / "runs.db"

    def interrupt(trial):
        def on_epoch_end(epoch, logs):
            if armed.exists() and trial.seed == 1 and epoch == 1:
                raise KeyboardInterrupt

        return [keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)]

    armed = tmp_path / "armed"  # no variable: another value of that would be another request
    armed.touch()
    go = functools.partial(
        compare, RATES, seeds=2, store=runs, name="a", callbacks=interrupt, engine="reference"
    )
    with pytest.warns(fl.FairlaneWarning, match="interrupted: the study has all finished epochs"):
        study = go()
    assert study.trials["state"].tolist() == ["done", *["interrupted"] * 3]
    assert fl.open(runs, "a").trials["epochs"].tolist() == [4, 1, 0, 0]
    armed.unlink()
    study = go()
    assert study.trials["state"].tolist() == ["done"] * 4
    alone = compare(RATES, seeds=2, engine="reference")
    pd.testing.assert_frame_equal(study.history, alone.history)


def test_a_template_is_kept_and_found_again(tmp_path):
    def model():
        return build()

    for _ in range(2):
        study = fl.compare(
            model(),
            {"optimizer.learning_rate": [0.1]},
            X,
            Y,
            store=tmp_path / "r.db",
            name="t",
            verbose=0,
            **FIT,
        )
    assert study.trials["state"].tolist() == ["done"]
    same_models(fl.open(tmp_path / "r.db", "t").model(0), study.model(0))


def test_storing_does_not_change_what_is_trained(tmp_path, plain):
    study = compare(RATES, seeds=2, store=tmp_path / "r.db", name="a")
    pd.testing.assert_frame_equal(study.history, plain.history)
    same_models(study.model(2), plain.model(2))


def test_the_weights_of_finished_trials_are_not_in_memory(tmp_path):
    study = compare(RATES, store=tmp_path / "r.db", name="a")
    (files,) = (tmp_path / "r.artifacts").iterdir()
    for path in files.iterdir():
        path.unlink()
    with pytest.raises(fl.StoreError, match="is missing"):
        study.model(0)


def test_a_failed_study_lets_go_of_its_store(tmp_path):
    def broken(lr):
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(fl.TrialError, match="no"):
            fl.compare(
                broken, RATES, X, Y, store=tmp_path / "r.db", name="a", on_error="raise", verbose=0, **FIT
            )


def test_a_store_that_can_not_be_written_any_more_ends_the_study_with_what_it_has(tmp_path, monkeypatch):
    from fairlane.store import artifacts

    def full(self, artifact, data):
        raise fl.StoreError("the disk is full")

    monkeypatch.setattr(artifacts.Artifacts, "write", full)
    with pytest.raises(fl.StoreError, match="the disk is full") as failed:
        compare(RATES, store=tmp_path / "r.db", name="a")
    assert len(failed.value.study.history) == 8


def test_a_refused_study_trains_nothing(tmp_path):
    built.clear()
    with pytest.raises(fl.StudyError, match="needs a name"):
        fl.compare(counted, RATES, X, Y, store=tmp_path / "r.db", verbose=0, **FIT)
    with pytest.raises(fl.StoreError, match="does not exist"):
        fl.compare(counted, RATES, X, Y, store=tmp_path / "no" / "r.db", name="a", verbose=0, **FIT)
    assert len(built) == 4  # tried twice in each call, and not trained
    assert not list(tmp_path.iterdir())


def test_what_a_store_notes_is_a_warning(tmp_path):
    store = tmp_path / "r.db"
    compare(RATES, store=store, name="a")
    (files,) = (tmp_path / "r.artifacts").iterdir()
    next(path for path in files.iterdir() if path.name.startswith("trial-1-")).unlink()
    with pytest.warns(fl.FairlaneWarning) as said:
        study = compare(RATES, store=store, name="a")
    notes = [str(warning.message) for warning in said]
    assert any(
        re.search(r"weights of trial 1 .* is missing or incomplete.*trained again", note) for note in notes
    )
    same_models(study.model(1), fl.open(store, "a").model(1))


def test_a_study_can_be_read_while_it_is_trained(tmp_path):
    store, seen = tmp_path / "r.db", []

    def look(trial):
        def on_train_begin(logs):
            if trial.number == 1:  # what was told of the trial before is stored in half a second
                until(lambda: fl.open(store, "a").trials["state"][0] == "done")

        def on_epoch_end(epoch, logs):
            if trial.number == 1 and epoch == 2:
                study = fl.open(store, "a")
                seen.append(
                    (study.trials["state"].tolist(), study.model(0).count_params(), fl.studies(store))
                )

        return [keras.callbacks.LambdaCallback(on_train_begin=on_train_begin, on_epoch_end=on_epoch_end)]

    compare(RATES, store=store, name="a", callbacks=look, engine="reference")
    ((states, parameters, table),) = seen
    assert (states[0], parameters) == ("done", 21)
    assert table["trained_by"].tolist() == ["this process"]
    assert fl.studies(store)["trained_by"].tolist() == [""]


# --- fingerprints ---


def test_comments_and_layout_change_nothing(tmp_path):
    texts = [
        "def f(a, b=1):\n    return a + b\n",
        "def f(a, b=1):  # a sum\n\n    return (a +\n            b)\n",
    ]
    assert sources(tmp_path, texts)[0] == sources(tmp_path, texts)[1]


def sources(tmp_path, texts):
    made = []
    for i, text in enumerate(texts):
        path = tmp_path / f"m{i}.py"
        path.write_text(text)
        space = {"__name__": "m"}
        exec(compile(text, str(path), "exec"), space)
        made.append(fingerprint.source(space["f"]))
    return made


def test_what_a_builder_reads_belongs_to_it(tmp_path):
    head = "def helper():\n    return {}\n"
    text = head + "UNITS = {}\ndef f():\n    global n\n    n = 1\n    return helper() + UNITS + n\n"
    one, other_constant, other_helper = sources(
        tmp_path, [text.format(1, 2), text.format(1, 3), text.format(2, 2)]
    )
    assert fingerprint.differences(one, other_constant) == "f, UNITS:\n    - 2\n    + 3"
    assert fingerprint.differences(one, other_helper) == "helper:\n    -     return 1\n    +     return 2"


def test_a_long_difference_is_cut():
    words = fingerprint.differences({"m": "\n".join(map(str, range(50)))}, {"m": "x"})
    assert words.endswith("... and 39 more lines")
    assert len(words.splitlines()) == 14


def test_lambdas_are_told_apart_and_found_again():
    def made(n):
        return [lambda lr: build(lr), lambda lr: build(lr * 2)][n]

    assert fingerprint.described(made(0)) == fingerprint.described(made(0))
    assert fingerprint.described(made(0)) != fingerprint.described(made(1))


def test_keras_objects_are_described_by_their_configs():
    sgd = keras.optimizers.SGD
    assert fingerprint.described(sgd(0.1)) == fingerprint.described(sgd(0.1))
    assert fingerprint.described(sgd(0.1)) != fingerprint.described(sgd(0.2))


# --- the command line ---


def test_list_and_show(runs):
    listed = call("list", runs)
    assert listed.exit_code == 0
    assert listed.output.splitlines()[0].split() == [
        "study",
        "created",
        "trials",
        "done",
        "stopped",
        "failed",
        "trained_by",
    ]
    assert listed.output.splitlines()[1].split()[0] == "rates"
    shown = call("show", runs, "rates", "--trials")
    assert shown.output.startswith("Study 'rates': 4 trials of 2 variants (4 done)\n")
    assert "lanes" in shown.output


@pytest.mark.parametrize("command", [["list"], ["show", "rates"], ["plot", "rates", "-o", "x.png"]])
def test_a_store_that_is_not_there_is_told(tmp_path, command):
    result = call(command[0], tmp_path / "no.db", *command[1:])
    assert result.exit_code == 2
    assert f"fairlane {command[0]}: there is no store at" in result.stderr
    assert not list(tmp_path.iterdir())


def test_plot(runs, tmp_path):
    assert call("plot", runs, "rates", "-o", tmp_path / "a.png", "--metric", "mae").exit_code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "not supported" in call("plot", runs, "rates", "-o", tmp_path / "a.xyz").stderr


@pytest.mark.filterwarnings("ignore:(An interval|probability)")
@pytest.mark.parametrize("what", ["history", "long", "trials", "summary"])
def test_exports_are_the_frames(runs, tmp_path, what):
    kept = fl.open(runs, "rates")
    frame = {"long": kept.to_frame(long=True), "summary": kept.summary(detail=True)}.get(what)
    frame = getattr(kept, what) if frame is None else frame
    for suffix, reader in {
        "csv": read_csv,
        "parquet": pd.read_parquet,
        "jsonl": lambda path: pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()]),
    }.items():
        out = tmp_path / f"out.{suffix}"
        result = call("export", runs, "rates", "--what", what, "-o", out)
        assert result.stdout == f"wrote {len(frame)} rows to {out}\n"
        back = reader(out)
        assert list(back.columns) == list(frame.columns)
        for column in frame.columns:
            if frame[column].dtype == "float64":
                np.testing.assert_array_equal(back[column].astype("float64"), frame[column])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".jsonl", ".parquet"]


def test_exports_that_can_not_be_are_told(runs, tmp_path, monkeypatch):
    kept = fl.open(runs, "rates")
    for arguments, words in {
        (tmp_path / "a.xlsx", "history"): "the format must be one of 'csv', 'jsonl', 'parquet', not '.xlsx'",
        (tmp_path / "a.csv", "weights"): "what must be one of 'history'",
        (tmp_path / "no" / "a.csv", "history"): "does not exist",
    }.items():
        with pytest.raises(fl.StudyError, match=words):
            export(kept, *arguments)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(fl.StoreError, match=r"pip install 'fairlane\[parquet\]'"):
        export(kept, tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())


def test_exports_of_values_of_all_kinds(tmp_path):
    store = tmp_path / "r.db"

    def any_of(**hyperparameters):
        return build()

    compare_any = functools.partial(fl.compare, any_of, x=X, y=Y, verbose=0, **FIT)
    study = compare_any([{"a": 1}, {"a": "x"}, {"a": [1, 2]}, {}], store=store, name="a")
    for suffix in ("csv", "jsonl", "parquet"):
        export(study, tmp_path / f"a.{suffix}")
    assert pd.read_parquet(tmp_path / "a.parquet")["a"].dropna().unique().tolist() == ["1", "x", "[1, 2]"]


# --- packages ---


@pytest.mark.parametrize("package", ["sqlalchemy", "alembic", "fsspec", "safetensors"])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        fl.StoreError, match=rf"needs the package '{package}'.*pip install 'fairlane\[store\]'"
    ):
        written(tmp_path / "r.db", "a", {}, {}, "auto")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compare([{}]).trials["state"].tolist() == ["done"]
