"""The choice of Keras's backend, made before Keras is first imported.

In: the environment and Keras's own settings file. Out: ``KERAS_BACKEND`` set to ``jax``, or left alone.

Keras defaults to TensorFlow, and on its own first import writes a ``keras.json`` that says so; that file
is therefore the user's choice only when it says something other than ``tensorflow``.
"""

import json
import os
import sys
from pathlib import Path


def choose() -> None:
    """Set ``KERAS_BACKEND=jax`` unless the user has chosen a backend, or Keras is loaded already."""
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND") or _chosen_in_file():
        return
    os.environ["KERAS_BACKEND"] = "jax"


def _chosen_in_file() -> bool:
    home = os.environ.get("KERAS_HOME")
    folder = Path(home) if home else Path("~").expanduser() / ".keras"
    try:
        settings = json.loads((folder / "keras.json").read_text())
        return bool(settings.get("backend", "tensorflow") != "tensorflow")
    except (OSError, ValueError, AttributeError):
        return False
