"""The edge's client: legs without waiting, and everything put again after a restart of media."""

import asyncio
import signal
import subprocess
import sys

import pytest

from provisioner import ipc
from provisioner.media.client import MediaClient
from provisioner.paths import StateDir
from tests.media.test_process import HOST, SERVE, Party


class Media:
    """The media process, to be started again."""

    def __init__(self, state):
        self.state = state
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.state.root)])

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def ask(self, call, **args):
        return await asyncio.to_thread(ipc.ask, self.state.socket("media"), call, args)


@pytest.fixture
def media(tmp_path):
    process = Media(StateDir.create(tmp_path))
    yield process
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(20) == 0


def played(media, test, **options):
    """Run `test(client, events)` with a connected client; `events` is a queue of (name, data)."""

    async def go():
        events = asyncio.Queue()
        client = MediaClient(
            media.state.socket("media"),
            HOST,
            "boot",
            lambda name, data: events.put_nowait((name, data)),
            **{"pool": 3, "retry": 0.01, **options},
        )
        client.start()
        async with asyncio.timeout(20):
            await client.filled.wait()
            await test(client, events)
            await client.close()

    asyncio.run(go())


def test_legs_are_taken_at_once_and_the_pool_refills(media):
    async def test(client, _events):
        legs = [client.take() for _ in range(4)]
        assert [leg.id for leg in legs[:3]] == ["boot-1", "boot-2", "boot-3"]
        assert legs[3] is None
        assert len({leg.port for leg in legs[:3]}) == 3
        await client.filled.wait()
        assert client.take().id == "boot-4"

    played(media, test)


def test_events_of_taken_legs_arrive(media):
    async def test(client, events):
        leg = client.take()
        leg.put(source={"play": ["silence"], "token": 5})
        assert await events.get() == ("played", {"leg": leg.id, "token": 5})
        assert (await leg.stats())["packets_out"] == 0

    played(media, test)


def test_only_changes_are_sent(media):
    async def test(client, _events):
        sent = []
        client._tell = lambda call, args: sent.append((call, args))
        leg = client.take()
        leg.put(take="all", codec="PCMA")
        leg.put(codec="PCMA")
        leg.put(take="")
        leg.drop()
        leg.drop()
        leg.put(take="*")
        del client._tell
        assert sent == [
            ("put", {"leg": "boot-1", "take": "all", "codec": "PCMA"}),
            ("put", {"leg": "boot-1", "take": "", "codec": "PCMA"}),
            ("drop", {"leg": "boot-1"}),
        ]

    played(media, test)


def test_a_dropped_leg_is_gone(media):
    async def test(client, _events):
        leg = client.take()
        leg.drop()
        with pytest.raises(ipc.Refused, match="no leg"):
            await leg.stats()

    played(media, test)


def test_after_a_restart_of_media_everything_is_as_before(media):
    party = Party()
    party.sock.settimeout(20)

    async def test(client, _events):
        leg = client.take()
        leg.put(remote=party.address)
        await leg.stats()
        media.kill()
        leg.put(source={"play": ["music"], "loop": True})
        media.start()
        data, source = await asyncio.to_thread(party.sock.recvfrom, 2048)
        assert source == (HOST, leg.port)
        assert len(data) == 172
        await client.filled.wait()
        assert client.connected
        assert client.take() is not None

    played(media, test)
    party.close()


def test_close_drops_every_leg(media):
    ids = []

    async def test(client, _events):
        ids.extend([client.take().id, client._pool[0].id])

    played(media, test)

    async def look():
        for leg in ids:
            with pytest.raises(ipc.Refused, match="no leg"):
                await media.ask("stats", leg=leg)

    asyncio.run(look())


def test_a_refusing_media_is_asked_again(media, caplog, monkeypatch):
    """The address is not this machine's: no leg, an error line, and nothing breaks."""
    monkeypatch.setattr("provisioner.media.client.REFILL_RETRY", 0.01)

    async def go():
        client = MediaClient(media.state.socket("media"), "192.0.2.1", "boot", pool=1, retry=0.01)
        client.start()
        async with asyncio.timeout(20):
            while caplog.text.count("no more media legs") < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert client.take() is None
            await client.close()

    asyncio.run(go())


def test_without_media_nothing_waits(tmp_path):
    async def go():
        client = MediaClient(StateDir.create(tmp_path).socket("media"), HOST, "boot")
        client.start()
        assert client.take() is None
        assert not client.connected
        await client.close()

    asyncio.run(go())


def test_the_pool_is_filled_by_one_question_for_all(monkeypatch, tmp_path):
    asked, all_asked = [], asyncio.Event()

    async def ask(_client, call, args):
        asked.append(args["leg"])
        if len(asked) == 5:
            all_asked.set()
        await all_asked.wait()  # nobody is answered before all have been asked
        if args["leg"] == "boot-3":
            raise ipc.Refused("no port")
        return {"port": 20000}

    async def go():
        monkeypatch.setattr(ipc.Client, "ask", ask)
        client = MediaClient(tmp_path / "none.sock", HOST, "boot", pool=5)
        async with asyncio.timeout(20):
            with pytest.raises(ipc.Refused):
                await client._open(5)
        assert [client.take().id for _ in range(4)] == ["boot-1", "boot-2", "boot-4", "boot-5"]

    asyncio.run(go())
    assert asked == [f"boot-{number}" for number in range(1, 6)]
