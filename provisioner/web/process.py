"""The web process: waitress on run/web.http for the front, run/web.sock for the supervisor, and beside them the thread
that keeps emergency addresses registered: it waits for providers, as pages may, and as no call may."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from types import FrameType

from flask import Flask
from waitress.server import BaseWSGIServer, create_server

from provisioner import garbage
from provisioner.emergency.registrar import BROKEN_STORE, Registrar, connect
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.ipc import Gone, Refused, Server, ask, listen_unix
from provisioner.keeping import kept, telling
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Phone
from provisioner.web.app import create_app
from provisioner.web.backup import MAX_UPLOAD
from provisioner.web.jobs import Progress
from provisioner.web.sources import PATIENCE, Sources

THREADS = 8
LOOK_SECONDS = 30.0  # between looks at what is due
_log = logging.getLogger(__name__)
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
        max_request_body_size=MAX_UPLOAD,
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


def _keep_registered(state: StateDir, stop: threading.Event) -> None:
    """Work on emergency addresses until `stop`; a store that cannot be opened is tried again."""
    while not stop.is_set():
        try:
            inventory = Inventory.open(state.inventory)
        except OperatorError as error:
            _log.error("emergency addresses wait: %s", error)
            stop.wait(BROKEN_STORE)
            continue
        Registrar(inventory, partial(connect, state=state), busy=partial(_busy, state, inventory)).run(stop)


def _busy(state: StateDir, inventory: Inventory, number: str) -> bool:
    """Whether a call is up that may have to be an emergency call's, or is one."""
    try:
        calls = ask(state.socket("edge"), "status", timeout=PATIENCE)["calls"]
    except (Gone, Refused, KeyError):
        return False  # no edge, no calls
    desks = {
        line.extension for phone in inventory.all(Phone) for line in phone.lines if line.number == number
    }
    live = [call for call in calls if call["state"] != "ended"]
    return any(
        call["direction"] == "emergency" or number in (call["from"], call["to"]) or call.get("desk") in desks
        for call in live
    )


def _look_after(app: Flask, stop: threading.Event) -> None:
    """Begin the backup of each day when its time has come, and what waits for calls to end, until `stop`."""
    held, work = app.extensions["provisioner"], app.extensions["provisioner.jobs"]
    while not stop.wait(LOOK_SECONDS):
        telling.take_up_later(held.state)
        with suppress(ProvisionerError):  # a broken store is told of elsewhere, and by the pages
            zone = held.snapshot().practice.time_zone
            if kept.due(kept.plan(held.inventory), kept.last(held.state), held.now(), zone):
                work.begin("daily", "plan", partial(_daily, held))


def _daily(held: Sources, progress: Progress) -> dict[str, str]:
    return {"name": kept.daily(held.state, held.inventory, progress, held.now).name}


def _own_temporary_files(state: StateDir) -> None:
    """Uploads wait on the disk of the state directory: /tmp may be in memory."""
    folder = state.root / "tmp"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    tempfile.tempdir = str(folder)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def main(state: StateDir) -> int:
    """Run until SIGTERM or SIGINT; 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with suppress(SystemExit):
        _own_temporary_files(state)
        app = create_app(state)
        server = make_server(app, state)
        garbage.settle()
        # Daemon, and only now: an answer to ping means that pages are served too.
        threading.Thread(target=_keep_registered, args=(state, threading.Event()), daemon=True).start()
        threading.Thread(target=_look_after, args=(app, threading.Event()), daemon=True).start()
        threading.Thread(target=_answer_pings, args=(state,), daemon=True).start()
        server.run()
        server.close()
    return 0
