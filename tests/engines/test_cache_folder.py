"""The cache folder: where it is, what it gives back, and what it refuses to read."""

import errno
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from fairlane.kit.kept_programs.folder import LIMIT, Contents, Folder, cache_folder

KEY, OTHER = "a" * 64, "b" * 64
NOBODY = 65534


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "deep" / "cache")


def only_file(folder):
    (path,) = folder.path.iterdir()
    return path


# --- where ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "environment", "where"),
    [
        ("linux", {}, "{home}/.cache/fairlane"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/fairlane"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "{home}/.cache/fairlane"),
        ("darwin", {"XDG_CACHE_HOME": "/elsewhere"}, "{home}/Library/Caches/fairlane"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fairlane/cache"),
        ("win32", {}, "{home}/AppData/Local/fairlane/cache"),
        ("linux", {"FAIRLANE_CACHE": "/mine"}, "/mine"),
        ("linux", {"FAIRLANE_CACHE": "~/mine"}, "{home}/mine"),
        ("linux", {"FAIRLANE_CACHE": ""}, "{home}/.cache/fairlane"),
    ],
)
def test_it_is_where_the_platform_keeps_caches(platform, environment, where, monkeypatch, tmp_path):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "FAIRLANE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Folder(Path(where.format(home=tmp_path)), LIMIT)


@pytest.mark.parametrize("value", ["off", "OFF", " off ", "0", "false", "No"])
def test_it_can_be_off(value, monkeypatch):
    monkeypatch.setenv("FAIRLANE_CACHE", value)
    assert cache_folder() is None


def test_a_user_without_a_home_has_none(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("FAIRLANE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert cache_folder() is None


# --- what comes back ------------------------------------------------------------------------------------


def test_what_is_written_is_read(folder):
    assert folder.read(KEY) is None
    folder.write(KEY, b"one")
    folder.write(OTHER, b"")
    assert folder.read(KEY) == b"one"
    assert folder.read(OTHER) == b""
    folder.write(KEY, b"another")
    assert folder.read(KEY) == b"another"
    assert folder.contents().programs == 2


def test_it_is_for_this_user_alone(folder):
    folder.write(KEY, b"one")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert only_file(folder).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: content + b"!",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(KEY.encode(), OTHER.encode()),
        lambda content: b"something else",
        lambda content: content.replace(b"program 1", b"program 2"),
    ],
)
def test_a_damaged_or_foreign_file_is_a_miss(damage, folder):
    folder.write(KEY, b"one" * 100)
    path = only_file(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert folder.read(KEY) is None
    folder.write(KEY, b"two")
    assert folder.read(KEY) == b"two"


def test_a_folder_in_a_files_place_is_a_miss(folder):
    folder.write(OTHER, b"one")
    (folder.path / f"{KEY}.program").mkdir()
    assert folder.read(KEY) is None
    folder.write(KEY, b"two")
    assert folder.read(KEY) is None
    assert [path.name for path in folder.path.iterdir() if path.name.endswith(".part")] == []


# --- what another user could have written ---------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(mode, folder):
    folder.write(KEY, b"one")
    folder.path.chmod(mode)
    assert folder.read(KEY) is None
    folder.write(OTHER, b"two")
    assert folder.contents().programs == 1
    assert (
        folder.refusal() == "another user owns it or can write to it, and their programs are not safe to run"
    )
    folder.path.chmod(0o755)
    assert folder.read(KEY) == b"one"


@pytest.mark.parametrize("mode", [0o660, 0o606])
def test_a_file_that_others_can_write_to_is_not_read(mode, folder):
    folder.write(KEY, b"one")
    only_file(folder).chmod(mode)
    assert folder.read(KEY) is None


def test_a_link_is_not_followed(folder, tmp_path):
    folder.write(KEY, b"one")
    path = only_file(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert folder.read(KEY) is None


@pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root can give files away")
def test_what_another_user_owns_is_not_read(folder):
    folder.write(KEY, b"one")
    os.chown(only_file(folder), NOBODY, NOBODY)
    assert folder.read(KEY) is None
    folder.write(KEY, b"one")
    assert folder.read(KEY) == b"one"
    os.chown(folder.path, NOBODY, NOBODY)
    assert folder.read(KEY) is None
    assert folder.refusal()


# --- how much -------------------------------------------------------------------------------------------


def test_the_least_recently_used_is_removed_first(tmp_path):
    one = 1000
    folder = Folder(tmp_path, limit=3 * (one + 200))
    keys = [f"{i:064x}" for i in range(4)]
    for age, key in enumerate(keys[:3]):
        folder.write(key, bytes(one))
        os.utime(tmp_path / f"{key}.program", (0, 1000 + age))
    assert folder.read(keys[0])  # now used last
    folder.write(keys[3], bytes(one))
    assert [folder.read(key) is not None for key in keys] == [True, False, True, True]
    assert folder.contents().size <= folder.limit


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path):
    folder = Folder(tmp_path, limit=1000)
    folder.write(KEY, b"one")
    folder.write(OTHER, bytes(1000))
    assert folder.read(KEY) == b"one"
    assert folder.contents().programs == 1


def test_what_a_killed_process_left_is_removed(folder):
    folder.write(KEY, b"one")
    for name, age in [("fairlane-killed.part", 2 * 3600), ("fairlane-busy.part", 0), ("theirs.part", 7200)]:
        (folder.path / name).write_bytes(b"half")
        os.utime(folder.path / name, (time.time() - age,) * 2)
    folder.write(OTHER, b"two")
    parts = {path.name for path in folder.path.iterdir() if path.name.endswith(".part")}
    assert parts == {"fairlane-busy.part", "theirs.part"}


def test_clearing_removes_programs_and_nothing_else(folder):
    assert folder.clear() == Contents(0, 0)
    folder.write(KEY, b"one")
    (folder.path / "notes.txt").write_text("mine")
    removed = folder.clear()
    assert removed.programs == 1
    assert removed.size > 3
    assert only_file(folder).name == "notes.txt"


# --- disks and processes --------------------------------------------------------------------------------


def test_a_folder_that_can_not_be_made_keeps_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "cache"):
        folder = Folder(path)
        folder.write(KEY, b"one")
        assert folder.read(KEY) is None
        assert folder.refusal()


def test_a_full_disk_keeps_nothing_and_leaves_nothing(folder, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder.write(OTHER, b"two")
    monkeypatch.setattr(os, "replace", full)
    folder.write(KEY, b"one")
    assert folder.read(KEY) is None
    assert only_file(folder).name == f"{OTHER}.program"


def test_many_may_write_read_and_clear_at_a_time(tmp_path):
    folder = Folder(tmp_path, limit=5000)
    wrong, keys = [], [f"{i:064x}" for i in range(8)]

    def work(seed):
        try:
            for i in range(60):
                key = keys[(i * 7 + seed) % len(keys)]
                folder.write(key, key.encode() * 15)
                if folder.read(key) not in (None, key.encode() * 15):
                    wrong.append(key)
                if i % 20 == seed:
                    folder.clear()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert folder.contents().size <= folder.limit
