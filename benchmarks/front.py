"""CPU per fetch of a phone's file, connections kept and new: `python benchmarks/front.py`.

The server is a process of its own on one core, the client another; what counts is the server's CPU time.
Target: 30 µs kept, 60 µs new, with identity check, rendering and record.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).parent.parent
AGENT = "Yealink SIP-T46S 66.85.0.5 00:15:65:{0}:{1}:{2}"
PHONES = 1000


def serve(pipe: Connection, core: int) -> None:
    import asyncio
    import gc
    from functools import partial

    import uvloop

    from provisioner.front.door import Door
    from provisioner.front.events import Hub
    from provisioner.front.firmware import Firmware
    from provisioner.front.locations import Locations
    from provisioner.front.lookup import Lookup
    from provisioner.front.neighbours import Neighbours
    from provisioner.front.phone_files import PhoneFiles
    from provisioner.front.proxy import Proxy
    from provisioner.front.record import HANDED_OVER_EVERY, Recorder
    from provisioner.front.server import Server
    from provisioner.front.uploads import Uploads
    from provisioner.phones.render import Renderer
    from provisioner.phones.settings import Addresses
    from provisioner.store.journal import Journal
    from provisioner.store.records import Credential, Line, LineCredential, Phone, Practice, Snapshot

    macs = [f"001565{index:06x}" for index in range(PHONES)]
    snapshot = Snapshot(
        revision=1,
        practice=Practice(id="practice", name="Benchmark", main_number="+14155550100"),
        phones={
            mac: Phone(id=mac, vendor="yealink", model="T46S", lines=(Line(extension="101", name=mac),))
            for mac in macs
        },
        credentials={
            mac: Credential(id=mac, lines=(LineCredential(auth_user=mac, password="x" * 24),)) for mac in macs
        },
    )

    async def run() -> None:
        folder = Path(mkdtemp())
        journal = Journal.open(folder / "journal.db")
        loop = asyncio.get_running_loop()
        later = partial(loop.call_later, HANDED_OVER_EVERY)
        recorder = Recorder(lambda _event, _data: None, journal, later=later)
        neighbours = Neighbours()
        neighbours.open()
        door = Door(folder, neighbours, lambda _event, _data: None)
        lookup, uploads = Lookup(door), Uploads(folder)
        files = PhoneFiles(lookup, recorder, Firmware(folder), uploads)
        lookup.renderer = Renderer(snapshot, Addresses("192.0.2.1", 5060, "192.0.2.1", 80))
        gc.freeze()  # as the process does with each inventory
        server = Server(
            files, Proxy(folder / "none"), Hub(), recorder, loop.time, Locations(lookup, recorder)
        )
        listener = await loop.create_server(server.http, "127.0.0.1", 0, backlog=1024)
        pipe.send(listener.sockets[0].getsockname()[1])
        asked = asyncio.Event()

        def answer() -> None:
            if pipe.recv() == "stop":
                asked.set()
            else:
                pipe.send((time.thread_time(), time.process_time()))

        loop.add_reader(pipe.fileno(), answer)
        await asked.wait()
        listener.close()
        await server.close()
        journal.close()

    os.sched_setaffinity(0, {core})
    uvloop.run(run())


def requests() -> list[bytes]:
    made = []
    for index in range(PHONES):
        mac = f"001565{index:06x}"
        agent = AGENT.format(mac[6:8], mac[8:10], mac[10:])
        made.append(f"GET /{mac}.cfg HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n".encode())
    return made


def receive(sock: socket.socket) -> int:
    data = sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)
    assert head.startswith(b"HTTP/1.1 200")
    return length


def measure(pipe: Connection, port: int, count: int, at_once: int, kept: bool) -> tuple[float, float, int]:
    """Microseconds of CPU a fetch: in the loop's own thread, and with the journal's; and the body's size."""
    todo = requests()
    address = ("127.0.0.1", port)
    sockets = [socket.create_connection(address) for _ in range(at_once)]
    for request in todo:
        sockets[0].sendall(request)
        size = receive(sockets[0])
    pipe.send("time")
    thread, process = pipe.recv()
    for index in range(0, count, at_once):
        if not kept:
            for sock in sockets:
                sock.close()
            sockets = [socket.create_connection(address) for _ in range(at_once)]
        for place, sock in enumerate(sockets):
            sock.sendall(todo[(index + place) % PHONES])
        for sock in sockets:
            receive(sock)
    pipe.send("time")
    thread_end, process_end = pipe.recv()
    for sock in sockets:
        sock.close()
    return (thread_end - thread) / count * 1e6, (process_end - process) / count * 1e6, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    count = parser.parse_args().count
    ours, theirs = multiprocessing.Pipe()
    cores = sorted(os.sched_getaffinity(0))
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, cores[0]))
    server.start()
    theirs.close()  # or a server that breaks down would be waited for
    os.sched_setaffinity(0, {cores[-1]})
    port = ours.recv()
    for name, kept in (("kept connection", True), ("new connection", False)):
        for at_once in (32, 1):
            fetches = count if kept else count // 4
            loop, whole, size = measure(ours, port, fetches, at_once, kept)
            print(
                f"{name}, {at_once} at once: {loop:.1f} µs in the loop, {whole:.1f} µs with the journal's"
                f" thread ({size} bytes)"
            )
    ours.send("stop")
    server.join()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
