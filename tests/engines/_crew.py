"""Worker processes for all tests of a session: one takes seconds to start."""

import functools

from fairlane.engines.pool.local import LocalCrew


@functools.cache
def two_workers():
    """Two processes, which end with the session."""
    return LocalCrew([{}, {}], threads=1)
