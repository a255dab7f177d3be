"""Where studies are stored: events → rows and weights, and back.

In: the events of the engines; only the driver of a study writes them. Out: a `Record` per trial, and the
trained weights. A `MemoryStore` ends with its process. `written` opens a study in SQLite or PostgreSQL for
writing, and `read` for reading.
"""

from fairlane.store.managing import copied, delete, rename
from fairlane.store.memory import MemoryStore
from fairlane.store.notes import Note, note_of
from fairlane.store.opening import in_words, note, overview, read, written
from fairlane.store.records import Decision, Record, Records, Store, next_epoch

__all__ = [
    "Decision",
    "MemoryStore",
    "Note",
    "Record",
    "Records",
    "Store",
    "copied",
    "delete",
    "in_words",
    "next_epoch",
    "note",
    "note_of",
    "overview",
    "read",
    "rename",
    "written",
]
