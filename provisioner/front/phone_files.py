"""Phones' requests over HTTP: their files (GET, HEAD, Range), firmware images, and what they upload (PUT, POST)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from provisioner.front import answers
from provisioner.front.connection import Request
from provisioner.front.firmware import Firmware, Image
from provisioner.front.lookup import Lookup
from provisioner.front.record import Recorder
from provisioner.front.uploads import MAX_FILE, Uploads
from provisioner.phones.proof import Asker
from provisioner.phones.trust import Verdict

_TEXT = "text/plain; charset=utf-8"
_IMAGE = "application/octet-stream"
_RANGES = (("Accept-Ranges", "bytes"),)

PIECE = 64 << 10  # of an image: what is held for one phone, of which 800 may take their time

_log = logging.getLogger(__name__)
Headers = tuple[tuple[str, str], ...]


class PhoneFiles:
    """Answers from memory; firmware from the disk, and uploads to it, each in a task of its own."""

    def __init__(self, lookup: Lookup, recorder: Recorder, firmware: Firmware, uploads: Uploads) -> None:
        self._lookup = lookup
        self._recorder = recorder
        self._firmware = firmware
        self._uploads = uploads
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> None:
        """Answer one request, now or later."""
        asker = self._asker(request)
        verdict = self._lookup.judge(asker)
        if asker.method not in ("GET", "HEAD"):
            self._upload(request, verdict)
        elif verdict.rule == "firmware":
            self._later(self._image(request, verdict))
        elif verdict.body is None:
            self._answer(request, verdict)
        else:
            status, headers, first, end = _part(request, len(verdict.body))
            body = verdict.body if status == 200 else verdict.body[first:end]
            self._finish(request, verdict, status, body, headers)

    def _asker(self, request: Request) -> Asker:
        connection = request.connection
        return self._lookup.door.asker(
            request.target,
            connection.address,
            request.header("user-agent"),
            certificate=connection.subject,
            authorization=request.header("authorization"),
            method=request.method,
            scheme=connection.scheme,
            forwarded=bool(request.header("forwarded") or request.header("x-forwarded-for")),
        )

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- firmware ----------------------------------------

    async def _image(self, request: Request, verdict: Verdict) -> None:
        image = await self._firmware.find(verdict)
        if request.connection.is_closing():
            if image:
                image.close()
        elif image is None:
            self._answer(request, verdict.because("not-there"))
        else:
            try:
                await self._send(request, verdict, image)
            finally:
                image.close()

    async def _send(self, request: Request, verdict: Verdict, image: Image) -> None:
        """The image, or the range of it, as fast as the phone takes it; it may go away after the header of the file."""
        connection = request.connection
        status, headers, first, end = _part(request, image.size)
        if not request.body.complete:
            request.keep_alive = False
        fixed = (("Content-Type", _IMAGE), ("Content-Length", str(end - first)), *headers)
        connection.transport.set_write_buffer_limits(PIECE // 2)
        connection.begin(request)
        connection.transport.write(answers.head(status, fixed, request.keep_alive))
        at = first
        try:
            if request.method != "HEAD":
                while at < end:
                    piece = await image.piece(at, min(PIECE, end - at))
                    if not piece:
                        _log.warning("a firmware file became shorter while it was sent; the phone asks again")
                        connection.abort()
                        return
                    connection.transport.write(piece)
                    at += len(piece)
                    await asyncio.sleep(0)  # others first, and the news that the phone has gone
                    await connection.drain()
        except ConnectionError:
            at -= connection.transport.get_write_buffer_size()
        finally:
            self._record(request, verdict, status, at - first)
        connection.done(request)

    # -- uploads ----------------------------------------

    def _upload(self, request: Request, verdict: Verdict) -> None:
        if (request.body_length or 0) > MAX_FILE:
            verdict = verdict.because("too-large") if verdict.rule == "upload" else verdict
            self._answer(request, verdict)
            return
        expects = request.header("expect").lower() == "100-continue"
        if verdict.rule != "upload" and (expects or request.body.complete):
            self._answer(request, verdict)
            return
        if expects:
            request.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._later(self._receive(request, verdict))

    async def _receive(self, request: Request, verdict: Verdict) -> None:
        """Take the body, a refused one too: to close on a phone that still sends would lose the answer."""
        data = bytearray()
        try:
            while len(data) <= MAX_FILE and (piece := await request.body.read()):
                data += piece
        except ConnectionError:
            return  # half of a file is worse than the one before
        if verdict.rule == "upload":
            verdict = await self._uploads.keep(verdict, bytes(data))
        self._answer(request, verdict)

    # -- answers ----------------------------------------

    def _answer(self, request: Request, verdict: Verdict) -> None:
        """Answer without a file: what the rule says."""
        more = tuple(("WWW-Authenticate", challenge) for challenge in verdict.challenges)
        if verdict.status == 405:
            more = (("Allow", "GET, HEAD, PUT"),)
        elif verdict.status == 429:
            more = (("Retry-After", "60"),)
        body = b"" if verdict.status == 201 else verdict.words
        self._finish(request, verdict, verdict.status, body, more)

    def _finish(
        self, request: Request, verdict: Verdict, status: int, body: bytes, extra: Headers = ()
    ) -> None:
        connection = request.connection
        if not request.body.complete:
            request.keep_alive = False
        self._record(request, verdict, status, len(body))
        if connection.is_closing():
            return
        connection.transport.write(
            answers.whole(
                status,
                body,
                verdict.content_type if status in (200, 206) else _TEXT,
                keep_alive=request.keep_alive,
                only_head=request.method == "HEAD",
                extra=extra,
            )
        )
        connection.done(request)

    def _record(self, request: Request, verdict: Verdict, status: int, size: int) -> None:
        self._recorder.answered(
            verdict,
            request.connection.address,
            request.method,
            request.target,
            status,
            size,
            request.header("user-agent"),
        )


def _part(request: Request, size: int) -> tuple[int, Headers, int, int]:
    """What of `size` bytes a request asks for: status, headers, and the bytes from where to where."""
    wanted = request.header("range")
    part = answers.ranged(wanted, size) if wanted else None
    if part is None:
        return 200, _RANGES, 0, size
    first, end = part
    if first == size:
        return 416, (("Content-Range", f"bytes */{size}"),), 0, 0
    return 206, (("Content-Range", f"bytes {first}-{end - 1}/{size}"),), first, end
