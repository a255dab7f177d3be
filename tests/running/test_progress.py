"""What a study shows while it runs, on streams and clocks of the tests' own."""

import io
import re
import sys
import threading
import time
import types

import pytest

import _processes
from fairlane.errors import StudyError
from fairlane.running.progress import Progress
from fairlane.running.tally import Tally
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

CURSOR_SHOWN = "\x1b[?25h"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def make_records(rates=(0.1, 0.01), seeds=(0,), **fit_arguments):
    variants = [Variant(i, {"learning_rate": rate}) for i, rate in enumerate(rates)]
    if fit_arguments:
        variants = [
            Variant(i, {name: value}, {name: value})
            for name, values in fit_arguments.items()
            for i, value in enumerate(values)
        ]
    pairs = [(variant, seed) for variant in variants for seed in seeds]
    return [Record(Trial(i, variant, seed)) for i, (variant, seed) in enumerate(pairs)]


def epoch(record, loss, val_loss=None):
    logs = {"loss": loss} | ({} if val_loss is None else {"val_loss": val_loss})
    record.epochs.append((len(record.epochs), logs))


def train(progress, record, epochs, clock=None, seconds=0.0, state=TrialState.DONE):
    for i in range(epochs):
        if clock:
            clock.now += seconds
        epoch(record, 1 / (i + 1))
        progress.update(record)
    record.state = state
    progress.update(record)


def break_off(progress, record, kind):
    with progress:
        train(progress, record, 3)
        raise kind


def no_more_threads_than(number):
    """The thread that redraws has been told to end, and does so when it wakes up."""
    until = time.monotonic() + 10
    while threading.active_count() > number and time.monotonic() < until:
        time.sleep(0.01)
    return threading.active_count() <= number


def lines_of(file):
    return file.getvalue().splitlines()


def test_a_line_at_the_start_and_one_at_the_end(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 6, file=file, clock=clock) as progress:
        for record in records:
            train(progress, record, 3, clock, 0.5)
    assert lines_of(file) == [
        "fairlane: 2 trials, 6 epochs",
        "fairlane: 2 trials, 6 epochs in 3.0 s; lowest loss of all trials and epochs: 0.3333 (learning_rate=0.1)",
    ]


def test_lines_between_are_a_tenth_of_the_epochs_apart(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 200, file=file, clock=clock) as progress:
        train(progress, records[0], 200, clock, 10.0)
    between = lines_of(file)[1:-1]
    assert [re.search(r"(\d+)/200", line)[1] for line in between] == [
        str(done) for done in range(20, 200, 20)
    ]
    assert between[0] == (
        "fairlane: 0/1 trial, 20/200 epochs, 10.0 s/epoch, 30:00 left; lowest loss of all trials and epochs: 0.05 (learning_rate=0.1)"
    )


def test_lines_between_are_five_seconds_apart(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 100, file=file, clock=clock) as progress:
        train(progress, records[0], 100, clock, 0.2)  # 20 s in all
    assert len(lines_of(file)) == 2 + 3


def test_the_lowest_is_of_val_loss_where_there_is_one_and_names_the_seed(clock):
    file, records = io.StringIO(), make_records(seeds=[0, 7])
    with Progress(records, 4, file=file, clock=clock) as progress:
        for i, record in enumerate(records):
            epoch(record, loss=0.1 * (i + 1), val_loss=0.9 - 0.1 * i)
            progress.update(record)
    assert lines_of(file)[-1].endswith(
        "lowest val_loss of all trials and epochs: 0.6 (learning_rate=0.01, seed 7)"
    )


def test_a_nan_is_never_the_lowest(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 2, file=file, clock=clock) as progress:
        epoch(records[0], loss=float("nan"))
        records[0].state = TrialState.DIVERGED
        progress.update(records[0])
        train(progress, records[1], 1)
    assert lines_of(file)[-1] == (
        "fairlane: 2 trials, 1 diverged, 2 epochs in 0.0 s; lowest loss of all trials and epochs: 1 (learning_rate=0.01)"
    )


def test_a_trial_that_stops_early_makes_the_total_smaller(clock):
    file, records = io.StringIO(), make_records(rates=(0.1, 0.01, 0.001))
    with Progress(records, 300, file=file, clock=clock) as progress:
        train(progress, records[0], 5)
        train(progress, records[1], 3, state=TrialState.FAILED)
        clock.now += 10
        for _ in range(50):
            epoch(records[2], 0.5)
            progress.update(records[2])
    assert "2/3 trials, 1 failed, 11/108 epochs" in lines_of(file)[1]
    assert "58 epochs in" in lines_of(file)[-1]


def test_epochs_that_vary_count_each_as_planned(clock):
    file, records = io.StringIO(), make_records(epochs=[10, 90])
    with Progress(records, 100, file=file, clock=clock) as progress:
        train(progress, records[0], 10)
        clock.now += 10
        epoch(records[1], 0.5)
        progress.update(records[1])
    assert "1/2 trials, 11/100 epochs" in lines_of(file)[1]


def test_a_trial_that_begins_anew_is_counted_anew(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 4, file=file, clock=clock) as progress:
        epoch(records[0], 0.5)
        epoch(records[0], 0.4)
        progress.update(records[0])
        records[0].epochs.clear()
        progress.update(records[0])
        train(progress, records[0], 4)
    assert "1 trial, 4 epochs in" in lines_of(file)[-1]


@pytest.mark.parametrize("epochs_total", [0, 1])
def test_more_epochs_than_foreseen_or_none_at_all(clock, epochs_total):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, epochs_total, file=file, clock=clock) as progress:
        train(progress, records[0], 3 * epochs_total, clock, 10.0)
    assert lines_of(file)[-1].startswith(f"fairlane: 1 trial, {3 * epochs_total} epochs in ")


def test_no_trials(clock):
    file = io.StringIO()
    with Progress([], 0, file=file, clock=clock):
        pass
    assert lines_of(file) == [
        "fairlane: 0 trials, 0 epochs",
        "fairlane: 0 trials, 0 epochs in 0.0 s",
    ]


def test_what_was_done_before_counts_neither_for_the_rate_nor_for_the_time(clock):
    file, records = io.StringIO(), make_records()
    for _ in range(50):
        epoch(records[0], 0.5)
    records[0].state = TrialState.DONE
    with Progress(records, 100, file=file, clock=clock) as progress:
        train(progress, records[1], 50, clock, 1.0)
    assert lines_of(file)[0] == "fairlane: 2 trials, 100 epochs; 50 epochs are done already"
    assert "1/2 trials, 60/100 epochs, 1.0 epochs/s, 0:40 left" in lines_of(file)[1]
    assert "50 epochs in 50.0 s" in lines_of(file)[-1]


def test_the_compilation_at_the_start_does_not_count_for_the_rate(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 100, file=file, clock=clock) as progress:
        clock.now += 100
        train(progress, records[0], 100, clock, 1.0)
    assert "10/100 epochs, 1.0 epochs/s, 1:30 left" in lines_of(file)[1]


def test_the_rate_forgets_what_is_long_gone(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 200, file=file, clock=clock) as progress:
        train(progress, records[0], 100, clock, 0.5)
        train(progress, records[1], 100, clock, 2.0)
    assert "180/200 epochs, 2.0 s/epoch, 0:40 left" in lines_of(file)[-2]


def test_lanes_that_end_their_epochs_together_count_together(clock):
    file, records = io.StringIO(), make_records(seeds=range(5))
    with Progress(records, 1000, file=file, clock=clock) as progress:
        for _ in range(100):
            clock.now += 5
            for record in records:
                epoch(record, 0.5)
                progress.update(record)
    assert re.search(r"100/1000 epochs, 2.\d epochs/s, 7:\d\d left", lines_of(file)[1])
    assert re.search(r"900/1000 epochs, 2.\d epochs/s, 0:\d\d left", lines_of(file)[-2])


def test_no_rate_before_two_epochs(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 2, file=file, clock=clock) as progress:
        train(progress, records[0], 1, clock, 10.0, TrialState.RUNNING)
    assert "1/2 epochs, 0:10 elapsed" in lines_of(file)[1]


def test_until_the_first_epoch_has_ended_it_is_compiling(clock):
    records = make_records([0.1])
    tally = Tally(records, 10, clock)
    clock.now += 12
    assert tally.pace() == "compiling, 0:12 elapsed"
    epoch(records[0], 0.5)
    tally.take(records[0])
    assert tally.pace() == "0:12 elapsed"


def test_the_time_left_is_honest_from_the_second_epoch_on(clock):
    """A minute of compilation, then epochs of four lanes, two seconds each: 4 of 40 epochs take 2 seconds."""
    records = make_records([0.1], seeds=range(4))
    tally = Tally(records, 40, clock)
    clock.now += 60
    for end in range(1, 4):
        for record in records:
            epoch(record, 0.5)
            tally.take(record)
        if end > 1:
            assert tally.pace() == f"2.0 epochs/s, 0:{(40 - 4 * end) // 2:02} left"
        clock.now += 2


def test_a_study_can_be_long(clock):
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 10, file=file, clock=clock) as progress:
        train(progress, records[0], 10, clock, 3600.0)
    assert "1/10 epochs, 1:00:00 elapsed" in lines_of(file)[1]
    assert "2/10 epochs, 3600 s/epoch, 8:00:00 left" in lines_of(file)[2]
    assert "in 10:00:00;" in lines_of(file)[-1]


def test_trials_marked_as_interrupted_without_an_event_are_counted(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 6, file=file, clock=clock) as progress:
        train(progress, records[0], 3)
        records[1].state = TrialState.INTERRUPTED
    assert lines_of(file)[-1].startswith("fairlane: 2 trials, 1 interrupted, 3 epochs in")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_an_exception_is_passed_on_and_told(clock, kind):
    file, records = io.StringIO(), make_records()
    with pytest.raises(kind):
        break_off(Progress(records, 6, file=file, clock=clock), records[0], kind)
    assert lines_of(file)[-1].startswith("fairlane: stopped after 1 of 2 trials, 3 epochs in")


def test_a_line_per_trial(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 4, verbose=2, file=file, clock=clock) as progress:
        train(progress, records[0], 2)
        records[1].error = "ValueError: no"
        train(progress, records[1], 1, state=TrialState.FAILED)
    assert lines_of(file)[1:-1] == [
        "fairlane: trial 0 (learning_rate=0.1, seed 0): done, 2 epochs, loss 0.5",
        "fairlane: trial 1 (learning_rate=0.01, seed 0): failed, 1 epoch, loss 1: ValueError: no",
    ]


def test_silence(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 6, verbose=0, file=file, clock=clock) as progress:
        train(progress, records[0], 3, clock, 10.0)
    assert file.getvalue() == ""


def test_silence_imports_no_rich():
    code = """
import sys
from fairlane.running.progress import Progress
with Progress([], 3, verbose=0):
    pass
sys.exit("rich" in sys.modules)
"""
    assert _processes.run([sys.executable, "-c", code]).returncode == 0


def test_standard_error_is_the_default(capsys):
    with Progress([], 0):
        pass
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "0 trials" in captured.err


def test_without_streams_it_is_silent(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(make_records(), 6) as progress:
        progress.update(make_records()[0])


def test_a_closed_stream_does_not_end_a_study(clock):
    file, records = io.StringIO(), make_records()
    with Progress(records, 6, file=file, clock=clock) as progress:
        file.close()
        train(progress, records[0], 3)


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_another_verbosity_is_an_error(verbose):
    with pytest.raises(StudyError, match="verbose must be"):
        Progress([], 0, verbose=verbose)


def test_a_terminal_shows_the_last_state_and_nothing_stays(clock, terminal):
    records, threads, out = make_records(), threading.active_count(), sys.stdout
    with Progress(records, 6, file=terminal, clock=clock) as progress:
        for record in records:
            train(progress, record, 3, clock, 0.5)
    shown = terminal.getvalue()
    assert (
        "2 trials, 6 epochs in 3.0 s; lowest loss of all trials and epochs: 0.3333 (learning_rate=0.1)"
        in shown
    )
    assert shown.endswith(CURSOR_SHOWN)
    assert no_more_threads_than(threads)
    assert sys.stdout is out


def test_a_terminal_shows_counts_rate_and_the_lowest(clock, terminal):
    records = make_records()
    with Progress(records, 8, file=terminal, clock=clock) as progress:
        train(progress, records[0], 2, clock, 0.5, TrialState.FAILED)
        progress._display._live.refresh()  # do not wait for the thread that redraws
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "1/2 trials, 1 failed, 2/6 epochs, 2.0 epochs/s, 0:02 left" in shown
    assert "lowest loss of all trials and epochs: 0.5 (learning_rate=0.1)" in shown


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
def test_an_exception_leaves_no_live_display(clock, terminal, kind):
    records, threads = make_records(), threading.active_count()
    with pytest.raises(kind):
        break_off(Progress(records, 6, file=terminal, clock=clock), records[0], kind)
    assert "stopped after 1 of 2 trials" in terminal.getvalue()
    assert terminal.getvalue().endswith(CURSOR_SHOWN)
    assert no_more_threads_than(threads)


def test_brackets_in_a_label_are_no_markup(clock, terminal):
    record = Record(Trial(0, Variant(0, {"units": [64, 32], "tag": "[red]"}), 0))
    with Progress([record], 1, file=terminal, clock=clock) as progress:
        train(progress, record, 1)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "units=[64, 32], tag=[red]" in shown


def test_a_dumb_terminal_gets_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    with Progress([], 0, file=terminal, clock=clock):
        pass
    assert "\x1b" not in terminal.getvalue()


def test_colours_forced_upon_a_pipe_make_it_no_terminal(clock, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    with Progress([], 0, file=file, clock=clock):
        pass
    assert "\x1b" not in file.getvalue()


def test_a_notebook_gets_one_line_that_is_replaced(clock, monkeypatch):
    shown = []

    class Handle:
        def update(self, text, raw):
            shown.append(text["text/plain"])

    def display(text, raw, display_id):
        shown.append(text["text/plain"])
        return Handle()

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    file, records = io.StringIO(), make_records([0.1])
    with Progress(records, 100, file=file, clock=clock) as progress:
        train(progress, records[0], 100, clock, 0.05)  # 5 s
    assert file.getvalue() == ""
    assert shown[0] == "fairlane: 1 trial, 100 epochs"
    assert "100 epochs in 5.0 s" in shown[-1]
    assert 20 <= len(shown) <= 27
