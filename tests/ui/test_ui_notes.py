"""Notes on the live page: read by all, written only with --write and its token, and never by other sites."""

import json

import pytest
from _live import Page
from _served import HOSTILE, Served, Written
from typer.testing import CliRunner

from _chromium import INSTALL, path, rows
from fairlane.cli import app
from fairlane.store import Note, note, read
from fairlane.ui import serving
from fairlane.ui.noting import _MOST

TOKEN = "a-token"
JSON = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
GOOD = {"name": "a", "variant": 0, "text": "the best", "tags": ["good"]}
browsing = pytest.mark.skipif(path() is None, reason=INSTALL)


@pytest.fixture
def store(tmp_path):
    made = tmp_path / "runs.db"
    study = Written(made, "a")
    study.train(0, 2)
    study.close()
    return made


@pytest.fixture
def served(store):
    servers = []
    yield lambda **options: servers.append(Served(store, **options)) or servers[-1]
    for server in servers:
        server.close()


def noted(store):
    return read(store, "a").noted()


def test_a_note_is_written_with_the_token(store, served):
    client = served(token=TOKEN)
    before = client.get("study.json?name=a").headers["ETag"]
    answer = client.request("POST", "note", headers=JSON, data=json.dumps(GOOD))
    assert (answer.status_code, answer.content) == (204, b"")
    assert noted(store) == {0: Note("the best", ("good",))}
    told = client.get("study.json?name=a", headers={"If-None-Match": before}).json()
    assert told["notes"] == [{"variant": 0, "text": "the best", "tags": ["good"]}]
    client.request("POST", "note", headers=JSON, data=json.dumps({"name": "a", "text": HOSTILE}))
    client.request("POST", "note", headers=JSON, data=json.dumps({"name": "a", "variant": 0}))
    assert noted(store) == {None: Note(HOSTILE)}


def test_a_server_without_write_takes_no_notes(store, served):
    client = served()
    assert client.request("POST", "note", headers=JSON, data=json.dumps(GOOD)).status_code == 404
    assert '"writes":false' in client.get("study?name=a").text
    assert noted(store) == {}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({**JSON, "Authorization": "Bearer other"}, GOOD, 403),
        ({**JSON, "Authorization": TOKEN}, GOOD, 403),
        ({"Content-Type": "application/json"}, GOOD, 403),
        ({**JSON, "Content-Type": "text/plain"}, GOOD, 415),  # what a form of another site could send
        ({**JSON, "Host": "evil.example"}, GOOD, 400),
        (JSON, {**GOOD, "text": "x" * _MOST}, 413),
        (JSON, {**GOOD, "name": "b"}, 400),
        (JSON, {**GOOD, "variant": 2}, 400),
        (JSON, {**GOOD, "variant": True}, 400),
        (JSON, {**GOOD, "variant": 2**40}, 400),
        (JSON, {**GOOD, "tags": "good"}, 400),
        (JSON, {**GOOD, "text": None}, 400),
        (JSON, [GOOD], 400),
        (JSON, None, 400),
    ],
)
def test_what_is_refused(store, served, headers, body, status):
    answer = served(token=TOKEN).request("POST", "note", headers=headers, data=json.dumps(body))
    assert answer.status_code == status
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert noted(store) == {}


def test_other_sites_are_not_allowed_to_ask(served):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = served(token=TOKEN).request("OPTIONS", "note", headers=asked)
    assert answer.status_code == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_command_prints_another_token_each_time_and_only_with_write(store, monkeypatch):
    taken = []

    class Server:
        def __init__(self, settings):
            self.app = settings.app

        def run(self, sockets):
            taken.append(self.app)

    monkeypatch.setattr("uvicorn.Server", Server)
    said = [
        CliRunner().invoke(app, ["ui", str(store), "--port", "0", "--no-browser", *more]).output
        for more in (["--write"], ["--write"], [])
    ]
    tokens = [text.split("#token=")[1].split()[0] for text in said[:2]]
    assert tokens[0] != tokens[1]
    assert min(map(len, tokens)) >= 40
    assert "token" not in said[2]
    assert "without encryption" not in said[0]
    away = CliRunner().invoke(
        app, ["ui", str(store), "--host", "0.0.0.0", "--port", "0", "--no-browser", "--write"]
    )
    assert "without encryption" in away.output
    assert [sum(route.path == "/note" for route in one.routes) for one in taken] == [1, 1, 0, 1]
    assert serving.is_local("127.0.0.1")


@browsing
def test_notes_are_written_and_found_on_the_page(store, served, browser):
    page = Page(browser, served(token=TOKEN), f"study?name=a#token={TOKEN}")
    assert page.run("location.hash") == ""
    fill(page, "1", "long, good", HOSTILE)
    page.click("Save")
    page.wait(lambda: page.texts(".notes li strong") == ["Variant 1 (units=9): "])
    assert page.texts(".notes .note") == [HOSTILE]
    assert page.texts(".notes .tag") == ["long", "good"]
    assert page.count("img") == 0
    assert rows(browser, "variants", "note") == ["", HOSTILE]
    assert rows(browser, "variants", "tags") == ["", "longgood"]
    page.run(
        "(() => { const s = document.querySelector('[aria-label=\"Find a variant\"]'); s.value = 'GOOD'; "
        "s.dispatchEvent(new Event('input')) })()"
    )
    hidden = "[...document.querySelectorAll('#variants li')].map((e) => e.hidden)"
    assert page.run(hidden) == [True, False]
    page.click("Edit")
    assert page.run("document.querySelector('textarea').value") == HOSTILE
    fill(page, "1", "", "")
    page.click("Save")
    page.wait(lambda: page.count(".notes li") == 0)
    assert noted(store) == {}
    assert browser.complaints == []


@browsing
def test_without_the_token_the_page_says_where_it_is(store, served, browser):
    note(store, "a", None, Note("a note"))
    page = Page(browser, served(token=TOKEN), "study?name=a")
    page.run("sessionStorage.clear()")
    fill(page, "study", "", "mine")
    page.click("Save")
    page.wait(lambda: "open the address that fairlane ui --write has printed" in page.text(".noting output"))
    page.run("location.hash = 'token=old'")
    page.wait(lambda: page.run("sessionStorage.getItem(TOKEN)") == "old" and page.run("location.hash") == "")
    page.click("Save")
    page.wait(lambda: page.text(".noting output").startswith("Not saved: notes need the token"))
    assert noted(store) == {None: Note("a note")}
    readers = Page(browser, served(), "study?name=a")
    assert readers.texts(".notes li") == ["The study: a note  "]
    assert readers.count(".noting") == 0


def fill(page, about, tags, text):
    page.run(
        f"""(() => {{
            document.querySelectorAll("details").forEach((e) => {{ e.open = true; }});
            const select = document.querySelector(".noting select");
            select.value = {about!r};
            select.dispatchEvent(new Event("change"));
            document.querySelector(".noting input").value = {json.dumps(tags)};
            document.querySelector(".noting textarea").value = {json.dumps(text)};
        }})()"""
    )
