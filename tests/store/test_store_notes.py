"""Notes and tags: kept by every store, written by any process, read with the study."""

import doctest

import pytest
from _stores import plan

import fairlane as fl
from fairlane.errors import StoreError, StudyError
from fairlane.results.report import facts_of
from fairlane.store import MemoryStore, Note, delete, note, note_of, notes, overview, read, rename, written

GOOD, WHOLE = Note("the best\nuntil now", ("good", "long")), Note("to be repeated")


def test_doctests():
    assert doctest.testmod(notes).failed == 0


def test_a_note_is_kept_replaced_and_deleted(place):
    store, _ = place.open(plan(2, 1))
    assert store.noted() == {}
    store.note(1, GOOD)
    store.note(None, WHOLE)
    assert list(store.noted().items()) == [(None, WHOLE), (1, GOOD)]
    store.note(1, WHOLE)
    store.note(None, Note())
    assert store.noted() == {1: WHOLE}
    with pytest.raises(StudyError, match=r"there is no variant 2 in .*study.*; it has the variants 0 to 1"):
        store.note(2, GOOD)
    store.close()


def test_another_process_writes_while_the_study_is_trained(lasting):
    store, _ = lasting.open(plan(2, 1))
    reader = lasting.read()
    assert reader.noted() == {}
    reader.note(0, GOOD)
    assert reader.noted() == store.noted() == {0: GOOD}
    store.interrupt()
    store.close()
    again, _ = lasting.open(plan(2, 1))
    assert again.noted() == {0: GOOD}
    again.close()


def test_notes_go_with_their_study(tmp_path):
    runs = str(tmp_path / "runs.db")
    for name in ("a", "b"):
        _made(runs, name)
        note(runs, name, 0, Note(name))
    before = overview(runs, "a")[0]["revision"]
    note(runs, "a", None, WHOLE)
    assert overview(runs, "a")[0]["revision"] != before  # so that live pages read it again
    rename(runs, "a", "c")
    delete(runs, "b")
    _made(runs, "b")
    assert read(runs, "c").noted() == {None: WHOLE, 0: Note("a")}
    assert read(runs, "b").noted() == {}


def _made(runs, name):
    store = written(runs, name, {}, {}, "auto")
    store.adopt(plan(1, 1), [3])
    store.close()


def test_what_is_not_there_has_no_notes_and_nothing_is_made(tmp_path):
    runs = str(tmp_path / "runs.db")
    with pytest.raises(StoreError, match="there is no store"):
        note(runs, "a", None, WHOLE)
    assert not list(tmp_path.iterdir())
    _made(runs, "a")
    with pytest.raises(StudyError, match="there is no study 'b'"):
        note(runs, "b", None, WHOLE)


@pytest.mark.parametrize(
    ("text", "tags", "words"),
    [
        (3, (), "a note is a text, not 3"),
        ("x" * 10_001, (), "up to 10000 characters, and this one has 10001"),
        ("", "good", "tags are a list of texts"),
        ("", ["a,b"], "without commas and line breaks"),
        ("", [" "], "a tag is a text of 1 to 100 characters"),
        ("", [3], "a tag is a text"),
        ("", ["x" * 101], "a tag is a text"),
        ("", [str(n) for n in range(51)], "up to 50 tags, and this one has 51"),
    ],
)
def test_what_is_no_note_is_refused(text, tags, words):
    with pytest.raises(StudyError, match=words):
        note_of(text, tags)


def test_a_study_shows_its_notes(tmp_path):
    runs = str(tmp_path / "runs.db")
    _made(runs, "a")
    study = fl.open(runs, "a")
    study.note("the best\nuntil now", variant=0, tags=["good", "long"])
    study.note("\ud800 a\0b")
    found = study.notes
    assert found["variant"].isna().tolist() == [True, False]
    assert found["text"].tolist() == ["\\ud800 a\0b", "the best\nuntil now"]
    assert found["tags"].tolist() == [[], ["good", "long"]]
    assert repr(study).endswith("  variant 0 (lr=0.1, units=0): the best until now [good, long]")
    facts = facts_of(read(runs, "a"), read(runs, "a").origin(), "a")
    assert facts["notes"][1] == {"variant": 0, "text": "the best\nuntil now", "tags": ["good", "long"]}


def test_a_study_in_memory_has_notes_of_its_own():
    store = MemoryStore(plan(1, 1))
    store.note(0, GOOD)
    assert store.noted() == {0: GOOD}
