"""Programs kept between processes: the same executable, its bits, its donation; and JAX as it was."""

import gc
import json
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import _processes
from fairlane.engines.program.compiled import Carry
from fairlane.kit.kept_programs import jax_private, programs
from fairlane.kit.kept_programs.folder import Folder
from fairlane.trials import State


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache; JAX's own, which the test run switches on, does not answer."""
    monkeypatch.setenv("FAIRLANE_CACHE", str(tmp_path / "cache"))
    directory = jax.config.jax_compilation_cache_dir
    _use(None)
    yield Folder(tmp_path / "cache")
    _use(directory)


def _use(directory):
    jax.config.update("jax_compilation_cache_dir", directory)
    compilation_cache.reset_cache()


def loop(scale):
    """A new function each time, as a fleet's is."""

    def run(state, batches, unused):
        def step(state, batch):
            state = jnp.tanh(state @ batch + jnp.sin(state) * scale)
            return state, {"sum": state.sum()}

        return jax.lax.scan(step, state, batches)

    return jax.jit(run, donate_argnums=0)


def arrays():
    rng = np.random.default_rng(0)
    return (
        jnp.asarray(rng.normal(size=(16, 16)), "float32"),
        jnp.asarray(rng.normal(size=(5, 16, 16)), "float32"),
        jnp.ones(3),
    )


def built(scale=0.5, options=None):
    return programs.compiled(loop(scale).lower(*arrays()), options)


def bits(results):
    return [np.asarray(a).tobytes() for a in jax.tree.leaves(results)]


@pytest.fixture
def compilations(monkeypatch):
    """What XLA was really asked to compile."""
    made = []
    compiled = programs._compiled
    monkeypatch.setattr(programs, "_compiled", lambda *parts: made.append(parts) or compiled(*parts))
    return made


# --- the same program -----------------------------------------------------------------------------------


def test_the_second_is_loaded_and_gives_the_same_bits(folder, compilations):
    first, second = built(), built()
    assert len(compilations) == 1
    assert folder.contents().programs == 1
    assert bits(first(*arrays())) == bits(second(*arrays()))
    assert jax.tree.structure(first(*arrays())) == jax.tree.structure(second(*arrays()))


def test_donation_and_memory_are_as_compiled(folder):
    first, second = built(), built()
    state, batches, unused = arrays()
    second(state, batches, unused)
    assert state.is_deleted()
    assert not batches.is_deleted()
    for name in ("temp_size_in_bytes", "output_size_in_bytes", "alias_size_in_bytes"):
        assert getattr(first.memory_analysis(), name) == getattr(second.memory_analysis(), name)


@pytest.mark.parametrize(
    "other",
    [
        lambda: built(scale=0.25),
        lambda: built(options={"xla_backend_optimization_level": 1}),
        lambda: programs.compiled(jax.jit(loop(0.5).__wrapped__).lower(*arrays()), None),  # nothing donated
    ],
)
def test_another_program_or_other_options_are_another_key(other, folder, compilations):
    built()
    other()
    other()
    assert len(compilations) == 2
    assert folder.contents().programs == 2


def test_each_element_of_a_constant_is_part_of_the_key(folder):
    for last in (0.0, 1.0):
        constant = np.append(np.zeros(100_000, "float32"), np.float32(last))
        program = programs.compiled(jax.jit(lambda x, c=constant: x + jnp.asarray(c)).lower(1.0), None)
        assert program(0.0)[-1] == last
    assert folder.contents().programs == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setenv(
            "XLA_FLAGS", os.environ.get("XLA_FLAGS", "") + " --xla_dump_max_hlo_modules=1"
        ),
        lambda patch: patch.setattr(programs, "_processor", lambda: "another"),
        lambda patch: patch.setattr(programs, "_threads", lambda: 1000),
        lambda patch: patch.setattr(jax, "__version__", "0.0.0"),
    ],
)
def test_the_machine_the_flags_and_the_versions_are_part_of_the_key(
    change, folder, compilations, monkeypatch
):
    built()
    change(monkeypatch)
    built()
    assert len(compilations) == 2


# --- found again without a trace ------------------------------------------------------------------------


def named(origin, scale=0.5):
    return programs.compiled(loop(scale).lower(*arrays()), None, origin)


def test_a_program_is_known_by_its_origin(folder, compilations):
    origin = programs.origin("loop", 0.5)
    assert programs.known(origin) is None
    first = named(origin)
    found = programs.known(origin)
    assert bits(found(*arrays())) == bits(first(*arrays()))
    assert jax.tree.structure(found(*arrays())) == jax.tree.structure(first(*arrays()))
    state, batches, unused = arrays()
    found(state, batches, unused)
    assert state.is_deleted()
    assert not batches.is_deleted()
    with pytest.raises(TypeError, match="float32"):
        found(*(np.ones((2, 2), "float32") for _ in range(3)))
    assert len(compilations) == 1
    assert folder.contents().programs == 1


def test_results_keep_their_types(folder):
    origin = programs.origin("carry")
    state = State([jnp.ones(3)], [], [jnp.zeros((), int)], [])
    function = jax.jit(lambda carry: (carry._replace(steps=carry.steps + 1), {"loss": carry.steps * 1.0}))
    programs.compiled(function.lower(Carry(state, jnp.ones((), int), jnp.zeros((), bool))), None, origin)
    carry, logs = programs.known(origin)(Carry(state, jnp.ones((), int), jnp.zeros((), bool)))
    assert isinstance(carry, Carry)
    assert isinstance(carry.state, State)
    assert (int(carry.steps), float(logs["loss"])) == (2, 1.0)


def test_another_origin_context_or_machine_is_not_known(folder, monkeypatch):
    named(programs.origin("loop", 0.5))
    assert programs.known(programs.origin("loop", 0.5)) is not None
    assert programs.known(programs.origin("loop", 0.25)) is None
    with jax.default_matmul_precision("highest"):
        assert programs.known(programs.origin("loop", 0.5)) is None
    monkeypatch.setattr(programs, "_threads", lambda: 1000)
    assert programs.known(programs.origin("loop", 0.5)) is None


def test_a_recipe_that_can_not_be_read_or_lacks_its_program_is_a_miss(folder):
    origin = programs.origin("loop")
    for spoil in (
        lambda: folder.write(origin, b"no pickle", "recipe"),
        lambda: [path.unlink() for path in folder.path.glob("*.program")],
        lambda: [path.write_bytes(b"") for path in folder.path.glob("*.recipe")],
        folder.clear,
    ):
        named(origin)
        assert programs.known(origin) is not None
        spoil()
        assert programs.known(origin) is None


def test_without_an_origin_or_a_cache_nothing_is_known(folder, monkeypatch):
    assert programs.known("") is None
    origin = programs.origin("loop")
    named(origin)
    monkeypatch.setenv("FAIRLANE_CACHE", "off")
    assert programs.known(origin) is None
    monkeypatch.delattr(jax_private.config, "trace_context")  # another JAX
    assert programs.origin("loop") == ""


def test_a_program_with_an_array_of_this_process_is_not_known(folder):
    origin = programs.origin("python")

    def calls(x):
        return jax.pure_callback(lambda y: np.asarray(y) + 1, x, x)

    programs.compiled(jax.jit(calls).lower(jnp.ones(3)), None, origin)
    assert programs.known(origin) is None


# --- what is not loaded ---------------------------------------------------------------------------------


def test_bytes_that_xla_can_not_read_are_a_miss(folder, compilations):
    built()
    (path,) = folder.path.iterdir()
    key = path.stem
    folder.write(key, b"no executable")
    results = built()(*arrays())
    assert len(compilations) == 2
    assert len(folder.read(key)) > 1000
    assert bits(results) == bits(built()(*arrays()))


def test_a_program_that_calls_python_is_not_kept(folder):
    def calls(x):
        return jax.pure_callback(lambda y: np.asarray(y) + 1, x, x)

    for _ in range(2):
        assert programs.compiled(jax.jit(calls).lower(jnp.ones(3)), None)(jnp.ones(3))[0] == 2
    assert folder.contents().programs == 0


def test_off_is_off(folder, monkeypatch, compilations):
    monkeypatch.setenv("FAIRLANE_CACHE", "off")
    built()(*arrays())
    assert not compilations
    assert not folder.path.exists()


# --- JAX ------------------------------------------------------------------------------------------------


def test_jax_is_built_as_expected(folder):
    """Where this fails, JAX has changed its private names, and programs are compiled in each process again."""
    assert jax_private.can_answer(loop(0.5).lower(*arrays()))


def test_jax_is_left_as_found(folder):
    before = dict(jax.config.values)
    lowered = loop(0.5).lower(*arrays())
    client = lowered._lowering.compile_args["backend"]
    programs.compiled(lowered, None)
    programs.compiled(lowered, None)
    assert dict(jax.config.values) == before
    assert lowered._lowering.compile_args["backend"] is client
    assert lowered._lowering._executable is None


def test_jax_own_cache_gets_no_executable_that_was_loaded(folder, tmp_path, compilations):
    # On the CPU, what is written of an executable that was loaded lacks the code.
    _use(str(tmp_path / "jax"))
    expected = bits(built()(*arrays()))
    for file in (tmp_path / "jax").glob("*"):
        file.unlink()
    built()
    assert len(compilations) == 1
    for _ in range(2):
        assert bits(loop(0.5).lower(*arrays()).compile()(*arrays())) == expected


def test_an_executable_that_was_loaded_is_freed(folder):
    def alive():
        gc.collect()
        return len(jax.devices()[0].client.live_executables())

    arrays()
    before = alive()
    built(), built()
    assert alive() <= before


# --- processes ------------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
import keras, numpy as np
import fairlane as fl
from fairlane.engines.program.compiled import Program
from fairlane.kit.kept_programs import programs
from keras.src import backend

if "elu" in sys.argv:
    backend.nn.relu = backend.nn.elu

made, traced = [], []
compiled, effort = programs._compiled, Program._vectorised
programs._compiled = lambda *parts: made.append(1) or compiled(*parts)
Program._vectorised = lambda *parts: traced.append(1) or effort(*parts)

def build(rate):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"),
                              keras.layers.Dropout(rate), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    return model

x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
study = fl.compare(build, {"rate": [0.1, 0.2]}, x, x[:, :1], seeds=2, epochs=2, batch_size=8, verbose=0,
                   validation_split=0.2, engine="lanes")
assert set(study.trials["state"]) == {"done"}, study.trials["error"].tolist()
print(json.dumps({"made": len(made), "traced": len(traced), "loss": study.history["val_loss"].tolist()}))
"""


def run_script(tmp_path, *arguments, **environment):
    environment = {
        **os.environ,
        "FAIRLANE_CACHE": str(tmp_path / "cache"),
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "PYTHONPATH": os.pathsep.join(sys.path),
        **environment,
    }
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = _processes.run(command, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_next_process_compiles_none_of_its_programs(tmp_path):
    first, second = run_script(tmp_path), run_script(tmp_path)
    assert first["made"] >= 3  # batches, the smaller last batch, the validation
    assert second["made"] == second["traced"] == 0
    assert first["traced"] >= 3
    assert second["loss"] == first["loss"]


@pytest.mark.slow
def test_what_was_changed_in_keras_since_is_seen(tmp_path):
    """Why each process traces the steps: the model is the same, only Keras's code is known, and yet the program differs."""
    first, changed = run_script(tmp_path), run_script(tmp_path, "elu")
    assert changed["made"] >= 3
    assert changed["traced"] >= 3
    assert changed["loss"] == run_script(tmp_path, "elu", FAIRLANE_CACHE="off")["loss"] != first["loss"]
