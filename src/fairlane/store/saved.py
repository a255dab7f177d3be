"""A trial's files → its weights, and the states that training can continue from.

In: what the rows of a store say of a trial's files. Out: `Weights`, `Checkpoint` and `CutOff`; or an error,
or a note, that says which file is damaged and what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StoreError
from fairlane.store import coding, tree
from fairlane.store.artifacts import Artifact, Artifacts, Damaged
from fairlane.trials import Checkpoint, CutOff, Trial, Weights

HAS_TRAINED_WEIGHTS = ("weights", "end")
"""Kinds of files with the weights of a trial that was trained to its end."""
_HAS_CHECKPOINT = ("checkpoint", "end")
_HAS_UNFINISHED_WEIGHTS = ("checkpoint", "cut off")


@dataclass
class SavedFile:
    """A file that the store has a row of.

    Attributes:
        kind: ``"weights"``, ``"checkpoint"``, ``"end"`` for both in one file, or ``"cut off"``.
        artifact: the file.
    """

    kind: str
    artifact: Artifact


def read_weights(files: Artifacts, saved: Sequence[SavedFile], trial: Trial) -> Weights | None:
    """The trained state; None where no file has it.

    Raises:
        StoreError: the file is missing or damaged.
    """
    for one in saved:
        if one.kind in HAS_TRAINED_WEIGHTS:
            try:
                return coding.weights_of_tree(_tree_of(files, one)["weights"])
            except StoreError as error:
                raise StoreError(
                    f"the weights of {trial} can't be read: {error}. Its history is not affected. To train "
                    "it again: delete the file, and run the same call of compare"
                ) from error
    return None


def read_checkpoint(
    files: Artifacts, saved: Sequence[SavedFile], trial: Trial, notes: list[str]
) -> Checkpoint | None:
    """The newest checkpoint whose file is whole; ``notes`` gets a sentence for each damaged one."""
    candidates = [one for one in saved if one.kind in _HAS_CHECKPOINT]
    for i, one in reversed(list(enumerate(candidates))):
        try:
            content = _tree_of(files, one)
            weights = coding.weights_of_tree(content["weights"])
            if isinstance(content.get("memory"), dict):
                return Checkpoint(trial, one.artifact.epoch, weights, content["memory"])
            raise Damaged("the file holds no checkpoint")
        except StoreError as error:
            instead = "the one before is used" if i else "there is no earlier one, so the trial starts again"
            notes.append(
                f"the checkpoint of {trial} after {one.artifact.epoch} epochs can't be used: {error}; "
                f"{instead}"
            )
    return None


def read_cut_off(files: Artifacts, saved: Sequence[SavedFile], trial: Trial) -> CutOff | None:
    """The newest state of a trial that was not trained to its end; None where no file has one.

    Raises:
        StoreError: the file is missing or damaged.
    """
    unfinished = [one for one in saved if one.kind in _HAS_UNFINISHED_WEIGHTS]
    if not unfinished:
        return None
    newest = max(unfinished, key=lambda one: one.artifact.epoch)
    try:
        weights = coding.weights_of_tree(_tree_of(files, newest)["weights"])
    except StoreError as error:
        raise StoreError(
            f"the state of {trial} can't be read: {error}. Its history is not affected"
        ) from error
    return CutOff(trial, newest.artifact.epoch, weights)


def _tree_of(files: Artifacts, saved: SavedFile) -> dict[str, Any]:
    content = tree.from_bytes(files.read(saved.artifact))
    if not isinstance(content, dict) or "weights" not in content:
        raise Damaged("the file holds no weights")
    return content
