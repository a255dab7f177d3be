"""Packages that durable stores, exports, trackers and pages need, loaded when one is first used.

In: a module's name. Out: the module, or an error that names the extra to install.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fairlane.errors import FairlaneError, StoreError

_EXTRA = {
    "psycopg": "postgres",
    "pyarrow": "parquet",
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "starlette": "ui",
    "uvicorn": "ui",
    "optuna": "optuna",
    "cmaes": "optuna",
    "torch": "backends",
    "ray": "ray",
}


def needed(name: str, what: str = "storing a study", error: type[FairlaneError] = StoreError) -> Any:
    """The module of that name.

    Args:
        name: dotted, as for ``import``.
        what: what it is for, in words that stand before "needs".
        error: which error it is, if it is about no store and no tracker.

    Raises:
        FairlaneError: it is not installed, and how to install it; of the class ``error``.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        package = name.partition(".")[0]
        if missing.name != package:
            raise
        raise error(
            f"{what} needs the package {package!r}, which is not installed: "
            f"pip install 'fairlane[{_EXTRA.get(package, 'store')}]'"
        ) from None
