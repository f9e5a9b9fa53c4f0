"""The object store as a folder: objects are immutable, written aside and renamed, so that none is ever half there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

from matrix.digests import digest_bytes
from matrix.errors import ArtifactCorrupt, InvalidInput, NotFound, ObjectStoreUnavailable

SCHEME = "object:"


class FolderObjectStore:
    """Objects below one folder that every process of a deployment shares."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def write(self, name: str, content: bytes) -> str:
        """Durable and atomic; the same name with other bytes raises ArtifactCorrupt."""
        path = self._path(name)
        try:
            if path.exists():
                self._must_equal(path, name, content)
                return SCHEME + name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_aside_then_link(path, content)
        except FileExistsError:
            self._must_equal(path, name, content)
        except OSError as error:
            raise ObjectStoreUnavailable(
                f"{path}: {error.strerror}; free space or check the folder's rights"
            ) from error
        return SCHEME + name

    def read(self, uri: str) -> bytes:
        """The bytes; NotFound where there are none."""
        path = self.local_path(uri)
        try:
            return path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound(what="object", name=uri) from None
        except OSError as error:
            raise ObjectStoreUnavailable(f"{path}: {error.strerror}") from error

    def exists(self, uri: str) -> bool:
        """Whether the object, or a folder of objects, is there."""
        return self.local_path(uri).exists()

    def names(self, prefix: str) -> tuple[str, ...]:
        """Names below a prefix, sorted."""
        folder = self._path(prefix) if prefix else self._root
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".aside-"))
        return tuple(sorted(path.relative_to(self._root).as_posix() for path in files))

    def local_path(self, uri: str) -> Path:
        """Where a process on this machine finds the object or the folder of objects."""
        if not uri.startswith(SCHEME):
            raise InvalidInput(field="uri", value=uri, remedy=f"an object's uri starts with {SCHEME!r}")
        return self._path(uri.removeprefix(SCHEME))

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise InvalidInput(field="object name", value=name, remedy="a relative path without '..'")
        return self._root.joinpath(*parts)

    @staticmethod
    def _must_equal(path: Path, name: str, content: bytes) -> None:
        found = path.read_bytes()
        if found != content:
            raise ArtifactCorrupt(SCHEME + name, expected=digest_bytes(content), found=digest_bytes(found))


def _write_aside_then_link(path: Path, content: bytes) -> None:
    """A link fails where the name is taken; a rename would replace what another process wrote meanwhile."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".aside-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        os.link(aside, path)
    finally:
        Path(aside).unlink(missing_ok=True)
