"""Objects are immutable, never half there, and never outside their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.objects import FolderObjectStore
from matrix.errors import ArtifactCorrupt, InvalidInput, NotFound


@given(content=st.binary(max_size=200), name=st.from_regex(r"[a-z]{1,8}(/[a-z0-9.]{1,8})?", fullmatch=True))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    if any(part in {".", ".."} for part in name.split("/")):
        return
    objects = FolderObjectStore(tmp_path_factory.mktemp("objects"))
    uri = objects.write(name, content)
    assert objects.read(uri) == content
    assert objects.names("") == (name,)


def test_writing_the_same_bytes_again_changes_nothing(objects: FolderObjectStore) -> None:
    assert objects.write("a/b", b"1") == objects.write("a/b", b"1") == "object:a/b"


def test_a_name_is_never_reused_for_other_bytes(objects: FolderObjectStore) -> None:
    objects.write("a", b"1")
    with pytest.raises(ArtifactCorrupt, match="object:a"):
        objects.write("a", b"2")
    assert objects.read("object:a") == b"1"


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", ""])
def test_a_name_outside_the_folder_is_refused(objects: FolderObjectStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="object name"):
        objects.write(name, b"")


def test_what_is_not_there_is_not_found(objects: FolderObjectStore) -> None:
    assert not objects.exists("object:nothing")
    with pytest.raises(NotFound, match="nothing"):
        objects.read("object:nothing")
    with pytest.raises(InvalidInput, match="object:"):
        objects.read("file:///etc/passwd")


def test_no_aside_file_is_left_behind(objects: FolderObjectStore, tmp_path: Path) -> None:
    objects.write("a", b"1")
    assert [path.name for path in (tmp_path / "objects").iterdir()] == ["a"]
