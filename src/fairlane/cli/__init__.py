"""The command line: parses and delegates.

In: arguments. Out: an exit code: 0 for success, 1 if `check` has findings, 2 if the request can't be done,
3 if `work` has left trials.
"""

from fairlane.cli import checking, studies, working
from fairlane.cli.base import app

__all__ = ["app", "checking", "studies", "working"]
