"""Folds are lanes: each trial is what Keras alone makes of its fold's samples."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

import fairlane as fl
from _alone import assert_logs_agree, history_of
from fairlane.engines.program.compiled import Program

RNG = np.random.RandomState(0)
X, Y = RNG.normal(size=(53, 4)).astype("float32"), RNG.randint(0, 3, 53)
WEIGHTS = RNG.uniform(0.5, 2, 53)


def build(learning_rate=0.05):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def nested(learning_rate=0.05):
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()([left, right]))
    model = keras.Model({"left": left, "right": right}, joined)
    model.compile(keras.optimizers.SGD(learning_rate), "sparse_categorical_crossentropy")
    return model


def alone(builder, trial, fold, x, y, weight=None, **fit_arguments):
    """The contract, of a fold's samples."""
    training, validation = fold

    def some(data, rows):
        return {k: v[rows] for k, v in data.items()} if isinstance(data, dict) else np.asarray(data)[rows]

    keras.backend.clear_session()
    keras.utils.set_random_seed(trial.seed)
    model = builder(**trial.builder_arguments)
    held_out = (some(x, validation), some(y, validation))
    if weight is not None:
        fit_arguments["sample_weight"] = weight[training]
        held_out += (weight[validation],)
    x, y = some(x, training), some(y, training)
    return model.fit(x, y, validation_data=held_out, verbose=0, **fit_arguments).history


def assert_equal(study, builder, folds, x, y, **arguments):
    for record in study._store:
        trial = record.trial
        expected = alone(builder, trial, folds[trial.fold], x, y, **arguments)
        assert_logs_agree(history_of(study, trial.number), expected, what=str(trial))


@pytest.mark.parametrize(
    ("engine", "arguments"),
    [("lanes", {}), ("lanes", {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}}), ("reference", {})],
    ids=["lanes", "class weights", "reference"],
)
def test_each_fold_is_trained_as_by_keras_alone(engine, arguments):
    fit = {"epochs": 2, "batch_size": 16, **arguments}
    study = fl.compare(build, [{}], X, Y, cv=3, seeds=[4], engine=engine, verbose=0, **fit)
    assert study.trials["state"].tolist() == ["done"] * 3
    assert_equal(study, build, list(StratifiedKFold(3).split(X, Y)), X, Y, **fit)


def test_weights_of_samples_count_in_training_and_validation():
    fit = {"epochs": 2, "batch_size": 16}
    study = fl.compare(
        build, [{}], X, Y, cv=KFold(2), sample_weight=WEIGHTS, verbose=0, engine="lanes", **fit
    )
    assert_equal(study, build, list(KFold(2).split(X)), X, Y, weight=WEIGHTS, **fit)


def test_nested_inputs_and_frames_are_cut():
    x = {"left": X[:, :2], "right": X[:, 2:]}
    y = pd.Series(Y, index=np.arange(53)[::-1])  # whose index is not where a row stands
    fit = {"epochs": 2, "batch_size": 10, "shuffle": False}
    study = fl.compare(nested, [{}], x, y, cv=KFold(2), verbose=0, engine="lanes", **fit)
    assert_equal(study, nested, list(KFold(2).split(X)), x, Y, **fit)


def test_folds_share_one_program(monkeypatch):
    pieces = []
    compile_piece = Program._compile

    def counted(self, run, *rest):
        pieces.append((id(self), run))
        return compile_piece(self, run, *rest)

    monkeypatch.setattr(Program, "_compile", counted)
    x, y = X[:48], Y[:48]
    fl.compare(build, {"learning_rate": [0.1, 0.2]}, x, y, cv=KFold(4), seeds=2, batch_size=10, verbose=0)
    programs = {program for program, _ in pieces}
    assert len(programs) == 1
    assert len(pieces) == len(set(pieces)) == 4  # 3 batches of 10 and one of 6; one of 10 and one of 2
    pieces.clear()
    study = fl.compare(build, [{}], X, Y, cv=KFold(4), batch_size=10, verbose=0)  # 39 and 40 training samples
    assert study.trials["fleet"].nunique() == 1
    assert len({run for _, run in pieces if run.training}) == 3  # 3 batches of 10 and one of 9; 4 of 10


def test_data_stand_on_the_device_once(monkeypatch):
    from fairlane.engines.program import compiled

    placed = []
    put = compiled.jnp.asarray

    def seen(array, *rest, **options):
        if getattr(array, "shape", None) == X.shape:
            placed.append(array)
        return put(array, *rest, **options)

    monkeypatch.setattr(compiled.jnp, "asarray", seen)
    fl.compare(build, [{}], X, Y, cv=KFold(4), verbose=0, engine="lanes")
    assert len([one for one in placed if isinstance(one, np.ndarray)]) == 1


def test_a_builder_sees_its_folds_training_samples():
    seen = {}

    def adapted(x_train, fold):
        seen.setdefault(fold, x_train)
        layer = keras.layers.Normalization()
        layer.adapt(x_train)
        model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    groups = Y % 2
    folds = list(GroupKFold(2).split(X, None, groups))
    study = fl.compare(adapted, [{}], X, Y, cv=2, groups=groups, epochs=2, verbose=0)
    for fold, (training, _) in enumerate(folds):
        np.testing.assert_array_equal(seen[fold], X[training])
    for record in study._store:
        training = folds[record.trial.fold][0]

        def own(training=training, fold=record.trial.fold):
            return adapted(X[training], fold)

        expected = alone(own, record.trial, folds[record.trial.fold], X, Y, epochs=2)
        assert_logs_agree(history_of(study, record.trial.number), expected, what=str(record.trial))


def test_a_study_of_folds_goes_on_in_a_store(tmp_path):
    arguments = {"cv": KFold(3), "verbose": 0, "store": tmp_path / "runs.db", "name": "folds"}
    whole = fl.compare(build, [{}], X, Y, cv=KFold(3), seeds=2, epochs=4, verbose=0)
    fl.compare(build, [{}], X, Y, seeds=1, epochs=2, **arguments)
    study = fl.compare(build, [{}], X, Y, seeds=2, epochs=4, **arguments)
    order = ["seed", "fold", "epoch"]
    columns = [*order, "loss", "val_loss"]
    frames = [one.history.sort_values(order)[columns].reset_index(drop=True) for one in (study, whole)]
    pd.testing.assert_frame_equal(*frames, rtol=1e-6)
    opened = fl.open(tmp_path / "runs.db", "folds")
    pd.testing.assert_frame_equal(opened.summary(), study.summary())
    with pytest.raises(fl.errors.StudyError, match=r"(?s)cv, folds.*- 3.*\+ 4"):
        fl.compare(build, [{}], X, Y, **{**arguments, "cv": KFold(4)})


def test_out_of_fold_predictions_are_of_samples_that_a_model_has_not_seen():
    folds = list(KFold(3).split(X))
    study = fl.compare(build, {"learning_rate": [0.05, 0.2]}, X, Y, cv=KFold(3), seeds=2, verbose=0)
    frame = study.oof()
    assert frame.columns.tolist() == ["trial", "fold", "sample", *(f"prediction_{i}" for i in range(3))]
    assert len(frame) == 4 * len(X)
    for trial, rows in frame.groupby("trial"):
        validation = folds[rows["fold"].iloc[0]][1]
        assert rows["sample"].tolist() == validation.tolist()
        expected = study.model(int(trial)).predict(X[validation], verbose=0)
        np.testing.assert_allclose(rows.iloc[:, 3:].to_numpy(), expected, rtol=1e-5, atol=1e-6)
    assert study.oof(variant=1)["trial"].nunique() == 6
    assert study.evaluate(X, Y)["fold"].tolist() == [0, 1, 2] * 4


def test_out_of_fold_predictions_need_folds_and_data(tmp_path):
    with pytest.raises(fl.errors.StudyError, match="the study has no folds; give compare"):
        fl.compare(build, [{}], X, Y, verbose=0).oof()
    fl.compare(build, [{}], X, Y, cv=KFold(2), verbose=0, store=tmp_path / "runs.db", name="a")
    with pytest.raises(fl.errors.StudyError, match="opened from a store does not know its data"):
        fl.open(tmp_path / "runs.db", "a").oof()


def test_other_data_of_the_same_shapes_share_the_program(monkeypatch):
    programs = set()
    compile_piece = Program._compile

    def counted(self, *rest):
        programs.add(id(self))
        return compile_piece(self, *rest)

    monkeypatch.setattr(Program, "_compile", counted)
    folds = list(KFold(3).split(X[:48]))
    variants = [
        {"sample_weight": np.isin(np.arange(48), training) * 1.0, "validation_data": (X[some], Y[some])}
        for training, some in folds
    ]
    fit = {"epochs": 2, "batch_size": 16}
    study = fl.compare(build, variants, X[:48], Y[:48], engine="lanes", verbose=0, **fit)
    assert len(programs) == study.trials["fleet"].nunique() == 1
    for number, variant in enumerate(variants):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        alone = build().fit(X[:48], Y[:48], verbose=0, **variant, **fit).history
        assert_logs_agree(history_of(study, number), alone)


def test_lists_of_inputs_and_targets_are_cut():
    """And epochs of fewer steps than there are samples, of folds of two sizes."""

    def wired():
        left, right = keras.Input((2,)), keras.Input((2,))
        outputs = [
            keras.layers.Dense(1)(keras.layers.Concatenate()([left, right])),
            keras.layers.Dense(1)(left),
        ]
        model = keras.Model([left, right], outputs)
        model.compile("sgd", ["mse", "mae"])
        return model

    x, y = [X[:, :2], X[:, 2:]], [X[:, :1], X[:, 1:2]]
    fit = {"epochs": 2, "batch_size": 8, "steps_per_epoch": 2, "validation_steps": 1}
    study = fl.compare(wired, [{}], x, y, cv=KFold(3), engine="lanes", verbose=0, **fit)
    for record in study._store:
        training, validation = list(KFold(3).split(X))[record.trial.fold]
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        held_out = ([one[validation] for one in x], [one[validation] for one in y])
        mine = [[one[training] for one in part] for part in (x, y)]
        expected = wired().fit(*mine, validation_data=held_out, verbose=0, **fit).history
        assert_logs_agree(history_of(study, record.trial.number), expected)


def test_neighbours_order_and_the_sessions_seed_make_no_difference_to_folds():
    def may_fail(learning_rate):
        if learning_rate > 1:
            raise ValueError("no such rate")
        return build(learning_rate)

    def run(rates, seed):
        np.random.seed(seed)  # noqa: NPY002
        variants = [{"learning_rate": rate} for rate in rates]
        study = fl.compare(may_fail, variants, X, Y, cv=3, epochs=2, batch_size=16, engine="lanes", verbose=0)
        frame = study.history.drop(columns="trial").sort_values(["learning_rate", "fold", "epoch"])
        return study, frame.reset_index(drop=True)

    first, plain = run([0.05, 0.2], 0)
    second, among = run([0.2, 2.0, 0.05], 1)
    assert second.trials["state"].value_counts().to_dict() == {"done": 6, "failed": 3}
    pd.testing.assert_frame_equal(plain, among, rtol=1e-6)
    columns = ["learning_rate", "mean", "low", "high", "difference", "p_value"]
    tables = [one.summary()[columns].iloc[:2] for one in (first, second)]
    # More variants are more comparisons to correct for, but a variant without a value is none.
    pd.testing.assert_frame_equal(*tables, rtol=1e-6)
