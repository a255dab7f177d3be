"""Made-up records, and the parts of a page."""

import json
import math
from html.parser import HTMLParser

from fairlane.provenance.origin import Origin
from fairlane.results import report
from fairlane.store import Record
from fairlane.trials import Trial, TrialState, Variant

LOGS = ("loss", "val_loss")
HOSTILE = "</script><img src=x onerror=alert(1)>"


def study(variants=3, *, seeds=3, epochs=4, logs=LOGS, names=None, gap=1.0):
    """Records of variants, the first one best by ``gap``; each seed adds its own hundredth."""
    records = []
    for number in range(variants):
        variant = Variant(number, names(number) if names else {"units": 8 + number})
        for seed in range(seeds):
            logged = [
                (e, dict.fromkeys(logs, 5 / (e + 1) + number * gap + seed / 100 + seed * number / 1000))
                for e in range(epochs)
            ]
            trial = Trial(len(records), variant, seed)
            records.append(Record(trial, TrialState.DONE, logged, seconds=1.5, engine="lanes", loop="vmap×8"))
    return records


def fail(record, error="ValueError: no", traceback="Traceback ...\nValueError: no"):
    record.state, record.error, record.traceback, record.epochs = TrialState.FAILED, error, traceback, []


def diverge(record):
    record.state, record.error = TrialState.DIVERGED, "the loss became NaN in epoch 1"
    record.epochs = [
        (0, dict.fromkeys(record.epochs[0][1], 1e30)),
        (1, dict.fromkeys(record.epochs[0][1], math.nan)),
    ]


def facts(records, name="a study", metric="val_loss", origin=None):
    return report.facts_of(records, origin or Origin(), name, metric)


class Page(HTMLParser):
    """Which tags a page has, and what stands in its blocks of JSON; refuses what is not closed."""

    VOID = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.policy = [], [], {}, ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag not in self.VOID:
            self.open.append((tag, given.get("id", "")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.words[self.open[-1]] = self.words.get(self.open[-1], "") + data

    @property
    def facts(self):
        return json.loads(self.words["script", "facts"])
