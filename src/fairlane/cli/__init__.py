"""The command line: parses and delegates.

In: arguments. Out: an exit code: 0 for success, 1 if `check` has findings, 2 if the request can't be done.
"""

from fairlane.cli import checking, studies
from fairlane.cli.base import app

__all__ = ["app", "checking", "studies"]
