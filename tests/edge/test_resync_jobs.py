"""Orders to phones as jobs that outlive the edge; phones that are retired or get other accounts meanwhile."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from provisioner.edge.directory import Directory
from provisioner.edge.resync import JOB_SECONDS
from provisioner.errors import OperatorError, UsageError
from provisioner.store.records import Line, LineCredential, Phone
from tests.edge.orders import ALL, Setting, made_by, start, view
from tests.edge.world import MACS, World, practice

# jobs


def test_jobs_that_make_no_sense(setting: Setting) -> None:
    world, (first, *_) = setting()
    start_job = world.edge.resyncs.start
    with pytest.raises(UsageError, match="resync, restart, reset"):
        start_job(None, "explode", "test")
    with pytest.raises(UsageError, match="not all at once"):
        start_job(None, "reset", "test")
    with pytest.raises(OperatorError, match="no phone of this practice"):
        start_job(["0004f2999999"], "resync", "test")
    with pytest.raises(OperatorError, match="no phone to tell"):
        start_job([], "resync", "test")
    start_job([first.mac], "resync", "test")
    with pytest.raises(OperatorError, match="still running"):
        start_job([first.mac], "restart", "test")
    with pytest.raises(OperatorError, match="no such job"):
        world.edge.resyncs.status("nothing")


def test_old_jobs_are_forgotten(setting: Setting) -> None:
    world, (first, *_) = setting()
    first.status = 500
    for _ in range(25):
        start(world, [first.mac])
    assert len(world.edge.resyncs.status()["jobs"]) == 21


def test_events_tell_what_the_journal_is_told(setting: Setting) -> None:
    world, (first, *_) = setting()
    start(world, [first.mac])
    told = [data for name, data in world.events if name == "resync"]
    assert told == [row for table, row in world.rows if table == "resyncs"]
    assert {"job", "mac", "at", "who", "mode", "wave", "state", "body"} == set(told[0])


def journal_of(world: World) -> list[dict[str, Any]]:
    """The last row of each phone and job."""
    rows = {(row["job"], row["mac"]): row for table, row in world.rows if table == "resyncs"}
    return list(msgspec.json.decode(msgspec.json.encode(list(rows.values()))))


def test_job_goes_on_after_a_restart_of_the_edge(setting: Setting) -> None:
    world, (first, *_) = setting(made_by("yealink", "yealink", "yealink"))
    job = start(world, None, "restart")
    assert len(first.told) == 1
    rows = journal_of(world)
    after, desks = setting(made_by("yealink", "yealink", "yealink"))
    after.clock.now = world.clock.now + 5
    after.edge.resyncs.resume(
        [*rows, {"job": job, "mac": "broken", "at": 1.0, "who": "", "mode": "", "body": None}]
    )
    after.pass_time(1)
    assert [len(desk.told) for desk in desks] == [0, 0, 0]  # the first is away still
    desks[0].start_again()
    after.pass_time(2)
    assert desks[0].state() == "back"
    assert len(desks[1].told) == 1
    desks[1].start_again()
    desks[2].world.pass_time(2)
    desks[2].start_again()
    after.pass_time(2)
    assert view(after, job)["states"] == {"back": 3}


def test_file_that_was_heard_of_before_a_restart_counts_once(setting: Setting) -> None:
    world, (first, *_) = setting(made_by("yealink", "yealink", "yealink"))
    start(world, [first.mac], "restart")
    first.fetch(at=1.7e9 + world.clock.now)
    rows = journal_of(world)
    after, desks = setting(made_by("yealink", "yealink", "yealink"))
    after.clock.now = world.clock.now
    after.edge.resyncs.resume(rows)
    desks[0].fetch(at=rows[0]["body"]["files"][0][1])
    after.edge.resyncs._tell(after.edge.resyncs.running[0], after.edge.resyncs.running[0].away[0])
    assert len(desks[0].row()["body"]["files"]) == 1


@pytest.mark.parametrize(("mode", "late"), [("resync", JOB_SECONDS + 1), ("reset", 1.0)])
def test_job_that_cannot_go_on_is_broken_off(setting: Setting, mode: str, late: float) -> None:
    world, _desks = setting(made_by("grandstream", "grandstream", "grandstream"))
    start(world, ALL, mode)
    after, desks = setting(made_by("grandstream", "grandstream", "grandstream"))
    after.clock.now = world.clock.now + late
    after.edge.resyncs.resume([{**row, "state": "planned"} for row in journal_of(world)])
    assert desks[1].state() == "broken-off"
    assert "Begin again" in desks[1].note()


def test_finished_job_is_not_taken_up(setting: Setting) -> None:
    world, (first, *_) = setting()
    first.status = 500
    start(world, [first.mac])
    after, _desks = setting()
    after.edge.resyncs.resume(journal_of(world))
    assert after.edge.resyncs.status()["jobs"] == []


# retirement


def test_retired_phone_is_gone_at_once_and_its_job_with_it(setting: Setting) -> None:
    world, (first, *_) = setting()
    start(world, [first.mac])
    usual = practice()
    phones = {mac: phone for mac, phone in usual.phones.items() if mac != first.mac}
    secrets = {mac: secret for mac, secret in usual.credentials.items() if mac != first.mac}
    world.edge.swap(Directory(practice(phones=phones, credentials=secrets)))
    assert world.edge.registrar.contacts("101") == []
    assert first.phone.register().status in (401, 403)
    world.pass_time(2)
    assert (first.state(), first.note()) == ("broken-off", "It was retired")


def test_extension_given_to_another_phone_drops_the_first(setting: Setting) -> None:
    world, _desks = setting()
    usual = practice()
    old = usual.phones[MACS["101"]]
    new = msgspec.structs.replace(old, id="0004f2000199")
    phones = {mac: phone for mac, phone in usual.phones.items() if mac != old.id} | {new.id: new}
    account = msgspec.structs.replace(
        usual.credentials[old.id], id=new.id, lines=(LineCredential(auth_user="new", password="p"),)
    )
    world.edge.swap(Directory(practice(phones=phones, credentials={**usual.credentials, new.id: account})))
    assert world.edge.registrar.contacts("101") == []
    assert len(world.edge.registrar.contacts("102")) == 1


def test_new_password_ends_the_registration_and_a_new_name_does_not(setting: Setting) -> None:
    world, _desks = setting()
    usual = practice()
    named = msgspec.structs.replace(
        usual.phones[MACS["101"]], lines=(Line(extension="101", number="+14155550101", name="New"),)
    )
    world.edge.swap(Directory(practice(phones={**usual.phones, named.id: named})))
    assert len(world.edge.registrar.contacts("101")) == 1
    account = msgspec.structs.replace(
        usual.credentials[named.id], lines=(LineCredential(auth_user="user101", password="new"),)
    )
    world.edge.swap(Directory(practice(credentials={**usual.credentials, named.id: account})))
    assert world.edge.registrar.contacts("101") == []


def test_phones_of_two_lines_are_told_once(setting: Setting) -> None:
    usual = practice()
    lines = (Line(extension="101"), Line(extension="102"))
    both = Phone(id=MACS["101"], vendor="yealink", model="some", lines=lines)
    accounts = tuple(
        LineCredential(auth_user=f"user{extension}", password=f"secret{extension}")
        for extension in ("101", "102")
    )
    secret = msgspec.structs.replace(usual.credentials[MACS["101"]], lines=accounts)
    world, (first, second, _third) = setting(
        practice(
            phones={both.id: both, MACS["103"]: usual.phones[MACS["103"]]},
            credentials={both.id: secret, MACS["103"]: usual.credentials[MACS["103"]]},
        )
    )
    start(world)
    assert (len(first.told), len(second.told)) == (1, 0)
