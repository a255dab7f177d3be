"""Worker processes for all tests of a session: one takes seconds to start."""

import functools

from fairlane.engines.pool.local import LocalCrew


@functools.cache
def two_workers():
    """Two processes, which end with the session."""
    return LocalCrew([{}, {}], threads=1)


class Lasting:
    """A crew that a call can't end."""

    def __init__(self, crew):
        self._crew = crew

    def __getattr__(self, name):
        return getattr(self._crew, name)

    def end(self):
        """Nothing: the next test needs it, too."""
