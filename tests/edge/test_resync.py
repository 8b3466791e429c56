"""Phones are told to fetch their files, in virtual time: dialects, waves, calls, who comes back and who does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.edge.directory import Directory
from provisioner.edge.resync import CALLBACK_SECONDS, JOB_SECONDS
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.notify import MODES, UNKNOWN, Dialects
from provisioner.sip.digest import Authenticator
from provisioner.store.records import LineCredential
from tests.edge.orders import Setting, made_by, start, view


@pytest.mark.parametrize(
    ("vendor", "mode", "event"),
    [
        ("polycom", "resync", "check-sync"),
        ("yealink", "resync", "check-sync;reboot=false"),
        ("yealink", "restart", "check-sync;reboot=true"),
        ("grandstream", "resync", "resync"),
        ("grandstream", "restart", "check-sync;reboot=true"),
        ("grandstream", "reset", "reset"),
    ],
)
def test_each_maker_is_told_in_its_dialect(setting: Setting, vendor: str, mode: str, event: str) -> None:
    world, (desk, *others) = setting(made_by(vendor, "polycom", "polycom"))
    start(world, [desk.mac], mode)
    assert desk.events == [event]
    assert not any(other.told for other in others)
    told = desk.told[0]
    assert told.uri == "sip:101@10.0.0.101:5060"
    assert told.get("subscription-state") == "terminated"
    assert told.get("contact")
    assert desk.row()["body"]["status"] == 200


@pytest.mark.parametrize(
    ("vendor", "mode"),
    [("polycom", "restart"), ("polycom", "reset"), ("yealink", "reset"), ("other", "resync")],
)
def test_what_cannot_be_told_says_which_keys_to_press(setting: Setting, vendor: str, mode: str) -> None:
    world, (desk, *_) = setting(made_by(vendor, "polycom", "polycom"))
    job = start(world, [desk.mac], mode)
    assert (desk.told, desk.state()) == ([], "by-hand")
    assert "hold" in desk.note().lower() or "unplug" in desk.note().lower()
    assert not view(world, job)["open"]


def test_words_fit_the_model() -> None:
    dialects = Dialects()
    assert "1, 3, 5 and 7" in dialects.order("polycom", "SoundPoint IP 331", "reset").keys
    assert "4, 6, 8 and *" in dialects.order("polycom", "SoundPoint IP 650", "reset").keys
    assert "0, 1 and 3" not in dialects.order("polycom", "SoundPoint IP 331", "restart").keys
    assert "4, 6, 8 and *" in dialects.order("polycom", "SoundPoint IP 301", "reset").keys
    assert "4, 6, 8 and *" in dialects.order("polycom", "VVX_1500", "reset").keys
    assert "1, 3 and 5 until" in dialects.order("polycom", "VVX 411", "reset").keys
    assert "base" in dialects.order("yealink", "W60B", "restart").keys
    assert dialects.order("nobody", "x", "reset") == UNKNOWN


def test_every_model_can_be_told_to_fetch_its_files_and_has_words_for_a_person() -> None:
    dialects = Dialects()
    for vendor, about in Catalogue().vendors.items():
        for model in about.models:
            assert dialects.order(vendor, model.name, "resync").event, model.name
            for mode in MODES:
                assert dialects.order(vendor, model.name, mode).keys.endswith("."), model.name


def test_challenge_is_answered_with_the_account(setting: Setting) -> None:
    world, (desk, *_) = setting(made_by("grandstream", "polycom", "polycom"))
    desk.auth = Authenticator("grandstream", b"key", world.clock)
    start(world, [desk.mac])
    assert len(desk.told) == 2
    assert desk.told[1].cseq[0] == desk.told[0].cseq[0] + 1
    assert desk.row()["body"]["status"] == 200


def test_challenge_that_our_password_does_not_meet(setting: Setting) -> None:
    world, (desk, *_) = setting(made_by("grandstream", "polycom", "polycom"))
    desk.auth = Authenticator("grandstream", b"key", world.clock)
    desk.phone.account = ("user101", "another")
    start(world, [desk.mac])
    assert desk.state() == "refused"
    assert "password" in desk.note()
    assert "another" not in str(world.rows)


@pytest.mark.parametrize(("status", "words"), [(489, "does not know"), (481, "subscription"), (500, "500")])
def test_refusal_says_what_to_do(setting: Setting, status: int, words: str) -> None:
    world, (desk, *_) = setting()
    desk.status = status
    job = start(world, [desk.mac])
    assert desk.state() == "refused"
    assert words in desk.note()
    assert "Hold 0, 1 and 3" in desk.note()
    assert not view(world, job)["open"]


def test_phone_that_need_not_restart_is_back_when_it_answers_after_its_file(setting: Setting) -> None:
    world, (desk, *_) = setting(made_by("yealink", "polycom", "polycom"))
    job = start(world, [desk.mac])
    desk.fetch()
    assert desk.state() == "fetched"
    world.pass_time(5)
    assert desk.state() == "fetched"
    world.pass_time(10)
    assert desk.state() == "back"
    ((name, _at, status, revision),) = desk.row()["body"]["files"]
    assert (name, status, revision) == (f"{desk.mac}.cfg", 200, 1)
    assert view(world, job)["states"] == {"back": 1}
    assert len(desk.phone.requests("OPTIONS")) == 1


def test_phone_that_restarts_unasked_is_not_back_before_it_registers(setting: Setting) -> None:
    world, (desk, *_) = setting()
    start(world, [desk.mac])
    desk.fetch()
    desk.phone.dead = True
    world.pass_time(60)
    assert desk.state() == "fetched"
    desk.phone.dead = False
    desk.start_again(0)
    world.pass_time(2)
    assert desk.state() == "back"


def test_restart_is_over_when_it_has_fetched_and_registered(setting: Setting) -> None:
    world, (desk, *_) = setting(made_by("yealink", "polycom", "polycom"))
    start(world, [desk.mac], "restart")
    world.pass_time(1)
    assert desk.phone.register().status == 200  # a refresh before the file is none of a restart
    world.pass_time(20)
    desk.fetch()
    world.pass_time(20)
    assert desk.state() == "fetched"
    assert desk.phone.register().status == 200
    world.pass_time(2)
    assert desk.state() == "back"
    assert not desk.phone.requests("OPTIONS")


@pytest.mark.parametrize(
    "row",
    [
        {"status": 404},
        {"status": 403},
        {"path": "/y000000000066.cfg"},
        {"path": "/robots.txt"},
        {"at": 1.0},
        {"mac": "0004f2999999"},
    ],
)
def test_what_is_not_its_file_does_not_count(setting: Setting, row: dict[str, Any]) -> None:
    world, (desk, *_) = setting(made_by("yealink", "polycom", "polycom"))
    start(world, [desk.mac])
    desk.fetch(**row)
    assert desk.state() == "sent"


def test_file_that_has_not_changed_counts(setting: Setting) -> None:
    world, (desk, *_) = setting()
    start(world, [desk.mac])
    desk.fetch(304)
    assert desk.state() == "fetched"


def test_who_does_not_come_back(setting: Setting) -> None:
    world, (desk, second, third) = setting(made_by("yealink", "yealink", "yealink", group=False))
    desk.status = None
    job = start(world, None, "restart")
    third.fetch()
    world.pass_time(60)
    assert desk.note() == "It has not answered yet"
    world.pass_time(500)
    assert [each.state() for each in (desk, second, third)] == ["lost", "lost", "lost"]
    assert "neither answered" in desk.note()
    assert "took the message" in second.note()
    assert "fetched its files" in third.note()
    assert all("Unplug it" in each.note() for each in (desk, second, third))
    assert not view(world, job)["open"]
    assert world.timers.deadline() is None or not world.edge.resyncs.running


def test_phone_that_is_not_registered_is_not_waited_for(setting: Setting) -> None:
    world, (desk, *_) = setting()
    desk.phone.register(expires=0)
    start(world, [desk.mac])
    assert (desk.state(), desk.told) == ("away", [])
    assert "not registered" in desk.note()


# ring groups


def test_ring_group_goes_one_after_the_other(setting: Setting) -> None:
    world, desks = setting(made_by("yealink", "yealink", "yealink"))
    job = start(world, None, "restart")
    for number, desk in enumerate(desks):
        assert [len(each.told) for each in desks] == [1] * (number + 1) + [0] * (2 - number)
        desk.start_again()
        world.pass_time(2)
        assert desk.state() == "back"
    assert [desk.row()["wave"] for desk in desks] == [1, 2, 3]
    assert not view(world, job)["open"]


def test_next_wave_does_not_wait_for_ever(setting: Setting) -> None:
    world, (first, second, _third) = setting(made_by("yealink", "yealink", "yealink"))
    first.status = None
    start(world, None, "restart")
    world.pass_time(470)
    assert not second.told
    world.pass_time(20)
    assert first.state() == "lost"
    assert len(second.told) == 1


def test_phones_without_a_group_go_together(setting: Setting) -> None:
    world, desks = setting(made_by("yealink", "yealink", "yealink", group=False))
    start(world)
    assert [len(desk.told) for desk in desks] == [1, 1, 1]


def test_two_jobs_do_not_take_a_group_away_together(setting: Setting) -> None:
    world, (first, second, _third) = setting(made_by("yealink", "yealink", "yealink"))
    start(world, [first.mac], "restart")
    start(world, [second.mac], "restart")
    assert (len(first.told), len(second.told)) == (1, 0)
    assert (second.state(), second.note()) == ("busy", "Others of its ring group are away")
    first.start_again()
    world.pass_time(3)
    assert len(second.told) == 1


# calls


def test_phone_in_a_call_is_left_alone(setting: Setting) -> None:
    world, (first, second, third) = setting(made_by("yealink", "yealink", "yealink", group=False))
    talk = first.phone.call("102")
    world.ringing("102").answer()
    job = start(world, None, "restart")
    assert [len(desk.told) for desk in (first, second, third)] == [0, 0, 1]
    assert (first.state(), first.note()) == ("busy", "It is in a call")
    third.start_again()
    world.pass_time(600)
    assert not first.told
    talk.hangup()
    world.pass_time(3)
    assert len(first.told) == 1
    assert len(second.told) == 1
    first.start_again(0)
    second.start_again(0)
    world.pass_time(3)
    assert view(world, job)["states"] == {"back": 3}


def test_ringing_phone_is_left_alone(setting: Setting) -> None:
    world, (_first, second, _third) = setting(made_by("yealink", "yealink", "yealink", group=False))
    world.phones["101"].call("102")
    start(world, [second.mac])
    assert second.state() == "busy"


def test_call_that_comes_before_the_message(setting: Setting) -> None:
    world, desks = setting(made_by("yealink", "yealink", "yealink", group=False))
    world.edge.resyncs.start(None, "restart", "test")
    world.phones["101"].call("102")  # the messages go out one by one
    desks[2].phone.register(expires=0)
    world.pass_time(0.2)
    assert [len(desk.told) for desk in desks] == [1, 0, 0]
    assert (desks[1].state(), desks[1].note()) == ("busy", "It is in a call")
    assert desks[2].state() == "away"
    assert "not registered any more" in desks[2].note()


def test_what_was_asked_for_before_is_not_looked_at(setting: Setting) -> None:
    world, (desk, *_) = setting()
    assert world.edge.resyncs.since == 0.0
    desk.fetch()
    start(world, [desk.mac])
    assert world.edge.resyncs.since == 1.7e9 + 1000.0
    assert world.edge.resyncs.seen == 0


def test_phone_in_calls_all_day_is_given_up(setting: Setting) -> None:
    world, (first, *_) = setting()
    first.phone.call("102")
    world.ringing("102").answer()
    job = start(world, [first.mac])
    job_of = world.edge.resyncs._jobs[job]
    job_of.at -= JOB_SECONDS
    world.pass_time(2)
    assert first.state() == "broken-off"
    assert "in a call" in first.note()


def test_reset_is_not_put_off(setting: Setting) -> None:
    world, (first, *_) = setting(made_by("grandstream", "grandstream", "grandstream"))
    first.phone.call("102")
    start(world, [first.mac], "reset")
    assert (first.state(), first.told) == ("refused", [])
    assert "in a call" in first.note()


def test_reset_does_not_wait_for_a_ring_group_and_is_told_before_the_password_changes(
    setting: Setting,
) -> None:
    world, (first, second, third) = setting(made_by("grandstream", "grandstream", "grandstream"))
    third.phone.call("102")
    first.auth = Authenticator("grandstream", b"key", world.clock)
    said = world.edge.resyncs.start([first.mac, second.mac, third.mac], "reset", "test")
    assert said["refused"] == [second.mac, third.mac]
    usual = world.edge.directory.snapshot
    new = msgspec.structs.replace(
        usual.credentials[first.mac], lines=(LineCredential(auth_user="user101", password="new"),)
    )
    changed = msgspec.structs.replace(usual, credentials={**usual.credentials, first.mac: new})
    world.edge.swap(Directory(changed))
    world.pass_time(0.1)
    assert [request.get("event") for request in first.told] == ["reset", "reset"]
    assert first.row()["body"]["status"] == 200
    assert world.edge.registrar.contacts("101") == []
    first.phone.account = ("user101", "new")
    first.start_again()
    world.pass_time(2)
    assert first.state() == "back"


@pytest.mark.parametrize(("number", "held"), [("911", True), ("988", True), ("933", False)])
def test_phone_that_called_911_may_be_called_back(setting: Setting, number: str, held: bool) -> None:
    world, (first, *_) = setting(made_by("yealink", "polycom", "polycom"))
    world.core.on_call = lambda talk: talk.answer()
    talk = first.phone.call(number)
    assert talk.up
    talk.hangup()
    start(world, [first.mac], "restart")
    assert bool(first.told) is not held
    if held:
        assert (first.state(), first.note()) == ("busy", "An emergency centre may call it back")
        world.pass_time(CALLBACK_SECONDS + 1)
        first.phone.register()
        world.pass_time(2)
        assert len(first.told) == 1
