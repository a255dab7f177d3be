"""The `Study`: all trials of one question, and their results.

In: the records of a store. Out: data frames, estimates, figures, trained models, runs in other tools. Each
module holds one part of the class, by what comes out.
"""

from fairlane.results.study.study import Study

__all__ = ["Study"]
