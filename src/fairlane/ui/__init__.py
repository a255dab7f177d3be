"""The studies of a store as live pages, on this machine.

In: a store. Out: a small web server that reads it, and never writes it. It answers with plain facts: no model
is built, and nothing in a store is executed.
"""

from fairlane.ui.serving import serve

__all__ = ["serve"]
