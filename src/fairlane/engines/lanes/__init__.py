"""The lanes engine: many trials at once, in one vectorised program per fleet."""

from fairlane.engines.lanes.engine import LanesEngine

__all__ = ["LanesEngine"]
