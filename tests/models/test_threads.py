# ruff: noqa: NPY002
"""Threads of one process do not change each other's numbers: two studies at once, and the user's own training."""

from __future__ import annotations

import concurrent.futures
import multiprocessing.pool
import pickle
import random
import sys
import threading
import types
from queue import Queue

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import fairlane as fl
from _alone import keras_alone
from fairlane.models import streams
from fairlane.models.session import Generators, Session, left_as_found
from fairlane.models.threads import Stream

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT = {"epochs": 3, "batch_size": 8, "validation_split": 0.2}


def build(rate=0.05):
    inside = [layers.Dense(4, "tanh"), layers.Dropout(0.3), layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *inside])
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def in_threads(*functions):
    """What each returns, called in a thread of its own, all at once."""
    results, start = {}, threading.Barrier(len(functions))

    def run(i):
        start.wait(60)
        try:
            results[i] = functions[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    for i in range(len(functions)):
        if isinstance(results[i], BaseException):
            raise results[i]
    return [results[i] for i in range(len(functions))]


def losses(study):
    return study.history["loss"].to_numpy().reshape(-1, FIT["epochs"])


def of_keras(rates, seeds):
    alone = [keras_alone(build, {"rate": r}, s, X, Y, **FIT).logs["loss"] for r in rates for s in seeds]
    return np.array(alone)


def drawn():
    """What a program draws, of all kinds, and the names that it gets."""
    return [
        random.random(),
        random.gauss(0, 1),
        random.randint(0, 10**9),
        float(np.random.rand()),
        float(np.random.randn()),
        np.random.permutation(5).tolist(),
        float(keras.random.uniform(())),
        layers.Dense(1).name,
    ]


# --- whole trainings ------------------------------------------------------------------------------------


def test_four_threads_train_at_once_and_each_as_if_alone():
    def users_own():
        keras.utils.set_random_seed(9)
        first = drawn()
        found = [build(0.1).fit(X, Y, verbose=0, **FIT).history["loss"] for _ in range(4)]
        return first, found, drawn()

    def models():
        keras.utils.set_random_seed(3)
        return [build(0.01), build(0.02)]

    def fitted():
        return [h.history["loss"] for h in fl.fit(built, X, Y, seed=7, verbose=0, **FIT)]

    def alone(function):  # in a thread, whose names are counted from the start
        return in_threads(function)[0]

    def fitted_alone():
        def one(i):
            model = models()[i]
            keras.utils.set_random_seed(7)
            return model.fit(X, Y, verbose=0, **FIT).history["loss"]

        return [one(0), one(1)]

    users, fits = alone(users_own), alone(fitted_alone)
    expected = of_keras([0.05, 0.02], [0, 1, 2]), of_keras([0.03], [4, 5])
    built = models()
    first, second, third, fourth = in_threads(
        lambda: losses(fl.compare(build, {"rate": [0.05, 0.02]}, X, Y, seeds=3, verbose=0, **FIT)),
        lambda: losses(
            fl.compare(build, {"rate": [0.03]}, X, Y, seeds=[4, 5], engine="reference", verbose=0, **FIT)
        ),
        fitted,
        users_own,
    )
    np.testing.assert_allclose(first, expected[0], rtol=1e-5)
    np.testing.assert_allclose(second, expected[1], rtol=1e-5)
    np.testing.assert_allclose(third, fits, rtol=1e-5)
    assert fourth == users  # to the last bit, and by the same names
    # The program's state is where that thread has left it, whatever the studies drew.
    now = streams.generators_now()[0]
    alone(users_own)
    assert now == streams.generators_now()[0]


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_what_another_thread_seeds_meanwhile_stays(engine):
    """The state at the end is not the one of the beginning where the program has drawn itself meanwhile."""
    go, gone = threading.Event(), threading.Event()

    class Meanwhile(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            np.random.seed(0)
            random.seed(0)
            go.set()
            assert gone.wait(60)

    def other():
        assert go.wait(60)
        np.random.seed(123)
        random.seed(123)
        gone.set()

    thread = threading.Thread(target=other)
    thread.start()
    fl.compare(
        build, [{}], X, Y, engine=engine, callbacks=lambda: [Meanwhile()], verbose=0, **FIT
    )  # fmt: skip
    thread.join(60)
    heard = random.random(), np.random.rand()
    random.seed(123)
    np.random.seed(123)
    assert heard == (random.random(), np.random.rand())


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_callbacks_that_start_threads_which_train_and_copy_do_not_wait_for_ever(engine):
    """A trial's thread waits for a thread that waits for nothing of the trial's."""
    found = []

    class Trains(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            def work():
                inner = fl.compare(build, [{}], X, Y, seeds=[4], engine=engine, verbose=0, **FIT)
                found.append((losses(inner)[0], fl.shared_state(self.model, fl.copy(self.model))))

            thread = threading.Thread(target=work)
            thread.start()
            thread.join(200)

    fl.compare(build, [{}], X, Y, engine=engine, callbacks=lambda: [Trains()], verbose=0, **FIT)
    np.testing.assert_allclose(found[0][0], of_keras([0.05], [4])[0], rtol=1e-5)
    assert found[0][1] == []


class Augmented(keras.utils.PyDataset):
    """Batches with noise that is drawn in Keras's own threads, one at a time."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[8 * i : 8 * i + 8] + np.random.normal(size=(8, 3)).astype("float32"), Y[8 * i : 8 * i + 8]


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_datasets_own_threads_draw_what_the_trial_draws(engine):
    def data():
        return Augmented(workers=1, use_multiprocessing=False, max_queue_size=1)

    stop = threading.Event()

    def others():
        while not stop.is_set():
            np.random.rand(10)
            random.random()

    expected = keras_alone(build, {}, 6, data(), epochs=3, shuffle=False).logs["loss"]
    noise = threading.Thread(target=others)
    noise.start()
    try:
        study = fl.compare(
            build, [{}], data(), seeds=[6], engine=engine, epochs=3, shuffle=False, verbose=0
        )  # fmt: skip
    finally:
        stop.set()
        noise.join(60)
    np.testing.assert_allclose(study.history["loss"], expected, rtol=1e-5)


# --- who draws from what --------------------------------------------------------------------------------


def elsewhere(function):
    """What it returns in a thread that was there before."""
    return _ELSEWHERE.submit(function).result(60)


_ELSEWHERE = concurrent.futures.ThreadPoolExecutor(1)
_ELSEWHERE.submit(lambda: None).result()


def numbers():
    return random.random(), random.randint(0, 10**6), random.gauss(0, 1), np.random.rand(), np.random.randn()


def after_seed(seed, times):
    with Session(seed):
        return [numbers() for _ in range(times)]


@pytest.fixture
def program():
    """The program's own generators, seeded, and what they give next."""
    keras.utils.set_random_seed(77)
    expected = [numbers() for _ in range(6)]
    keras.utils.set_random_seed(77)
    return expected


def other_thread(function):
    """As `elsewhere`, handed over so that no stream goes along with it."""
    asked.put(function)
    return answered.get(timeout=60)


asked, answered = Queue(), Queue()


def _answer():
    while (function := asked.get()) is not None:
        answered.put(function())


@pytest.fixture(autouse=True, scope="module")
def _answering():
    thread = threading.Thread(target=_answer, daemon=True)
    thread.start()
    yield
    asked.put(None)
    thread.join(60)


def test_a_thread_that_was_there_before_draws_from_the_programs_own(program):
    expected = after_seed(5, 3)
    keras.utils.set_random_seed(77)
    heard, others = [], []
    with Session(5):
        for _ in range(3):
            heard.append(numbers())
            others.append(other_thread(numbers))
    assert heard == expected
    assert [*others, *(numbers() for _ in range(3))] == program


def test_a_thread_that_a_trial_starts_draws_from_the_trials():
    expected = after_seed(5, 4)
    heard = []
    with Session(5):
        heard.append(numbers())
        thread = threading.Thread(target=lambda: heard.append(numbers()))
        thread.start()
        thread.join(60)
        with multiprocessing.pool.ThreadPool(1) as pool:
            heard.append(pool.apply(numbers))
        heard.append(numbers())
    assert heard == expected
    assert "run" not in vars(thread)


def test_work_for_a_pool_draws_from_what_the_one_draws_who_gives_it(program):
    expected = [after_seed(5, 2), after_seed(6, 2)]
    keras.utils.set_random_seed(77)
    sessions = [Session(5), Session(6)]
    heard = [[], []]
    for _ in range(2):
        for i, session in enumerate(sessions):
            with session:
                heard[i].append(elsewhere(numbers))
    assert heard == expected
    assert elsewhere(numbers) == program[0]


def test_a_pool_that_one_trial_starts_works_for_the_next(program):
    """As `multiprocessing.pool`, whose threads take work from a queue."""
    expected = [after_seed(5, 1), after_seed(6, 1)]
    keras.utils.set_random_seed(77)
    with left_as_found():
        with Session(5):
            pool = multiprocessing.pool.ThreadPool(1)
            first = pool.apply(numbers)
        with Session(6):
            second = pool.apply(numbers)
    assert [[first], [second]] == expected
    assert pool.apply(numbers) == program[0]  # the call is over: it is the program's again
    with Session(5):  # and another call's trial is none of its business
        assert pool.apply(numbers) == program[1]
    pool.terminate()


def test_a_thread_may_enter_sessions_of_its_own_within_a_trial():
    expected, inner = after_seed(5, 2), after_seed(6, 1)
    heard, within = [], []

    def work():
        with Session(6):
            within.append(numbers())
        heard.append(numbers())

    with Session(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
        heard.append(numbers())
    assert (heard, within) == (expected, inner)


def test_a_session_that_is_left_for_a_while_is_the_state_around(program):
    expected = after_seed(5, 2)
    keras.utils.set_random_seed(77)
    heard = []
    names = [layers.Flatten().name]
    session = Session(5)
    with session:
        heard.append(numbers())
        with session.left():
            assert numbers() == program[0]
            names.append(layers.Flatten().name)
            with Session(5):
                assert [numbers()] == expected[:1]
            assert numbers() == program[1]
        assert layers.Flatten().name == "flatten"
        heard.append(numbers())
    assert heard == expected
    assert numbers() == program[2]
    assert int(names[1].split("_")[1]) == int((names[0] + "_0").split("_")[1]) + 1


def test_a_trials_own_threads_draw_on_from_it_while_its_session_is_left(program):
    expected = after_seed(5, 2)
    keras.utils.set_random_seed(77)
    go, heard = threading.Event(), []

    def work():
        go.wait(60)
        heard.append(numbers())

    session = Session(5)
    with session:
        thread = threading.Thread(target=work)
        thread.start()
        with session.left(), Session(6):  # another trial, meanwhile
            go.set()
            thread.join(60)
        heard.append(numbers())
    assert heard == expected
    assert numbers() == program[0]


def test_generators_that_are_entered_by_turns():
    keras.utils.set_random_seed(1)
    expected = [numbers() for _ in range(3)]
    keras.utils.set_random_seed(1)
    generators = Generators()
    heard = []
    for _ in range(3):
        with generators:
            heard.append(numbers())
            other_thread(numbers)
        numbers()
    assert heard == expected


def test_clear_session_is_for_the_thread_that_calls_it():
    with Session(0):
        layers.Dense(1)
        other_thread(lambda: (layers.Dense(1), keras.backend.clear_session()))
        assert layers.Dense(1).name == "dense_1"
    other_thread(keras.backend.clear_session)
    other_thread(lambda: layers.Dense(1).name)
    with Session(0):
        keras.backend.clear_session()
    assert other_thread(lambda: layers.Dense(1).name) == "dense_1"


def test_nothing_stays_of_it_but_numpys_lock():
    before = (
        threading.Thread.start,
        concurrent.futures.ThreadPoolExecutor.submit,
        random.random,
        type(random.random.__self__),
    )
    with Session(0):
        assert threading.Thread.start is not before[0]
        assert random.random is not before[2]
        other_thread(numbers)
    now = (
        threading.Thread.start,
        concurrent.futures.ThreadPoolExecutor.submit,
        random.random,
        type(random.random.__self__),
    )
    assert now == before
    state = np.random.get_state()
    assert state[0] == "MT19937"
    copy = pickle.loads(pickle.dumps(np.random.mtrand._rand))
    assert copy.rand() == np.random.rand()
    assert "fairlane" not in type(copy._bit_generator).__module__


def test_ctrl_c_while_a_state_is_put_in_place_leaves_no_lock_and_loses_none(monkeypatch, program):
    """Wherever it comes: reading the state that is there, or writing the other."""
    keras.utils.set_random_seed(77)
    for generator in (streams._PYTHON, streams._NUMPY):
        for part in ("_read", "_write"):
            session = Session(5)
            real = getattr(generator, part)

            def interrupted(*args, part=part, generator=generator, real=real):
                setattr(generator, part, real)
                if part == "_write":
                    real(*args)
                raise KeyboardInterrupt

            def draw(session=session, generator=generator, part=part, interrupted=interrupted):
                with session:
                    numbers()
                    with streams.drawing_from(streams.PROGRAM, eager=False):
                        setattr(generator, part, interrupted)
                        numbers()

            with pytest.raises(KeyboardInterrupt):
                draw()
            assert not generator._loading
            assert other_thread(lambda: np.random.rand() + random.random()) > 0  # nobody waits
            keras.utils.set_random_seed(77)
    assert [numbers()] == program[:1]


def test_names_imported_from_random_are_told_of(monkeypatch):
    """Their draws can't be seen, so they would come from whichever state is in place."""
    module = types.ModuleType("users_module")
    module.uniform01 = streams._ORIGINAL["random"]
    monkeypatch.setitem(sys.modules, "users_module", module)
    with pytest.warns(fl.FairlaneWarning, match="module 'users_module' has imported uniform01"), Session(1):
        numbers()
        other_thread(numbers)
        numbers()
    with Session(1):  # once per module
        numbers()
        other_thread(numbers)
        numbers()


def test_in_one_thread_names_imported_from_random_are_right():
    by_name, expected = streams._ORIGINAL["random"], after_seed(5, 1)[0][0]
    outside = random.getstate()
    with Session(5):
        assert by_name() == expected
    assert random.getstate() == outside


def test_a_foreign_thread_draws_for_the_only_call_and_with_two_it_says_that_it_cant_know():
    """As JAX's and TensorFlow's threads, which call back into Python."""
    import _thread

    def foreign(function):
        found = Queue()

        def run():
            try:
                found.put(function())
            except Exception as error:
                found.put(error)

        _thread.start_new_thread(run, ())
        return found.get(timeout=60)

    expected = after_seed(5, 2)
    with Session(5):
        assert [numbers(), foreign(numbers)] == expected
    entered, over = threading.Event(), threading.Event()

    def other():
        with Session(6):
            entered.set()
            assert over.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    assert entered.wait(60)
    try:
        with Session(5):
            heard = foreign(numbers)
            assert isinstance(heard, fl.FairlaneWarning)
            assert "It is not known for which" in str(heard)
            assert numbers() == expected[0]
    finally:
        over.set()
        thread.join(60)


def test_a_setting_that_is_one_for_all_threads_is_an_error_where_several_train():
    entered, changed = threading.Event(), threading.Event()

    def first():
        with Session(0):
            entered.set()
            assert changed.wait(60)

    def second():
        assert entered.wait(60)
        try:
            with Session(0):
                keras.config.set_epsilon(1e-3)
        finally:
            changed.set()

    for one, function in (("first", first), ("second", second)):
        entered.clear()
        changed.clear()
        other = second if function is first else first

        def quiet(other=other):
            with pytest.raises(fl.StudyError):
                other()

        with pytest.raises(fl.StudyError, match=r"keras.config.epsilon\(\) has changed"):
            in_threads(function, quiet)
    assert keras.config.epsilon() == 1e-7
    with Session(0):  # alone, it is the trial's own, as always
        keras.config.set_epsilon(1e-3)
    assert keras.config.epsilon() == 1e-7


def test_generators_of_other_backends_are_waited_for(monkeypatch):
    """What can't be kept by thread is used by one call at a time, and by the threads that work for it."""
    from fairlane.models import session as module

    monkeypatch.setattr(module, "_other_generators_loaded", lambda: True)
    order, entered = [], threading.Event()

    def inner():
        with Session(1), left_as_found():
            order.append("its own thread")

    def first():
        with left_as_found(), Session(0):
            entered.set()
            thread = threading.Thread(target=inner)
            thread.start()
            thread.join(60)
            assert not waited.wait(0.3)  # the other has not come in
            order.append("first")

    waited = threading.Event()

    def second():
        assert entered.wait(60)
        with Session(0):
            waited.set()
            order.append("second")

    in_threads(first, second)
    assert order == ["its own thread", "first", "second"]


# --- any order of turns ---------------------------------------------------------------------------------

OPERATIONS = {
    "random": lambda python, numpy: python.random(),
    "gauss": lambda python, numpy: python.gauss(0, 1),
    "shuffle": lambda python, numpy: python.sample(range(9), 9),
    "bits": lambda python, numpy: python.getrandbits(70),
    "reseed": lambda python, numpy: (python.seed(4), numpy.seed(4))[0],
    "again": lambda python, numpy: python.setstate(python.getstate()),
    "rand": lambda python, numpy: numpy.rand(),
    "randn": lambda python, numpy: numpy.randn(),
    "permutation": lambda python, numpy: numpy.permutation(6).tolist(),
    "put back": lambda python, numpy: numpy.set_state(numpy.get_state()),
}


class Turns:
    """A thread that does what it is handed, one after another."""

    def __init__(self, seed):
        self.asked, self.answered = Queue(), Queue()
        self.thread = threading.Thread(target=self.run, args=(seed,))
        self.thread.start()

    def run(self, seed):
        with left_as_found(), Session(seed):
            while (function := self.asked.get()) is not None:
                self.answered.put(function())

    def __call__(self, function):
        self.asked.put(function)
        return self.answered.get(timeout=60)

    def end(self):
        self.asked.put(None)
        self.thread.join(60)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(OPERATIONS))), max_size=25))
def test_in_any_order_of_turns_each_thread_draws_what_it_would_alone(turns):
    keras.utils.set_random_seed(0)
    threads = [Turns(1), Turns(2), lambda function: function()]
    alone = [(random.Random(i), np.random.RandomState(i)) for i in (1, 2, 0)]
    try:
        for i, name in turns:
            heard = threads[i](lambda name=name: OPERATIONS[name](random, np.random))
            assert heard == OPERATIONS[name](*alone[i]), (i, name)
    finally:
        for thread in threads[:2]:
            thread.end()


def test_the_lock_comes_and_goes_while_others_draw():
    """It is put into NumPy's generator at the first session, when other threads may be in the midst of a draw."""
    over = threading.Event()

    def draws():
        while not over.is_set():
            np.random.permutation(64)
            np.random.randn(20)

    expected = np.random.RandomState(5).rand(4).tolist()
    threads = [threading.Thread(target=draws) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with np.random.get_bit_generator().lock:  # as a program that has a generator of its own
                np.random.set_bit_generator(np.random.MT19937())
            with streams.drawing_from(Stream()):
                np.random.seed(5)
                assert np.random.rand(4).tolist() == expected
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
