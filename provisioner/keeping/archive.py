"""The file that a backup is: a ZIP with `manifest.json` and its parts, or one with a cover and such a ZIP sealed."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from provisioner.errors import OperatorError
from provisioner.keeping import seal
from provisioner.keeping.contents import FORMAT, PRODUCT
from provisioner.keeping.seal import Lock

MANIFEST, COVER, SEALED = "manifest.json", "cover.json", "sealed"
_MAX_TEXT = 8 << 20  # bytes of a manifest
_MAX_MEMBERS = 100_000
Tell = Callable[[int], None]
T = TypeVar("T")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a backup, `bytes` long."""

    bytes: int
    sha256: str


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of a backup without its passphrase; `lock` None: it has none, and no secrets either."""

    format: int = FORMAT
    product: str = PRODUCT
    made: float
    practice: str
    lock: Lock | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `schema`: the migrations of its databases; `rows`: how many of each kind and table;
    `address`: where phones found the appliance; `users`: who could sign in."""

    format: int = FORMAT
    product: str = PRODUCT
    made: float
    practice: str
    who: str
    occasion: str
    address: str = ""
    parts: tuple[str, ...] = ()
    schema: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    files: dict[str, File] = {}


def write(folder: Path, names: dict[str, Path], target: Path, manifest: Manifest, tell: Tell) -> Manifest:
    """A plain ZIP of the files `names`, with their digests in its manifest."""
    held: dict[str, File] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, path in names.items():
            held[name] = _add(archive, name, path, tell)
        whole = msgspec.structs.replace(manifest, files=held)
        archive.writestr(MANIFEST, msgspec.json.encode(whole))
    return whole


def _add(archive: zipfile.ZipFile, name: str, path: Path, tell: Tell) -> File:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as target:
        while piece := source.read(seal.PIECE):
            target.write(piece)
            digest.update(piece)
            size += len(piece)
            tell(len(piece))
    return File(bytes=size, sha256=digest.hexdigest())


def cover_up(plain: Path, target: Path, cover: Cover, key: bytes, tell: Tell) -> None:
    """A ZIP with the cover and `plain` sealed; the cover cannot be changed without its being seen."""
    text = msgspec.json.encode(cover)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(COVER, text)
        with plain.open("rb") as source, archive.open(SEALED, "w", force_zip64=True) as sealed:
            seal.seal(source, sealed, key, text, tell)  # type: ignore[arg-type]


def look(path: Path) -> Cover:
    """What can be known of a backup without opening it. Raises OperatorError, for a newer one too."""
    with _zip(path) as archive:
        names = set(archive.namelist())
        if COVER in names and SEALED in names:
            cover = _read(archive, COVER, Cover)
        elif MANIFEST in names:
            about = _read(archive, MANIFEST, Manifest)
            cover = Cover(
                format=about.format, product=about.product, made=about.made, practice=about.practice
            )
        else:
            raise not_one()
    if cover.format > FORMAT:
        raise newer(cover.product)
    return cover


def not_one() -> OperatorError:
    """What is said of any other file."""
    return OperatorError("this is no backup", "take the file that was downloaded from the backup page")


def newer(product: str) -> OperatorError:
    """What is said of a backup that this version cannot know."""
    return OperatorError(
        f"this backup is of version {product[:20]}, newer than this appliance ({PRODUCT})",
        "install that version first",
    )


def unpack(path: Path, folder: Path, passphrase: str, tell: Tell) -> Manifest:
    """Everything that a backup holds into `folder`; each file is as its digest says. Raises OperatorError."""
    cover = look(path)
    if cover.lock is None:
        return _unpack(path, folder, tell)
    plain = folder / ".plain.zip"
    try:
        with _zip(path) as archive, plain.open("wb") as target, archive.open(SEALED) as sealed:
            key = seal.key(cover.lock, passphrase)
            seal.unseal(sealed, target, key, archive.read(COVER), tell)  # type: ignore[arg-type]
        return _unpack(plain, folder, tell)
    finally:
        plain.unlink(missing_ok=True)


def _unpack(path: Path, folder: Path, tell: Tell) -> Manifest:
    with _zip(path) as archive:
        manifest = _read(archive, MANIFEST, Manifest)
        if len(manifest.files) > _MAX_MEMBERS:
            raise seal.damaged()
        room = os.statvfs(folder)
        if sum(file.bytes for file in manifest.files.values()) > room.f_bavail * room.f_frsize:
            raise OperatorError(
                "there is no room on the disk for what is in this backup", "free space, then try again"
            )
        for name, file in manifest.files.items():
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise seal.damaged()
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _take(archive, name, target, file, tell)
    return manifest


def _take(archive: zipfile.ZipFile, name: str, target: Path, file: File, tell: Tell) -> None:
    digest, size = hashlib.sha256(), 0
    try:
        source = archive.open(name)
    except KeyError:
        raise seal.damaged() from None
    with source, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        while piece := source.read(seal.PIECE):
            size += len(piece)
            if size > file.bytes:
                raise seal.damaged()
            out.write(piece)
            digest.update(piece)
            tell(len(piece))
    if (size, digest.hexdigest()) != (file.bytes, file.sha256):
        raise seal.damaged()


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with path.open("rb") as file:
            begins = file.read(4)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.LargeZipFile):
        raise (seal.damaged() if begins == b"PK\x03\x04" else not_one()) from None
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise seal.damaged() from None
        raise


def _read(archive: zipfile.ZipFile, name: str, kind: type[T]) -> T:
    if archive.getinfo(name).file_size > _MAX_TEXT:
        raise not_one()
    try:
        return msgspec.json.decode(archive.read(name), type=kind)
    except msgspec.MsgspecError:
        about = _format(archive.read(name))
        raise (newer(about[1]) if about[0] > FORMAT else not_one()) from None


def _format(text: bytes) -> tuple[int, str]:
    """Format and version of a manifest whose rest is not known here."""

    class Least(msgspec.Struct):
        format: int = 0
        product: str = ""

    try:
        found = msgspec.json.decode(text, type=Least)
    except msgspec.MsgspecError:
        return 0, ""
    return found.format, found.product
