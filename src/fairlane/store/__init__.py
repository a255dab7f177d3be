"""Where studies are kept: events → rows and weights, and back.

In: the events of the engines, written by the driver of a study alone. Out: a `Record` per trial, and the
trained weights. `MemoryStore` ends with the process; `written` opens one that does not, in SQLite or
PostgreSQL, and `read` reads it.
"""

from fairlane.store.memory import MemoryStore
from fairlane.store.opening import in_words, overview, read, written
from fairlane.store.records import Record, Records, Store, next_epoch

__all__ = [
    "MemoryStore",
    "Record",
    "Records",
    "Store",
    "in_words",
    "next_epoch",
    "overview",
    "read",
    "written",
]
