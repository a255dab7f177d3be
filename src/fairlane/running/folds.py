"""``cv=`` → the folds of a study's samples.

In: ``compare``'s ``cv`` and ``groups``, and its data. Out: a `Fold` for each, checked. The splitting itself
is scikit-learn's, or that of the caller's own splitter. And `Folds`, the splitters of time series.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairlane.engines.data.folds import Fold
from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models.session import left_as_found
from fairlane.results.folds import CV, sizes_noted
from fairlane.running.missing import missing_in, missing_rows
from fairlane.store import Decision, Store


class Folds:
    """Folds of a time series: each is validated on samples that come after those it is trained on.

    The samples are in the order of time. scikit-learn's ``TimeSeriesSplit`` cuts them. Every fold of
    `expanding` has another number of training samples, so each compiles a program of its own; folds of
    `sliding` have one size, and share one program.

    Args:
        splitter: of scikit-learn's, or anything with ``split(x, y, groups)``.

    Example:
        >>> import numpy as np
        >>> folds = Folds.expanding(3, gap=1)
        >>> [(len(train), valid.tolist()) for train, valid in folds.split(np.zeros(8))]
        [(1, [2, 3]), (3, [4, 5]), (5, [6, 7])]
    """

    def __init__(self, splitter: Any) -> None:
        self._splitter = splitter

    @classmethod
    def expanding(cls, folds: int, *, gap: int = 0, validation: int | None = None) -> Folds:
        """Each fold is trained on all that comes before its validation samples.

        Args:
            folds: how many.
            gap: how many samples to leave out between training and validation.
            validation: the number of validation samples of each fold; by default, samples are cut into
                ``folds + 1`` parts.

        Example:
            >>> import numpy as np
            >>> [len(train) for train, _ in Folds.expanding(3).split(np.zeros(8))]
            [2, 4, 6]
        """
        from sklearn.model_selection import TimeSeriesSplit

        return cls(TimeSeriesSplit(folds, gap=gap, test_size=validation))

    @classmethod
    def sliding(cls, folds: int, *, training: int, gap: int = 0, validation: int | None = None) -> Folds:
        """Each fold is trained on the same number of samples, those before its validation samples.

        Args:
            folds: how many.
            training: the number of training samples of each fold, where so many come before.
            gap: as for `expanding`.
            validation: as for `expanding`.

        Example:
            >>> import numpy as np
            >>> [train.tolist() for train, _ in Folds.sliding(3, training=2).split(np.zeros(8))]
            [[0, 1], [2, 3], [4, 5]]
        """
        from sklearn.model_selection import TimeSeriesSplit

        return cls(TimeSeriesSplit(folds, max_train_size=training, gap=gap, test_size=validation))

    def split(
        self, x: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """The sample numbers of each fold, as scikit-learn's splitters give them.

        Args:
            x: the samples; only their number counts.
            y: not used.
            groups: not used.

        Returns:
            For each fold the numbers of its training and validation samples, shapes ``(n,)`` and ``(m,)``.

        Example:
            >>> import numpy as np
            >>> [valid.tolist() for _, valid in Folds.expanding(2).split(np.zeros(6))]
            [[2, 3], [4, 5]]
        """
        yield from self._splitter.split(x, y, groups)


def folds_of(cv: Any, groups: Any, given: Mapping[str, Any]) -> list[Fold]:
    """The folds of some data.

    Args:
        cv: a number, a splitter, or pairs of index arrays.
        groups: the group of each sample, or None.
        given: ``Model.fit``'s arguments with the data.

    Raises:
        StudyError: it is none of these, the data can't be cut, or samples are in a fold twice.
    """
    refuse_validation(given)
    samples = _samples(given)
    if groups is not None and len(groups) != samples:
        raise StudyError(f"groups has {len(groups)} values for {samples} samples; give one for each")
    if groups is not None and (lacks := missing_in("groups", np.asarray(groups))):
        raise StudyError(f"{lacks}, so these belong to no group; give each sample a group, or drop them")
    with left_as_found():  # a splitter without random_state draws from NumPy's global generator
        pairs = _pairs(copy.deepcopy(cv), groups, given, samples)
    folds = [_checked(i, pair, samples) for i, pair in enumerate(pairs)]
    if not folds:
        raise StudyError("cv has no folds, so there is nothing to train")
    if groups is not None and (not hasattr(cv, "split") or _ignores_groups(cv)):
        _refuse_divided(folds, np.asarray(groups))
    return folds


def _ignores_groups(cv: Any) -> bool:
    """Whether it is a known splitter: what of these divides a group does not look at groups."""
    return isinstance(cv, Folds) or type(cv).__module__.split(".")[0] == "sklearn"


def _refuse_divided(folds: Sequence[Fold], groups: NDArray[Any]) -> None:
    """Refuse folds that divide a group; a splitter of one's own looks after groups itself."""
    for fold in folds:
        both = np.intersect1d(groups[fold.training], groups[fold.validation]).tolist()
        if both:
            raise StudyError(
                f"fold {fold.number} of cv trains on samples of the group {both[0]!r} and validates on "
                "others of it; leave groups out if that is meant, or give a number of folds, or a splitter "
                "such as GroupKFold(5)"
            )


def samples_by_fold(folds: Sequence[Fold]) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """The sample numbers of each fold, of training and validation."""
    return [(fold.training, fold.validation) for fold in folds]


def note_folds(kept: Store, folds: Sequence[Fold]) -> None:
    """Have a study keep how large its folds are, which its statistics need; once."""
    if folds and not any(one.about == (CV,) for one in kept.decisions()):
        training, validation = zip(*((len(f.training), len(f.validation)) for f in folds), strict=True)
        kept.decide(Decision((CV,), sizes_noted(training, validation)))


def refuse_validation(given: Mapping[str, Any]) -> None:
    """Refuse data to validate on beside folds, which have their own.

    Raises:
        StudyError: the argument.
    """
    for name in ("validation_data", "validation_split"):
        if given.get(name) is not None and not (isinstance(given[name], float | int) and not given[name]):
            raise StudyError(
                f"cv and {name} are both given; each fold has validation samples of its own, so leave {name} "
                "out"
            )


def _samples(given: Mapping[str, Any]) -> int:
    """How many samples there are."""
    found: dict[str, int] = {}
    for name in ("x", "y", "sample_weight"):
        for leaf in keras.tree.flatten(given.get(name)):
            if leaf is None:
                continue
            shape = getattr(leaf, "shape", None)
            if shape is None or len(shape) == 0:
                raise StudyError(
                    f"cv cuts arrays into folds, and {name} is {_no_arrays(given[name], leaf)}; "
                    f"give NumPy arrays (np.asarray({name})), "
                    "tensors or data frames, or cut the data yourself and call compare once for each fold"
                )
            found.setdefault(name, int(shape[0]))
            if int(shape[0]) != found["x" if "x" in found else name]:
                raise StudyError(
                    f"x and {name} have different numbers of samples, {found.get('x')} and {int(shape[0])}, "
                    "so they can't be cut into the same folds"
                )
    if "x" not in found:
        raise StudyError("x is missing; give the training data")
    return found["x"]


def _no_arrays(given: Any, leaf: Any) -> str:
    """What data are, in which something is no array."""
    if isinstance(given, list | tuple):
        of = "lists" if isinstance(given[0], list | tuple) else f"values such as {arguments.given(leaf)}"
        return f"a {type(given).__name__} of {of}"
    if keras.tree.is_nested(given):
        return f"a {type(given).__name__} with {arguments.given(leaf)} in it"
    return arguments.given(leaf)


def _pairs(cv: Any, groups: Any, given: Mapping[str, Any], samples: int) -> Iterable[Any]:
    """Pairs of index arrays."""
    if arguments.is_whole(cv):
        return _by_number(int(cv), groups, given.get("y"), samples)
    if isinstance(cv, type) and hasattr(cv, "split"):
        raise StudyError(f"cv is the class {cv.__name__}; give a splitter, such as {cv.__name__}(5)")
    if hasattr(cv, "split") and not isinstance(cv, str | np.ndarray):
        x = given["x"]
        some = np.zeros((samples, 1)) if keras.tree.is_nested(x) else x
        try:
            return list(cv.split(some, _plain(given.get("y")), groups))
        except (ValueError, TypeError) as error:
            lacks = missing_in("y", _plain(given.get("y")))
            hint = f". {lacks}" if lacks else ""
            raise StudyError(
                f"{type(cv).__name__} can't cut these samples into folds: {str(error).rstrip('.')}{hint}"
            ) from error
    if isinstance(cv, Iterable) and not isinstance(cv, str | Mapping):
        return list(cv)  # whose groups `_refuse_divided` looks at
    raise StudyError(
        "cv must be a number of folds, such as 5, a splitter with split(x, y, groups), such as "
        "scikit-learn's, or a list of pairs of index arrays (training, validation); not "
        f"{arguments.given(cv)}"
    )


def _by_number(folds: int, groups: Any, y: Any, samples: int) -> Iterable[Any]:
    """As scikit-learn cuts: by groups where there are some, stratified for classes, else plainly."""
    most = samples if groups is None else len(np.unique(np.asarray(groups)))
    if not 2 <= folds <= most:
        of = "samples" if groups is None else "groups"
        raise StudyError(f"cv={folds}: there must be at least 2 folds, and at most as many as {of}, {most}")
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    blank = np.zeros(samples)
    if groups is not None:
        return list(GroupKFold(folds).split(blank, None, groups))
    classes = _classes(y)
    lacks = missing_in("y", _plain(y))
    if lacks and (rest := _without_missing(y)).size and _classes(rest) is not None:
        raise StudyError(
            f"{lacks}, and the others are classes: folds that are stratified by them can't take samples "
            f"without a class. Drop these samples, or cut plainly: cv=sklearn.model_selection.KFold({folds})"
        )
    if classes is None:
        return list(KFold(folds).split(blank))
    names, counts = np.unique(classes, return_counts=True)
    if counts.min() < folds:
        if np.median(counts) >= folds and len(names) <= samples**0.5:  # else they may be counts, or ages
            _warn_of_rare(str(names[counts.argmin()]), int(counts.min()), folds)
        return list(KFold(folds).split(blank))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types of targets that it has no name for
        return list(StratifiedKFold(folds).split(blank, classes))


def _warn_of_rare(name: str, samples: int, folds: int) -> None:
    warn_at(
        caller(),
        f"the folds are not stratified: there are {samples} samples of class {name}, and cv={folds} needs "
        f"{folds} of each class. A fold may lack a class altogether, in its training too; give fewer folds, "
        "or, where samples are sorted, a splitter that shuffles, such as "
        f"sklearn.model_selection.KFold({folds}, shuffle=True, random_state=0)",
        FairlaneWarning,
    )


def _classes(y: Any) -> NDArray[Any] | None:
    """The class of each sample; None where the targets are no classes.

    Integers, booleans and texts are classes, and numbers that are all 0 or 1; and one-hot rows.
    """
    if y is None or keras.tree.is_nested(y):
        return None
    values = _plain(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        hot = np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()
        return values.argmax(axis=1) if hot else None
    if values.ndim != 1:
        return None
    is_class = values.dtype.kind in "iubOUS" or np.isin(values, (0, 1)).all()
    return values if is_class else None


def _without_missing(y: Any) -> NDArray[Any]:
    """Targets without the samples of which a value is missing."""
    values = np.asarray(_plain(y))
    return np.delete(values, missing_rows(values), axis=0)


def _plain(y: Any) -> Any:
    """Targets as an array of NumPy's; None where they are several, which no splitter takes."""
    return None if y is None or keras.tree.is_nested(y) else np.asarray(y)


def _checked(number: int, pair: Any, samples: int) -> Fold:
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise StudyError(
            f"fold {number} of cv must be a pair of index arrays (training, validation), not "
            f"{arguments.given(pair)}"
        )
    training, validation = (
        _indices(number, name, one, samples)
        for name, one in zip(("training", "validation"), pair, strict=True)
    )
    both = np.intersect1d(training, validation)
    if both.size:
        raise StudyError(
            f"fold {number} of cv trains on samples that it validates on, such as sample {both[0]}: its "
            "validation would be too good"
        )
    if np.unique(validation).size != validation.size:
        raise StudyError(f"fold {number} of cv has a validation sample twice")
    return Fold(number, training, validation)


def _wrong_indices(values: NDArray[Any], given: Any) -> str:
    """What is wrong with what should be sample numbers."""
    if values.ndim != 1:
        what = "it is no array" if not values.ndim else f"this array has {values.ndim} axes"
        return f"{what}: {arguments.given(given)}" if not values.ndim else what
    if not values.size:
        return "there is none"
    kind = "booleans" if values.dtype == bool else f"values of dtype {values.dtype}"
    return f"these are {values.size} {kind}"


def _indices(number: int, name: str, given: ArrayLike, samples: int) -> NDArray[np.int32]:
    """Sample numbers, which may be given as a mask."""
    values = np.asarray(given)
    if values.dtype == bool and values.shape == (samples,):
        values = np.flatnonzero(values)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not values.size:
        raise StudyError(
            f"fold {number} of cv: the {name} samples must be a list of sample numbers, or a mask of "
            f"{samples} booleans, with at least one sample; {_wrong_indices(values, given)}"
        )
    if values.min() < 0 or values.max() >= samples:
        wrong = values[(values < 0) | (values >= samples)][0]
        raise StudyError(f"fold {number} of cv: there is no {name} sample {wrong}, only 0 to {samples - 1}")
    return values.astype("int32")
