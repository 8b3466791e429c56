"""How long pages and lists of the API take, and how much they weigh: `python benchmarks/pages.py [--times N] [--json]`.

1,000 phones, a million calls and a million requests; the real web process on waitress behind the real front, over
loopback; the edge is a stand-in that says what an edge with all phones registered says. Each page is asked for by an
administrator, one request after the other. Target: p95 under 100 ms, and 250 KB for a browser that has nothing yet.
`cpu` is the time of the processor that web and front used for one request: what a busy machine does not change. With
`--busy` that is judged instead of p95.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import a_practice
import psutil

from provisioner import ipc
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.web.app import create_app

TARGET_MS = 100.0
TARGET_BYTES = 250_000
ARGUMENTS = {
    "mac": a_practice.mac(1), "extension": a_practice.extension(1), "number": a_practice.number(1),
    "call": f"{123_456:016x}", "location": "b1", "group": "g1", "layer": "site", "trunk": "core", "kind": "dnsmasq",
}  # fmt: skip
NAMES = {  # what `name` is, by endpoint
    "trunks.one": "core", "trunks.ask_remove": "core", "layers.setting": "codecs", "places.one": "b1",
    "locations_api.api_one": "b1", "phone.file": f"{a_practice.mac(1)}.cfg",
    "phone_api.api_file": f"{a_practice.mac(1)}.cfg",
}  # fmt: skip
MORE = (  # searches and filters, which find little, much, and nothing
    "/staff/calls?show=missed", "/staff/calls?show=poor&direction=outbound",
    "/staff/calls?extension=2100&show=transferred",
    "/staff/calls?q=2125550142", "/staff/calls?q=555", "/staff/calls?q=Desk+17", "/staff/calls?q=nobody+answered",
    "/staff/calls?q=zebra", "/staff/calls?since=2026-01-01&until=2026-07-01&q=212", "/staff/phones?q=desk+500",
    "/staff/phones?status=attention", "/staff/requests?status=401", "/api/v1/calls?limit=1000",
    "/api/v1/phones?limit=1000",
    f"/staff/requests?mac={a_practice.mac(1)}", "/staff/requests?q=zebra",
)  # fmt: skip
# Whole exports, what changes or ends something, what asks another machine, and what needs an upload or a job first.
LEFT_OUT = re.compile(
    r"\.csv|\.zip|\.wav|sign-in/<|static|/session$|tests/<|/test$|/import$|jobs/<|work/<|readyz|backups?/|setup|\.toml|/part$|ca\.<|"
    r"users/<|providers/<|audit/<|groups/<group>|requests/<|phone-groups/<|settings/<name>.*x|second-factor|account/sessions|extensions/length"
)


class Found(NamedTuple):
    """What was measured of one page."""

    path: str
    status: int
    p50: float
    p95: float
    cpu: float
    ratio: float
    html: int
    cold: int
    packed: int


class Client:
    """One kept connection to the front, as an administrator."""

    def __init__(self, url: str, token: str) -> None:
        parts = urllib.parse.urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"Accept-Encoding": "gzip"}
        self._http.request("GET", f"/staff/sign-in/{token}")
        answer = self._http.getresponse()
        answer.read()
        self._headers["Cookie"] = answer.headers["Set-Cookie"].partition(";")[0]
        self._weights: dict[str, tuple[int, int]] = {}

    def get(self, path: str, plain: bool = False) -> tuple[int, bytes, float]:
        headers = {**self._headers, **({"Accept-Encoding": "identity"} if plain else {})}
        started = time.perf_counter()
        self._http.request("GET", path, headers=headers)
        answer = self._http.getresponse()
        body = answer.read()
        return answer.status, body, 1000 * (time.perf_counter() - started)

    def weight(self, page: bytes) -> tuple[int, int]:
        """Bytes of the page with all that a browser loads for it: (as they are, as they travel)."""
        whole = packed = len(page)
        for asset in set(re.findall(rb'(?:href|src)="(/staff/static/[^"]*)"', page)):
            name = asset.decode().replace("&amp;", "&")
            if name not in self._weights:
                self._weights[name] = (len(self.get(name, plain=True)[1]), len(self.get(name)[1]))
            whole, packed = whole + self._weights[name][0], packed + self._weights[name][1]
        return whole, packed


def paths(state: StateDir) -> list[str]:
    """Every GET page and list of the API that needs nothing but names that the practice has."""
    app, found = create_app(state), []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or LEFT_OUT.search(rule.rule):
                continue
            known = {**ARGUMENTS, "name": NAMES.get(rule.endpoint, "")}
            values = {name: known.get(name, "") for name in rule.arguments}
            if all(values.values()):
                _, path = rule.build(values, append_unknown=False) or ("", "")
                found.append(path)
    app.extensions["provisioner"].close()
    return sorted({*found, *MORE})


@contextmanager
def stand_in_edge(state: StateDir) -> Iterator[None]:
    """An edge that answers from what is prepared."""
    told, loop = a_practice.edge_status(), asyncio.new_event_loop()
    methods: dict[str, ipc.Method] = {
        "status": lambda _: told, "ping": lambda _: {"pid": 1, "uptime": 1.0}, "reload": lambda _: {"revision": 1},
        "legs": lambda _: {"legs": []}, "resync_status": lambda _: {"jobs": []},
    }  # fmt: skip
    server = ipc.Server(methods)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(state.socket("edge")), loop).result(10)
    yield
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


@contextmanager
def running(state: StateDir) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Front and web: the URL of the front, and both processes."""
    ports = [
        "--bind",
        "127.0.0.1",
        "--http-port",
        "0",
        "--https-port",
        "0",
        "--sip-host",
        "127.0.0.1",
        "--sip-port",
        "5060",
    ]
    commands = {"web": [], "front": [*ports, "--tftp-port", "0"]}
    started = []
    try:
        for name, more in commands.items():
            command = [sys.executable, "-m", "provisioner", name, "--state", str(state.root), *more]
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        yield _url(state), [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
            process.wait(15)


def _url(state: StateDir) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            ipc.ask(state.socket("web"), "ping")
            return str(ipc.ask(state.socket("front"), "status")["http"])
        except (ipc.Gone, ipc.Refused):
            time.sleep(0.1)
    raise SystemExit("front and web did not start")


def measure(client: Client, servers: list[psutil.Process], path: str, times: int, empty: float) -> Found:
    """Ask so many times; the first is left out, for it fills what is kept."""
    status, body, _ms = client.get(path)
    before = _used(servers)
    took = sorted(client.get(path)[2] for _ in range(times))
    cpu = 1000 * (_used(servers) - before) / times
    whole, packed = client.weight(body) if path.startswith("/staff") else (len(body), len(body))
    p50, p95 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.95))]
    return Found(path, status, p50, p95, cpu, cpu / empty if empty else 1.0, len(body), whole, packed)


def _used(servers: list[psutil.Process]) -> float:
    """Seconds of the processor."""
    return sum(sum(server.cpu_times()[:2]) for server in servers)


def run(root: Path, times: int, only: str) -> list[Found]:
    """Build the practice where it is not yet, and measure every page."""
    state = StateDir.create(root)
    if not state.journal.exists():
        began = time.monotonic()
        a_practice.inventory(state.inventory)
        a_practice.journal(state.journal, time.time())
        print(f"practice made in {time.monotonic() - began:.0f} s", file=sys.stderr)
    inventory = Inventory.open(state.inventory)
    token = inventory.new_token("sign-in", 600, "administrator")
    inventory.close()
    asked = [path for path in paths(state) if only in path]
    with stand_in_edge(state), running(state) as (url, servers):
        client = Client(url, token)
        client.get("/staff/")
        empty = measure(client, servers, "/staff/signed-out", 10 * times, 0).cpu
        return [measure(client, servers, path, times, empty) for path in asked]


COLUMNS = ("p50 ms", "p95 ms", "cpu ms", "x empty", "html", "cold", "packed")


def table(found: list[Found]) -> str:
    lines = [f"{'page':58} status " + " ".join(f"{name:>8}" for name in COLUMNS)]
    for each in sorted(found, key=lambda one: -one.cpu):
        took = " ".join(f"{value:8.1f}" for value in (each.p50, each.p95, each.cpu, each.ratio))
        lines.append(
            f"{each.path[:58]:58} {each.status:6} {took} {each.html:8} {each.cold:8} {each.packed:8}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=15, help="requests of each page")
    parser.add_argument("--state", type=Path, help="where the practice is kept for the next run")
    parser.add_argument("--only", default="", help="pages whose address holds this")
    parser.add_argument("--busy", action="store_true", help="judge the processor's time")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(given.state or Path(folder) / "state", given.times, given.only)
    print(json.dumps([each._asdict() for each in found]) if given.json else table(found))
    broken = [each.path for each in found if each.status >= 400]
    slow = [each.path for each in found if (each.cpu if given.busy else each.p95) > TARGET_MS]
    heavy = [each.path for each in found if each.path.startswith("/staff") and each.cold > TARGET_BYTES]
    for word, which in (("answered with an error", broken), ("over 100 ms", slow), ("over 250 KB", heavy)):
        if which:
            print(f"{word}: {', '.join(which)}", file=sys.stderr)
    return int(bool(broken or slow or heavy))


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    sys.exit(main())
