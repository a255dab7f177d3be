"""Who trains on: a policy decides after each event, and engines find its orders in an `OrderBook`.

In: events, in the order in which engines report them. Out: orders. A policy that compares trials pauses each
of them until all that it compares have reported, and decides in the order of the trials' numbers. Then its
decisions do not depend on which engine was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from fairlane.engines.contract import EngineEvent, GoOn, Order, Pause, Stop
from fairlane.errors import StudyError
from fairlane.trials import Trial


class Policy(Protocol):
    """Decides which trials go on.

    Attributes:
        standing: whether it answers every `EpochEnded` with `GoOn`, whatever happens.
    """

    standing: bool

    def after(self, event: EngineEvent) -> Iterable[Order]:
        """The orders that follow from an event, for any trials that wait.

        Args:
            event: the next event.
        """


class EverybodyGoesOn:
    """Every trial is trained to its end."""

    standing = True

    def after(self, event: EngineEvent) -> Iterable[Order]:
        """No order depends on what happens."""
        return ()


class OrderBook:
    """The orders that were given and not taken yet.

    An order for a trial that does not wait stays until it waits.

    Attributes:
        taken: how many were taken.

    Args:
        standing: whether every trial that waits may go on at once.
        closed: says whether no trial may go on any more.
    """

    def __init__(self, standing: bool, closed: Callable[[], bool] = lambda: False) -> None:
        self.standing, self._closed = standing, closed
        self._orders: list[Order] = []
        self.taken = 0

    def give(self, orders: Iterable[Order]) -> bool:
        """Add orders; says whether there were any."""
        before = len(self._orders)
        self._orders += orders
        return len(self._orders) > before

    @property
    def closed(self) -> bool:
        """Whether no job and no epoch may begin now."""
        return self._closed()

    def take(self, waiting: Collection[Trial]) -> Sequence[Order]:
        """The orders for some trials, in the order in which they were given; each order is taken once."""
        if self.closed:
            return ()
        if self.standing:
            return [GoOn(trial) for trial in waiting]
        if not self._orders:
            return ()
        wanted = {id(trial) for trial in waiting}
        taken = [order for order in self._orders if id(order.trial) in wanted]
        _check_answers(taken)
        self._orders = [order for order in self._orders if id(order.trial) not in wanted]
        self.taken += len(taken)
        return taken

    def check_none_is_left(self) -> None:
        """See that every order was for a trial that waited at some time.

        Raises:
            StudyError: one was not.
        """
        left = [order for order in self._orders if not isinstance(order, Pause)]
        if left:
            raise StudyError(
                f"the policy gave {left[0].trial} the order {type(left[0]).__name__}, but the trial did not "
                "wait for one: it had ended, or already had its answer"
            )


def _check_answers(orders: Sequence[Order]) -> None:
    """See that each trial gets one answer, after its forks; `Pause` is none.

    Raises:
        StudyError: one gets two.
    """
    answered: dict[int, Order] = {}
    for order in orders:
        first = answered.get(id(order.trial))
        if first is not None:
            raise StudyError(
                f"the policy gave {order.trial} two orders at the end of one epoch: {type(first).__name__}, "
                f"then {type(order).__name__}. Forks come first, and then one GoOn or Stop"
            )
        if isinstance(order, GoOn | Stop):
            answered[id(order.trial)] = order
