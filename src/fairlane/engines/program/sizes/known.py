"""The steps of a model whose code was seen in another one, at other sizes.

In: how to trace a model, and what others of the same classes and functions have shown (`Shown`). Out: its
steps, or None where it does other operations, which nobody has looked at yet.

The first batch of each sort is always traced, and so is everything of the second model. For later ones, what
a smaller batch changes is derived (`sizes.derived`), if that gave the second model's own steps exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from fairlane.engines.program.outline import outline
from fairlane.engines.program.sizes.aligned import CannotUnify, skeleton
from fairlane.engines.program.sizes.derived import derive
from fairlane.engines.program.tracing import Kind, Shown, Step, batch_of, same_numbers


def done_by(step: Step) -> str:
    """What a step does, whatever the sizes."""
    return f"{skeleton(step.program)} {step.out}"


def shown_by(steps: Mapping[Kind, Step]) -> Shown:
    """What a model's steps show of others."""
    return Shown(steps, {kind: done_by(step) for kind, step in steps.items()})


def steps_of(
    trace: Callable[[Sequence[Kind]], Mapping[Kind, Step]], kinds: Sequence[Kind], known: Sequence[Shown]
) -> tuple[Mapping[Kind, Step], Shown] | None:
    """A model's steps, and who has shown what they do.

    Args:
        trace: traces steps of the model.
        kinds: which steps.
        known: what other models of its code have shown.

    Returns:
        The steps; None where no known model does the same, or not on such batches.
    """
    firsts = [kind for i, kind in enumerate(kinds) if kind.what not in {k.what for k in kinds[:i]}]
    steps = dict(trace(firsts))
    done = {kind: done_by(step) for kind, step in steps.items()}
    shown = next((one for one in known if _does(one, done, kinds)), None)
    if shown is None:
        return None
    derived = _derived(shown, steps, [kind for kind in kinds if kind not in steps])
    others = trace([kind for kind in kinds if kind not in steps and not shown.derives.get(kind)])
    if any(done_by(step) != shown.skeletons[kind] for kind, step in others.items()):
        return None
    for kind, step in others.items():
        shown.derives.setdefault(kind, kind in derived and same_step(derived[kind], step))
    return {kind: (steps | derived | dict(others))[kind] for kind in kinds}, shown


def _does(shown: Shown, done: Mapping[Kind, str], kinds: Sequence[Kind]) -> bool:
    """Whether a known model has steps of these kinds, and they do what was found."""
    known = shown.skeletons
    return all(kind in known for kind in kinds) and all(known[kind] == what for kind, what in done.items())


def _derived(shown: Shown, own: Mapping[Kind, Step], kinds: Sequence[Kind]) -> dict[Kind, Step]:
    """The steps of these kinds, as far as they can be derived."""
    found = {}
    for kind in kinds:
        if shown.derives.get(kind) is False:
            continue
        first = next(one for one in own if one.what == kind.what)
        sizes = _samples(first), _samples(kind)
        try:
            program = derive(shown.steps[first].program, shown.steps[kind].program, own[first].program, sizes)
        except CannotUnify:
            shown.derives[kind] = False
            continue
        found[kind] = Step(program, shown.steps[kind].out)
    return found


def _samples(kind: Kind) -> int:
    """How many samples a batch has."""
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(batch_of(kind)) if leaf.shape}
    return sizes.pop() if len(sizes) == 1 else 0


def same_step(some: Step, other: Step) -> bool:
    """Whether two traced steps are the same."""
    ours, theirs = outline(some.program), outline(other.program)
    numbers = [dict(enumerate(map(np.asarray, one.numbers))) for one in (ours, theirs)]
    return ours.digest == theirs.digest and same_numbers(*numbers)
