"""Stores whose rows hold what Fairlane does not write: an error names table, row and column, and nothing else.

SQLite keeps any value in any column. Each column gets each of a list of values; whoever reads the store then gets
a `StoreError`, or what can be a value there, and never an error of Python's or of the database's.
"""

import sqlite3
import tracemalloc

import keras
import numpy as np
import pytest
import sqlalchemy as sa
from _stores import finish, plan, run, save, start, weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fairlane as fl
from fairlane import trials as trials
from fairlane.errors import FairlaneError, StoreError, StudyError
from fairlane.store import Decision, Note, overview, read, tables, written
from fairlane.store.schema import SCHEMA
from fairlane.ui.board import Board

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
COLUMNS = [(table, column) for table, columns in SCHEMA.items() for column in columns]
DEEP = "[" * 50_000 + "]" * 50_000
ODD = (None, "zz", -5, 2**62 + 1, float("inf"))
ODD_TEXTS = (None, "zz", "-5", DEEP)
"""In a column of texts SQLite makes any number a text: one number stands for all. Elsewhere no text is read as JSON."""


def a_store(runs):
    """A study with a row in every table."""
    store = written(
        runs, "a", {"data": {"x": "float32"}}, {"keras": "3"}, "auto", lambda: trials.Site("m", "c")
    )
    (trial,) = store.adopt(plan(1, 1), [3])
    start(store, trial)
    run(store, trial, 0, 1)
    store.write(trials.EpochEnded(trial, 1, {"loss": 0.5, "odd": np.arange(2)}, {"loss": "min"}))
    save(store, trial, 2)
    store.flush()
    store.write(trials.TrialDone(trial, 2.5, weights(1.0), "scan×2", weights_epoch=1))
    store.write(trials.Tested(trial, {"test_loss": 1.0, "test_odd": np.arange(2)}))
    store.describe(trial, "{}")
    store.decide(Decision(("search",), {"sampler": "random", "objective": "loss", "mode": "min"}))
    store.decide(Decision(("confirm", 1), {"variants": [0], "seeds": [7], "values": {"0": 1.0}}))
    store.note(0, Note("a note", ("a tag",)))
    store.close()
    lost = "INSERT INTO fairlane_sharers VALUES ('token', 1, 'host', 7, '', 1.0)"
    changed(runs, (lost,), ("INSERT INTO fairlane_leases VALUES (1, 'token', 0)",))


def changed(runs, *statements):
    """Change rows as someone might who does not know the constraints; whether there was anything to change."""
    connection = sqlite3.connect(runs, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = off")
    connection.execute("PRAGMA ignore_check_constraints = on")
    connection.execute("PRAGMA wal_checkpoint(truncate)")
    try:
        for statement, *values in statements:
            connection.execute(statement, values)
    except (sqlite3.IntegrityError, OverflowError):
        return False
    finally:
        connection.close()
    return True


def everything(runs):
    """What is told of a store, and the errors on the way."""
    errors = []

    def attempt(act):
        try:
            return act()
        except FairlaneError as error:
            errors.append(error)

    def all_of_a_study():
        records = read(runs, "a")
        for record in records:
            records.checkpoint(record.trial)
            records.weights(record.trial)
            records.description(record.trial)
        records.origin()
        study = fl.open(runs, "a")
        return study.history, study.trials, study.to_frame(long=True), repr(study)

    def taken_part():
        store = written(runs, "a", {}, {}, "force", shared=True)
        try:
            store.lease([record.trial for record in store], lambda free, processes: 1, True)
        finally:
            store.close()

    attempt(all_of_a_study)
    attempt(lambda: fl.studies(runs))
    attempt(Board(runs).studies)
    attempt(lambda: Board(runs).study("a"))
    attempt(taken_part)
    attempt(lambda: written(runs, "a", {}, {}, "force").close())
    return errors


@pytest.fixture
def runs(tmp_path):
    return str(tmp_path / "runs.db")


def test_a_store_that_is_whole_gives_no_error(runs):
    a_store(runs)
    assert everything(runs) == []


def test_the_schema_is_that_of_the_tables():
    named = {table.name: set(table.c.keys()) for table in tables.metadata.sorted_tables}
    assert {table: set(columns) for table, columns in SCHEMA.items()} == named


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(pair) for pair in COLUMNS])
def test_bytes_are_refused_by_table_row_and_column(runs, table, column):
    """Of all that can stand in a column, bytes that are no bytes of ours fit nowhere."""
    a_store(runs)
    where = "WHERE exact IS NOT NULL" if column == "exact" else ""
    if not changed(runs, (f"UPDATE {table} SET {column} = ? {where}", b"\xff\xfe\x00")):
        pytest.skip("SQLite takes nothing but integers there")
    errors = everything(runs)
    if (table, column) == ("fairlane_studies", "name"):
        assert any(isinstance(error, StudyError) for error in errors)
        return
    reading = next(error for error in errors if isinstance(error, StoreError))
    for part in (f"table {table}, row with ", f"column {column}: it is 3 bytes; expected: "):
        assert part in str(reading)


@pytest.mark.slow
@pytest.mark.parametrize("table", [*SCHEMA, "fairlane_version"])
def test_no_value_in_any_column_gives_a_foreign_error(runs, tmp_path, table):
    a_store(runs)
    kept = sqlite3.connect(runs)
    columns = SCHEMA.get(table, ["version_num"])
    told = kept.execute(f"PRAGMA table_info({table})").fetchall()
    texts = {name for _, name, kind, *_ in told if kind.startswith(("TEXT", "VARCHAR"))}
    for column in columns:
        for value in ODD_TEXTS if column in texts else ODD:
            other = tmp_path / "other.db"
            copy = sqlite3.connect(other)
            kept.backup(copy)
            copy.close()
            if changed(other, (f"UPDATE {table} SET {column} = ?", value)):
                everything(str(other))
            for path in tmp_path.glob("other.db*"):
                path.unlink()
    kept.close()


@pytest.mark.parametrize("what", ["DELETE FROM", "DROP TABLE"])
@pytest.mark.parametrize("table", [*SCHEMA, "fairlane_version"])
def test_rows_and_tables_that_are_gone(runs, table, what):
    a_store(runs)
    assert changed(runs, (f"{what} {table}",))
    errors = everything(runs)
    if what == "DROP TABLE" and table not in (
        "fairlane_sites",
        "fairlane_directions",
        "fairlane_decisions",
        "fairlane_notes",
    ):  # new in later versions
        assert any(table in str(error) or "holds no studies" in str(error) for error in errors)


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(pair) for pair in COLUMNS])
def test_columns_that_are_gone(runs, table, column):
    a_store(runs)
    try:
        if not changed(runs, (f"ALTER TABLE {table} RENAME COLUMN {column} TO other",)):
            pytest.skip("it can't be renamed")
    except sqlite3.OperationalError:
        pytest.skip("it can't be renamed")
    assert any(isinstance(error, StoreError) and column in str(error) for error in everything(runs))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(COLUMNS),
            st.one_of(
                st.none(),
                st.integers(-(2**63), 2**63 - 1),
                st.floats(allow_nan=False),
                st.text(max_size=20),
                st.binary(max_size=40),
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_values_in_any_columns_give_no_foreign_error(tmp_path_factory, changes):
    runs = str(tmp_path_factory.mktemp("runs") / "runs.db")
    a_store(runs)
    for (table, column), value in changes:
        try:
            changed(runs, (f"UPDATE {table} SET {column} = ?", value))
        except (sqlite3.Error, UnicodeEncodeError):
            continue
    everything(runs)


@pytest.mark.parametrize(
    ("about", "content"),
    [
        ('["search"]', "{}"),
        ('["search"]', '{"objective": 3, "mode": "min"}'),
        ('["confirm", 1]', '{"variants": [0], "seeds": ["a"]}'),
        ('["confirm", 1]', '{"variants": 0, "seeds": [1]}'),
    ],
)
def test_a_decision_that_lacks_something_is_refused(runs, about, content):
    a_store(runs)
    statement = "UPDATE fairlane_decisions SET about = ?, content = ? WHERE place = 1"
    assert changed(runs, (statement, about, content))
    with pytest.raises(StoreError, match="table fairlane_decisions, row with place 1, column content"):
        fl.open(runs, "a")


def test_an_integer_in_a_column_of_bytes_allocates_nothing(runs):
    a_store(runs)
    assert changed(runs, ("UPDATE fairlane_epochs SET exact = ?", 2**28))
    tracemalloc.start()
    try:
        with pytest.raises(
            StoreError, match="table fairlane_epochs, row with trial_id 1, epoch 0, place 0, column exact"
        ):
            read(runs, "a")
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_a_study_that_was_deleted_with_its_rows_left_behind_is_no_obstacle(runs):
    a_store(runs)
    written(runs, "b", {}, {}, "auto").close()
    assert changed(runs, ("DELETE FROM fairlane_studies WHERE name = 'a'",))
    assert [row["name"] for row in overview(runs)] == ["b"]
    assert len(read(runs, "b")) == 0


def test_a_trial_that_is_gone_leaves_its_number_and_the_others_go_on(runs):
    store = written(runs, "a", {}, {}, "auto")
    store.adopt(plan(3, 1), [3] * 3)
    store.close()
    assert changed(runs, ("DELETE FROM fairlane_trials WHERE number = 1",))
    store = written(runs, "a", {}, {}, "auto")
    numbers = [trial.number for trial in store.adopt(plan(3, 1), [3] * 3)]
    store.close()
    assert numbers == [0, 3, 2]


def test_what_is_wrong_is_told_on_the_command_line_and_by_compare(runs):
    def build():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    fl.compare(build, [{}], X, Y, verbose=0, store=runs, name="a")
    assert changed(runs, ("UPDATE fairlane_trials SET seconds = 'long'",))
    with pytest.raises(
        StoreError, match="table fairlane_trials, row with id 1, column seconds: it is 'long'"
    ):
        fl.compare(build, [{}], X, Y, verbose=0, store=runs, name="a")


def test_postgres_rows_are_read_by_the_same_schema(lasting):
    with_all = written(lasting.store, lasting.name, {}, {}, "auto", lambda: trials.Site("m", "c"))
    (trial,) = with_all.adopt(plan(1, 1), [3])
    start(with_all, trial)
    with_all.write(trials.EpochEnded(trial, 0, {"loss": 1, "other": np.float32(0.5), "text\ud800": "\0"}))
    finish(with_all, trial)
    database, row = with_all._database, with_all._study.row
    with_all.close()
    (record,) = read(lasting.store, lasting.name)
    assert repr(record.epochs[0][1]) == repr({"loss": 1, "other": np.float32(0.5), "text\ud800": "\0"})
    if "postgresql" in lasting.store:
        with database.transaction() as connection:
            mine = tables.studies.c.id == row.id
            connection.execute(sa.update(tables.studies).where(mine).values(spec="[]"))
        with pytest.raises(StoreError, match=r"table fairlane_studies, row with id .*, column spec: "):
            read(lasting.store, lasting.name)
        with database.transaction() as connection:  # other tests read all studies of the server
            connection.execute(sa.update(tables.studies).where(mine).values(spec="{}"))
        database.close()
