"""The supervisor with small processes of our own: up, dead, back, reloaded, ended, in that order."""

import asyncio
import os
import select
import signal
import subprocess
import sys

import pytest

from provisioner import supervisor
from provisioner.errors import OperatorError
from provisioner.ipc import Client
from provisioner.paths import StateDir
from provisioner.supervisor import Child, NotStartedError, Supervisor, only_one

# A process that answers, and writes what happens to it into a file. Arguments: its name, the state directory.
PROCESS = """
import asyncio, os, signal, sys
from pathlib import Path
from provisioner.ipc import Server
from provisioner.paths import StateDir
from provisioner.supervisor import die_with_parent

die_with_parent()
name, state = sys.argv[1], StateDir.create(sys.argv[2])

def note(what):
    with (state.root / "notes").open("a") as file:
        file.write(f"{name} {what}\\n")
    return {}

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = Server({"ping": lambda args: {"pid": os.getpid()}, "reload": lambda args: note("reload")})
    await server.start(state.socket(name))
    note("up")
    await stop.wait()
    note("end")

if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    signal.pause()
asyncio.run(main())
"""


@pytest.fixture
def state(tmp_path):
    return StateDir.create(tmp_path / "state")


def child(name, state, *more, required=True):
    return Child(name, [sys.executable, "-c", PROCESS, name, str(state.root), *more], required)


def notes(state):
    return (state.root / "notes").read_text().splitlines()


async def when(condition):
    """Wait for something that another process does; the test's own time limit is the only clock."""
    while not condition():  # noqa: ASYNC110 - it happens in another process
        await asyncio.sleep(0.01)


def run(state, children, play):
    """Run a supervisor; when it is ready, run `play(supervisor)`, then SIGTERM this process."""

    async def main():
        running = Supervisor(state, children)
        ready = asyncio.Event()

        async def then():
            await ready.wait()
            try:
                await play(running)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        async with asyncio.timeout(30):
            await asyncio.gather(running.run(ready.set), then())

    asyncio.run(main())


def test_ready_when_all_answer_and_the_edge_ends_first(state):
    async def play(_running):
        assert sorted(notes(state)) == ["edge up", "media up", "web up"]

    run(state, [child(name, state) for name in ("media", "web", "edge")], play)
    *_, first, second, third = notes(state)
    assert first == "edge end"
    assert {second, third} == {"media end", "web end"}


def test_one_that_is_not_required_comes_last_and_holds_up_nothing(state):
    async def play(_running):
        await when(lambda: "simulate up" in notes(state))

    run(state, [child("simulate", state, required=False), child("media", state)], play)
    assert notes(state)[:2] == ["media up", "simulate up"]


def test_a_killed_process_comes_back(state, caplog):
    caplog.set_level("INFO")

    async def play(running):
        before = running._processes["edge"].pid
        os.kill(before, signal.SIGKILL)
        await when(lambda: "edge is back" in caplog.text)
        assert running._processes["edge"].pid != before
        client = Client(state.socket("edge"))
        client.start()
        await client.connected.wait()
        assert (await client.ask("ping"))["pid"] == running._processes["edge"].pid
        await client.close()

    run(state, [child("edge", state), child("media", state)], play)
    assert "edge ended (SIGKILL) and is started again" in caplog.text
    assert notes(state).count("media up") == 1


def test_sighup_reloads_edge_and_front(state):
    async def play(_running):
        os.kill(os.getpid(), signal.SIGHUP)
        await when(lambda: len([note for note in notes(state) if "reload" in note]) == 2)

    run(state, [child(name, state) for name in ("edge", "front", "media")], play)
    assert {note for note in notes(state) if "reload" in note} == {"edge reload", "front reload"}


def test_one_that_does_not_start_is_named_and_the_rest_ended(state):
    broken = Child("web", [sys.executable, "-c", "raise SystemExit(1)"])

    async def play(_running):
        raise AssertionError("it must not become ready")

    async def main():
        with pytest.raises(NotStartedError, match="web does not start"):
            await Supervisor(state, [child("media", state), broken]).run(lambda: None)

    asyncio.run(main())


def test_one_that_never_answers_is_named(state, monkeypatch):
    monkeypatch.setattr(supervisor, "START_SECONDS", 0.05)
    silent = Child("web", [sys.executable, "-c", "import signal; signal.pause()"])

    async def main():
        with pytest.raises(NotStartedError, match=r"web did not answer in 0\.05 s"):
            await Supervisor(state, [silent]).run(lambda: None)

    asyncio.run(main())


def test_one_that_does_not_end_is_killed(state, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "REST_SECONDS", 0.05)

    async def play(running):
        await when(lambda: "simulate" in running._processes)
        await when(lambda: ignores_sigterm(running._processes["simulate"].pid))

    run(state, [child("media", state), child("simulate", state, "deaf", required=False)], play)
    assert "did not end in 0.05 s and is killed" in caplog.text


def ignores_sigterm(pid):
    with open(f"/proc/{pid}/status") as file:
        ignored = next(line.split()[1] for line in file if line.startswith("SigIgn"))
    return bool(int(ignored, 16) & (1 << (signal.SIGTERM - 1)))


def test_told_to_stop_before_it_is_ready_it_ends_quietly(state):
    silent = Child("web", [sys.executable, "-c", "import signal; signal.pause()"])
    became_ready = []

    async def main():
        running = Supervisor(state, [silent])
        asyncio.get_running_loop().call_soon(running._stop.set)
        await running.run(lambda: became_ready.append(True))

    asyncio.run(main())
    assert became_ready == []


def test_what_goes_wrong_when_ready_ends_all(state):
    def on_ready():
        raise OperatorError("cannot write", "name another")

    async def main():
        with pytest.raises(OperatorError, match="cannot write"):
            await Supervisor(state, [child("media", state)]).run(on_ready)

    asyncio.run(main())
    assert notes(state) == ["media up", "media end"]


SUPERVISED = """
import asyncio, sys
from provisioner.paths import StateDir
from provisioner.supervisor import Child, Supervisor

state, script = StateDir.create(sys.argv[1]), sys.argv[2]
running = Supervisor(state, [Child("media", [sys.executable, "-c", script, "media", sys.argv[1]])])
asyncio.run(running.run(lambda: print(running._processes["media"].pid, flush=True)))
"""


def test_no_process_outlives_a_killed_supervisor(state):
    command = [sys.executable, "-c", SUPERVISED, str(state.root), PROCESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        orphan = os.pidfd_open(int(started.stdout.readline()))
        started.kill()
    assert select.select([orphan], [], [], 10)[0] == [orphan]  # readable when it is dead
    os.close(orphan)


def test_only_one_appliance_runs_on_a_state_directory(state):
    with (
        only_one(state),
        pytest.raises(OperatorError, match=rf"already \(process {os.getpid()}\): stop it"),
        only_one(state),
    ):
        pass
    with only_one(state):
        pass
