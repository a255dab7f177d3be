"""Several studies beside each other: the best variant of each in the list, and on a page that compares them."""

import pytest
from _live import Page
from _served import HOSTILE, Served, Written

from _chromium import INSTALL, path, rows
from fairlane.trials import TrialDone
from fairlane.ui.board import Board
from fairlane.ui.pages import several
from store._stores import until, weights

pytestmark = pytest.mark.skipif(path() is None, reason=INSTALL)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def show(browser, store):
    """Opens a page of the store; at the end, no page has complained."""
    servers = []

    def opened(where="", **options):
        servers.append(Served(store))
        return Page(browser, servers[-1], where, **options)

    yield opened
    assert browser.complaints == []
    browser.open("about:blank", server="about:")
    for server in servers:
        server.close()


def done(store, name, **options):
    """A study that has ended; its first variant is the best, by 1.05 on average."""
    made = Written(store, name, **options)
    made.train(0, 4)
    made.write(*(TrialDone(trial, 1.0, weights()) for trial in made.trials))
    made.close()


def test_the_list_has_the_best_variant_of_each_study(store, show):
    done(store, "ended")
    running = Written(store, "running")
    page = show()
    page.wait(lambda: page.count("tbody tr") == 2 and "1.05" in page.text("tbody tr"))
    page.wait(lambda: "none yet" in page.texts("tbody td:nth-child(2)")[1])
    assert page.texts("tbody td:nth-child(2)")[0].startswith("1.05")
    assert page.texts("tbody td:nth-child(4)") == ["val_loss", ""]
    assert page.texts("tbody td:nth-child(5)") == ["units=8", ""]
    # A study in training is asked again after a while, not at each epoch.
    running.train(0, 1)
    page.run("bests.clear()")
    page.wait(lambda: "provisional" in page.texts("tbody td:nth-child(2)")[1])
    running.close()


def test_the_best_variant_is_read_once_for_each_version(store, monkeypatch):
    done(store, "ended")
    board = Board(store)
    first = board.best("ended")
    monkeypatch.setattr("fairlane.ui.board.read", None)
    assert board.best("ended") is first


def test_chosen_studies_are_compared(store, show):
    done(store, "a")
    done(store, HOSTILE, variants=3, seeds=4)
    done(store, "c")
    page = show()
    page.wait(lambda: page.count("tbody tr") == 3)
    assert page.run("document.querySelector('a.button').hidden")
    page.run("[...document.querySelectorAll('tbody input')].slice(0, 2).forEach((e) => e.click())")
    assert page.text("a.button") == "Compare 2 studies"
    page.run("document.querySelector('a.button').click()")
    until(lambda: page.run("document.title") == "Studies compared" and page.count("tbody tr") >= 2)
    page.wait(lambda: page.status == "0 of 2 studies are trained now.")
    assert rows(page.browser, "best-variants", "study") == ["a", HOSTILE]
    assert rows(page.browser, "best-variants", "mean") == ["1.05", "1.15"]
    assert rows(page.browser, "best-variants", "seeds") == ["2", "4"]
    assert rows(page.browser, "best-variants", "best variant") == ["units=8", "units=8"]
    assert "no p-value" in page.text("main p")
    assert page.texts(".choices label")[:2] == ["a: units=8", f"{HOSTILE}: units=8"]
    # Of two seeds the mean and both, of four the mean with its band; training and validation.
    assert page.count(".panel .curve") == 3 * 2 + 2
    assert rows(page.browser, "requests", "what") == ["Variants", "units", "Seeds"]
    assert page.count("img") == 0


def test_a_study_that_is_not_there_is_named_and_the_others_are_shown(store, show):
    done(store, "a")
    page = show("compare?name=none&name=a")
    page.wait(lambda: "there is no study 'none'" in page.status and page.count(".panel .curve"))
    assert rows(page.browser, "best-variants", "study") == ["a"]
    assert show("compare").status == "Choose two studies or more on the page of all studies."
    page.browser.complaints.clear()  # of the 404


def test_any_name_can_be_compared():
    text = several(["a", "\ud800", "</script>", "a"])
    assert text.count("<script") == text.count("</script>") == 2
    assert '"queries":["name=a","name=%ED%A0%80","name=%3C%2Fscript%3E"]' in text
