"""Where studies are kept: events → rows and weights, and back.

In: the events of the engines, written by the driver of a study alone. Out: a `Record` per trial, and the
trained weights. `MemoryStore` ends with the process.
"""

from fairlane.store.memory import MemoryStore
from fairlane.store.records import Record, Records, Store

__all__ = ["MemoryStore", "Record", "Records", "Store"]
