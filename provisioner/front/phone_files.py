"""Phones' requests over HTTP: their files (GET, HEAD, Range) and the logs that they upload (PUT)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from provisioner.front import answers, uploads
from provisioner.front.connection import Request
from provisioner.front.door import Door
from provisioner.front.record import Recorder
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Verdict

_log = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"


class PhoneFiles:
    """Answers from memory. `renderer` is None until an inventory has been read."""

    def __init__(self, recorder: Recorder, upload_folder: Path, door: Door) -> None:
        self._door = door
        self.renderer: Renderer | None = None
        self._recorder = recorder
        self._folder = upload_folder
        self._tasks: set[asyncio.Task[None]] = set()

    def handle(self, request: Request) -> None:
        """Answer one request; only an upload takes longer than this call."""
        if self.renderer is None:
            # Never a file without an account: a phone would take it for its new configuration.
            self._answer(request, Verdict.unready())
        elif request.method in ("GET", "HEAD"):
            self._fetch(request, self.renderer)
        else:
            self._upload(request, self.renderer)

    def _asker(self, request: Request) -> Asker:
        connection = request.connection
        return self._door.asker(
            request.target,
            connection.address,
            request.header("user-agent"),
            authorization=request.header("authorization"),
            method=request.method,
            scheme=connection.scheme,
            forwarded=bool(request.header("forwarded") or request.header("x-forwarded-for")),
        )

    def _fetch(self, request: Request, renderer: Renderer) -> None:
        verdict = self._door.judge(renderer, self._asker(request))
        if verdict.body is None:
            self._answer(request, verdict)
            return
        wanted = request.header("range")
        part = answers.ranged(wanted, len(verdict.body)) if wanted else None
        if part is None:
            self._finish(request, verdict, 200, verdict.body, (("Accept-Ranges", "bytes"),))
        elif part is False:
            size = (("Content-Range", f"bytes */{len(verdict.body)}"),)
            self._finish(request, verdict, 416, b"", size)
        elif part is not True:
            first, end = part
            where = (("Content-Range", f"bytes {first}-{end - 1}/{len(verdict.body)}"),)
            self._finish(request, verdict, 206, verdict.body[first:end], where)

    def _upload(self, request: Request, renderer: Renderer) -> None:
        verdict = self._door.judge(renderer, self._asker(request))
        if (request.body_length or 0) > uploads.MAX_FILE:
            verdict = verdict.because("too-large") if verdict.rule == "upload" else verdict
            self._answer(request, verdict)
            return
        expects = request.header("expect").lower() == "100-continue"
        if verdict.rule != "upload" and (expects or request.body.complete):
            self._answer(request, verdict)
            return
        if expects:
            request.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        task = asyncio.get_running_loop().create_task(self._receive(request, verdict))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, request: Request, verdict: Verdict) -> None:
        """Take the body, a refused one too: to close on a phone that still sends would lose the answer."""
        data = bytearray()
        try:
            while len(data) <= uploads.MAX_FILE and (piece := await request.body.read()):
                data += piece
            if verdict.rule == "upload" and len(data) > uploads.MAX_FILE:
                verdict = verdict.because("too-large")
            if verdict.rule == "upload" and verdict.asked:
                await asyncio.to_thread(uploads.store, self._folder, verdict.asked, bytes(data))
        except ConnectionError:
            return
        except OSError as error:
            _log.warning("a phone's log cannot be kept (%s): free some disk space", error.strerror)
            verdict = verdict.because("no-space")
        self._answer(request, verdict)

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
        self,
        request: Request,
        verdict: Verdict,
        status: int,
        body: bytes,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> None:
        connection = request.connection
        if not request.body.complete:
            request.keep_alive = False
        self._recorder.answered(
            verdict,
            connection.address,
            request.method,
            request.target,
            status,
            len(body),
            request.header("user-agent"),
        )
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
