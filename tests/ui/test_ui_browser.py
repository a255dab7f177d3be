"""The live pages in a real Chromium, asking a real server: they grow, keep what was chosen, and say what is wrong."""

import sqlite3

import pytest
from _live import Page
from _served import HOSTILE, Served, Written, kill_writer

from _chromium import INSTALL, path, rows
from fairlane.trials import EpochEnded, TrialDone, TrialFailed
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
    browser.open("about:blank", server="about:")
    for server in servers:
        server.close()


@pytest.fixture
def study(store):
    made = Written(store, "a")
    yield made
    made.close()


def test_all_studies_are_shown_as_they_grow(store, study, show):
    page = show()
    assert page.status == "1 of 1 study is trained now."
    assert page.texts("tbody td:nth-child(3)") == ["0 of 16 epochs4 running"]
    study.train(0, 3)
    study.write(TrialDone(study.trials[0], 1.0, weights()))
    page.wait(lambda: page.texts("tbody td:nth-child(3)") == ["12 of 15 epochs1 done, 3 running"])
    Written(store, HOSTILE, variants=1, seeds=1).close()
    page.wait(lambda: page.count("tbody tr") == 2)
    assert page.status == "1 of 2 studies is trained now."
    assert page.texts("tbody a") == ["a", HOSTILE]
    assert page.count("img") == 0
    page.run("document.querySelectorAll('tbody a')[1].click()")
    until(lambda: page.run("document.title") == f"Study {HOSTILE}" and page.count("h1"))
    assert page.text("h1") == f"Study {HOSTILE}"
    page.click("All studies")
    until(lambda: page.run("document.title") == f"Studies in {store}" and page.count("tbody tr") == 2)
    assert page.browser.complaints == []


def test_studies_are_searched_and_say_how_many_trials_failed(store, show):
    first = Written(store, "learning rates")
    first.train(0, 1)
    first.write(TrialFailed(first.trials[0], 1, "ValueError: no", "Traceback"))
    Written(store, "depth").close()
    page = show()
    assert page.texts("tbody a") == ["learning rates", "depth"]
    assert page.texts(".lost") == ["1 of 4 trials failed or diverged"]
    assert page.count("progress.troubled") == 1
    utc = page.run("document.querySelector('time').title")
    local = page.run(
        f"new Date({utc.removesuffix(' UTC')!r} + 'Z').toLocaleString([], "
        "{ dateStyle: 'medium', timeStyle: 'short', hour12: false })"
    )
    assert page.texts("time")[0] == local
    page.run(
        "(() => { const s = document.querySelector('[type=search]'); s.value = 'RATES'; "
        "s.dispatchEvent(new Event('input')) })()"
    )
    assert page.texts("tbody a") == ["learning rates"]
    assert "1 of 2 studies" in page.texts("p")
    first.close()
    assert page.browser.complaints == []


def test_a_store_without_studies(store, show):
    Written(store, "a").close()
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM fairlane_studies")
    connection.close()
    page = show()
    assert page.status == "There is no study in this store yet."
    assert page.browser.complaints == []


def test_a_study_grows_from_its_first_epoch_to_its_last(study, show):
    page = show("study?name=a")
    assert page.status == "Compiling now, before the first epoch ends: this process."
    assert "No epoch has been logged yet." in page.texts("p")
    assert page.column("state") == ["running"] * 4
    assert page.column("epochs done") == ["0"] * 4
    assert "What was unusual" not in page.texts("h2")
    study.train(0, 2)
    page.wait(lambda: page.column("epochs done") == ["2"] * 4)
    assert page.status == "Training now: this process."
    # Of two variants the mean of two seeds, and these two, of training and validation.
    assert page.points() == [2] * 12
    assert page.texts("h3") == ["loss"]
    assert page.run("document.querySelector('progress').position") == 0.5
    study.train(2, 4)
    page.wait(lambda: page.points() == [4] * 12)
    first, second, third, last = study.trials
    study.write(*(TrialDone(trial, 1.0, weights()) for trial in (first, second, third)))
    page.wait(lambda: page.column("state") == ["done", "done", "done", "running"])
    # Where a seed has finished, the one in training goes on beside it.
    assert page.count(".panel .curve.thin") == 6
    verdict = "Provisional, after 4 epochs: units=8 has the lowest val_loss, 1.1 (95 % interval"
    assert page.text("#verdict").startswith(verdict)
    study.write(TrialFailed(last, 3, "ValueError: no", "Traceback"))
    page.wait(lambda: page.column("state")[-1] == "failed")
    assert page.texts("summary")[-1:] == ["1 trial failed: ValueError: no"]
    assert page.text("h1 + p") == "4 trials of 2 variants: 3 done, 1 failed"
    assert page.status == "Training now: this process."
    study.close()
    page.wait(lambda: page.status == "Finished.")
    assert page.browser.complaints == []


def test_a_search_is_followed_from_rung_to_rung(study, show):
    search = {"sampler": "tpe", "objective": "val_loss", "mode": "auto"}
    study.decide(("search",), **search)
    study.decide(("bracket", 0), sizes=[2, 1], epochs=[2, 4])
    for number in (0, 1):
        study.decide(("variant", number), values=[], asked=number, bracket=0)
    study.train(0, 1)
    page = show("study?name=a")
    assert page.texts("[aria-labelledby=s-search] p")[0] == (
        "2 variants by sampler 'tpe' until now. 4 trials: 4 running."
    )
    assert [rows(page.browser, "search", name) for name in ("epochs", "there", "promoted")] == [
        ["2", "4"],
        ["0", "0"],
        ["", ""],
    ]
    assert page.run("document.querySelector('[aria-labelledby=s-search] .panel').hidden")
    study.train(1, 2)
    study.decide(("rung", 0, 0), epochs=2, values={}, promoted=[0])
    study.write(*(TrialDone(trial, 1.0, weights(), stopped=True) for trial in study.trials[2:]))
    study.trials = study.trials[:2]
    study.train(2, 4)
    study.write(*(TrialDone(trial, 1.0, weights()) for trial in study.trials))
    page.wait(lambda: "2 trained to the end" in page.text("[aria-labelledby=s-search] p"))
    assert rows(page.browser, "search", "promoted") == ["1", ""]
    assert rows(page.browser, "search", "there") == ["2", "1"]
    assert "2 trained to the end, 2 stopped by a rule" in page.text("[aria-labelledby=s-search] p")
    assert page.texts("[aria-labelledby=s-search] .faint") == [
        "val_loss, the best so far is 1.05. Blue: trained to the end; grey: stopped by a rule."
    ]
    assert page.texts("[aria-labelledby=s-search] circle title") == [
        "Variant 0: 1.05",
        "Variant 1: 1.25, stopped",
    ]
    assert page.browser.complaints == []


def test_new_variants_appear(study, show):
    study.train(0, 2)
    page = show("study?name=a")
    page.click("units=8")
    study.add(2)
    study.train(2, 4)
    page.wait(lambda: page.count("#variants li") == 4)
    assert page.run(
        "[...document.querySelectorAll('#variants input[type=checkbox]')].map((e) => e.checked)"
    ) == [False, True, True, True]
    assert page.column("units") == ["9", "9", "10", "10", "11", "11"]
    assert page.browser.complaints == []


def test_what_was_chosen_outlasts_news(store, show):
    study = Written(store, "a", variants=20, spec={"model": {"build": "def build(): ..."}})
    study.train(0, 1, mae=1.0, auc=0.5)
    study.write(TrialFailed(study.trials[-1], 1, "ValueError: no", "Traceback"))
    study.trials.pop()
    page = show("study?name=a", height=700)
    page.click("units=9")
    page.click("auc")
    page.click("logarithmic")
    page.click("training (dashed)")
    page.run("state.value = 'running'; state.dispatchEvent(new Event('change'))")
    page.run("[...document.querySelectorAll('th button')].findLast((e) => e.textContent === 'units').click()")
    page.run("[...document.querySelectorAll('th button')].findLast((e) => e.textContent === 'units').click()")
    page.run("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    page.run(
        """(() => {
            const search = document.querySelector("[type=search]");
            search.value = "units=2"; search.dispatchEvent(new Event("input")); search.focus(); search.setSelectionRange(3, 5);
            document.querySelector(".tall").scrollTop = 20;
            document.querySelector(".choices").scrollTop = 15;
            const chart = document.querySelector(".chart");
            chart.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
            scrollTo(0, 300);
            window.before = [...document.querySelectorAll("input, button, select, summary, .chart, h2")];
        })()"""
    )
    told = """[
        [...document.querySelectorAll("#variants li:not([hidden])")].map((e) => e.textContent),
        [...document.querySelectorAll("#variants input[type=checkbox]")].filter((e) => !e.checked).length,
        [...document.querySelectorAll("#metrics input")].map((e) => e.checked),
        [...document.querySelectorAll("#options input")].map((e) => e.checked),
        [...document.querySelectorAll("h3")].map((e) => e.textContent),
        state.value, scrollY, document.querySelector(".choices").scrollTop,
        [...document.querySelectorAll("details")].map((e) => e.open),
        document.activeElement.type, document.activeElement.selectionStart, document.activeElement.selectionEnd,
        document.querySelector("[aria-sort]").ariaSort, document.querySelector("[aria-sort]").textContent,
        document.querySelector("output").textContent, document.querySelectorAll(".mark").length,
    ]"""
    before = page.run(told)
    units = page.column("units")
    study.train(1, 3, mae=1.0, auc=0.5)
    page.wait(lambda: set(page.column("epochs done")) == {"3"})
    assert page.run(told) == before
    assert page.column("units") == units == sorted(units, key=int, reverse=True)
    assert before[5] == "running"
    assert before[6] == 300
    assert before[9:13] == ["search", 3, 5, "descending"]
    assert before[14].startswith("Epoch 1: 1.0")
    assert page.run("window.before.every((e) => e.isConnected)")
    assert page.browser.complaints == []
    study.close()


def test_a_reading_follows_its_curve(study, show):
    study.train(0, 2)
    page = show("study?name=a")
    page.run("document.querySelector('.chart').focus()")
    for _ in range(2):
        page.browser.press("ArrowRight")
    said = page.text("output")
    assert said.startswith("Epoch 2: 1.05. units=8, mean of 2 seeds, validation")
    study.write(*(EpochEnded(trial, 2, {"loss": 3.0, "val_loss": 4.0}) for trial in study.trials))
    page.wait(lambda: page.column("epochs done") == ["3"] * 4)
    assert page.text("output") == said
    page.browser.press("ArrowRight")
    assert page.text("output").startswith("Epoch 3: 4. units=8")
    assert page.browser.complaints == []


def test_a_page_that_nobody_sees_asks_nothing(study, show):
    page = show("study?name=a")
    page.run(
        """(() => {
            window.asked = 0;
            const fetched = window.fetch;
            window.fetch = (...given) => { window.asked += 1; return fetched(...given); };
            Object.defineProperty(document, "hidden", { value: true, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        })()"""
    )
    assert page.run("window.asked") == 0
    page.run("delete document.hidden")
    page.wait(lambda: page.run("window.asked") > 0)


def test_a_store_that_goes_away_is_told_and_comes_back(store, study, show):
    study.train(0, 2)
    study.close()
    kill_writer(store)
    page = show("study?name=a")
    assert page.status == (
        "No process trains it now, and 4 trials have not ended. To continue, make the same call of compare again."
    )
    away = store.rename(store.with_name("away.db"))
    page.wait(lambda: "there is no store at" in page.status)
    assert page.status.startswith("Since ")
    assert page.status.endswith("The page shows older data.")
    assert page.column("state") == ["interrupted"] * 4
    away.rename(store)
    page.wait(lambda: page.status.startswith("No process trains it now"))
    errors = {complaint["text"] for complaint in page.browser.complaints}
    assert errors == {
        "Failed to load resource: the server responded with a status of 503 (Service Unavailable)"
    }


def test_a_server_that_has_ended_is_told(study, show):
    page = show("study?name=a")
    page.served.close()
    page.wait(lambda: "fairlane ui does not answer. Has it ended?" in page.status)
    assert page.column("state") == ["running"] * 4


def test_a_name_that_no_study_has_shows_those_there_are(study, show):
    page = show("study?name=%3Cb%3E")
    assert page.text(".notice") == "There is no study '<b>' here."
    assert page.texts("tbody a") == ["a"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("where", ["", "study?name=a"])
def test_pages_fit_a_phone_and_have_names_for_screen_readers(store, show, where, dark):
    study = Written(store, "a", names=lambda n: {"a_rather_long_name": "x" * 200, "n": n})
    study.train(0, 2)
    Written(store, "b" * 200).close()
    page = show(where, width=390, dark=dark)
    assert page.run("document.documentElement.scrollWidth") == 390
    told = page.browser.accessible()
    for role in ("heading", "table", "progressbar", "link", "button", "region"):
        names = [name for kind, name in told if kind == role]
        assert names, role
        assert all(names), role
    assert ("progressbar", "Epochs done") in told
    assert "status" in {kind for kind, _ in told}
    assert page.browser.complaints == []
    study.close()
