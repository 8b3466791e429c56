"""Where things lie: the state directory of one appliance, and the data that ships with the program."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident

from provisioner.errors import OperatorError

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Directory `name` (`phone_templates`, `firmware_rules`): in the wheel, else in the checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def check_file(path: Path) -> None:
    """Raise OSError when a device, a pipe or a folder is at `path`: as root a file would replace it."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace `path` with `data`: a reader, or a start after a power cut, sees the old or the new whole.

    Raises OSError.
    """
    check_file(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


@dataclass(frozen=True)
class StateDir:
    """The directory that holds everything that must be kept, and the sockets between the processes."""

    root: Path

    @classmethod
    def create(cls, root: str | Path) -> StateDir:
        """Make the directory if it is missing. Raises OperatorError when that cannot be done."""
        state = cls(Path(root).absolute())
        try:
            state.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            state.run.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise OperatorError(
                f"cannot use the state directory {state.root} ({error.strerror})",
                "name another with --state, or give this user the right to write there",
            ) from None
        return state

    @property
    def inventory(self) -> Path:
        return self.root / "inventory.db"

    @property
    def journal(self) -> Path:
        return self.root / "journal.db"

    @property
    def snapshot(self) -> Path:
        """The last good inventory snapshot, kept for a start with a broken database."""
        return self.root / "snapshot.json"

    @property
    def audio(self) -> Path:
        """The practice's own recordings."""
        return self.root / "audio"

    @property
    def run(self) -> Path:
        return self.root / "run"

    def socket(self, process: str) -> Path:
        """The Unix socket of one process: `edge`, `media`, `front`, `web`, `core`."""
        return self.run / f"{process}.sock"
