"""What the edge writes of each call, and what it never says in a log line or a counter."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.edge.world import MAIN, OUTSIDE, PATIENT, World


def rows(world: World) -> list[dict[str, Any]]:
    """The last row of each call, in their order."""
    return list({row["id"]: row for table, row in world.rows if table == "calls"}.values())


@pytest.mark.rule("log.row")
def test_a_call_with_a_transfer_is_one_row(world: World) -> None:
    patient = world.inbound()
    world.pass_time(4)
    desk = world.ringing("101")
    desk.answer()
    world.leg_of(patient).stats = {"packets_in": 950, "lost": 50, "jitter_ms": 12.0}
    world.leg_of(desk).stats = {"packets_in": 1000, "lost": 0, "jitter_ms": 1.0}
    world.press(desk, "*1102#")
    world.ringing("102").answer()
    world.press(desk, "*1")
    world.pass_time(30)
    patient.hangup()
    (row,) = rows(world)
    assert (row["caller"], row["called"], row["direction"], row["target"]) == (
        PATIENT,
        MAIN,
        "inbound",
        "102",
    )
    assert (row["desk"], row["emergency"], row["outcome"]) == ("102", 0, "ended")
    assert (row["ring_seconds"], row["talk_seconds"]) == (4.0, 30.0)
    assert (row["loss"], row["jitter_ms"]) == (5.0, 12.0)
    assert 3.5 < row["mos"] < 4
    steps = [what for _, what in row["steps"]]
    assert steps[-3:] == ["completing", "joined 102", "ended"]
    assert "dialling 102" in steps
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("log.row")
def test_each_leg_is_kept_with_how_it_was_reached_and_how_it_sounded(world: World) -> None:
    patient = world.inbound()
    world.pass_time(4)
    desk = world.ringing("101")
    others = [world.ringing(extension) for extension in ("102", "103")]
    others[0].refuse(486)
    desk.answer()
    world.leg_of(patient).stats = {"packets_in": 950, "lost": 50, "jitter_ms": 12.0}
    world.leg_of(desk).stats = {"packets_in": 1000, "lost": 0, "jitter_ms": 1.0}
    world.pass_time(6)
    patient.hangup()
    (row,) = rows(world)
    caller, busy, passed, first = row["legs"]
    assert (caller["trunk"], caller["codec"], caller["transport"]) == ("core", "PCMU", "UDP")
    assert {"called", "extension", "mac"}.isdisjoint(caller)  # who called us is no phone
    assert (caller["from"], caller["answered"], caller["to"]) == (0.0, 4.0, 10.0)
    assert (caller["loss"], caller["jitter_ms"]) == (5.0, 12.0)
    assert (first["extension"], first["called"], first["mos"]) == ("101", True, 4.38)
    assert first["mac"] == world.edge.directory.stations["101"].phone.id
    assert (busy["extension"], busy["status"]) == ("102", 486)
    assert "answered" not in busy
    assert (passed["extension"], passed["to"]) == ("103", 4.0)
    assert row["mos"] == caller["mos"]


def test_the_legs_of_a_call_that_is_on(world: World) -> None:
    patient = world.inbound()
    world.ringing("102").refuse(486)
    world.ringing("101").answer()
    (call,) = world.edge.calls.values()
    live = [leg for leg in world.edge.media_owners.values() if leg.owner.id == call.id]
    legs = world.edge.records.legs(call.id, call.started, live, world.edge.wall_clock())
    assert [leg.get("extension", "") for leg in legs if "answered" in leg] == ["", "101"]
    assert {leg["status"] for leg in legs if "status" in leg} == {486}
    assert world.edge.records.legs("none", 0.0, [], 0.0) == []
    patient.hangup()


def test_an_outside_party_is_known_by_its_number(world: World) -> None:
    world.phones["101"].call(OUTSIDE)
    world.core.calls[-1].answer()
    world.pass_time(3)
    world.end()
    (row,) = rows(world)
    assert [leg.get("number", "") for leg in row["legs"]] == ["", OUTSIDE]
    assert (row["legs"][1]["called"], row["legs"][1]["trunk"]) == (True, "core")


@pytest.mark.rule("log.row")
def test_quality_that_comes_late_completes_the_row(world: World) -> None:
    talk = world.phones["101"].call("102")
    world.ringing("102").answer()
    said: list[Any] = []
    leg = world.leg_of(talk)

    def drop(then: Any = None) -> None:
        leg.dropped = True
        said.append(then)

    leg.drop = drop  # type: ignore[method-assign]
    talk.hangup()
    assert "mos" not in rows(world)[0]
    said[0]({"packets_in": 100, "lost": 0, "jitter_ms": 0.0})
    assert rows(world)[0]["mos"] == 4.38
    assert world.edge.records.pending == 0


@pytest.mark.parametrize("stats", [None, {"packets_in": 3, "lost": 40, "jitter_ms": 5.0}])
def test_nothing_heard_says_nothing_of_quality(world: World, stats: Any) -> None:
    talk = world.phones["101"].call("102")
    world.ringing("102").answer()
    world.leg_of(talk).stats = stats
    talk.hangup()
    assert "mos" not in rows(world)[0]


@pytest.mark.rule("log.row")
def test_an_emergency_is_flagged(world: World) -> None:
    world.phones["101"].call("911").hangup()
    (row,) = rows(world)
    assert (row["emergency"], row["direction"], row["caller"], row["called"]) == (
        1,
        "emergency",
        "101",
        "911",
    )


@pytest.mark.rule("log.masked")
def test_no_outside_number_is_in_a_log_line_or_counter(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        patient = world.inbound()
        desk = world.ringing("101")
        desk.answer()
        world.press(desk, f"*1{OUTSIDE[1:]}#")
        world.core.calls[-1].refuse(486)
        patient.hangup()
        desk.hangup()
        for dialled in (OUTSIDE, "+442079460000", "9005551234", "5551234"):
            world.phones["102"].call(dialled)
        world.core.dead = True
        world.phones["103"].call(OUTSIDE)
        world.pass_time(60)
        world.inbound(to="+14155559999")
        world.end()
    said = caplog.text + repr(world.edge.counters)
    for number in (PATIENT, OUTSIDE, "+442079460000", "9005551234", "5551234"):
        assert number.lstrip("+") not in said
        assert number[-7:] not in said
