"""JAX's private names that a program kept between processes needs. Tried with jax 0.7, 0.10 and 0.12.

`recipe` is what JAX knows of a compiled program besides the executable, as bytes: by it the program is there
without a trace, in this process or another. They are unpickled, so they must be this user's own.

JAX lowers a function to an MLIR module and hands that, with all compile options, to its client, the object
behind `jax.devices`. In: a lowered program, and a function to be called in the client's place. Out: JAX's
``Compiled``, which JAX makes of the executable as ever: donation, layouts and the structure of results are
JAX's own work. JAX's settings change in the calling thread alone, and nothing is written to JAX's caches.
"""

from __future__ import annotations

import copy
import functools
import io
import math
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend
from jax._src import config
from jax._src.lib import xla_client


class Request(NamedTuple):
    """What JAX asks its client to compile.

    Attributes:
        client: JAX's own.
        devices: where it is to run.
        options: all compile options.
        compile: compiles it.
    """

    client: Any
    devices: Any
    options: Any
    compile: Callable[[], Any]

    def parts(self) -> Iterable[tuple[str, bytes]]:
        """What decides what the compiler makes, but for the program itself and the machine."""
        yield "options", self.options.SerializeAsString()
        yield "platform", f"{self.client.platform} {self.client.platform_version}".encode()
        yield "devices", repr([(device.id, device.device_kind) for device in self.devices]).encode()
        yield "topology", self._topology()

    def _topology(self) -> bytes:
        """A digest of what the devices are; empty where the platform has none."""
        try:
            return str(xla_client.get_topology_for_devices([*self.devices]).fingerprint()).encode()
        except (jax.errors.JaxRuntimeError, AttributeError):  # JAX 0.7 has none on any platform
            return b""

    def load(self, payload: bytes) -> Any:
        """An executable from its bytes."""
        return self.client.deserialize_executable(
            payload, executable_devices=self.devices, compile_options=self.options
        )

    def how(self) -> tuple[bytes, Sequence[int]]:
        """What `compiled_from` needs to load it: the options, and the numbers of the devices."""
        return self.options.SerializeAsString(), [device.id for device in self.devices]

    def dump(self, executable: Any) -> bytes | None:
        """The bytes of an executable that was compiled here; None where the platform can't write it."""
        try:
            payload: bytes = self.client.serialize_executable(executable)
        except jax.errors.JaxRuntimeError:
            return None
        return payload


def knows_origins() -> bool:
    """Whether this JAX says in which context it would trace."""
    return hasattr(config, "trace_context")


def here() -> Iterable[tuple[str, bytes]]:
    """What a program is compiled for where nothing else is said: the default device, and JAX's settings."""
    devices = jax.devices()
    client = devices[0].client
    yield "platform", f"{client.platform} {client.platform_version}".encode()
    yield "devices", repr([(device.id, device.device_kind) for device in devices]).encode()
    yield "settings", repr(sorted(jax.config.values.items())).encode()
    # Names of axes belong to a trace that is under way; there is none.
    context = [value for value in config.trace_context() if type(value).__name__ != "AxisEnv"]
    yield "context", repr(context).encode()


@functools.cache
def operations() -> frozenset[Any]:
    """All operations that JAX itself has by now."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("jax._src.")]
    values = [value for module in modules for value in vars(module).values()]
    primitive = jax.extend.core.Primitive  # to look it up takes longer than all the rest
    return frozenset(value for value in values if isinstance(value, primitive))


class _Pickler(pickle.Pickler):
    """Leaves out what belongs to the process: the executable, the devices, the client."""

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, xla_client.LoadedExecutable):
            return ("executable",)
        if isinstance(value, xla_client.Device):
            return "device", value.id
        return ("client",) if isinstance(value, xla_client.Client | _Client) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, recipe: bytes, executable: Any, client: Any) -> None:
        super().__init__(io.BytesIO(recipe))
        self._known: dict[tuple[Any, ...], Any] = {("executable",): executable, ("client",): client}
        self._known |= {("device", number): device for number, device in _devices(client).items()}

    def persistent_load(self, pid: Any) -> Any:
        return self._known[pid]


def _devices(client: Any) -> Mapping[int, Any]:
    return {device.id: device for device in client.devices()}


def recipe(compiled: jax.stages.Compiled) -> bytes:
    """What JAX knows of a compiled program besides its executable.

    Raises:
        ValueError: it has constants or arrays of this process.
    """
    unloaded = compiled._executable._unloaded_executable
    mutable = getattr(unloaded.mut, "in_mut", None)
    if compiled._params.const_args or mutable or unloaded.keepalive or unloaded.host_callbacks:
        raise ValueError("a compiled program has parts that only this process has")
    arguments, tree = jax.tree.flatten(compiled.args_info)
    found = io.BytesIO()
    _Pickler(found).dump((unloaded, arguments, tree, compiled.out_tree, compiled._no_kwargs))
    return found.getvalue()


def compiled_from(kept: bytes, payload: bytes, how: tuple[bytes, Sequence[int]]) -> jax.stages.Compiled:
    """A compiled program from its recipe.

    Args:
        kept: the `recipe`.
        payload: the executable's bytes.
        how: as `Request.how` gave it.
    """
    client = jax.devices()[0].client
    options, numbers = how
    there = _devices(client)
    devices = xla_client.DeviceList(tuple(there[number] for number in numbers))
    executable = client.deserialize_executable(
        payload,
        executable_devices=devices,
        compile_options=xla_client.CompileOptions.ParseFromString(options),
    )
    unloaded, arguments, tree, out, no_kwargs = _Unpickler(kept, executable, client).load()
    return jax.stages.Compiled(unloaded.load(), [], tree.unflatten(arguments), out, no_kwargs=no_kwargs)


class _Client:
    """JAX's client, but for how it compiles."""

    def __init__(self, client: Any, answer: Callable[[Request], Any]) -> None:
        self._client, self._answer = client, answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def compile_and_load(
        self, module: Any, executable_devices: Any, compile_options: Any, **more: Any
    ) -> Any:
        def compile_it() -> Any:
            return self._client.compile_and_load(
                module, executable_devices=executable_devices, compile_options=compile_options, **more
            )

        if more:  # host callbacks, which are addresses of this process
            return compile_it()
        return self._answer(Request(self._client, executable_devices, compile_options, compile_it))


def can_answer(lowered: jax.stages.Lowered) -> bool:
    """Whether `compile_with` knows this JAX's lowered programs, and this one has no callbacks into Python."""
    arguments = getattr(getattr(lowered, "_lowering", None), "compile_args", {})
    return hasattr(arguments.get("backend"), "compile_and_load") and not (
        arguments.get("keepalive") or arguments.get("host_callbacks")
    )


def compile_with(
    lowered: jax.stages.Lowered, options: Mapping[str, Any] | None, answer: Callable[[Request], Any]
) -> jax.stages.Compiled:
    """Compile a program; where JAX would call its client, it calls a function.

    Args:
        lowered: the program.
        options: compiler options.
        answer: returns the executable.
    """
    # JAX hands one lowering out again and again, and stores its executable there: ours is a copy.
    lowering = copy.copy(lowered._lowering)
    lowering.compile_args = lowering.compile_args | {
        "backend": _Client(lowering.compile_args["backend"], answer)
    }
    lowering._executable = None
    own = copy.copy(lowered)
    own._lowering = lowering
    # JAX's own cache must not be given an executable that was loaded: on the CPU, its bytes lack the code
    # ("Function ... not found" when it is called). The setting holds in this thread alone.
    with config.persistent_cache_min_compile_time_secs(math.inf):
        return own.compile(compiler_options=options)
