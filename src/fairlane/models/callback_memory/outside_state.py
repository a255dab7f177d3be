"""State outside of a trial's callbacks: what they read, and no checkpoint holds.

In: callbacks. Out: which objects the callbacks of several trials hold; and an exception where something
changed, while they train, that the callbacks read and no checkpoint holds.
"""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fairlane.models.callback_memory.capture import Capture
from fairlane.models.callback_memory.plain_data import CannotTell
from fairlane.models.identity import objects


class Outside:
    """Notices state outside of a trial's callbacks that changes while they train, and so is in no checkpoint.

    It is what their functions read of globals, attributes of classes, and objects that other trials'
    callbacks hold too. As long as that does not change, it is not state.

    Args:
        callbacks: that have just begun to train.
        shared: the addresses of objects that several trials' callbacks hold, see `shared_by`.
    """

    def __init__(self, callbacks: Sequence[Any], shared: frozenset[int] = frozenset()) -> None:
        self._shared = shared
        self._before = self._now(callbacks)

    def check(self, callbacks: Sequence[Any]) -> None:
        """See whether it is as it was.

        Raises:
            CannotTell: it is not; what changed.
        """
        for name, text in self._now(callbacks).items():
            if self._before.get(name, text) != text:
                raise CannotTell(
                    f"{name} changes while the callbacks train, and is outside of them, or shared by several "
                    "trials"
                )

    def _now(self, callbacks: Sequence[Any]) -> dict[str, str]:
        capture = _walked(callbacks)
        reader = objects.Reader(outside=capture.code)
        for thing in capture.code:
            reader.read(thing)
        now = {name: objects.text_of(tree) for name, tree in reader.found.items()}
        for (address, thing), entry in zip(capture.met.items(), capture.objects, strict=True):
            if address in self._shared and not isinstance(thing, type | types.FunctionType):
                now[entry["where"]] = _text(thing)
        return now


def _text(thing: Any) -> str:
    if isinstance(thing, types.CellType):
        try:
            thing = thing.cell_contents
        except ValueError:
            return "empty"
    return objects.text_of(objects.Reader(outside=()).read(thing))


def shared_by(several: Iterable[Sequence[Any]]) -> frozenset[int]:
    """The addresses of objects that can change and that more than one of these lists of callbacks holds."""
    counts = Counter(address for callbacks in several for address in _walked(callbacks).met)
    return frozenset(address for address, count in counts.items() if count > 1)


def _walked(callbacks: Sequence[Any]) -> Capture:
    """All that callbacks hold, as far as there is plain data for it."""
    capture = Capture(callbacks)
    for callback in callbacks:
        try:
            capture.callback(callback)
        except (CannotTell, RecursionError):
            continue  # capturing them for a checkpoint raises the same, with the reason
    return capture
