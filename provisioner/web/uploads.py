"""What is uploaded: how much of it a request may have, and files that wait an hour until they are confirmed."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path

from flask import Blueprint, abort, request

from provisioner.errors import OperatorError
from provisioner.paths import write_atomically
from provisioner.web.language import gettext as _
from provisioner.web.session import sources

KEPT_SECONDS = 3600.0  # what nobody confirmed
FORM = 64 << 10  # bytes; what a form has beside its file


def limit(size: int, *blueprints: Blueprint) -> None:
    """Let requests to these have a body of `size` bytes. Call it before their guards: those read the form's token."""

    def allow() -> None:
        request.max_content_length = size

    for blueprint in blueprints:
        blueprint.before_request(allow)


def _folder() -> Path:
    """Where files wait; those that nobody wanted are removed."""
    folder = sources().state.root / "imports"
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        with suppress(OSError):
            if sources().now() - old.stat().st_mtime > KEPT_SECONDS:
                old.unlink()
    return folder


def keep(data: bytes, suffix: str) -> str:
    """Keep a file until it is confirmed; its name. Raises OperatorError when the disk is full."""
    name = hashlib.sha256(data).hexdigest()
    try:
        write_atomically(_folder() / f"{name}.{suffix}", data)
    except OSError as error:
        raise OperatorError(f"the file cannot be kept ({error.strerror})", "free space on the disk") from None
    return name


def kept(name: str, suffix: str) -> Path:
    """Where the file of that name waits. Aborts with 400 for what is no name, with 410 when it is gone."""
    if not re.fullmatch(r"[0-9a-f]{64}", name):
        abort(400, _("Choose the file again."))
    path = _folder() / f"{name}.{suffix}"
    if not path.is_file():
        abort(410, _("That file is gone, or was imported already. Choose it again."))
    return path
