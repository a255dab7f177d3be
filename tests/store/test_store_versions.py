"""Tables of other versions of Fairlane: read as they are, brought up to date by a writer, or refused."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from _stores import finish, of_records, plan, run, save, start
from alembic.config import Config

from fairlane.errors import StoreError
from fairlane.results import report
from fairlane.store import copied, migrations, read, tables, written
from fairlane.store import database as databases
from fairlane.trials import Site

HERE = Site("a machine", "abc123")


@pytest.fixture
def older(tmp_path, monkeypatch):
    """While it is entered, Fairlane knows the first migration alone."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, folder)
    for version in ("v2", "v3", "v4", "v5", "v6", "v7", "v8"):
        (folder / "versions" / f"{version}.py").unlink()
    config = Config()
    config.set_main_option("script_location", str(folder))
    alone = pytest.MonkeyPatch()

    class Older:
        def __enter__(self):
            alone.setattr(databases, "_alembic", lambda: config)

        def __exit__(self, *_):
            alone.undo()

    yield Older()
    alone.undo()


def a_study(store):
    """Trials in several states, with weights and a checkpoint; another study; and one that never began."""
    study = written(store, "a", {"model": {"build": "def build(): ..."}}, {"keras": "3.13"}, "auto")
    first, second, third, _ = study.adopt(plan(), [3] * 4)
    for trial in (first, second, third):
        start(study, trial)
        run(study, trial, 0, 2)
        save(study, trial, 2)
    finish(study, first)
    study.interrupt()
    study.close()
    planned = written(store, "planned", {}, {}, "auto")
    planned.adopt(plan(), [3] * 4)
    planned.close()
    return study


@pytest.fixture(params=["sqlite", "postgres"])
def old(request, tmp_path, older):
    """A store whose tables the first migration alone has made, with the studies of `a_study`."""
    source = str(tmp_path / "new.db")
    study = a_study(source)
    files = tmp_path / "new.artifacts"
    if request.param == "sqlite":
        yield filled(source, f"sqlite:///{tmp_path}/old.db?artifacts={files}", older), study
        return
    url = sa.make_url(request.getfixturevalue("postgres_url"))
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE of_version_1"))
        try:
            text = url.set(database="of_version_1").render_as_string(hide_password=False)
            yield filled(source, f"{text}&artifacts={files}", older), study
        finally:
            connection.execute(sa.text("DROP DATABASE of_version_1 WITH (FORCE)"))
    server.dispose()


def there_columns(connection):
    return sa.inspect(connection).get_columns("fairlane_trials")


def filled(source, store, older):
    """Make tables of version 1, and let them have the rows of a store."""
    with older:
        written(store, "other", {}, {}, "auto").close()
    ours, theirs = (sa.create_engine(url) for url in (f"sqlite:///{source}", plain_url(store)))
    with ours.connect() as rows, theirs.begin() as old:
        there = sa.inspect(old).get_table_names()
        assert not {
            "fairlane_sites",
            "fairlane_directions",
            "fairlane_weights_epochs",
            "fairlane_decisions",
            "fairlane_notes",
            "fairlane_sharers",
            "fairlane_leases",
        } & set(there)
        old.execute(sa.delete(tables.studies))
        later = {"fold", "worker"}
        assert not later & {column["name"] for column in there_columns(old)}
        for table in tables.metadata.sorted_tables:
            listed = [dict(row) for row in rows.execute(sa.select(table)).mappings()]
            listed = [{name: v for name, v in row.items() if name not in later} for row in listed]
            if table.name in there and listed:
                old.execute(sa.insert(table), listed)
    ours.dispose()
    theirs.dispose()
    return store


def plain_url(store):
    return sa.make_url(store).difference_update_query(["artifacts"])


def content(store):
    """Names of tables → their rows, as the database has them."""
    engine = sa.create_engine(plain_url(store))
    with engine.connect() as connection:
        names = sorted(sa.inspect(connection).get_table_names())
        found = {
            name: sorted(map(repr, connection.execute(sa.text(f"SELECT * FROM {name}")))) for name in names
        }
    engine.dispose()
    return found


def told(records, name):
    facts = report.facts_of(records, records.origin(), name, "loss")
    return {key: text for key, text in facts["requested"] if key in ("Machine", "Commit")}


def test_an_older_store_is_read_as_it_is_and_not_written(old):
    store, study = old
    before = content(store)
    assert before["fairlane_version"] == ["('v1',)"]
    assert of_records(read(store, "a")) == of_records(study)
    assert told(read(store, "a"), "a") == dict.fromkeys(("Machine", "Commit"), "not recorded")
    assert content(store) == before


def test_a_copy_of_a_study_in_an_older_store_is_of_this_version(old, tmp_path):
    store, study = old
    before, to = content(store), str(tmp_path / "copy.db")
    assert copied(store, "a", to) == copied(store, "planned", to) == 4
    assert content(store) == before
    assert of_records(read(to, "a")) == of_records(study)
    assert told(read(to, "a"), "a") == dict.fromkeys(("Machine", "Commit"), "not recorded")
    assert read(to, "planned").sites() == []


def test_a_writer_brings_an_older_store_up_to_date_and_the_old_study_says_what_was_not_kept(old):
    store, study = old
    again = written(store, "a", {"model": {"build": "def build(): ..."}}, {}, "auto", lambda: HERE)
    assert content(store)["fairlane_version"] == ["('v8',)"]
    assert of_records(read(store, "a")) == of_records(study)
    assert told(read(store, "a"), "a") == dict.fromkeys(("Machine", "Commit"), "not recorded")
    _, second, *_ = again.adopt(plan(), [3] * 4)
    start(again, second, 2)
    again.close()
    assert told(read(store, "a"), "a") == {
        "Machine": "not recorded; then a machine",
        "Commit": "not recorded; then abc123",
    }
    assert told(read(store, "planned"), "planned")["Machine"] == "nothing is trained yet"


def test_what_a_failed_upgrade_leaves_is_the_older_store(old, monkeypatch):
    store, _ = old
    before = content(store)
    with monkeypatch.context() as failing:
        failing.setattr(databases.MigrationContext, "run_migrations", half_way(failing))
        with pytest.raises(StoreError, match="no space left"):
            written(store, "a", {}, {}, "auto")
    assert content(store) == before
    written(store, "planned", {}, {}, "auto").close()
    assert content(store)["fairlane_version"] == ["('v8',)"]


def half_way(failing):
    """Run the migrations, and fail before they are confirmed."""
    real = databases.MigrationContext.run_migrations

    def run_migrations(self, **given):
        real(self, **given)
        raise sa.exc.OperationalError("", {}, Exception("no space left"))

    return run_migrations


def test_an_older_version_refuses_a_newer_store(tmp_path, older):
    store = str(tmp_path / "runs.db")
    a_study(store)
    with older:
        for act in (lambda: read(store, "a"), lambda: written(store, "a", {}, {}, "auto")):
            with pytest.raises(
                StoreError,
                match=r"newer version of Fairlane \(its tables are 'v8', and this version knows those up to 'v1'\)",
            ):
                act()
