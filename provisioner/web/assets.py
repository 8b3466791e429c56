"""Style sheets, scripts and icons: each address names the content, so that browsers keep it for good; compressed.

Only these are compressed, not pages: beside what somebody else can put into a page, the length of a compressed page
would say something of its secrets (BREACH).
"""

from __future__ import annotations

import functools
import gzip
import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request

YEAR = 365 * 86400
_PACKED = ("text/", "image/svg+xml")
_SMALL = 400  # bytes that are not worth it


@functools.lru_cache(256)
def _digest(path: Path, _stamp: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@functools.lru_cache(64)
def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _version(folder: Path, name: str) -> str:
    path = folder / name
    return _digest(path, path.stat().st_mtime_ns) if path.is_file() else ""


def finish(response: Response) -> None:
    """Say how long a file may be kept, and compress it for who takes that."""
    given, held = (
        request.args.get("v", ""),
        _version(_folder(), str((request.view_args or {}).get("filename"))),
    )
    lasting = bool(held) and given == held
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if lasting else "no-cache"
    if response.status_code != 200 or not str(response.mimetype).startswith(_PACKED):
        return
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings["gzip"]:
        return
    response.direct_passthrough = False
    data = response.get_data()
    if len(data) < _SMALL:
        return
    response.set_data(_zipped(data))
    response.headers["Content-Encoding"] = "gzip"
    etag, _weak = response.get_etag()
    response.set_etag(etag or held, weak=True)  # not these bytes, but this content (RFC 9110, section 8.8.1)


def _folder() -> Path:
    return Path(str(current_app.static_folder))


def install(app: Flask) -> None:
    """Let `url_for("static", …)` name the content."""

    def named(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "v" not in values:
            values["v"] = _version(Path(str(app.static_folder)), str(values["filename"]))

    app.url_defaults(named)
