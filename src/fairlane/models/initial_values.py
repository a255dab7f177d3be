"""Initial values of variables: drawn without a compilation per shape, and drawn again for other seeds.

In: a model that is built inside of `Drawing`, on JAX. Out: the values that Keras gives it, bit for bit; and a
`Pattern` of them, which gives the values of the same model with another seed, without building it.

Keras draws each value with a program that JAX compiles for its shape. JAX's random bits at place ``i``
depend on the key and on ``i`` alone (``jax_threefry_partitionable``), so the first ``n`` of a longer draw are
a draw of ``n``: a few programs of fixed lengths serve all shapes. `tests/models/test_initial_values.py`
compares them with Keras's, for all of its initializers.

A seed decides in two ways what a model begins with. Keras makes up a seed with ``random.randint`` for each
initializer and seed generator; and initializers draw from theirs. Both are recorded, so both can be repeated.
"""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.kit.kept_programs import programs as kept_programs
from fairlane.models import keras_private

_LENGTHS = tuple(4096 * 4**i for i in range(5))
"""Numbers per program. More than the last, and compiling for the shape is cheap beside drawing."""
_QUICK_DTYPES = frozenset({"float32", "float16", "bfloat16", "int32", "uint32", "int8", "uint8", "bool"})


@dataclass(frozen=True, eq=False)
class Initialized:
    """How a variable got its first value.

    Attributes:
        variable: the variable.
        initializer: what gave it, as it was then.
        value: what it gave.
    """

    variable: Any
    initializer: Any
    value: Any


@dataclass(eq=False)
class Drawing:
    """Draws the initial values of all variables that this thread makes inside, and remembers how.

    Attributes:
        seeds: those that Keras has made up inside, in order.
        initialized: the variables that an initializer gave their values, in order.
        drawn: the seeds that arrays were drawn from, for variables or for anything else.
        looks: how often the value of a variable was read.

    Example:
        >>> import keras
        >>> with Drawing() as drawing:
        ...     layer = keras.layers.Dense(2)
        ...     layer.build((None, 3))
        >>> len(drawing.seeds), [one.variable.name for one in drawing.initialized]
        (1, ['kernel', 'bias'])
    """

    seeds: list[int] = field(default_factory=list)
    initialized: list[Initialized] = field(default_factory=list)
    drawn: set[int] = field(default_factory=set)
    looks: int = 0
    _inside: int = 0
    _entered: Any = None

    def __enter__(self) -> Drawing:
        on_jax = keras.backend.backend() == "jax"
        self._entered = keras_private.drawing_by(self) if on_jax else nullcontext()
        self._entered.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._entered.__exit__(*exc)

    # --- what Keras would have done -----------------------------------------------------------------

    def seed_made(self, seed: int) -> None:
        """Keras has made up a seed."""
        self.seeds.append(seed)

    def initialize(
        self, variable: Any, initializer: Callable[..., Any], keras_own: Callable[[Any], None]
    ) -> None:
        """Give a variable the value that Keras gives it."""
        with self.for_initializer():
            keras_own(_quick(initializer))
        used = copy.copy(initializer) if keras_private.draws_from_a_number(initializer) else initializer
        self.initialized.append(Initialized(variable, used, keras_private.value_held(variable)))

    def draw(self, kind: str, keras_own: Callable[..., Any], shape: Any, *args: Any, **kwargs: Any) -> Any:
        """Draw what Keras draws; for an initializer, without a compilation for its shape."""
        if type(kwargs.get("seed")) is int:
            self.drawn.add(kwargs["seed"])
        drawn = _draw(kind, shape, *args, **kwargs) if self._inside else None
        return keras_own(shape, *args, **kwargs) if drawn is None else jax.device_put(drawn)

    def look(self) -> None:
        """The value of a variable is read."""
        self.looks += not self._inside

    @contextmanager
    def for_initializer(self) -> Iterator[None]:
        """Around calls of initializers: what these draw, and nothing else, is drawn without compilations."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


def drew_seeds_alone(drawing: Drawing, looks: int, seed: int, numpy_after: Any, python_after: Any) -> bool:
    """Whether a builder drew nothing but the seeds that Keras made up, and looked at no value.

    Then a seed decides what the model begins with, and nothing else.

    Args:
        drawing: that the model was built in.
        looks: how often the builder had read the value of a variable when it returned.
        seed: the trial's.
        numpy_after: the state of NumPy's generator when the builder had returned.
        python_after: the state of Python's generator when all was built.
    """
    made = random.Random(seed)
    if looks or [made.randint(1, int(1e9)) for _ in drawing.seeds] != drawing.seeds:
        return False
    untouched = np.random.RandomState(seed).get_state()
    return made.getstate() == python_after and all(map(np.array_equal, numpy_after, untouched))


def drawn_quickly() -> AbstractContextManager[Any]:
    """As `Drawing`, where nobody asks what was drawn; inside of one, that one remembers it."""
    return Drawing() if keras_private.draws_itself() else nullcontext()


def _quick(initializer: Callable[..., Any]) -> Callable[..., Any]:
    """An initializer that gives the same values, without a program of JAX's where it gives one number."""
    kind = type(initializer)
    if kind is keras.initializers.Zeros:
        return _constant(0, initializer)
    return _constant(1, initializer) if kind is keras.initializers.Ones else initializer


def _constant(number: int, keras_own: Callable[..., Any]) -> Callable[..., Any]:
    def give(shape: Any, dtype: Any = None) -> Any:
        if dtype not in _QUICK_DTYPES:
            return keras_own(shape, dtype=dtype)
        return jax.device_put(np.full(tuple(shape), number, jnp.dtype(dtype)))

    return give


# --- drawing ------------------------------------------------------------------------------------------


def _draw(
    kind: str,
    shape: Any,
    low_or_mean: float = 0.0,
    high_or_deviation: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
    **named: Any,
) -> NDArray[np.float32] | None:
    """What Keras's function draws; None where it is not drawn from an integer seed in float32."""
    first = named.pop("minval", named.pop("mean", low_or_mean))
    second = named.pop("maxval", named.pop("stddev", high_or_deviation))
    count = math.prod(shape)
    if named or type(seed) is not int or str(dtype or keras.config.floatx()) != "float32":
        return None
    if not (isinstance(first, (int, float)) and isinstance(second, (int, float))):
        return None
    if not (0 <= seed < 2**32 and 0 < count <= _LENGTHS[-1] and _bits_go_by_place()):
        return None
    if jax.config.jax_disable_jit:
        return None
    key = np.array([seed, 0], "uint32")
    length = next(length for length in _LENGTHS if count <= length)
    low, high = (first, second) if kind == "uniform" else (-2.0, 2.0)  # where Keras truncates
    sample: NDArray[np.float32] = np.asarray(_numbers(kind, length, key, low, high))[:count]
    if kind != "uniform":  # as Keras: two operations, each rounded
        sample = sample * np.float32(second) + np.float32(first)
    return sample.reshape(tuple(shape))


def _bits_go_by_place() -> bool:
    """Whether JAX's random bits at a place depend on the key and the place alone."""
    return bool(jax.config.jax_threefry_partitionable) and jax.config.jax_default_prng_impl == "threefry2x32"


_DRAWS: Mapping[str, Callable[..., Any]] = {
    "uniform": lambda length, key, low, high: jax.random.uniform(key, (length,), "float32", low, high),
    "normal": lambda length, key, low, high: jax.random.normal(key, (length,), "float32"),
    "truncated_normal": lambda length, key, low, high: jax.random.truncated_normal(
        key, low, high, (length,), "float32"
    ),
}


def _numbers(kind: str, length: int, key: Any, low: float, high: float) -> Any:
    """So many random numbers of a kind."""
    program = _program(kind, length, jax.default_backend(), jax.config.jax_default_device)
    return program(key, np.float32(low), np.float32(high))


@functools.cache
def _program(kind: str, length: int, backend: str, device: Any) -> Any:
    """A program that draws; the places where it runs are of its key."""
    number = jax.ShapeDtypeStruct((), "float32")
    draw = functools.partial(_DRAWS[kind], length)
    lowered = jax.jit(draw, keep_unused=True).lower(jax.ShapeDtypeStruct((2,), "uint32"), number, number)
    return kept_programs.compiled(lowered, None)


# --- drawing again for another seed -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Again:
    """How to draw one value again.

    Attributes:
        seed: which of the seeds that Keras makes up.
        initializer: what draws it; None for the state of a seed generator.
        shape: of the value.
        dtype: of the value.
    """

    seed: int
    initializer: Any
    shape: tuple[int, ...]
    dtype: str

    def value(self, seeds: Sequence[int]) -> NDArray[Any]:
        seed = seeds[self.seed]
        if self.initializer is None:
            return np.array([seed, 0], self.dtype)
        initializer = copy.copy(self.initializer)
        initializer.seed = seed
        return np.asarray(initializer(self.shape, dtype=self.dtype))


@dataclass(frozen=True, eq=False)
class Pattern:
    """What the variables of a model begin with, as a function of the seed.

    Values that no initializer of Keras's drew are assumed to depend on none: another seed has to show it.
    """

    _seeds: int
    _again: Mapping[int, _Again]
    _others: Sequence[NDArray[Any]]

    @classmethod
    def of(cls, drawing: Drawing, variables: Sequence[Any]) -> Pattern | None:
        """The pattern of a model that was just built.

        Args:
            drawing: inside of which it was built.
            variables: the model's.

        Returns:
            The pattern; None where something else was made of what was drawn than first values of variables:
            a rate, a choice, another value.
        """
        places = {seed: i for i, seed in enumerate(drawing.seeds)}
        made = {id(one.variable): one for one in drawing.initialized}
        if len(places) < len(drawing.seeds) or not all(map(_is_untouched, drawing.initialized)):
            return None
        again: dict[int, _Again] = {}
        for i, variable in enumerate(variables):
            first = made.get(id(variable))
            if first is not None and keras_private.value_held(variable) is first.value:
                how = _again(first, places)
                again |= {} if how is None else {i: how}
        used = {drawing.seeds[one.seed] for one in again.values()}
        if not drawing.drawn & places.keys() <= used:
            return None
        return cls(len(drawing.seeds), again, [np.array(v.value) for v in variables])

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return sum(value.nbytes for value in self._others)

    def begin(self, seed: int) -> tuple[list[NDArray[Any]], Any]:
        """What a model with another seed begins with.

        Args:
            seed: what ``keras.utils.set_random_seed`` is called with.

        Returns:
            The variables' values; those that depend on no seed are shared, and not to be changed. And where
            Python's generator stands after the model is built, as ``random.getstate()`` gives it.
        """
        made = random.Random(seed)
        seeds = [made.randint(1, int(1e9)) for _ in range(self._seeds)]
        with Drawing() as drawing, drawing.for_initializer():
            values = [
                self._again[i].value(seeds) if i in self._again else value
                for i, value in enumerate(self._others)
            ]
        return values, made.getstate()


def _again(first: Initialized, places: Mapping[int, int]) -> _Again | None:
    """How to draw a first value again; None where it was drawn from no seed that Keras made up."""
    shape, dtype = tuple(first.value.shape), str(first.value.dtype)
    if keras_private.draws_from_a_number(first.initializer):
        place = places.get(first.initializer.seed)
        return None if place is None else _Again(place, first.initializer, shape, dtype)
    if shape == (2,) and dtype == "uint32":  # the state of a seed generator: its seed, and a count
        seed, count = np.asarray(first.value).tolist()
        return _Again(places[seed], None, shape, dtype) if seed in places and not count else None
    return None


def _is_untouched(first: Initialized) -> bool:
    """Whether nothing was drawn from the seed generator that a first value is the state of, if it is one."""
    value = first.value
    is_state = tuple(value.shape) == (2,) and str(value.dtype) == "uint32"
    return not is_state or keras_private.value_held(first.variable) is value
