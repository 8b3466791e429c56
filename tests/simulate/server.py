"""A provisioning server out of a dictionary, which records what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from provisioner.simulate.vendors.base import Ask, Outcome, Pass, Reply


class FileServer(ThreadingHTTPServer):
    """`files` by name; `asked`: (method, name, user agent); `challenge`: of a 401; `status`: of all answers, if not 0.

    `each(name, count)`: a file of its own for the count-th request; `bodies`: what was put.
    """

    daemon_threads = True
    request_queue_size = 256  # a fleet comes all at once

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked: list[tuple[str, str, str]] = []
        self.challenge = ""
        self.authorizations: list[str] = []
        self.status = 0
        self.each: Callable[[str, int], bytes | None] = lambda _name, _count: None
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A phone that hangs up is no error."""

    def names(self) -> list[str]:
        return [f"{method} {name}" for method, name, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def answer(self) -> None:
        server = self.server
        server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        name = self.path.lstrip("/")
        server.asked.append((self.command, name, self.headers["User-Agent"]))
        server.authorizations.append(self.headers.get("Authorization", ""))
        body = (
            b"" if self.command == "PUT" else server.each(name, len(server.asked)) or server.files.get(name)
        )
        challenged = server.challenge and not self.headers.get("Authorization")
        self.send_response(server.status or (401 if challenged else 404 if body is None else 200))
        if challenged:
            self.send_header("WWW-Authenticate", server.challenge)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(body or b"")

    do_GET = do_HEAD = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None:
        """Tests are silent."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[FileServer]:
    with FileServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def play_from(run: Pass, files: dict[str, bytes]) -> tuple[list[Ask], Outcome]:
    """Play a pass in memory: what was asked, and what came of it."""
    asked: list[Ask] = []
    try:
        asked.append(next(run))
        while True:
            body = files.get(asked[-1].path) if asked[-1].method == "GET" else None
            asked.append(run.send(Reply(404) if body is None else Reply(200, body)))
    except StopIteration as done:
        return asked, done.value
