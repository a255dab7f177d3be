"""What ``fairlane.fit`` checks of the models that it is given, before it trains them.

In: the caller's models. Out: the same in a list, or an error; and a seed, where none was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError, StudyError
from fairlane.models.copies import copy
from fairlane.models.isolation import PAST, check_independent
from fairlane.models.session import left_as_found
from fairlane.models.sharing import changed_by_step
from fairlane.running.data import Data
from fairlane.trials import Trial, Variant


def checked_models(models: Any) -> list[keras.Model]:
    """The models in a list.

    Raises:
        StudyError: they are not several models.
        BuilderError: one of them is no compiled model.
        SharedStateError: two of them are one, or share variables, an optimizer or a metric.
    """
    if isinstance(models, keras.Model):
        raise StudyError("fit takes a list of models; for one model, write [model], or model.fit(...)")
    if not isinstance(models, Iterable):
        raise StudyError(f"fit takes a list of models, not {type(models).__name__}")
    listed = list(models)
    if not listed:
        raise StudyError("the list of models is empty, so there is nothing to train")
    for i, model in enumerate(listed):
        if not isinstance(model, keras.Model):
            raise BuilderError(f"model {i} is not a keras.Model but {type(model).__name__}")
        if not model.compiled:
            raise BuilderError(
                f"model {i} ({model.name!r}) is not compiled, so it has no optimizer and no loss; call "
                "model.compile(...) first"
            )
    check_independent(*listed, ignore=PAST, changed=lambda model: ())  # the rest, when the data are known
    return listed


def check_models_apart(models: Sequence[keras.Model], data: Data, variants: Sequence[Variant]) -> None:
    """See that models share nothing that training changes.

    Args:
        models: the models.
        data: what they are trained on.
        variants: one of each model.

    Raises:
        SharedStateError: two of them do.
    """
    variant_of = {id(model): variant for model, variant in zip(models, variants, strict=True)}

    def changed(model: keras.Model) -> set[int] | None:
        try:
            # Tracing builds the rest of it, and nothing is to be changed where this raises.
            twin = copy(model)
        except BuilderError:
            return None
        with left_as_found():
            there = changed_by_step(twin, data.batch(Trial(0, variant_of[id(model)], 0)))
        pairs = zip(model.variables, twin.variables, strict=True)
        return None if there is None else {id(mine) for mine, its in pairs if id(its) in there}

    check_independent(*models, ignore=PAST, changed=changed)


def drawn_seed() -> int:
    """A seed from NumPy's global generator."""
    return int(np.random.randint(0, 2**31 - 1))  # noqa: NPY002
