"""Front-desk phones at an emergency call: told and rung beside it, never in its way (docs/emergency.md)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.edge import frontdesk
from provisioner.edge.directory import Directory
from provisioner.edge.edge import EMERGENCY_RESERVE
from provisioner.edge.frontdesk import LATE_SECONDS, RING_SECONDS, SAID
from provisioner.store.records import Notifying
from tests.edge.world import MACS, Talk, World, practice

WHERE = "Main building, FL 2, 1 Main Street, Oakland, CA"


def with_desks(*extensions: str, register: bool = True, **settings: Any) -> World:
    """A practice with front desks."""
    snapshot = practice()
    phones = {
        mac: msgspec.structs.replace(phone, front_desk=phone.lines[0].extension in extensions)
        for mac, phone in snapshot.phones.items()
    }
    chosen = {"notices": Notifying(id="notices", **settings)}
    world = World(practice(phones=phones, notice_settings=chosen))
    if register:
        world.register_all()
    return world


def dial(world: World, code: str = "911", extension: str = "102") -> Talk:
    return world.phones[extension].call(code, account=None)


def texts(world: World, extension: str) -> list[str]:
    return [message.body.decode() for message in world.phones[extension].requests("MESSAGE")]


def notices(world: World, **wanted: str) -> list[dict[str, Any]]:
    """The last row of each notice."""
    rows = {row["id"]: row for table, row in world.rows if table == "notices"}
    return [row for row in rows.values() if all(row[name] == value for name, value in wanted.items())]


def close(world: World) -> None:
    world.end()
    world.assert_nothing_left()
    assert world.edge.front_desk.rings == {}


@pytest.mark.rule("emergency.told")
def test_a_front_desk_is_told_and_rung_after_the_call_is_out() -> None:
    world = with_desks("101")
    order: list[str] = []
    carry = world.carry
    world.carry = lambda sender, receiver, data: (  # type: ignore[method-assign]
        order.append(f"{data.split(b' ', 1)[0].decode()} {receiver[0]}"), carry(sender, receiver, data)
    )[1]  # fmt: skip
    dial(world)
    sent = [each for each in order if each.startswith(("INVITE", "MESSAGE"))]
    first = sent.index(f"INVITE {world.core.address[0]}")
    assert first < sent.index(f"MESSAGE {world.phones['101'].address[0]}")
    assert first < sent.index(f"INVITE {world.phones['101'].address[0]}")
    (said,) = texts(world, "101")
    assert said.splitlines()[0] == f"911 called: Room 102 (102), {WHERE}"
    assert "Call-back number: +14155550102" in said
    ring = world.ringing("101").invite
    assert ring.get("alert-info").endswith("info=emergency")
    assert '"911: Room 102 (102), Main building' in ring.get("from")
    assert world.edge.calls.keys() == {world.events[-1][1].get("id", next(iter(world.edge.calls)))}
    close(world)


@pytest.mark.rule("emergency.told")
def test_who_picks_up_hears_who_and_where_and_is_let_go() -> None:
    world = with_desks("101")
    dial(world)
    talk = world.ringing("101")
    talk.answer()
    heard = world.hears(talk).split()
    assert heard[:5] == ["front-emergency", "say-1", "say-0", "say-2", "front-where"]
    assert heard[5:7] == ["say-main", "say-building"]
    assert "say-2" in heard[7:]
    for _ in range(SAID):
        assert talk.up
        world.prompt_ends(talk)
    assert talk.over
    (row,) = notices(world, channel="ring")
    assert (row["target"], row["occasion"], row["state"]) == ("101", "placed", "delivered")
    close(world)


def test_a_place_is_spoken_in_words_where_a_program_speaks() -> None:
    class Voice:
        said = ""

        def prepare(self, call: str, name: str) -> None:
            self.said = name

        def clip(self, call: str) -> str:
            return "said-1"

        def forget(self, call: str) -> None: ...

    world = with_desks("101")
    world.edge.speech = voice = Voice()
    dial(world)
    world.ringing("101").answer()
    assert world.hears(world.ringing("101")).split()[-3:] == ["front-where", "said-1", "silence"]
    assert "FL  two" in voice.said
    close(world)


@pytest.mark.rule("emergency.told")
def test_never_the_phone_that_called_and_only_front_desks() -> None:
    world = with_desks("101", "102")
    dial(world)
    assert [texts(world, extension) != [] for extension in ("101", "102", "103")] == [True, False, False]
    assert world.phones["103"].calls == []
    assert len(world.phones["102"].calls) == 1
    close(world)


@pytest.mark.rule("emergency.told")
def test_answered_and_failed_are_told_too_and_a_failure_rings() -> None:
    world = with_desks("101")
    caller = dial(world)
    world.core.calls[-1].answer()
    assert ["has answered" in said for said in texts(world, "101")] == [False, True]
    caller.hangup()
    assert len(texts(world, "101")) == 2
    world.ringing("101").refuse(486)
    world.core.on_call = lambda talk: talk.session.reject(503)
    dial(world)
    first, second = texts(world, "101")[2:]
    assert "AND THE CALL FAILED" not in first
    assert "AND THE CALL FAILED" in second
    assert "no route took the call" in second
    world.ringing("101").answer()
    assert world.hears(world.ringing("101")).startswith("front-")
    close(world)


def test_nobody_picks_up() -> None:
    world = with_desks("101")
    dial(world)
    world.pass_time(RING_SECONDS)
    assert world.ringing("101").over
    (row,) = notices(world, channel="ring")
    assert (row["state"], row["problem"]) == ("failed", "nobody picked up")
    close(world)


@pytest.mark.rule("emergency.told")
def test_a_front_desk_that_is_away_is_told_when_it_is_back() -> None:
    world = with_desks("101", register=False)
    dial(world)
    (row,) = notices(world, channel="message")
    assert (row["state"], row["problem"]) == ("pending", "the phone is not registered")
    world.pass_time(100)
    world.phones["101"].register()
    assert len(texts(world, "101")) == 1
    (row,) = notices(world, channel="message")
    assert (row["state"], row["problem"]) == ("delivered", "")
    close(world)


def test_one_that_never_comes_back_is_written_down() -> None:
    world = with_desks("101", register=False)
    dial(world).hangup()
    world.pass_time(LATE_SECONDS + 300)
    row = notices(world, channel="message")[-1]
    assert row["state"] == "failed"
    assert row["tries"] > 5
    assert world.timers.pending() == 0


def test_a_phone_that_takes_no_messages_is_not_asked_again() -> None:
    world = with_desks("101")
    world.phones["101"].on_request = lambda transaction: transaction.reply(405)
    dial(world)
    (row,) = notices(world, channel="message")
    assert (row["state"], row["tries"]) == ("failed", 1)
    assert world.phones["101"].calls
    close(world)


@pytest.mark.rule("emergency.told", "emergency.always")
def test_the_ports_kept_for_emergencies_are_not_for_rings() -> None:
    world = with_desks("101")
    world.edge.take_media()  # fills the reserve
    world.media.capacity = len(world.media.open) + 1
    caller = dial(world)
    assert world.core.calls
    assert world.phones["101"].calls == []
    assert len(texts(world, "101")) == 1
    (row,) = notices(world, channel="ring")
    assert row["problem"] == "the phone cannot be rung now"
    assert EMERGENCY_RESERVE > 0
    caller.hangup()


@pytest.mark.rule("emergency.told", "emergency.always")
def test_whatever_breaks_in_telling_the_call_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("no")

    world = with_desks("101")
    world.edge.record = broken
    monkeypatch.setattr(frontdesk.FrontDesk, "tell", broken)
    caller = dial(world)
    world.core.calls[-1].answer()
    assert caller.up
    world.edge.record = lambda _table, _row: None
    close(world)


@pytest.mark.parametrize(("tests", "told"), [(False, 0), (True, 1)])
def test_933_is_told_only_where_that_is_wanted(tests: bool, told: int) -> None:
    world = with_desks("101", tests=tests)
    dial(world, "933")
    assert len(texts(world, "101")) == told
    assert len(world.phones["101"].calls) == told
    close(world)


def test_988_is_told_to_nobody_and_its_row_names_nobody() -> None:
    world = with_desks("101", tests=True)
    dial(world, "988")
    assert texts(world, "101") == []
    (row,) = [row for table, row in world.rows if table == "emergencies"]
    assert (row["kind"], row["mac"], row["extension"], row["number"]) == ("crisis", "", "", "")
    assert row["body"].keys() == {"called", "routes", "origin"}
    close(world)


def test_phones_need_not_ring() -> None:
    world = with_desks("101", ring=False)
    dial(world)
    assert len(texts(world, "101")) == 1
    assert world.phones["101"].calls == []
    close(world)


@pytest.mark.rule("emergency.told")
def test_the_row_of_a_call_is_its_evidence() -> None:
    world = with_desks("101")
    world.edge.moves.doubt = lambda mac: "another network" if mac == MACS["102"] else ""  # type: ignore[method-assign]
    caller = dial(world)
    world.core.calls[-1].answer()
    caller.hangup()
    row = [row for table, row in world.rows if table == "emergencies"][-1]
    assert row["number"] == "+14155550102"
    assert row["answered"] is not None
    assert row["outcome"] == "caller hung up"
    body = row["body"]
    assert (body["known"], body["doubt"], body["location"]) == (True, "another network", WHERE)
    (route,) = body["routes"]
    assert (route["trunk"], route["location"], route["result"]) == ("core", "value", "answered")
    assert "another network" in texts(world, "101")[0]
    assert body["matters"]["network"] == "10.0.0.0/24"
    close(world)


def test_the_appliance_stops() -> None:
    world = with_desks("101", "103")
    world.phones["103"].register(expires=0)
    dial(world)
    world.edge.close()
    world.run()
    assert world.ringing("101").over
    close(world)


def test_a_front_desk_that_is_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = with_desks("101", register=False)
    dial(world)
    world.edge.swap(Directory(practice(phones={})))
    world.pass_time(60)
    (row,) = notices(world, channel="message")
    assert row["state"] == "pending"
    world.pass_time(LATE_SECONDS)
    close(world)
