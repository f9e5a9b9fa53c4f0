"""The spill file: in order, bounded, whole after kill -9, and shared by processes that do not know each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.client.spill import Spill
from ingest.client.types import Entry
from tests.conftest import REPOSITORY

LARGE = 1 << 20
WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from ingest.client.spill import Spill
from ingest.client.types import Entry
spill, name = Spill(Path(sys.argv[1]), most_bytes=1 << 28), sys.argv[2]
for number in range(int(sys.argv[3])):
    spill.append([Entry(f"{name}-{number}", "feedback", b'{"text":"' + b"x" * 5000 + b'"}')])
    print(number, flush=True)
"""
FORKS_WHILE_APPENDING = """
import os, sys
from pathlib import Path
from ingest.client.spill import Spill
from ingest.client.types import Entry
ours, theirs = os.pipe()
synced = os.fsync
def forks(file):
    os.fsync = synced
    if os.fork() == 0:
        os.close(theirs)
        os.read(ours, 1)  # lives as long as its parent
        os._exit(0)
    synced(file)
os.fsync = forks
for name in ("first", "second"):
    Spill(Path(sys.argv[1]), most_bytes=1 << 28).append([Entry(name, "feedback", b"{}")])
"""


def entry(number: int, text: str = "") -> Entry:
    body = json.dumps({"n": number, "text": text}, ensure_ascii=False, separators=(",", ":"))
    return Entry(f"e{number}", "feedback", body.encode())


def drained(spill: Spill, *, most: int = 100, settles: Callable[[int], int] = lambda found: found) -> list[str]:
    assert spill.drains()
    ids: list[str] = []
    while spill.waits():
        batch = spill.head(most=most, most_bytes=LARGE)
        count = settles(len(batch))
        spill.settle(count)
        ids += [one.event_id for one in batch[:count]]
    return ids


@given(sizes=st.lists(st.integers(0, 7), max_size=8), most=st.integers(1, 5), text=st.text(max_size=20))
def test_what_is_appended_comes_out_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, text: str
) -> None:
    text = text.encode("utf-8", "replace").decode()
    spill = Spill(tmp_path_factory.mktemp("spill") / "file", most_bytes=LARGE)
    numbers = iter(range(1000))
    given_ = [[entry(next(numbers), text) for _ in range(size)] for size in sizes]
    assert [spill.append(one) for one in given_] == sizes
    assert drained(spill, most=most, settles=lambda found: (found + 1) // 2) == [f"e{n}" for n in range(sum(sizes))]
    assert spill.waits() == 0


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "file", most_bytes=LARGE)
    entries = [entry(1, 'ä "quoted"\n\r\u2028 line'), Entry("c1", "completion", b'{"completion":"yes"}')]
    spill.append(entries)
    assert spill.drains()
    assert [*spill.head(most=9, most_bytes=LARGE)] == entries[:1]
    spill.settle(1)
    assert [*spill.head(most=9, most_bytes=LARGE)] == entries[1:]


def test_the_file_keeps_its_bound_and_has_room_again_once_it_is_drained(tmp_path: Path) -> None:
    entries = [entry(n) for n in range(100)]
    most_bytes = 10 * len(entries[0].to_line())
    spill = Spill(tmp_path / "file", most_bytes=most_bytes)
    assert spill.append(entries) == 10
    assert spill.append(entries) == 0
    assert spill.drains()
    spill.head(most=7, most_bytes=LARGE)
    spill.settle(7)  # more than half: the sent part goes at once
    assert spill.append(entries[10:]) == 6
    assert (tmp_path / "file").stat().st_size <= most_bytes
    assert drained(spill) == [*(f"e{n}" for n in range(7, 10)), *(f"e{n}" for n in range(10, 16))]


@pytest.mark.parametrize("there", [(), ("file", "file.lock", "file.drain")])
def test_only_the_owner_may_read_it_whoever_made_it(tmp_path: Path, there: tuple[str, ...]) -> None:
    for name in there:
        (tmp_path / name).touch(0o644)
    spill = Spill(tmp_path / "file", most_bytes=LARGE)
    spill.append([entry(1)])
    spill.drains()
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


@pytest.mark.parametrize("left", [b'{"to":"feedback","id":"torn","bo', b"\xff\x00", b"{}\n[]\n7\n", b"\n\n", b"\r"])
def test_what_a_killed_process_left_half_written_costs_nothing_else(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "file"
    spill = Spill(file, most_bytes=LARGE)
    spill.append([entry(1)])
    with file.open("ab") as torn:
        torn.write(left)
    spill.append([entry(2)])
    with file.open("ab") as torn:
        torn.write(left)
    assert drained(spill) == ["e1", "e2"]


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    first = Spill(tmp_path / "file", most_bytes=LARGE)
    first.append([entry(n) for n in range(5)])
    assert first.drains()
    first.head(most=2, most_bytes=LARGE)
    first.settle(2)
    second = Spill(tmp_path / "file", most_bytes=LARGE)
    assert not second.drains()
    first.close()
    assert drained(second) == ["e2", "e3", "e4"]


@pytest.mark.parametrize("note", [b"", b"garbage", b"99999999999999999999\n"])
def test_a_note_that_cannot_be_true_sends_again_rather_than_nothing(tmp_path: Path, note: bytes) -> None:
    spill = Spill(tmp_path / "file", most_bytes=LARGE)
    spill.append([entry(1)])
    (tmp_path / "file.drain").write_bytes(note)
    assert drained(spill) == ["e1"]


def test_a_disk_that_writes_a_few_bytes_at_a_time_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, part: write(file, bytes(part[:7])))
    entries = [entry(n) for n in range(10)]
    spill = Spill(tmp_path / "file", most_bytes=sum(len(one.to_line()) for one in entries))
    assert spill.append(entries) == 10
    assert spill.drains()
    spill.head(most=6, most_bytes=LARGE)
    spill.settle(6)  # more than half: the rest goes to a new file
    assert drained(spill) == [f"e{n}" for n in range(6, 10)]


def test_a_full_disk_or_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Spill(tmp_path / "none" / "file", most_bytes=LARGE).append([entry(1)])


def writer(file: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITES_UNTIL_KILLED, str(file), name, str(count)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_that_write_at_once_and_one_that_drains_lose_and_damage_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    writers = [writer(file, name, 40) for name in "abc"]
    spill, ids = Spill(file, most_bytes=1 << 28), list[str]()
    while any(one.poll() is None for one in writers) or spill.waits():
        ids += drained(spill, most=7)
    for one in writers:
        one.communicate()
    assert sorted(ids) == sorted(f"{name}-{n}" for name in "abc" for n in range(40))
    for name in "abc":
        assert [one for one in ids if one.startswith(name)] == [f"{name}-{n}" for n in range(40)]


def test_a_child_that_was_forked_during_an_append_holds_nothing_up(tmp_path: Path) -> None:
    file = tmp_path / "file"
    command = [sys.executable, "-c", FORKS_WHILE_APPENDING, str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert drained(Spill(file, most_bytes=LARGE)) == ["first", "second"]


def test_all_that_a_killed_process_was_told_is_durable_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    killed = writer(file, "k", 100_000)
    assert killed.stdout is not None
    told = [int(killed.stdout.readline()) for _ in range(20)]
    killed.kill()
    told += [int(line) for line in killed.communicate()[0].splitlines()]
    ids = drained(Spill(file, most_bytes=1 << 28))
    assert ids[: len(told)] == [f"k-{n}" for n in told]
    assert len(ids) <= len(told) + 1
