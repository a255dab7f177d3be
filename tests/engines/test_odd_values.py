"""Values that pandas, Parquet or UTF-8 have no place for: in frames, exports, figures, reports, and a store."""

import enum
import json

import numpy as np
import pandas as pd
import pytest

import fairlane as fl
from fairlane.provenance.origin import Origin
from fairlane.results.export import export
from fairlane.results.study import Study
from fairlane.store import MemoryStore, read, tree, written
from fairlane.trials import EpochEnded, Trial, TrialDone, TrialStarted, Variant


class Number(enum.IntEnum):
    A = 1
    B = 2


LARGE = 10**30
VALUES = {
    "half a surrogate pair": (["\ud800", "b"], ["\\ud800", "b"]),
    "integers beyond 64 bits": ([LARGE, 1], [LARGE, 1]),
    "None beside a number": ([None, 1.0], [None, 1.0]),
    "None beside an integer": ([None, 1], [None, 1]),
    "None beside all kinds": ([None, 0.5, "x", True], [None, 0.5, "x", True]),
    "None beside text": ([None, "x"], [None, "x"]),
    "None beside a large integer": ([None, LARGE], [None, LARGE]),
    "complex": ([1j, 2j], [1j, 2j]),
    "unsigned": ([2**64 - 1, 1], [2**64 - 1, 1]),
    "the ends of 64 bits": ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
    "past the ends of 64 bits": ([2**63, -1], [2**63, -1]),
    "members of an IntEnum": ([Number.A, Number.B], ["<Number.A: 1>", "<Number.B: 2>"]),
    "an integer that Python does not write": ([10**5000, 1], ["an integer of 16610 bits", 1]),
}


def study_of(values, name="v\udc80"):
    trials = [Trial(i, Variant(i, {name: value}), 0) for i, value in enumerate(values)]
    store = MemoryStore(trials)
    for trial in trials:
        store.write(TrialStarted(trial, "lanes"))
        store.write(EpochEnded(trial, 0, {"loss": 1.0, "m\ud800": 2**70, "words": "\ud800"}))
        store.write(TrialDone(trial, 1.0, None))
    return Study(store, "\ud800", lambda trial, weights: None, Origin)


@pytest.mark.filterwarnings("ignore::fairlane.FairlaneWarning")
@pytest.mark.parametrize("kind", VALUES)
def test_all_is_shown_and_exported(tmp_path, kind):
    values, shown = VALUES[kind]
    study = study_of(values)
    for frame in (study.history, study.trials, study.summary("loss").sort_values("variant")):
        assert repr(frame["v\\udc80"].tolist()) == repr(shown)
    assert study.history["m\\ud800"].tolist() == [2**70] * len(values)
    for what in ("history", "long", "trials", "summary"):
        for suffix in ("csv", "jsonl", "parquet"):
            export(study, tmp_path / f"{what}.{suffix}", what)
    repr(study), study._repr_html_(), study.report(tmp_path / "a.html"), study.plot(metrics=["loss"])
    study.plot("final", metric="loss")
    as_text = [None if value is None else str(value) for value in shown]
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    back = [json.loads(line)["v\\udc80"] for line in lines]
    assert [None if value is None else str(value) for value in back] == as_text
    table = pd.read_parquet(tmp_path / "history.parquet")["v\\udc80"]
    plain = [None if pd.isna(value) else value for value in table.tolist()]
    assert all(a == b or str(a) == str(b) for a, b in zip(plain, shown, strict=True))
    csv = pd.read_csv(tmp_path / "history.csv", dtype=str, keep_default_na=False)
    assert csv["v\\udc80"].tolist() == ["" if value is None else str(value) for value in shown]


def test_a_variant_without_a_hyperparameter_is_no_variant_with_none():
    trials = [Trial(i, Variant(i, values), 0) for i, values in enumerate([{"a": None}, {"a": 1}, {}])]
    column = Study(MemoryStore(trials), None, lambda trial, weights: None, Origin).trials["a"].tolist()
    assert column[0] is None
    assert column[1] == 1
    assert np.isnan(column[2])


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_nested_too_deep_or_in_itself_is_no_plain_data():
    inside = []
    inside.append({"a": inside})
    for value in (inside, nested(101), {"a": nested(100)}):
        with pytest.raises(tree.NotPlain, match="has more than 100 levels, or contains itself"):
            tree.to_text(value)
        with pytest.raises(tree.NotPlain, match="has more than 100 levels, or contains itself"):
            tree.to_bytes(value)
    assert tree.from_text(tree.to_text(nested(99))) == nested(99)
    shared = [1]
    assert tree.from_text(tree.to_text([shared] * 1000)) == [[1]] * 1000


def test_integers_of_any_size_come_back():
    for value in (10**5000, -(10**5000), 2**8191, 2**8192, [2**70, {"a": -(10**9000)}]):
        assert tree.from_text(tree.to_text(value)) == value
        assert tree.from_bytes(tree.to_bytes(value)) == value


def test_names_of_studies_of_all_kinds_are_listed(tmp_path):
    written(tmp_path / "a.db", "\ud800", {}, {}, "auto").close()
    assert fl.studies(tmp_path / "a.db")["study"].tolist() == ["\\ud800"]
    assert len(read(tmp_path / "a.db", "\ud800")) == 0
