"""Whether a training, or an evaluation, of a model is a mistake, by what the model went through before.

In: a model, what is known of it, and what it is trained or evaluated on. Out: the warning, or None. What the
checker excuses is excused here: other data, weights that were set or loaded, layers that were frozen or
unfrozen, networks that take turns, and words beside the line that say that training on is meant.
"""

from __future__ import annotations

import linecache
from typing import Any

from fairlane.check import meant
from fairlane.kit.call_sites import Place, callers
from fairlane.models import keras_private
from fairlane.models.guard import ledger, words
from fairlane.models.guard.samples import Relation, Samples

MOST_FITS = 16
HELD_OUT, SEEN = 0.02, 0.5


def trained_again(model: Any, known: ledger.Past, now: Samples, place: Place) -> str | None:
    """A model that was compiled again is trained: does it begin anew, or does it only seem to?"""
    compiled = known.recompiled
    if compiled is None or known.continuing or not known.order or is_excused(model, known):
        return None
    relation = now.relation(known.fits[-1]) if known.fits else Relation.UNKNOWN
    elsewhere = known.trained is not None and known.trained != place and bool(known.fits)
    if relation is Relation.OTHERS or (relation is Relation.UNKNOWN and elsewhere):
        return None
    if is_meant(place) or is_meant(compiled) or is_called_so():
        return None
    return words.trained_again(model, known, compiled)


def held_out(model: Any, known: ledger.Past, shown: Samples) -> str | None:
    """A model is evaluated: on samples that its last training left out, and an earlier one did not?"""
    if len(known.fits) < 2 or known.continuing or is_excused(model, known):
        return None
    *earlier, last = known.fits
    left_out = shown.within(last)
    if left_out is None or left_out > HELD_OUT:
        return None
    for one in earlier:
        share = shown.within(one)
        overlap = last.within(one)
        seen = share is not None and share > SEEN and overlap is not None and overlap > HELD_OUT
        if seen and share is not None and (len(shown.keys) > 1 or _leaves_one_out(shown, last, one)):
            return words.held_out(model, known, share)
    return None


def _leaves_one_out(shown: Samples, last: Samples, one: Samples) -> bool:
    """Whether two trainings leave a sample out each; an agent shows its model single samples, too."""
    both = min(last.limit, one.limit)
    return all(key in last.keys or key in shown.keys for key in one.keys if key <= both)


def validated_on_seen(model: Any, known: ledger.Past, now: Samples, shown: Samples) -> str | None:
    """A training is validated: on samples that it leaves out, and an earlier one did not?"""
    *_, last = known.fits or [now]
    if not known.fits or now is last:
        return None
    known.fits.append(now)
    try:
        return held_out(model, known, shown)
    finally:
        known.fits.pop()


def layers_shared(model: Any, known: ledger.Past, now: Samples) -> str | None:
    """A model is trained for the first time: were its layers, on the same samples, in another?"""
    if known.order or known.continuing:
        return None
    lessons: list[tuple[str, ledger.Lesson]] = []
    own = {id(layer) for layer in keras_private.all_layers(model)}
    for layer in keras_private.all_layers(model):
        lesson = ledger.lesson_of(layer)
        if lesson is None or lesson.past is known or not layer.trainable or not lesson.trainable:
            continue
        other = lesson.model()
        is_part = other is not None and id(other) in own  # a model that was trained, with more around it
        if not is_part and ledger.set_at(layer) < lesson.order:
            lessons.append((layer.name, lesson))
    if len({id(lesson.past) for _, lesson in lessons}) != 1:  # none, or what several trained is put together
        return None
    lesson = lessons[0][1]
    other = lesson.model()
    if now.relation(lesson.samples) is not Relation.SAME or (other is not None and _is_view(model, other)):
        return None
    return words.layers_shared(model, [name for name, _ in lessons], lesson)


def forget_if_set(model: Any, known: ledger.Past) -> bool:
    """Whether weights were set since a model's last training, so that what it learned is gone."""
    layers = keras_private.all_layers(model)
    is_set = bool(known.order) and any(ledger.set_at(layer) > known.order for layer in layers)
    if is_set:
        known.forget()
    return is_set


def is_excused(model: Any, known: ledger.Past) -> bool:
    """Whether something happened since a model's last training that makes training on meant."""
    if forget_if_set(model, known):
        return True
    if known.flags and known.flags != flags_of(model):
        return True
    return _takes_turns(known, model)


def is_meant(place: Place) -> bool:
    """Whether the program's text says at a line that training on is meant."""
    text = "".join(linecache.getlines(place.file))
    return bool(text) and meant.continues_at(text, place.line)


def is_called_so() -> bool:
    """Whether one of the program's calls that led here says so: ``resume(model)``."""
    return any(meant.is_called_so(linecache.getline(*place)) for place in callers()[1:])


def flags_of(model: Any) -> tuple[bool, ...]:
    """Which of a model's layers are trained."""
    return tuple(bool(layer.trainable) for layer in keras_private.all_layers(model))


def _takes_turns(known: ledger.Past, model: Any) -> bool:
    """Whether a model that shares layers with this one was trained after it, as when two take turns."""
    own: set[int] | None = None
    for other, its in ledger.known_models():
        if other is not model and its.order > known.order:
            own = own or {id(layer) for layer in keras_private.all_layers(model)}
            if any(id(layer) in own for layer in keras_private.all_layers(other)):
                return True
    return False


def _is_view(model: Any, other: Any) -> bool:
    """Whether two models are cut from one graph, and one of them has no weights of its own: is a part."""
    theirs = {id(tensor) for tensor in getattr(other, "inputs", None) or ()}
    if not any(id(tensor) in theirs for tensor in getattr(model, "inputs", None) or ()):
        return False
    these, those = ({id(variable) for variable in one.trainable_variables} for one in (model, other))
    return these < those or those < these
