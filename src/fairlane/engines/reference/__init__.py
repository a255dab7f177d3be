"""The reference engine: one ``Model.fit`` after another, each in a session of its own."""

from fairlane.engines.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
