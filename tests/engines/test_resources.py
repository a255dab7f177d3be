"""Memory that runs out: fleets get narrower, no finished epoch is lost, and what is trained is the same."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.engines.lanes import chunk, engine, forming, memory
from fairlane.errors import FairlaneWarning

_RNG = np.random.default_rng(5)
X = _RNG.normal(size=(24, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)

RATES = [0.1, 0.05, 0.02, 0.01]


def build(learning_rate=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.3), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), "mse", metrics=["mae"])
    return model


class Rows(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return X[i * 4 : i * 4 + 4], Y[i * 4 : i * 4 + 4]


def compare(x=X, y=Y, **changes):
    arguments = {"epochs": 3, "engine": "lanes", "verbose": 0, "validation_data": (X, Y)}
    return fl.compare(build, {"learning_rate": RATES}, x, y, **{**arguments, **changes})


@pytest.fixture(scope="module")
def expected():
    return compare(engine="reference", batch_size=4).history


@pytest.fixture(scope="module")
def expected_of_reading():
    return compare(Rows(), None, engine="reference").history


def assert_equal(history, expected):
    assert history["epoch"].tolist() == expected["epoch"].tolist()
    for log in ("loss", "mae", "val_loss"):
        np.testing.assert_allclose(history[log], expected[log], rtol=1e-5, atol=1e-7)


class Device:
    """Lets programs run out of memory that are wider than ``room``, as XLA does: when they are called."""

    def __init__(self, monkeypatch, room, first_call=0, donates=True):
        monkeypatch.setattr(engine, "default_threads", lambda: 1)
        monkeypatch.setattr(chunk.Chunk, "_call", self.call(chunk.Chunk._call))
        self.room, self.first_call, self.donates = room, first_call, donates
        self.widths: list[int] = []

    def call(self, real):
        def call(chunk, run, carry, order, data):
            self.widths.append(chunk.width)
            if chunk.width > self.room and len(self.widths) > self.first_call:
                if self.donates:
                    jax.tree.map(lambda a: a.delete() if isinstance(a, jax.Array) else None, carry)
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.")
            return real(chunk, run, carry, order, data)

        return call


def test_a_fleet_is_halved_until_it_fits(monkeypatch, expected):
    device = Device(monkeypatch, room=1)
    with pytest.warns(FairlaneWarning) as said:
        study = compare(batch_size=4)
    messages = [str(w.message) for w in said]
    assert "too small for 4 lanes at once" in messages[0]
    assert "continues with 2 at a time" in messages[0]
    assert "too small for 2 lanes at once" in messages[1]
    assert set(device.widths) == {4, 2, 1}
    assert_equal(study.history, expected)


def test_no_finished_epoch_is_lost(monkeypatch, expected):
    """As on an accelerator, whose programs do not use up what they are given, so that it is still there."""
    device = Device(monkeypatch, room=2, first_call=4, donates=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.warns(FairlaneWarning, match="No finished epoch is lost"):
        study = compare(batch_size=4)
    # Training and validation of two epochs at full width, the third one begun so, and done by two at a time.
    assert device.widths == [4] * 5 + [2] * 4
    assert_equal(study.history, expected)


def test_lanes_that_read_go_on_from_the_piece_they_were_in(monkeypatch, expected_of_reading):
    monkeypatch.setattr("fairlane.engines.data.sources.PIECE_STEPS", 2)
    device = Device(monkeypatch, room=2)
    with pytest.warns(FairlaneWarning, match="continues with 2 at a time"):
        study = compare(Rows(), None)
    assert set(device.widths) == {4, 2}
    assert_equal(study.history, expected_of_reading)


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_a_trial_that_does_not_fit_alone_fails_by_itself(monkeypatch):
    Device(monkeypatch, room=0)
    with pytest.warns(FairlaneWarning):
        study = compare(batch_size=4)
    assert study.trials["state"].tolist() == ["failed"] * 4
    assert "memory ran out with this trial alone" in study.trials["error"][0]
    assert "a smaller batch needs less" in study.trials["error"][0]


def test_a_program_is_estimated_before_it_runs(monkeypatch, expected):
    monkeypatch.setattr(engine, "default_threads", lambda: 1)
    monkeypatch.setattr(chunk, "bytes_needed", lambda compiled: 1_000)
    free = iter([600])  # room for two lanes of the four; then there is enough
    monkeypatch.setattr(chunk, "free_memory", lambda: next(free, 10**9))
    with pytest.warns(FairlaneWarning, match="would take 1,000 bytes, and 600 are free.*continues with 2"):
        study = compare(batch_size=4)
    assert_equal(study.history, expected)


def test_no_more_lanes_are_on_the_device_than_run_or_come_next(monkeypatch, expected):
    """Four lanes are divided into single ones at once: the one that runs and its successor are there, and no more."""
    seen: list[str] = []
    form, call = forming.Forming.chunk, chunk.Chunk._call
    monkeypatch.setattr(engine, "default_threads", lambda: 1)
    monkeypatch.setattr(forming.Forming, "chunk", lambda *a: seen.append("formed") or form(*a))
    monkeypatch.setattr(chunk.Chunk, "_call", lambda *a: seen.append("ran") or call(*a))
    monkeypatch.setattr(chunk, "bytes_needed", lambda compiled: 1_000)
    free = iter([300])  # room for one lane of the four; then there is enough
    monkeypatch.setattr(chunk, "free_memory", lambda: next(free, 10**9))
    with pytest.warns(FairlaneWarning, match="continues with 1 at a time"):
        study = compare(batch_size=4)
    assert "".join(one[0] for one in seen).startswith("frff")
    assert "fff" not in "".join(one[0] for one in seen)
    assert_equal(study.history, expected)


def test_the_estimate_is_xlas_own():
    """4,000 floats in between (16,000 bytes), which the result does not need."""
    function = jax.jit(lambda x: (jax.numpy.sort(x[:, None] * x[None, :40], axis=0) ** 2).sum())
    compiled = function.lower(jax.ShapeDtypeStruct((100,), "float32")).compile()
    assert 16_000 <= memory.bytes_needed(compiled) <= 64_000


@pytest.mark.parametrize("error", [MemoryError("x"), RuntimeError("RESOURCE_EXHAUSTED: no")])
def test_errors_that_say_memory_ran_out(error):
    assert memory.is_out_of_memory(error)
    assert not memory.is_out_of_memory(ValueError("wrong shape"))


def test_a_trials_seconds_are_its_share_of_its_fleets(monkeypatch):
    """A clock that goes on by one second whenever it is asked: three epochs of four lanes."""
    now = iter(range(1_000_000))
    monkeypatch.setattr(chunk.time, "perf_counter", lambda: float(next(now)))
    monkeypatch.setattr(engine, "default_threads", lambda: 1)
    seconds = compare(batch_size=4).trials["seconds"]
    assert (seconds >= 1 + 3 * 1 / 4).all()  # one second to build each, and a quarter of each epoch's
