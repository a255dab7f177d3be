"""Every callback of Keras's: two trials at once are as two runs of Keras alone, each with its own files.

`CASES` is the table, and `docs/callbacks.md` shows it. What a callback has written or remembers is compared, too.
"""

import csv
import functools
import importlib.util
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import callbacks as kc

import fairlane as fl
from _alone import variables
from _trial import FIT, Alone, X, Y, alone, build, check_logs, check_weights
from fairlane.engines.eligibility import batch_method

VARIANTS: list[dict[str, Any]] = [{"lr": 0.05}, {"lr": 0.2}]
BRIEF: dict[str, Any] = {**FIT, "epochs": 3}
DOCS = Path(__file__).parents[2] / "docs" / "callbacks.md"


def averaging(lr):
    """A model whose optimizer keeps an exponential moving average of the weights."""
    model = build(lr)
    optimizer = keras.optimizers.SGD(lr, momentum=0.9, use_ema=True, ema_momentum=0.7)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


# --- what a callback has written or remembers -----------------------------------------------------------

Reader = Callable[[list[Any], Path], Any]


def nothing(callbacks: list[Any], folder: Path) -> None:
    assert not folder.exists() or not list(folder.rglob("*.*"))


def remembers(*names: str) -> Reader:
    def read(callbacks: list[Any], folder: Path) -> dict[str, Any]:
        return {name: getattr(callbacks[0], name) for name in names}

    return read


def rows(callbacks: list[Any], folder: Path) -> dict[str, list[list[str]]]:
    return {path.name: list(csv.reader(path.read_text().splitlines())) for path in folder.glob("*.csv")}


def checkpoints(callbacks: list[Any], folder: Path) -> dict[str, list[Any]]:
    """File → the values in it, those that Keras makes anew when it loads a model left out."""
    found = {}
    for path in folder.rglob("*.*"):
        if path.name.endswith(".weights.h5"):
            model = averaging(0.0) if "ema" in path.name else build(0.0)
            model.optimizer.build(model.trainable_variables)
            model.load_weights(path)
            found[path.name] = [*model.get_weights(), int(model.optimizer.iterations)]
        else:
            model = keras.models.load_model(path)
            found[path.name] = [v for p, v in variables(model) if "seed_generator" not in p]
    assert found
    return found


def orbax_state(callbacks: list[Any], folder: Path) -> dict[str, Any]:
    """The values in the last checkpoint, by variable, and the steps that are kept."""
    from orbax.checkpoint import v1 as orbax

    steps = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())
    tree = orbax.load_checkpointables(str(folder / str(steps[-1])))["pytree"]
    state = {"/".join(map(str, path)): value for path, value in tree_paths(tree)}
    assert any("kernel" in name for name in state), list(state)
    return {"steps": steps, "state": state}


def tree_paths(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(tree, dict):
        yield path, tree
        return
    for key, value in tree.items():
        yield from tree_paths(value, (*path, key))


def events(callbacks: list[Any], folder: Path) -> dict[str, Any]:
    """``train/epoch_loss`` → a (step, value) per event; of the histograms, their names."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("events*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.plugin_name
                points = found.setdefault(f"{path.parent.name}/{value.tag}", [])
                array = tensor_util.make_ndarray(value.tensor)
                points.append((event.step, float(array) if plugin == "scalars" else plugin))
    assert found
    timed = [name for name in found if "per_second" in name]
    return found | {name: [step for step, _ in found[name]] for name in timed}


class Server:
    """Keeps what is posted to it, by path."""

    def __init__(self) -> None:
        self.posts: dict[str, list[Any]] = {}
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.setdefault(self.path, []).append(json.loads(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join(60)
        self._http.server_close()


@pytest.fixture(scope="module", autouse=True)
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        Case.server = Server()
        yield Case.server
        Case.server.close()


def posted(callbacks: list[Any], folder: Path) -> Any:
    return Case.server.posts[callbacks[0].path]


# --- the table ------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Case:
    """A callback, and what is expected of it.

    Attributes:
        shown: as in the documentation's table.
        make: makes it, and what it needs with it; gets a folder to write in.
        read: reads what it has written or remembers.
        reason: why it is not on lanes; empty where it is.
        builder: builds the models.
        variants: of the builder.
        needs: modules without which Keras's callback does not work.
    """

    shown: str
    make: Callable[[Path], list[Any]]
    read: Reader = nothing
    reason: str = ""
    builder: Callable[..., keras.Model] = build
    variants: list[dict[str, Any]] = field(default_factory=lambda: VARIANTS)
    needs: tuple[str, ...] = ()

    server: ClassVar[Any] = None

    @property
    def kind(self) -> str:
        return self.shown.partition("(")[0]


def _in_a_list(folder: Path) -> list[Any]:
    return [kc.CallbackList([kc.CSVLogger(_made(folder) / "log.csv")])]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _appends(folder: Path) -> list[Any]:
    path = _made(folder) / "log.csv"
    path.write_text("epoch,loss,mae,val_loss,val_mae\n7,1.0,1.0,1.0,1.0\n")
    return [kc.CSVLogger(path, append=True)]


class Notes(list[Any]):
    """A list that a callback writes to."""


def _noting(*calls: str) -> Callable[[Path], list[Any]]:
    def make(folder: Path) -> list[Any]:
        notes = Notes()

        def noting(name: str) -> Callable[..., None]:
            return lambda *arguments, **logs: notes.append((name, arguments[0] if len(arguments) > 1 else ""))

        callback = kc.LambdaCallback(**{call: noting(call) for call in calls})
        callback.notes = notes
        return [callback]

    return make


def _remote(folder: Path) -> list[Any]:
    address = "/" + "/".join(folder.parts[-3:])
    return [kc.RemoteMonitor(Case.server.root, path=address, send_as_json=True)]


INSIDE = "acts inside the epoch"
TENSORFLOW = ("tensorflow", "tensorboard")

CASES = (
    Case(
        "BackupAndRestore",
        lambda folder: [kc.BackupAndRestore(folder, delete_checkpoint=False)],
        lambda callbacks, folder: json.loads((folder / "training_metadata.json").read_text()),
    ),
    Case(
        "BackupAndRestore(save_freq=3)",
        lambda folder: [kc.BackupAndRestore(folder, save_freq=3, delete_checkpoint=False)],
        lambda callbacks, folder: json.loads((folder / "training_metadata.json").read_text()),
        f"callback BackupAndRestore {INSIDE} (save_freq)",
    ),
    Case("Callback", lambda folder: [kc.Callback()]),
    Case("CallbackList", _in_a_list, rows),
    Case("CSVLogger", lambda folder: [kc.CSVLogger(_made(folder) / "log.csv")], rows),
    Case("CSVLogger(append=True)", _appends, rows),
    Case(
        "EarlyStopping",
        lambda folder: [kc.EarlyStopping("val_loss", patience=0, min_delta=0.3, restore_best_weights=True)],
        remembers("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    ),
    Case("History", lambda folder: [kc.History()], remembers("history", "epoch")),
    Case(
        "LambdaCallback",
        _noting(
            *(
                "on_train_begin",
                "on_epoch_begin",
                "on_test_begin",
                "on_test_end",
                "on_epoch_end",
                "on_train_end",
            )
        ),
        remembers("notes"),
    ),
    Case(
        "LambdaCallback(on_train_batch_end=...)",
        _noting("on_train_batch_end", "on_epoch_end"),
        remembers("notes"),
        f"callback LambdaCallback {INSIDE} (on_train_batch_end)",
    ),
    Case("LearningRateScheduler", lambda folder: [kc.LearningRateScheduler(lambda epoch, lr: lr * 0.5)]),
    Case("ModelCheckpoint", lambda folder: [kc.ModelCheckpoint(folder / "last.keras")], checkpoints),
    Case(
        "ModelCheckpoint(save_best_only=True)",
        lambda folder: [kc.ModelCheckpoint(folder / "{epoch}.keras", "val_loss", save_best_only=True)],
        checkpoints,
    ),
    Case(
        "ModelCheckpoint(save_weights_only=True)",
        lambda folder: [kc.ModelCheckpoint(folder / "{epoch:02d}.weights.h5", save_weights_only=True)],
        checkpoints,
    ),
    Case(
        "ModelCheckpoint(save_freq=3)",
        lambda folder: [kc.ModelCheckpoint(folder / "{epoch}-{batch}.keras", save_freq=3)],
        checkpoints,
        f"callback ModelCheckpoint {INSIDE} (save_freq)",
    ),
    Case(
        "OrbaxCheckpoint",
        lambda folder: [kc.OrbaxCheckpoint(str(folder), max_to_keep=2)],
        orbax_state,
        needs=("orbax.checkpoint",),
    ),
    Case(
        "OrbaxCheckpoint(save_freq=3)",
        lambda folder: [kc.OrbaxCheckpoint(str(folder), save_freq=3)],
        orbax_state,
        f"callback OrbaxCheckpoint {INSIDE} (save_freq)",
        needs=("orbax.checkpoint",),
    ),
    Case("ProgbarLogger", lambda folder: [kc.ProgbarLogger()], remembers("verbose", "epochs", "target")),
    Case(
        "ReduceLROnPlateau",
        lambda folder: [kc.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=0.6)],
        remembers("best", "wait", "cooldown_counter"),
    ),
    Case("RemoteMonitor", _remote, posted, needs=("requests",)),
    Case("SwapEMAWeights", lambda folder: [kc.SwapEMAWeights()], builder=averaging),
    Case(
        "SwapEMAWeights(swap_on_epoch=True)",
        lambda folder: [
            kc.SwapEMAWeights(swap_on_epoch=True),
            kc.ModelCheckpoint(folder / "ema{epoch}.weights.h5", save_weights_only=True),
        ],
        checkpoints,
        builder=averaging,
    ),
    Case(
        "TensorBoard",
        lambda folder: [kc.TensorBoard(folder, histogram_freq=1)],
        events,
        needs=TENSORFLOW,
    ),
    Case(
        'TensorBoard(update_freq="batch")',
        lambda folder: [kc.TensorBoard(folder, update_freq="batch")],
        events,
        f"callback TensorBoard {INSIDE} (update_freq)",
        needs=TENSORFLOW,
    ),
    Case(
        "TensorBoard(write_steps_per_second=True)",
        lambda folder: [kc.TensorBoard(folder, write_steps_per_second=True)],
        events,
        f"callback TensorBoard {INSIDE} (write_steps_per_second)",
        needs=TENSORFLOW,
    ),
    Case("TerminateOnNaN", lambda folder: [kc.TerminateOnNaN()], variants=[{"lr": 0.05}, {"lr": 1e25}]),
)


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _parameters() -> list[Any]:
    """Each case on lanes, or where it goes instead, and on the reference engine."""
    parameters = []
    for case in CASES:
        missing = [name for name in case.needs if not _there(name)]
        missing += [] if hasattr(kc, case.kind) else [f"a Keras that has {case.kind}"]
        marks = [pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")]
        for engine in ("auto",) if case.reason else ("auto", "reference"):
            parameters += [pytest.param(case, engine, marks=marks, id=f"{case.shown}-{engine}")]
    return parameters


@functools.cache
def _alone(case: Case, root: Path) -> list[tuple[Alone, Any]]:
    """What Keras alone makes of each variant, and what the callback leaves."""
    found = []
    for i, variant in enumerate(case.variants):
        folder = root / f"alone{CASES.index(case)}" / str(i)
        folder.parent.mkdir(exist_ok=True)

        def make(folder: Path = folder) -> list[Any]:
            return [
                c for x in case.make(folder) for c in (x.callbacks if case.kind == "CallbackList" else [x])
            ]

        one = alone(variant, builder=case.builder, make_callbacks=make, **BRIEF)
        found.append((one, case.read(one.callbacks, folder)))
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("alone")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorFlow's and Orbax's own
@pytest.mark.filterwarnings("ignore:Sharding info not provided:UserWarning")  # Orbax's, when it loads
@pytest.mark.parametrize(("case", "engine"), _parameters())
def test_trials_are_as_keras_alone(case, engine, root, tmp_path, capsys):
    made: dict[int, list[Any]] = {}
    variants = case.variants if engine == "auto" else case.variants[-1:]

    def make(trial: fl.Trial) -> list[Any]:
        return made.setdefault(trial.number, case.make(tmp_path / str(trial.number)))

    study = fl.compare(case.builder, variants, X, Y, callbacks=make, engine=engine, verbose=0, **BRIEF)
    if case.kind != "TerminateOnNaN":  # which says so
        assert capsys.readouterr().out == ""
    trained_on = "reference" if case.reason or engine == "reference" else "lanes"
    assert study.trials["engine"].tolist() == [trained_on] * len(variants)
    assert study.trials["reason"].tolist() == [case.reason if engine == "auto" else ""] * len(variants)
    for trial, (expected, left) in enumerate(_alone(case, root)[-len(variants) :]):
        check_logs(study, trial, expected, rtol=1e-4)
        check_weights(study, trial, expected)
        same(case.read(made[trial], tmp_path / str(trial)), left)


def same(ours: Any, theirs: Any, what: str = "") -> None:
    """The same structure, and the same numbers to rounding, written as text or not."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs) or set(ours) == set(theirs), what
        for key in theirs:
            same(ours[key], theirs[key], f"{what} {key}")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), (what, ours, theirs)
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{what} {i}")
    elif isinstance(theirs, str) and not _is_number(theirs):
        assert ours == theirs, what
    elif theirs is None:
        assert ours is None, what
    else:
        np.testing.assert_allclose(
            np.asarray(ours, "float64"), np.asarray(theirs, "float64"), 1e-4, 1e-5, err_msg=what
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- the table is whole, and is what the documentation shows --------------------------------------------


def test_every_class_of_keras_callbacks_is_in_the_table():
    exported = {name for name, value in vars(kc).items() if isinstance(value, type)}
    assert exported - {case.kind for case in CASES} == set()
    assert {case.kind for case in CASES} - exported <= {"OrbaxCheckpoint"}  # 3.13 keeps it to itself


def test_the_documentation_shows_the_table():
    text = DOCS.read_text(encoding="utf-8")
    assert re.findall(r"^\| `([A-Z].*?)` \| (\w+) \|", text, re.MULTILINE) == [
        (case.shown, "reference" if case.reason else "lanes") for case in CASES
    ]


# --- what some of them need -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["lanes", "reference"])
@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_without_requests_the_monitor_says_so_on_both_engines(engine, monkeypatch):
    monkeypatch.setattr("keras.src.callbacks.remote_monitor.requests", None)
    study = fl.compare(
        build, VARIANTS, X, Y, callbacks=lambda: [kc.RemoteMonitor()], engine=engine, verbose=0, **BRIEF
    )
    with pytest.raises(ImportError) as error:
        alone(VARIANTS[0], make_callbacks=lambda: [kc.RemoteMonitor()], **BRIEF)
    assert study.trials["error"].tolist() == [f"ImportError: {error.value}"] * 2


@pytest.mark.skipif(_there("tensorflow"), reason="tells what happens where TensorFlow is not installed")
@pytest.mark.parametrize("engine", ["lanes", "reference"])
@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_without_tensorflow_the_writer_says_so_on_both_engines(engine, tmp_path):
    def make() -> list[Any]:
        return [kc.TensorBoard(tmp_path / "{trial}")]

    study = fl.compare(build, VARIANTS, X, Y, callbacks=make, engine=engine, verbose=0, **BRIEF)
    with pytest.raises(ImportError) as error:
        alone(VARIANTS[0], make_callbacks=make, **BRIEF)
    assert study.trials["error"].tolist() == [f"{type(error.value).__name__}: {error.value}"] * 2


def test_a_tensorboard_that_profiles_runs_on_the_reference_engine():
    callback = kc.TensorBoard()
    assert batch_method(callback) is None
    callback._init_profile_batch((0, 3))  # what TensorBoard(profile_batch=...) does, on Python 3.12
    assert batch_method(callback) == "profile_batch"


@pytest.mark.parametrize("name", ["ModelCheckpoint", "BackupAndRestore", "TensorBoard", "ProgbarLogger"])
def test_a_class_derived_from_one_that_has_batch_methods_runs_on_the_reference_engine(name):
    derived = type("Derived", (getattr(kc, name),), {})
    arguments = {"ModelCheckpoint": ["a.keras"], "BackupAndRestore": ["a"]}.get(name, [])
    assert batch_method(getattr(kc, name)(*arguments)) is None
    assert batch_method(derived(*arguments)).startswith("on_")
