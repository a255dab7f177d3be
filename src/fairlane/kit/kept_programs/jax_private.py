"""JAX's private names that a program kept between processes needs. Tried with jax 0.7, 0.10 and 0.12.

JAX lowers a function to an MLIR module and hands that, with all compile options, to its client, the object
behind `jax.devices`. In: a lowered program, and a function to be called in the client's place. Out: JAX's
``Compiled``, which JAX makes of the executable as ever: donation, layouts and the structure of results are
JAX's own work. JAX's settings change in the calling thread alone, and nothing is written to JAX's caches.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
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

    def dump(self, executable: Any) -> bytes | None:
        """The bytes of an executable that was compiled here; None where the platform can't write it."""
        try:
            payload: bytes = self.client.serialize_executable(executable)
        except jax.errors.JaxRuntimeError:
            return None
        return payload


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
