"""What the server answers: facts with versions, any name, no other method, no other host, no password."""

import base64
import doctest
import gzip
import hashlib
import html
import importlib
import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from _served import HOSTILE, Served, Written, kill_writer

import fairlane as fl
from fairlane.results.report import facts_of
from fairlane.store import read
from fairlane.trials import TrialDone, TrialFailed
from fairlane.ui import board as board_module
from fairlane.ui.board import Board
from fairlane.ui.serving import hosts_of
from store._stores import weights

PAGES = ("", "study?name=a", "compare?name=a&name=b")
FACTS = ("studies.json", "study.json?name=a", "best.json?name=a")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def study(store):
    """A study in training, called a."""
    made = Written(store, "a")
    yield made
    made.close()


@pytest.fixture
def served():
    """Serves stores until the end of the test."""
    servers = []
    yield lambda *given: servers.append(Served(*given)) or servers[-1]
    for server in servers:
        server.close()


@pytest.fixture
def client(served, store, study):
    return served(store)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(board_module, "_PATIENCE", 0.05)


@pytest.mark.parametrize("name", ["board", "serving"])
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(f"fairlane.ui.{name}")).failed == 0


# What is told


def test_all_studies_are_told_with_how_far_they_are(store, study, client):
    study.train(0, 3)
    first, second, *_ = study.trials
    study.write(TrialDone(first, 1.0, weights()), TrialFailed(second, 2, "ValueError: no", "Traceback"))
    other = Written(store, "b", variants=1, seeds=1)
    other.close()
    told = client.get("studies.json").json()
    assert told["store"] == str(store)
    a, b = told["studies"]
    assert (a["name"], a["address"], a["trials"]) == ("a", "study?name=a", 4)
    assert a["states"] == {"done": 1, "failed": 1, "running": 2}
    # Two have ended with 3 epochs each, and two are to train 4.
    assert (a["epochs"], a["planned"]) == (12, 14)
    assert a["writer"] == "this process"
    assert (b["states"], b["epochs"], b["planned"], b["writer"]) == ({"interrupted": 1}, 0, 4, "")


def test_a_study_is_told_as_its_report_tells_it(store, study, client):
    study.train(0, 2)
    told = client.get("study.json?name=a").json()
    live = told.pop("live")
    records = read(store, "a")
    expected = facts_of(records, records.origin(), "a")
    for one in (told, expected):
        del one["written"]
    assert told == json.loads(json.dumps(expected))
    assert [trial["state"] for trial in told["trials"]] == ["running"] * 4
    assert (live["epochs"], live["planned"], live["writer"]) == (8, 16, "this process")


def test_a_killed_process_leaves_interrupted_trials(store, study, client):
    study.train(0, 2)
    study.close()
    kill_writer(store)
    told = client.get("study.json?name=a").json()
    assert [trial["state"] for trial in told["trials"]] == ["interrupted"] * 4
    assert told["live"]["states"] == {"interrupted": 4}
    assert told["live"]["writer"] == ""


def test_a_study_that_is_trained_on_has_its_new_variants_and_epochs(store, study, client):
    study.train(0, 4)
    study.close()
    assert len(client.get("study.json?name=a").json()["trials"]) == 4
    more = Written(store, "a", variants=3, epochs=6)
    more.train(4, 6)
    told = client.get("study.json?name=a").json()
    assert [len(trial["epochs"]) for trial in told["trials"]] == [6, 6, 6, 6, 2, 2]
    assert told["live"]["planned"] == 36
    more.close()


# Versions


@pytest.mark.parametrize("path", FACTS)
def test_an_unchanged_answer_is_not_sent_again(study, client, path):
    first = client.get(path)
    assert first.status_code == 200
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(path, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    study.train(0, 1)
    grown = client.get(path, headers=known)
    assert grown.status_code == 200
    assert grown.headers["ETag"] != first.headers["ETag"]
    assert grown.json() != first.json()


def test_asking_for_what_is_known_reads_no_epochs(client, monkeypatch):
    version = client.get("study.json?name=a").headers["ETag"]
    monkeypatch.setattr(board_module, "read", None)
    assert client.get("study.json?name=a", headers={"If-None-Match": version}).status_code == 304
    assert client.get("study.json?name=a").status_code == 200


def test_many_who_ask_at_once_have_it_read_once(client, monkeypatch):
    counted = []
    monkeypatch.setattr(board_module, "facts_of", lambda *given: counted.append(1) or facts_of(*given))
    with ThreadPoolExecutor(20) as askers:
        answers = list(askers.map(client.get, ["study.json?name=a"] * 20))
    assert {answer.status_code for answer in answers} == {200}
    assert len(counted) == 1


def test_answers_are_compressed_for_those_who_can_read_it(client):
    plain = client.get("study.json?name=a", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    answer = client.get("study.json?name=a", headers={"Accept-Encoding": "gzip"}, stream=True)
    assert answer.headers["Content-Encoding"] == "gzip"
    raw = answer.raw.read(decode_content=False)
    assert len(raw) < len(plain.content)
    assert gzip.decompress(raw) == plain.content


def test_only_the_newest_facts_of_a_few_studies_are_kept(store, monkeypatch):
    monkeypatch.setattr(board_module, "_KEPT", 2)
    board = Board(store)
    for name in "abc":
        Written(store, name, variants=1, seeds=1).close()
        board.study(name)
    assert list(board._answers) == ["b", "c"]


# Any name


@pytest.mark.parametrize(
    "name",
    [
        *("a/b", "..", "../studies.json", "%2e%2e", "a b+c", "a?b=c&name=d#e;f", HOSTILE, "'\"`&<>", "\\"),
        *("üñï 🙂", "\ud800", "a\0b", " a\n", "x" * 200),
    ],
)
def test_any_name_has_its_page(served, store, name):
    Written(store, "name", variants=1).close()
    Written(store, name, variants=1, names=lambda n: {HOSTILE: HOSTILE}).close()
    client = served(store)
    told = client.get("studies.json").json()["studies"]
    assert [one["name"] for one in told] == ["name", name]
    where = told[1]["address"]
    page = client.get(where)
    assert page.status_code == 200
    assert page.text.count("<script") == page.text.count("</script>") == 2
    assert "<img" not in page.text
    title = re.search("<title>(.*?)</title>", page.text, re.DOTALL)[1]
    assert title == html.escape(f"Study {name}".encode("utf-8", "replace").decode())
    facts = client.get(where.replace("study?", "study.json?")).json()
    assert facts["live"]["name"] == name
    assert facts["title"] == f"Study {name}"


@pytest.mark.parametrize("query", ["name=none", "name=%FF%FE", "", "name", "name=%00", "other=a"])
def test_a_study_that_is_not_there_is_a_404_that_lists_which_are(client, query):
    page = client.get(f"study?{query}")
    assert page.status_code == 404
    assert "There is no study" in json.loads(re.search('id="facts">(.*?)<', page.text)[1])["notice"]
    facts = client.get(f"study.json?{query}")
    assert facts.status_code == 404
    assert "there is no study" in facts.json()["error"]


# What is refused


@pytest.mark.parametrize("path", [*PAGES, *FACTS])
def test_pages_are_only_read(client, path):
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert client.request(method, path).status_code == 405
    assert client.request("HEAD", path).status_code == 200
    assert client.request("HEAD", path).content == b""


@pytest.mark.parametrize("path", [*PAGES, *FACTS, "none"])
def test_another_host_is_refused(served, store, study, path):
    client = served(store)
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8420", "", "10.0.0.1"):
        assert client.get(path, headers={"Host": host}).status_code == 400
    for host in ("localhost:8420", "127.0.0.1"):
        assert client.get(path, headers={"Host": host}).status_code in (200, 404)
    other = served(store, None)
    assert other.get(path, headers={"Host": "my.machine"}).status_code in (200, 404)


def test_ipv6_has_its_hosts(served, store, study):
    client = served(store, hosts_of("::1"))
    assert client.get("", headers={"Host": "[::1]:8420"}).status_code == 200
    assert client.get("", headers={"Host": "[::2]:8420"}).status_code == 400


@pytest.mark.parametrize("path", [*PAGES, *FACTS, "study?name=none", "none"])
def test_every_answer_forbids_what_is_not_needed(client, path):
    for answer in (
        client.get(path),
        client.request("POST", path),
        client.get(path, headers={"Host": "evil.example"}),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_its_own_program_and_asks_its_own_server(client, path):
    text = client.get(path).text
    policy = html.unescape(re.search('http-equiv="Content-Security-Policy" content="(.*?)"', text)[1])
    program = re.findall("<script>(.*?)</script>", text, re.DOTALL)[0]
    style = re.search("<style>(.*?)</style>", text, re.DOTALL)[1]

    def hashed(part):
        return f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(program)}; img-src blob:; "
        "base-uri 'none'; connect-src 'self'"
    )
    assert "default-src" not in client.get(path).headers["Content-Security-Policy"]


def test_reading_writes_nothing(served, store, study):
    study.train(0, 2)
    study.close()
    before = store.read_bytes()
    client = served(store)
    for path in (*PAGES, *FACTS):
        assert client.get(path).status_code == 200
    assert store.read_bytes() == before
    again = Written(store, "a")  # its lease is not taken
    again.close()


def test_no_password_is_told(served, impatient):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me:geheim@127.0.0.1:1/db?password=secret&artifacts=/tmp/x"
    assert Board(url).place == "postgresql+psycopg://me:***@127.0.0.1:1/db?password=hidden"
    client = served(url)
    for path in (*PAGES, *FACTS):
        text = client.get(path).text
        assert "geheim" not in text
        assert "secret" not in text
    assert "no connection to" in client.get("studies.json").json()["error"]


# A store that is in trouble


def test_a_store_that_goes_away_is_told_and_comes_back(store, study, client):
    study.train(0, 2)
    study.close()
    away = store.rename(store.with_name("away.db"))
    for path in FACTS:
        answer = client.get(path)
        assert answer.status_code == 503
        assert f"there is no store at {store}: check the path" in answer.json()["error"]
    assert client.get("study?name=a").status_code == 200  # the page says what is wrong, and waits
    away.rename(store)
    for path in FACTS:
        assert client.get(path).status_code == 200


def test_a_new_store_in_the_place_of_another_is_not_taken_for_it(store, study, client):
    study.train(0, 2)
    study.close()
    old = client.get("study.json?name=a")
    store.unlink()
    new = Written(store, "a", variants=1, seeds=1)
    new.train(0, 2)
    new.close()
    answer = client.get("study.json?name=a", headers={"If-None-Match": old.headers["ETag"]})
    assert answer.status_code == 200
    assert len(answer.json()["trials"]) == 1


def test_a_locked_store_is_told(store, study, client, impatient):
    study.close()
    lock = sqlite3.connect(store, isolation_level=None)
    lock.execute("PRAGMA locking_mode = EXCLUSIVE")
    lock.execute("BEGIN EXCLUSIVE")
    answer = client.get("study.json?name=a")
    assert answer.status_code == 503
    assert "another process has locked" in answer.json()["error"]
    lock.close()
    assert client.get("study.json?name=a").status_code == 200


def test_a_damaged_store_is_told(store, study, client):
    study.close()
    store.write_bytes(b"no database" * 1000)
    answer = client.get("studies.json")
    assert answer.status_code == 503
    assert "is not a SQLite database" in answer.json()["error"]


def test_what_is_no_store_is_refused():
    with pytest.raises(fl.StudyError, match="store must be a path"):
        Board(3)
