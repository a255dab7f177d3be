"""Private names of how ``Model.fit`` reads its data.

In: data arguments of ``fit``. Out: the batches, and the arrays behind them.
"""

from __future__ import annotations

from typing import Any

import keras
from keras.src.trainers.data_adapters import array_data_adapter, array_slicing
from keras.src.trainers.epoch_iterator import EpochIterator


def is_array_data(*data: Any) -> bool:
    """Whether Keras would take these with its array adapter."""
    return bool(array_data_adapter.can_convert_arrays(data))


def split(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, Any]:
    """Keras's ``validation_split``: ``((x, y, sample_weight), (x, y, sample_weight))``."""
    return array_slicing.train_validation_split(  # type: ignore[no-any-return]
        (x, y, sample_weight), validation_split=fraction
    )


def epoch_iterator(x: Any, y: Any = None, **arguments: Any) -> Any:
    """The iterator over the batches of an epoch that ``fit`` makes, with its reading ahead."""
    if keras.backend.backend() == "jax":
        from keras.src.backend.jax.trainer import JAXEpochIterator

        return JAXEpochIterator(x=x, y=y, **arguments)
    return EpochIterator(x=x, y=y, **arguments)


def batch_iterator(x: Any, y: Any = None, **arguments: Any) -> Any:
    """An iterator over NumPy batches, cut and shuffled as ``fit`` does, that reads none ahead."""
    return _BatchIterator(x=x, y=y, **arguments)


class _BatchIterator(EpochIterator):  # type: ignore[misc]
    """Yields, once per execution, the iterator to take its batches from, as the JAX trainer's does."""

    def __next__(self) -> Any:
        return next(self._epoch_iterator)


def adapter_arrays(iterator: Any) -> tuple[Any, int]:
    """The arrays behind an iterator, as JAX takes them, and the number of samples.

    Returns:
        The structure that ``train_step`` gets as ``data``, of whole arrays; and their length.
    """
    adapter = iterator.data_adapter
    sliceables = array_slicing.convert_to_sliceable(adapter._inputs, target_backend="jax")
    arrays = keras.tree.map_structure(
        lambda s: None if s is None else s.convert_to_jax_compatible(s[slice(None)]), sliceables
    )
    return arrays, int(adapter._num_samples)
