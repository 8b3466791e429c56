"""Calls to 933 that the edge makes in the name of a line: the code of 911, and nothing is disturbed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.edge.selftest import LISTEN_SECONDS, SPACING_SECONDS
from provisioner.emergency.schedule import DAY
from provisioner.errors import UsageError
from provisioner.store.records import Notifying
from tests.edge.test_emergency import TWO_ROUTES, location_in, numbers_in
from tests.edge.world import CIVIC, World, number_of, practice


def start(world: World, extension: str = "102") -> None:
    world.edge.selftests.start(extension, "hand")
    world.run()


def rows(world: World) -> list[dict[str, Any]]:
    return [row for table, row in world.rows if table == "emergencies"]


@pytest.mark.rule("dialled.emergency-test")
def test_it_is_the_call_that_911_would_be(world: World) -> None:
    start(world)
    test = world.core.calls[-1]
    world.phones["102"].call("911", account=None)
    real = world.core.calls[-1]
    assert test.invite.uri.startswith("sip:933@")
    assert numbers_in(test.invite) == numbers_in(real.invite) == (number_of("102"), number_of("102"))
    assert location_in(test.invite) == location_in(real.invite) == CIVIC
    assert world.phones["101"].calls == []
    names = [[name for name, _ in talk.invite.headers] for talk in (test, real)]
    assert names[0] == names[1]
    test.answer()
    test.hangup()


def test_it_listens_and_hangs_up(world: World) -> None:
    start(world)
    talk = world.core.calls[-1]
    talk.answer()
    world.pass_time(LISTEN_SECONDS - 1)
    assert talk.up
    world.pass_time(1)
    assert talk.over
    row = rows(world)[-1]
    assert (row["kind"], row["outcome"], row["body"]["origin"]) == ("emergency-test", "read back", "hand")
    assert row["ended"] - row["answered"] == LISTEN_SECONDS
    assert row["body"]["matters"]["number"] == "+14155550102 known"


def test_the_core_hangs_up_after_the_readback(world: World) -> None:
    start(world)
    talk = world.core.calls[-1]
    talk.answer()
    talk.hangup()
    assert rows(world)[-1]["outcome"] == "ended"
    assert world.edge.calls == {}


def test_it_takes_the_second_route_as_911_does(world: World) -> None:
    world.edge.trunks.update(list(TWO_ROUTES.values()))
    world.core.dead = True
    start(world)
    world.pass_time(5)
    world.backup.calls[-1].answer()
    results = [(each["trunk"], each["result"]) for each in rows(world)[-1]["body"]["routes"]]
    assert results == [("core", "silent"), ("backup", "answered")]


def test_never_two_at_once_nor_one_right_after_another_nor_beside_an_emergency(world: World) -> None:
    tests = world.edge.selftests
    start(world)
    with pytest.raises(UsageError, match="on already"):
        tests.start("101", "hand")
    world.core.calls[-1].answer()
    world.core.calls[-1].hangup()
    with pytest.raises(UsageError, match="a moment ago"):
        tests.start("101", "hand")
    world.pass_time(SPACING_SECONDS)
    world.phones["103"].call("911", account=None)
    with pytest.raises(UsageError, match="emergency call is on"):
        tests.start("101", "hand")
    with pytest.raises(UsageError, match="No phone"):
        tests.start("199", "hand")


def test_the_reserve_of_media_is_not_for_tests(world: World) -> None:
    world.edge.take_media()
    world.media.capacity = len(world.media.open)
    start(world)
    assert world.core.calls == []
    assert rows(world)[-1]["outcome"] == "no route took the call"
    world.media.capacity += 1
    caller = world.phones["102"].call("911", account=None)
    assert len(world.core.calls) == 1
    caller.hangup()


def test_the_schedule_calls_each_line_in_its_night() -> None:
    chosen = {"notices": Notifying(id="notices", test_days=2.0)}
    world = World(practice(notice_settings=chosen))
    world.core.on_call = lambda talk: talk.answer()
    tests = world.edge.selftests
    for _ in range(int(4 * DAY / 300)):
        tests.tick()
        assert sum(call.view()["to"] == "933" for call in world.edge.calls.values()) <= 1
        world.pass_time(300)
    tested = {row["extension"] for row in rows(world) if row["ended"]}
    assert tested == {"101", "102", "103"}
    kept = msgspec.json.decode(msgspec.json.encode(tests.schedule.due))
    tests.recall(kept)
    assert tests.schedule.due == kept
    tests.recall("junk")
    assert tests.schedule.due == {}


def test_the_schedule_waits_while_anybody_calls(world: World) -> None:
    tests = world.edge.selftests
    tests.schedule.next = lambda *_args: "102"  # type: ignore[method-assign]
    world.phones["101"].call("103")
    tests.tick()
    assert not any(call.view()["to"] == "933" for call in world.edge.calls.values())
