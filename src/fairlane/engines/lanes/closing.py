"""Closing: a run that ends before its end leaves each lane at the end of its last epoch.

In: all places where a lane may be. Out: the caller's own models with what they have learned; and what there
is to report of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from fairlane.engines.lanes.chunk import Chunk, Outcome
from fairlane.engines.lanes.lane import Lane
from fairlane.trials import EpochEnded, Event, State

Look = Callable[[], State | None]


def give_up_chunks(chunks: Iterable[tuple[Chunk, Outcome | None]]) -> list[Event]:
    """Leave the lanes of chunks at the end of their last epoch; the caller's own models where they are.

    Args:
        chunks: each once, with the outcome of its epoch where that was not taken in, or not by all of its
            lanes.

    Returns:
        What there is to report.
    """
    events: list[Event] = []
    for chunk, outcome in chunks:
        if outcome is not None:
            chunk.land(outcome.state, chunk.trained)
        for i, lane in enumerate(chunk.lanes):
            if not lane.ended:
                events += _give_up_place(chunk, outcome, i, lane)
    return events


def _give_up_place(chunk: Chunk, outcome: Outcome | None, i: int, lane: Lane) -> list[Event]:
    look: Look = chunk.viewer(i)
    events: list[Event] = []
    if not lane.in_place and chunk.epochs and lane.epoch == chunk.epochs[i]:
        halts = chunk.fleet.kin.halts and lane.validates_now()
        if chunk.trained or (outcome is not None and outcome.val_logs is None and halts):
            look = partial(chunk.look_before, i)
        elif outcome is not None:
            epoch = lane.epoch
            ended = lane.end_epoch_silently(outcome.logs_of(i), outcome.val_logs_of(i))
            events.append(EpochEnded(lane.trial, epoch, ended, lane.take_directions()))
    return [*events, *give_up(lane, look)]


def give_up(lane: Lane, look: Look) -> list[Event]:
    """Leave a lane where it is.

    Args:
        lane: the lane.
        look: reads its state after its last finished epoch.

    Returns:
        What there is to report.
    """
    lane.give_up(look)
    cut = lane.cut_off(look)
    return [] if cut is None else [cut]
