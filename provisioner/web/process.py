"""The web process: waitress on run/web.http for the front, and run/web.sock for the supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

from flask import Flask
from waitress.server import BaseWSGIServer, create_server

from provisioner.ipc import Server, listen_unix
from provisioner.paths import StateDir
from provisioner.web.app import create_app

THREADS = 8
CONNECTIONS = 1000  # the front keeps some open; waitress stops accepting at its own default of 100


def make_server(app: Flask, state: StateDir) -> BaseWSGIServer:
    """Listen on run/web.http; `run()` answers until SystemExit.

    Only the front gets to that socket (it is this user's alone), so its X-Forwarded headers are trusted.
    """
    logging.getLogger("waitress.queue").setLevel(
        logging.ERROR
    )  # else a line per request that waits for a thread
    return create_server(
        app,
        sockets=[listen_unix(state.run / "web.http")],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        ident=None,
        trusted_proxy="*",
        trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"},
        clear_untrusted_proxy_headers=True,
    )


def _answer_pings(state: StateDir) -> None:
    started = time.monotonic()

    async def run() -> None:
        server = Server({"ping": lambda _args: {"pid": os.getpid(), "uptime": time.monotonic() - started}})
        await server.start(state.socket("web"))
        await asyncio.Event().wait()

    asyncio.run(run())


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(state: StateDir) -> int:
    """Run until SIGTERM or SIGINT; 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with suppress(SystemExit):
        server = make_server(create_app(state), state)
        # Daemon, and only now: an answer to ping means that pages are served too.
        threading.Thread(target=_answer_pings, args=(state,), daemon=True).start()
        server.run()
        server.close()
    return 0
