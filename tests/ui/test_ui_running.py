"""While a study is trained, its page says how long the rest takes, if that is known, and what runs where."""

import pytest
from _live import Page
from _served import Served, Written

from _chromium import INSTALL, path, rows
from fairlane.trials import TrialStarted

pytestmark = pytest.mark.skipif(path() is None, reason=INSTALL)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def page(store, browser):
    """The page of a study of two variants with two seeds, in training; the fixture `Written` is its ``study``."""
    study = Written(store, "a")
    served = Served(store)
    opened = Page(browser, served, "study?name=a")
    opened.study = study
    yield opened
    assert browser.complaints == []
    browser.open("about:blank", server="about:")
    served.close()
    study.close()


def paced(page, *steps):
    """What a new pacer says, one after another, of steps ``(seconds, epochs done, epochs planned)``."""
    return page.run(
        f"""(() => {{
            let at = 0;
            const pace = pacer(() => at);
            return {list(map(list, steps))}.map(([seconds, epochs, planned]) => {{
                at = seconds;
                return pace({{ epochs, planned, writer: "a process" }});
            }});
        }})()"""
    )


def test_the_time_left_is_said_once_the_page_has_seen_some_epochs_end(page):
    # 20 s of compilation do not count: four epochs in two seconds, and sixteen are left.
    assert paced(page, (0, 0, 22), (20, 2, 22), (21, 4, 22), (22, 6, 22)) == [
        *("", "", ""),
        "about 8 s left at the pace of the last 2 s",
    ]


def test_no_time_is_left_to_say_while_nothing_ends_or_all_has_ended(page):
    steps = [(1, 1, 9), (2, 2, 9), (3, 3, 9), (4, 4, 9)]
    assert paced(page, *steps, (60, 4, 9))[-1] == "no epoch has ended for 56 s"
    assert paced(page, *steps, (5, 4, 4))[-1] == ""
    assert paced(page, *steps, (5, 1, 9), (6, 2, 9))[-1] == ""  # epochs were dropped


def test_the_pace_is_that_of_the_last_minute(page):
    slow = [(10 * i, i, 1000) for i in range(1, 10)]
    fast = [(90 + i, 9 + 10 * i, 1000) for i in range(1, 70)]
    assert paced(page, *slow, *fast)[-1] == "about 30 s left at the pace of the last 60 s"


def test_words_of_durations(page):
    assert page.run("[0.2, 89, 100, 5399, 7200, 200000].map(duration)") == [
        *("1 s", "89 s", "2 min", "90 min", "2 h", "2 days"),
    ]


def test_what_runs_where(page):
    page.wait(lambda: page.count("#s-running-now"))
    study = page.study
    assert rows(page.browser, "running-now", "where") == ["fleet 0, on lanes"]
    assert rows(page.browser, "running-now", "state") == ["compiling, or in the first epoch"]
    study.train(0, 2)
    last = study.trials[-1]
    study.write(TrialStarted(last, "reference", "a layer", None, "", 2))
    page.wait(lambda: len(rows(page.browser, "running-now", "where")) == 2)
    assert rows(page.browser, "running-now", "where") == [
        "fleet 0, on lanes",
        "Model.fit, one trial at a time",
    ]
    assert rows(page.browser, "running-now", "trials") == ["3", "1"]
    assert rows(page.browser, "running-now", "epochs done by each") == ["2", "2"]
    assert rows(page.browser, "running-now", "state") == ["training", "training"]
    assert "worker" not in page.text("#s-running-now")
    study.close()
    page.wait(lambda: page.run("document.querySelector('#s-running-now').parentNode.hidden"))


def test_workers_are_named_and_each_counts_its_fleets_alone(page):
    page.wait(lambda: page.count("#s-running-now"))
    for trial, worker in zip(page.study.trials, ["a", "a", "b", ""], strict=True):
        page.study.write(TrialStarted(trial, "lanes", "", 0, "scan×1", worker=worker))
    page.wait(lambda: len(rows(page.browser, "running-now", "where")) == 3)
    assert rows(page.browser, "running-now", "worker") == ["a", "b", "the caller's process"]
    assert rows(page.browser, "running-now", "trials") == ["2", "1", "1"]
