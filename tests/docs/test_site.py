"""The site, built as for its readers: no warning, no dead link, nothing from elsewhere, and a search that finds.

Needs the extra ``docs``, which CI installs when all other tests have run. ``FAIRLANE_SITE`` names the folder of a
site that was built already.
"""

import functools
import http.server
import importlib.util
import os
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer.main

import _processes
import fairlane
from fairlane.check.rules import RULES
from fairlane.cli import app

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
import _chromium

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra 'docs'"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if "FAIRLANE_SITE" in os.environ:
        return Path(os.environ["FAIRLANE_SITE"])
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    run = _processes.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def address(site):
    """The site, served on this machine alone, since the search asks for its index."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def hook(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def elsewhere():
    return hook("elsewhere")


def test_what_was_made_is_kept_until_something_changes(tmp_path, monkeypatch):
    kept, made = hook("kept"), []
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(kept, "SOURCE", tmp_path / "src")
    (tmp_path / "src").mkdir()

    def make(folder):
        made.append(folder)
        (folder / "text").write_text(str(len(made)))

    def text(*made_of):
        kept._surroundings.cache_clear()
        return (kept.kept("a", made_of, make) / "text").read_text()

    assert [text("x"), text("x"), text("y"), text("y"), text("x", "")] == ["1", "1", "2", "2", "3"]
    (tmp_path / "src" / "module.py").write_text("new")
    (tmp_path / "cache" / "a-of-a-build-that-was-ended").mkdir()
    assert text("x", "") == "4"
    assert len(list((tmp_path / "cache").iterdir())) == 1

    def fails(folder):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept.kept("b", (), fails)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_pictures_are_drawn_anew_when_a_program_changes_that_their_script_names(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "hooks")
    script = (ROOT / "docs" / "make_images.py").read_text(encoding="utf-8")
    named = {Path(name).name for name in re.findall(r'"([\w./-]+\.(?:md|py))"', script)}
    pictures = hook("pictures")
    assert named == {Path(name).name for name in pictures.PROGRAMS}
    assert len(list(pictures.made_of())) > len(pictures.PROGRAMS)


@pytest.mark.parametrize(
    ("place", "markdown", "shown"),
    [
        ("store.md", "[how](how-it-works.md#the-words)", "[how](how-it-works.md#the-words)"),
        ("check/index.md", "[FL001](../../src/fairlane/check/pages/FL001.md)", "[FL001](FL001.md)"),
        ("store.md", "[n](../benchmarks/NOTES.md#the-store)", "[n](benchmarks/notes.md#the-store)"),
        ("changelog.md", "[what](docs/other-backends.md)", "[what](other-backends.md)"),
        ("benchmarks/notes.md", "[c](../CONTRIBUTING.md)", "[c](../contributing.md)"),
        ("store.md", "[`s`](../benchmarks/store.py)", "`s`"),
        ("store.md", "[k](https://keras.io)", "[k](https://keras.io)"),
        (
            "store.md",
            "```text\n[s](../benchmarks/store.py)\n```",
            "```text\n[s](../benchmarks/store.py)\n```",
        ),
    ],
)
def test_links_out_of_the_documents(elsewhere, place, markdown, shown):
    file, config = SimpleNamespace(src_uri=place), SimpleNamespace(repo_url=None)
    assert elsewhere.on_page_markdown(markdown, SimpleNamespace(file=file), config) == shown


def test_with_an_address_they_lead_there(elsewhere):
    file, config = (
        SimpleNamespace(src_uri="store.md"),
        SimpleNamespace(repo_url="https://example.org/fairlane/"),
    )
    shown = elsewhere.on_page_markdown("[`s`](../benchmarks/store.py)", SimpleNamespace(file=file), config)
    assert shown == "[`s`](https://example.org/fairlane/blob/HEAD/benchmarks/store.py)"


def test_a_link_to_no_file_stops_the_build(elsewhere):
    file, config = SimpleNamespace(src_uri="store.md"), SimpleNamespace(repo_url=None)
    with pytest.raises(elsewhere.PluginError, match=r"docs/store\.md links to \.\./benchmarks/stor\.py"):
        elsewhere.on_page_markdown("[s](../benchmarks/stor.py)", SimpleNamespace(file=file), config)


def page(site, name):
    return (site / name / "index.html").read_text(encoding="utf-8")


def test_every_public_name_can_be_linked_to(site):
    entries = "".join(
        page(site, f"api/{path.stem}") for path in ROOT.glob("docs/api/*.md") if path.stem != "index"
    )
    for name in set(fairlane.__all__) - {"__version__"}:
        assert f'id="fairlane.{name}"' in entries
    assert 'href="../study/#fairlane.Study"' in page(site, "api/compare")


def test_every_command_and_option_is_told_of(site):
    text = page(site, "api/cli")
    commands = typer.main.get_command(app).commands
    assert {"check", "demo", "list"} <= set(commands)
    for name, command in commands.items():
        assert f'id="fairlane-{name}"' in text
        for parameter in command.params:
            for option in parameter.opts:
                assert option in text


def test_the_rules_are_pages(site):
    for code, rule in RULES.items():
        title = re.search(r"^# (.*)", rule.page)[1].replace("`", "")
        assert title.split(": ")[1] in re.sub(r"<[^>]+>", "", page(site, f"check/{code}"))
        assert f'href="{code}/"' in page(site, "check")


def test_links_to_files_that_are_no_pages_are_text(site):
    text = page(site, "pitfalls")
    assert "<code>tests/test_pitfalls.py</code>" in text
    assert not re.findall(r'href="[^"]*\.py"', text)


def test_it_has_every_picture(site):
    kept = {path.name for path in ROOT.glob("docs/images/*.png")}
    assert kept == {path.name for path in (site / "images").glob("*.png")}


def test_examples_are_shown_with_what_they_print(site):
    text = re.sub(r"<[^>]+>", "", page(site, "howto/failures"))
    assert "on_error=&quot;raise&quot;" in text or 'on_error="raise"' in text
    assert "trial 1: diverged after 5 epochs" in text
    assert str(ROOT) not in page(site, "howto/guard")


@pytest.fixture(scope="module")
def browser():
    if _chromium.path() is None:
        pytest.skip(_chromium.INSTALL)
    browser = _chromium.Chromium()
    yield browser
    browser.close()


def visit(browser, url, **how):
    """Open a page; what it asked of anybody else, or complained of."""
    browser.open(SimpleNamespace(as_uri=lambda: url), **how)
    return [told for told in browser.complaints if not str(told).startswith(("http://127.0.0.1:", "data:"))]


PLACES = [
    "",
    "how-it-works/",
    "howto/r/",
    "reading-results/",
    "pitfalls/",
    "api/compare/",
    "api/study/",
    "check/FL001/",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_page_asks_elsewhere_or_is_wider_than_a_phone(browser, address, place):
    assert visit(browser, address + place, width=390) == []
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("[...document.images].every((image) => image.complete && image.naturalWidth)")


SEARCH = """
new Promise((found) => {
    const field = document.querySelector("[data-md-component=search-query]");
    field.focus();
    field.value = "check_independent";
    const ask = () => {
        field.dispatchEvent(new Event("keyup", {bubbles: true}));
        field.dispatchEvent(new Event("input", {bubbles: true}));
        const links = [...document.querySelectorAll(".md-search-result__link")].map((link) => link.href);
        links.length ? found(links) : setTimeout(ask, 100);
    };
    ask();
})
"""


def test_the_search_finds_a_name(browser, address):
    visit(browser, address)
    assert any("api/models/#fairlane.check_independent" in link for link in browser.run(SEARCH))
