"""A real browser, and what it talks to: an application behind a stand-in for the front, or a whole appliance."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from provisioner import ipc
from provisioner.paths import StateDir
from tests.peers.wait import until

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PORTS = ("http", "https", "sip", "sips", "tftp")
READY_SECONDS = 40.0
SHOTS = os.environ.get(
    "PROVISIONER_SHOTS", ""
)  # a directory for pictures of the pages, for who looks at them


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window."""
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield opened
        opened.close()


class Front:
    """Stands in for the front: hands requests on, and serves the event stream itself."""

    def __init__(self, app: Flask) -> None:
        self._streams: list[queue.Queue[bytes | None]] = []
        self._app = app
        self._server = make_server("127.0.0.1", 0, self, threaded=True)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] != "/staff/events":
            return self._app(environ, start)
        start("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
        stream: queue.Queue[bytes | None] = queue.Queue()
        stream.put(b": open\n\n")
        self._streams.append(stream)
        return iter(stream.get, None)

    def _put(self, data: bytes | None) -> None:
        for stream in list(self._streams):
            stream.put(data)

    def event(self, name: str) -> None:
        """Push one event to every page."""
        self._put(f"event: {name}\ndata: {{}}\n\n".encode())

    def close(self) -> None:
        self._put(None)
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


class Appliance:
    """`provisioner run` on a state directory of its own, until the stack is left."""

    def __init__(self, folder: Path, stack: ExitStack, *more: str) -> None:
        self.state, self._log, self._stack = StateDir(folder / "state"), folder / "log", stack
        self._ready = folder / "ready.json"
        ports = [f"--{name}-port=0" for name in PORTS]
        where = ["--state", str(self.state.root), "--bind", "127.0.0.1", "--ready-file", str(self._ready)]
        self.start("run", *where, *ports, *more)

    def start(self, *command: str) -> None:
        """One more process until the stack is left."""
        log = self._stack.enter_context(self._log.open("ab"))
        process = subprocess.Popen([sys.executable, "-m", "provisioner", *command], stdout=log, stderr=log)
        self._stack.callback(process.wait, 15)
        self._stack.callback(process.terminate)

    def plug_in(self, mac: str) -> None:
        """Somebody plugs in a Yealink T46S, and takes whatever call comes."""
        where = ["--server", self.info["http"], "--mac", mac]
        self.start("simulate", *where, "--vendor", "yealink", "--model", "T46S")

    @property
    def info(self) -> dict[str, Any]:
        """What its ready file says."""
        until(self._ready.exists, "ready", READY_SECONDS, lambda: self._log.read_text()[-2000:])
        return dict(json.loads(self._ready.read_text()))

    def ask(self, process: str, call: str, **args: Any) -> dict[str, Any]:
        """Ask one of its processes; empty while it does not answer."""
        try:
            return ipc.ask(self.state.socket(process), call, args)
        except ipc.Gone:
            return {}


def signed_in(browser: Browser, live: Front, app: Flask, **options: Any) -> Any:
    """A page of a signed-in browser; what its console says is in `page.said`."""
    page: Any = browser.new_context(**options).new_page()
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    page.goto(f"{live.url}/staff/sign-in/{token}")
    return page


def press(page: Any, name: str) -> None:
    """Press the button with exactly this name."""
    page.get_by_role("button", name=name, exact=True).click()


def shot(page: Any, name: str) -> None:
    """A picture of the page when pictures are wanted (PROVISIONER_SHOTS)."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}-{page.viewport_size['width']}.png", full_page=True)
