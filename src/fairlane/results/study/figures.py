"""A study as figures, and as a page.

In: the records of a study. Out: `Figures`, the part of a `Study` that draws it and writes its report.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.kit.text import plural
from fairlane.results import cells, comparison, histories, logs, plots, report
from fairlane.results.calibration import expected_calibration_error, reliability
from fairlane.results.directions import Modes
from fairlane.results.question import ask
from fairlane.results.study.ensembles import Ensembles
from fairlane.results.study.searched import Searched
from fairlane.results.study.tables import Tables
from fairlane.results.variants import variants

if TYPE_CHECKING:
    import pandas as pd

_SUMMARY = ("metric", "select", "at", "mode", "interval", "confidence", "resamples", "rng")
_PLOTS = {
    "curves": ("metrics", "confidence", "bands"),
    "final": _SUMMARY,
    "sweep": ("x", *_SUMMARY),
    "paired": ("baseline", *_SUMMARY),
    "optimization": ("metric", "mode"),
    "rungs": ("metric", "mode"),
    "parallel": ("metric", "mode"),
    "slice": ("metric", "mode"),
    "contour": ("x", "y", "metric", "mode"),
    "importance": ("metric", "mode", "method", "rng"),
    "ensemble": ("on", "trials", "variant", "metric", "mode"),
    "calibration": ("on", "trials", "variant", "bins"),
    "pareto": ("objectives", "x", "y"),
}
"""Kind of figure → its options."""
_OF_SEARCHES = ("optimization", "rungs", "parallel", "slice", "contour", "importance")


Kind = Literal[
    "curves",
    "final",
    "sweep",
    "paired",
    "optimization",
    "rungs",
    "parallel",
    "slice",
    "contour",
    "importance",
    "ensemble",
    "calibration",
    "pareto",
]


class Figures(Tables, Searched, Ensembles):
    """The figures and the report of a study."""

    @arguments.checked
    def plot(
        self,
        kind: Kind = "curves",
        *,
        metrics: Sequence[str] | None = None,
        title: str | None = None,
        **options: Any,
    ) -> Any:
        """A figure: the learning curves, or the variants compared.

        - ``plot()``: a panel per metric, a colour per variant, training and validation; for several seeds the
          mean, with its interval as a band. Options: ``metrics``, ``confidence``, ``bands`` (by default up
          to 7 variants have bands; ``True`` draws them for more, ``False`` for none).
        - ``plot("final")``: a point per trial, the mean and interval of each variant, the best on top.
        - ``plot("sweep", x="learning_rate")``: a metric against a numeric hyperparameter.
        - ``plot("paired")``: each seed's difference to the best variant, or to ``baseline=...``.

        The last three take ``metric`` and the options of `summary`.

        What a search has seen, a variant being the mean over its seeds; all take ``metric`` and ``mode``:

        - ``plot("optimization")``: each variant's value in the order of the search, and the best so far.
        - ``plot("rungs")``: each variant's curve, to the epoch in which it was stopped.
        - ``plot("parallel")``: a line per variant through its hyperparameters, coloured by its value.
        - ``plot("slice")``: the value against each hyperparameter.
        - ``plot("contour", x="learning_rate", y="units")``: the value over two hyperparameters.
        - ``plot("importance")``: how much each matters, as `importance` says; also ``method`` and ``rng``.

        - ``plot("pareto")``: a point per variant over two objectives, the first two or ``x`` and ``y``, and
          the front of all, as `pareto` has them. Options: ``objectives``, as there, ``x``, ``y``.

        What trained models give on held-out data ``on=(x, y)``; both take ``trials`` and ``variant``, as
        `predict` does:

        - ``plot("ensemble", on=(x, y))``: the value of an ensemble against its size, the best by the
          training's metric first, each member alone, and greedy picks. Options: ``metric``, ``mode``.
        - ``plot("calibration", on=(x, y))``: accuracy against confidence, of each member and of their mean.
          Option: ``bins``.

        Args:
            kind: which figure.
            metrics: the metrics of the curves, in order; by default all.
            title: the text above the panels; by default the study's name.
            **options: the options of this kind, as above.

        Returns:
            A ``matplotlib.figure.Figure``.

        Raises:
            StudyError: there is nothing to draw yet, or this kind has no such option.

        Example:
            >>> figure = study.plot(metrics=["loss"], title="two rates")
            >>> len(figure.axes)
            1
        """
        names = cells.hyperparameters(self._store)
        title = cells.encodable(arguments.optional_text("title", title) or self.name)
        _check_options(kind, options | ({} if metrics is None else {"metrics": metrics}))
        if kind == "curves":
            found, note = self._best_and_troubles()
            return plots.curves(
                self.history,
                names,
                metrics=metrics,
                best=found,
                title=title,
                note=note,
                known=logs.known_directions(self._store),
                **options,
            )
        if kind in ("ensemble", "calibration"):
            return self._of_members(kind, title, **options)
        if kind == "pareto":
            frame = self._pareto(options.get("objectives"))
            return plots.pareto(frame, *_axes_of(frame, options), title=title)
        metric = self._metric(options.pop("metric", None))
        if kind in _OF_SEARCHES:
            return self._of_search(kind, metric, title, options)
        x = options.pop("x", None)
        table = self._summary(metric, **options)
        choice = {name: options[name] for name in ("select", "at", "mode") if name in options}
        choice["mode"] = self._mode(choice.get("mode", "auto"), metric)
        if kind == "paired":
            baseline = options.get("baseline")
            pairs = comparison.differences(self._counting(), metric, baseline=baseline, **choice)
            return plots.paired(pairs, table, names, title=title)
        values = comparison.values(self._counting(), metric, **choice)
        if kind == "sweep":
            return plots.sweep(values, table, names, x, title=title)
        return plots.final(values, table, names, title=title)

    def _of_members(
        self,
        kind: str,
        title: str | None,
        on: Any = None,
        trials: Any = None,
        variant: Any = None,
        metric: str | None = None,
        mode: Modes = "auto",
        bins: int = 15,
    ) -> Any:
        """A figure of what trained models give on held-out data."""
        records = self._chosen(trials, variant)
        if kind == "ensemble":
            return plots.ensemble(*self._sizes(records, on, metric, mode), title=title)
        data = self._held_out(on)
        if data is None:
            raise StudyError("plot('calibration') needs on=(x, y), data that the models were not trained on")
        members = self._probabilities(records, data[0])
        frames = [reliability(data[1], one, bins) for one in (*members, members.mean(axis=0))]
        errors = [expected_calibration_error(data[1], one, bins) for one in (*members, members.mean(axis=0))]
        return plots.calibration(frames[:-1], frames[-1], errors[:-1], errors[-1], title=title)

    def _of_search(self, kind: str, metric: str, title: str | None, options: dict[str, Any]) -> Any:
        """A figure of what a search has seen."""
        if kind == "importance":
            return plots.importances(self.importance(metric, **options), title=title)
        records = self._searched()
        mode = self._mode(options.get("mode", "auto"), metric)
        better = ask(records, metric, None, "last", mode).better
        frame = variants(records, metric)
        if kind == "optimization":
            return plots.optimization(frame, better, title=title)
        if kind == "rungs":
            return plots.rungs(frame, better, title=title)
        if not np.isfinite(frame["value"].to_numpy(dtype=float)).any():
            raise StudyError(f"no variant has a finite {metric!r} to draw; see study.trials")
        names = plots.varied(frame, cells.hyperparameters(self._store))
        if kind == "parallel":
            return plots.parallel(frame, names, better, title=title)
        if kind == "slice":
            return plots.slices(frame, names, better, title=title)
        x, y = (options.get(name) for name in ("x", "y"))
        for name, value in (("x", x), ("y", y)):
            if value not in names:
                raise StudyError(
                    f"plot('contour') needs {name}=..., a hyperparameter that varies: {', '.join(names)}; "
                    f"not {value!r}"
                )
        return plots.contour(frame, str(x), str(y), better, title=title)

    def _best_and_troubles(self) -> tuple[dict[str, Any] | None, str]:
        """The best variant's hyperparameters, as columns have them; and how many trials did not finish."""
        names = cells.hyperparameters(self._store)
        bad = Counter(str(record.state) for record in self._store if record.state.ended)
        note = ", ".join(f"{plural(n, 'trial')} {state}" for state, n in bad.items() if state != "done")
        try:
            values = comparison.values(self._counting(), self._metric(None))
        except StudyError:
            return None, note
        first = values.iloc[:1]
        return histories.variant_numbers(first, names)[1][0], note

    @arguments.checked
    def explore(self, metric: str | None = None, *, mode: Modes = "auto", height: int = 800) -> report.Inline:
        """The page of `report`, inside a notebook: filters, curves, parallel coordinates and tables.

        The page is in a frame of its own and loads nothing. It shows the study as it is now.

        Args:
            metric: as for `report`.
            mode: as for `report`.
            height: of the frame, in pixels.

        Returns:
            An object that Jupyter, VS Code and Colab show as the page.

        Raises:
            StudyError: as for `report`.

        Example:
            >>> study.explore("loss")
            Study: a page that a notebook shows; study.report('report.html') writes it to a file
        """
        if not arguments.is_whole(height) or height < 1:
            raise arguments.wrong("height", height, "a whole number of pixels, 1 or more")
        facts = self._facts(metric, mode)
        return report.Inline(report.page(facts), facts["title"], int(height))

    def _facts(self, metric: str | None, mode: Modes) -> dict[str, Any]:
        self._metric(metric)
        return report.facts_of(self._store, self._origin(), self.name, metric, mode)

    @arguments.checked
    def report(
        self,
        path: str | os.PathLike[str],
        metric: str | None = None,
        *,
        mode: Modes = "auto",
    ) -> Path:
        """Write the study as one page, which opens in any browser without a network.

        It shows the request, the result with its uncertainty, and what was unusual; with curves and tables
        that can be filtered and sorted. For a study without a store, the data are read once more, for their
        fingerprint.

        Args:
            path: the file, such as ``"report.html"``; an existing file is replaced.
            metric: the metric to rank by, a log's name or one of the test data; by default as for `summary`.
            mode: as for `summary`.

        Returns:
            The file's path.

        Raises:
            StudyError: there is no such metric, it is not known whether small or large values are better, or
                the file's folder does not exist.

        Example:
            >>> import os, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.report(os.path.join(folder, "report.html")).name
            'report.html'
        """
        file = arguments.path("path", path, "report.html")
        return report.write(self._facts(metric, mode), file)


def _axes_of(frame: pd.DataFrame, options: Mapping[str, Any]) -> tuple[str, str]:
    """The objectives of both axes."""
    names = list(frame.attrs["objectives"])
    x = options.get("x") or next(name for name in names if name != options.get("y"))
    y = options.get("y") or next(name for name in names if name != x)
    for axis, name in (("x", x), ("y", y)):
        if name not in names or x == y:
            raise StudyError(
                f"plot('pareto') shows two different objectives: {', '.join(names)}; not {axis}={name!r}"
            )
    return x, y


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse an unknown kind of figure, and options that the kind does not have."""
    if not isinstance(kind, str) or kind not in _PLOTS:
        raise StudyError(f"plot draws {', '.join(map(repr, _PLOTS))}, not {arguments.given(kind)}")
    for name in options:
        if name not in _PLOTS[kind]:
            options_of = ", ".join(("title", *_PLOTS[kind]))
            raise StudyError(f"plot({kind!r}) has no option {name!r}; its options are {options_of}")
    if kind == "sweep" and "x" not in options:
        raise StudyError("plot('sweep') needs x=..., the name of a numeric hyperparameter")
