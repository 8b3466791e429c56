"""Limits against toll fraud, as a machine and in calls; and what the caller ID of an outside call may be."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from provisioner.dialing.classify import Destination
from provisioner.edge import outbound
from provisioner.edge.limits import DAY_LIMIT, NOT_NOW, TOO_MANY, TOO_OFTEN, Limits, closed
from provisioner.store import records
from tests.edge.world import CORE, MAIN, OUTSIDE, World, number_of, practice

JAMAICA, MEXICO = "+18765551234", "+525512345678"
ABROAD = Destination("outbound", JAMAICA, international=True)
HOME = Destination("outbound", OUTSIDE)
EAST = ZoneInfo("America/New_York")


def limited(**changes: Any) -> records.Practice:
    return records.Practice(id="practice", name="Demo", main_number=MAIN, **changes)


def seconds(*when: int, zone: ZoneInfo = EAST) -> float:
    return datetime(*when, tzinfo=zone).timestamp()  # type: ignore[arg-type, misc]


class Machine:
    def __init__(self, **changes: Any) -> None:
        self.now = seconds(2026, 11, 1, 12)
        self.on: list[str] = []
        self.saved = 0
        self.limits = Limits(
            lambda: self.now,
            lambda: self.now,
            lambda: limited(**{"time_zone": "America/New_York", **changes}),
            lambda line: len(self.on) if line is None else self.on.count(line),
        )
        self.limits.changed = self.save

    def save(self) -> None:
        self.saved += 1

    def place(self, destination: Destination = ABROAD, line: str = "101") -> Destination | None:
        refusal = self.limits.refusal(destination, line)
        if refusal is None:
            self.limits.placed(destination, line)
        return refusal


@pytest.mark.rule("dialled.day-limit")
def test_calls_abroad_are_counted_by_the_day() -> None:
    machine = Machine(international_calls_per_day=2)
    assert [machine.place(), machine.place(line="102"), machine.place(line="103")] == [None, None, DAY_LIMIT]
    assert machine.place(HOME) is None
    assert machine.saved == 2


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 11, 1), 25), ((2027, 3, 14), 23), ((2026, 7, 4), 24)],
    ids=["clocks go back", "clocks go forward", "any day"],
)
@pytest.mark.rule("dialled.day-limit")
def test_the_day_ends_at_midnight_of_the_practice(day: tuple[int, int, int], hours: int) -> None:
    machine = Machine(international_calls_per_day=1)
    machine.now = midnight = seconds(*day)
    assert machine.place() is None
    machine.now = midnight + hours * 3600 - 1
    assert machine.place() is DAY_LIMIT
    machine.now += 1
    assert machine.place() is None


def test_the_count_is_taken_up_after_a_restart() -> None:
    before = Machine(international_calls_per_day=1)
    before.place()
    after = Machine(international_calls_per_day=1)
    after.limits.recall(before.limits.remember())
    assert after.place() is DAY_LIMIT


@pytest.mark.parametrize("kept", [None, [], {"date": 1, "abroad": 2}, {"date": "2026-11-01", "abroad": "x"}])
def test_a_damaged_count_begins_anew(kept: object) -> None:
    machine = Machine(international_calls_per_day=1)
    machine.limits.recall(kept)
    assert machine.place() is None


def test_calls_at_once() -> None:
    machine = Machine(outbound_per_line=2, outbound_at_once=3)
    machine.on = ["101", "101"]
    assert machine.place(HOME) is TOO_MANY
    assert machine.place(HOME, "102") is None
    machine.on.append("102")
    assert machine.place(HOME, "103") is TOO_MANY
    assert machine.place(HOME, "") is TOO_MANY


def test_calls_within_an_hour() -> None:
    machine = Machine(outbound_per_hour=2)
    assert [machine.place(HOME), machine.place(HOME), machine.place(HOME)] == [None, None, TOO_OFTEN]
    assert machine.place(HOME, "102") is None
    machine.now += 3600
    assert machine.place(HOME) is None


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        ("22:00-06:00", (23, 0), True),
        ("22:00-06:00", (5, 59), True),
        ("22:00-06:00", (6, 0), False),
        ("12:00-13:00", (12, 30), True),
        ("12:00-13:00", (13, 0), False),
        ("", (3, 0), False),
        ("late", (3, 0), False),
    ],
)
def test_closed_hours(hours: str, at: tuple[int, int], expected: bool) -> None:
    assert closed(datetime(2026, 11, 2, *at, tzinfo=EAST), hours) is expected


def test_nothing_goes_out_in_closed_hours() -> None:
    machine = Machine(outbound_closed="11:00-13:00")
    assert machine.place(HOME) is NOT_NOW
    assert machine.limits.refusal(Destination("extension", "102"), "101") is None
    assert machine.limits.refusal(Destination("emergency", "911"), "101") is None


def test_a_time_zone_that_is_none_counts_in_utc() -> None:
    machine = Machine(international_calls_per_day=1, time_zone="Nowhere/Land")
    assert [machine.place(), machine.place()] == [None, DAY_LIMIT]


# in calls


def world(**changes: Any) -> World:
    made = World(practice(practice=limited(**changes)))
    made.register_all()
    return made


def refused(world: World, talk: Any, prompt: str, status: int) -> None:
    assert world.hears(talk) == prompt
    world.prompt_ends(talk)
    assert talk.status == status


@pytest.mark.rule("dialled.day-limit", "dialled.mexico")
def test_over_the_day_limit_it_is_said_logged_and_shown() -> None:
    made = world(international_calls_per_day=1)
    made.phones["101"].call("0115255 1234 5678".replace(" ", ""))
    talk = made.phones["102"].call(JAMAICA)
    refused(made, talk, "day-limit", 403)
    assert made.outcome() == "refused: the limit of calls to other countries is reached for today"
    row = [row for table, row in made.rows if table == "calls"][-1]
    assert (row["caller"], row["called"]) == ("102", JAMAICA)
    view = made.edge.limits.view()
    assert (view["abroad"], view["abroad_allowed"]) == (1, 1)
    assert view["refused"] == {"the limit of calls to other countries is reached for today": 1}
    made.phones["103"].call(OUTSIDE)
    assert made.core.calls[-1].invite.uri.startswith(f"sip:{OUTSIDE}@")
    made.end()
    made.assert_nothing_left()


@pytest.mark.rule("dialled.day-limit")
def test_a_limit_of_0_refuses_all() -> None:
    made = world(international_calls_per_day=0)
    refused(made, made.phones["101"].call(MEXICO), "no-abroad", 403)
    assert made.core.calls == []


@pytest.mark.rule("emergency.always")
def test_emergencies_know_no_limit() -> None:
    made = world(
        outbound_at_once=0, outbound_per_line=0, outbound_per_hour=0, outbound_closed="00:00-23:59:59.999999"
    )
    refused(made, made.phones["101"].call(OUTSIDE), "not-now", 403)
    for code in ("911", "933", "988"):
        made.phones["101"].call(code)
        assert made.core.calls[-1].invite.uri.startswith(f"sip:{code}@")


def test_a_line_over_its_calls_at_once_and_free_again() -> None:
    made = world(outbound_per_line=1)
    first = made.phones["101"].call(OUTSIDE)
    refused(made, made.phones["101"].call(OUTSIDE), "too-many-calls", 480)
    first.hangup()
    made.pass_time(1)
    made.phones["101"].call(OUTSIDE)
    assert len(made.core.calls) == 2


def test_transfers_and_forwards_count_too() -> None:
    made = world(international_calls_per_day=1)
    patient = made.inbound()
    desk = made.ringing("101")
    desk.answer()
    made.press(desk, f"*1{JAMAICA[1:]}#")
    assert made.core.calls[-1].invite.uri.startswith(f"sip:{JAMAICA}@")
    made.press(desk, "*")  # stops dialling
    made.press(desk, f"1{JAMAICA[1:]}#")
    assert made.hears(desk) == "day-limit menu"
    assert not patient.over
    assert outbound.attempts(made.edge, JAMAICA, None) == []  # as a forward would


@pytest.mark.parametrize(
    "number", ["911", "988", "933", "611", "9005551234", "102", "nonsense", "+442079460000"]
)
def test_no_other_way_leads_where_the_dial_plan_does_not(number: str) -> None:
    assert outbound.attempts(world().edge, number, None) == []


# caller ID


CLAIMS = [
    ("p-asserted-identity", '"Mallory" <sip:+19005550199@evil.example>'),
    ("p-preferred-identity", "<sip:+19005550199@evil.example>"),
    ("remote-party-id", "<sip:+19005550199@evil.example>;party=calling"),
    ("diversion", "<sip:+19005550199@evil.example>;reason=unconditional"),
    ("history-info", "<sip:+19005550199@evil.example>;index=1"),
    ("referred-by", "<sip:+19005550199@evil.example>"),
    ("privacy", "id;header;user"),
    ("identity", "eyJmYWtl;info=<https://evil.example/+19005550199>"),
    ("reply-to", "<sip:+19005550199@evil.example>"),
    ("organization", "evil.example"),
    ("subject", "+19005550199"),
    ("call-info", "<https://evil.example/+19005550199>;purpose=info"),
    ("alert-info", "<https://evil.example/ring.wav>"),
    ("geolocation", "<https://evil.example/where>"),
    ("user-to-user", "evil.example"),
    ("x-caller", "+19005550199"),
]


@pytest.mark.rule("outbound.caller-id")
def test_nothing_that_a_phone_claims_gets_out() -> None:
    made = world()
    liar = '"+19005550199" <sip:101@evil.example;user=phone>'
    made.phones["101"].call(OUTSIDE, from_=liar, headers=CLAIMS)
    invite = made.core.calls[-1].invite
    text = invite.encode().decode()
    assert "9005550199" not in text
    assert "evil.example" not in text
    assert not {name for name, _ in CLAIMS} - {"p-asserted-identity"} & {name for name, _ in invite.headers}
    for header in ("from", "p-asserted-identity"):
        assert f"sip:{number_of('101')}@" in invite.get(header)
        assert '"' not in invite.get(header)
    assert CORE[0] in invite.uri


@pytest.mark.rule("outbound.caller-id")
@pytest.mark.parametrize("wanted", ["+19005550199", "", "101"])
def test_the_number_shown_is_always_one_of_the_practice(wanted: str) -> None:
    snapshot = practice()
    line = records.Line(extension="101", number=wanted, name="Room 101")
    phone = next(phone for phone in snapshot.phones.values() if phone.lines[0].extension == "101")
    changed = records.Phone(id=phone.id, vendor="polycom", model="VVX 411", lines=(line,), location="main")
    made = World(practice(phones={**snapshot.phones, phone.id: changed}))
    made.register_all()
    made.phones["101"].call(OUTSIDE)
    assert f"sip:{MAIN}@" in made.core.calls[-1].invite.get("from")
    assert f"sip:{MAIN}@" in made.core.calls[-1].invite.get("p-asserted-identity")


@pytest.mark.rule(
    "dialled.not-nanp", "dialled.seven-digits", "dialled.invalid", "dialled.mistyped", "dialled.service"
)
@pytest.mark.parametrize(
    ("dialled", "prompt", "status"),
    [
        ("9111234567", "dial-911", 404),
        ("611", "refused", 403),
        ("9005551234", "refused", 403),
        ("011442079460000", "not-nanp", 403),
        ("5551234", "area-code", 484),
        ("12", "invalid", 404),
        ("104", "invalid", 404),
    ],
)
def test_each_refusal_is_spoken_and_logged(dialled: str, prompt: str, status: int) -> None:
    made = world()
    refused(made, made.phones["101"].call(dialled), prompt, status)
    rows = [row for table, row in made.rows if table == "calls"]
    assert [(row["caller"], row["called"], row["direction"]) for row in rows] == [
        ("101", dialled, "outbound")
    ]
    assert made.outcome().startswith("refused: ")
    assert made.core.calls == []
    made.end()
    made.assert_nothing_left()


@pytest.mark.rule("dialled.invalid")
@pytest.mark.parametrize("dialled", ["Ann.Patient", "1" * 33])
def test_what_no_keypad_dials_is_not_kept(dialled: str) -> None:
    made = world()
    refused(made, made.phones["101"].call(dialled), "invalid", 404)
    assert [row["called"] for table, row in made.rows if table == "calls"] == [""]
    made.end()


@pytest.mark.rule("outbound.extensions-stay")
def test_extension_calls_need_no_trunk() -> None:
    made = world()
    made.core.dead = True
    made.edge.trunks.update([])
    made.phones["101"].call("102")
    made.ringing("102").answer()
    assert made.states() == ["talking"]
    assert made.core.received == []
