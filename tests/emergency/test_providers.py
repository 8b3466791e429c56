"""The contract of all providers: each adapter, against its stand-in, with every bad behaviour."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioner.core.providers import PROVIDERS
from provisioner.core.providers.account import ELSEWHERE, ELSEWHERE_TOO, SEEN, Account
from provisioner.emergency import accounts, registration
from provisioner.emergency.providers import wire
from provisioner.emergency.registrar import ADAPTERS, WATCH, Connection, numbers_of
from provisioner.emergency.registration import Approved, Asked, Insisted, Removed
from provisioner.errors import OperatorError
from provisioner.store.records import ProviderSecret, Registration
from tests.emergency.account import CAN, DAY, NUMBER, PASSWORD, CoreWorld, World

APIS = sorted(CAN)
ENDS = {  # of each behaviour that does not end well by itself
    "corrects": {"corrected"},
    "candidates": {"needs_choice", "corrected"},
    "refuses": {"invalid"},
    "no-credentials": {"failed"},
    "forbidden": {"failed"},
    "error-always": {"failed"},
    "says-secrets": {"failed", "invalid"},
    "unknown-number": {"failed"},
    "stuck": {"needs_provider_human"},
}


def able(*behaviours: str) -> Any:
    """Each stand-in with each of these behaviours that it has."""
    return pytest.mark.parametrize(
        ("api", "behaviour"), [(api, word) for api in APIS for word in behaviours if word in CAN[api]]
    )


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Any]:
    made: list[World] = []

    def make(*args: Any, **options: Any) -> World:
        kind = CoreWorld if args[0] == "core" else World
        made.append(kind(tmp_path, *args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def rest(world: World) -> registration.Registration:
    """Let an hour's retries pass, not more: those that never end well are looked at each hour."""
    held = world.settle(hours=0.9)
    if held.state == "pending":  # an order that is never done
        world.now += DAY + 1
        held = world.settle(hours=0.9)
    return held


@able(*sorted(frozenset().union(*CAN.values())))
def test_every_behaviour_ends_in_the_truth(worlds: Any, api: str, behaviour: str, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    world = worlds(api, behaviour)
    held = rest(world)
    assert held.state in ENDS.get(behaviour, {"registered"})
    if held.state == "registered":
        assert world.truth() == ("registered", "1200")
        assert world.number.address_status == "registered"
        assert len(world.kept()) == 1
        assert held.due > world.now + 3600
        assert held.error == ""
    else:
        assert world.number.address_status != "registered"
        assert held.error or held.choices
        assert world.truth()[0] != "registered"
    nobody_sees_the_secret(world, caplog.text)


def nobody_sees_the_secret(world: World, logs: str) -> None:
    with closing(sqlite3.connect(world.inventory._path)) as db:
        stored = db.execute("SELECT kind, body FROM records WHERE kind != 'provider_secret'").fetchall()
        audited = db.execute("SELECT before, after FROM audit").fetchall()
    everything = f"{stored}{audited}{logs}{world.inventory.snapshot()}"
    for form in (PASSWORD, wire.encoded(PASSWORD), wire.encoded(f"AC-user:{PASSWORD}")):
        assert form not in everything


@able("good", "late", "slow", "error-after", "vanishes", "duplicate", "reset", "restarts")
def test_a_changed_address_ends_in_the_new_one(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api)
    world.settle()
    world.provider.behaviour, world.provider.left = behaviour, 2
    world.move("other")
    world.registrar.turn()
    assert world.number.address_status != "registered"
    held = world.settle()
    assert (held.state, world.truth()) == ("registered", ("registered", "1300"))
    assert len(world.kept()) == 1


@pytest.mark.parametrize("api", APIS)
def test_only_who_cannot_swap_leaves_a_window_and_it_is_measured(worlds: Any, api: str) -> None:
    world = worlds(api, "late" if "late" in CAN[api] else "good")
    world.settle()
    world.move("other")
    gaps = 0
    while True:
        done = world.registrar.turn()
        status, house = world.truth()
        without = status in ("absent", "removing")
        gaps += without
        if world.held.state == "registered" and house == "1300":
            break
        if not done:
            world.now = max(world.now, world.held.due)
    can = ADAPTERS[api](wire.Account("", "", "")).abilities
    assert bool(gaps) is not can.swaps
    assert bool(world.held.gap_seconds) is not can.swaps
    assert world.held.gap_since == 0


@pytest.mark.parametrize("api", APIS)
def test_no_window_is_opened_while_a_call_is_up(worlds: Any, api: str) -> None:
    world = worlds(api)
    world.settle()
    world.move("other")
    world.up = True
    for _turn in range(20):
        world.registrar.turn()
        world.now += 10
    status, house = world.truth()
    if ADAPTERS[api](wire.Account("", "", "")).abilities.swaps:
        assert (status, house) == ("registered", "1300")
        return
    assert (status, house) == ("registered", "1200")
    assert world.held.step == "release"
    world.up = False
    world.settle()
    assert world.truth() == ("registered", "1300")


@able("corrects")
def test_a_correction_is_used_when_somebody_approved_it(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api, behaviour)
    held = rest(world)
    assert [choice.city for choice in held.choices] in ([ELSEWHERE], [ELSEWHERE.upper()])
    assert world.number.address_status == "correction"
    assert world.act(Asked()) == held  # the choice stays open
    with pytest.raises(OperatorError, match="no such address"):
        world.act(Approved(7))
    assert world.held == held
    world.act(Approved(0))
    held = world.settle()
    assert held.state == "registered"
    assert held.accepted
    assert held.accepted.city.title() == ELSEWHERE
    assert held.wanted
    assert held.wanted.city == "San Francisco"  # what was typed is kept
    assert len(world.kept()) == 1


def test_a_decision_that_would_change_nothing_is_refused(worlds: Any) -> None:
    world = worlds("twilio")
    held = world.settle()
    with pytest.raises(OperatorError, match="has a location"):
        world.act(Removed())
    world.change(location="")
    world.settle()
    with pytest.raises(OperatorError, match="no location"):
        world.act(Insisted())
    assert world.truth()[0] == "registered"
    assert held.state == "registered"


def test_a_choice_of_several(worlds: Any) -> None:
    world = worlds("bandwidth-dash", "candidates")
    held = rest(world)
    assert (held.state, len(held.choices)) == ("needs_choice", 2)
    world.act(Approved(1))
    world.settle()
    (address,) = world.provider.account.addresses.values()
    assert address["city"].title() == ELSEWHERE_TOO


@pytest.mark.parametrize("api", APIS)
def test_what_somebody_changed_at_the_provider_is_shown_and_not_undone(worlds: Any, api: str) -> None:
    world = worlds(api)
    world.settle()
    world.edit(ELSEWHERE)
    world.now += DAY
    held = rest(world)
    assert held.state == "corrected"
    assert held.error == "Somebody changed the address at the provider"
    assert world.number.address_status == "correction"
    world.act(Approved(0))
    assert world.settle().state == "registered"


@pytest.mark.parametrize("api", APIS)
def test_ours_is_registered_again_when_somebody_insists(worlds: Any, api: str) -> None:
    world = worlds(api)
    world.settle()
    world.supplant(ELSEWHERE)
    world.now += DAY
    assert rest(world).state == "corrected"
    world.act(Insisted())
    assert world.settle().state == "registered"
    assert not world.supplanted(ELSEWHERE)


@pytest.mark.parametrize("api", ["twilio", "telnyx"])
def test_who_can_be_told_not_to_correct_an_address_registers_it_as_typed(worlds: Any, api: str) -> None:
    world = worlds(api, "corrects")
    assert rest(world).state == "corrected"
    world.act(Insisted())
    held = world.settle()
    assert (held.state, held.accepted) == ("registered", held.wanted)
    assert [address["city"] for address in world.kept()] == ["San Francisco"]


def test_who_cannot_be_told_so_says_that_it_takes_its_own_form_only(worlds: Any) -> None:
    world = worlds("bandwidth", "corrects")
    assert rest(world).error == ""
    world.act(Insisted())
    held = world.settle()
    assert (held.state, held.error) == ("corrected", "The provider takes the address in this form only")
    world.act(Approved(0))
    held = world.settle()
    assert (held.state, held.error) == ("registered", "")


@able("regresses")
def test_a_number_that_is_registered_no_more_is_noticed_and_registered_again(
    worlds: Any, api: str, behaviour: str
) -> None:
    world = worlds(api, behaviour)
    rest(world)
    for _night in range(SEEN):
        world.now = world.held.due
        rest(world)
    assert world.provider.left == 0
    assert (world.held.state, world.truth()) == ("registered", ("registered", "1200"))


@able("edited")
def test_an_address_that_is_changed_at_the_provider_is_shown(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api, behaviour)
    rest(world)
    for _night in range(SEEN):
        world.now = max(world.held.due, world.now)
        rest(world)
    assert world.provider.left == 0
    assert (world.held.state, world.number.address_status) == ("corrected", "correction")


@pytest.mark.parametrize("api", APIS)
def test_a_lost_registration_is_noticed_at_night_and_made_again(worlds: Any, api: str) -> None:
    world = worlds(api)
    held = world.settle()
    world.lose()
    world.now = held.due
    world.registrar.turn()
    assert world.number.address_status == "pending"
    assert world.held.gap_since == world.now
    assert world.settle().state == "registered"
    assert world.held.gap_since == 0


@pytest.mark.parametrize("api", APIS)
def test_a_provider_that_cannot_be_asked_makes_it_stale_after_three_nights(worlds: Any, api: str) -> None:
    world = worlds(api)
    held = world.settle()
    read_at = held.reading.at
    world.provider.behaviour = "error-always"
    while world.now - read_at < 3 * DAY:
        assert world.number.address_status == "registered"
        world.now += 3600
        world.registrar.turn()
    assert world.number.address_status == "stale"
    assert world.held.state == "registered"
    assert ("refuses" if api == "core" else "failed (status 500)") in world.held.error
    world.provider.behaviour = "good"
    world.settle()
    assert world.number.address_status == "registered"


@able("no-credentials")
def test_new_credentials_are_used_at_once(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api)
    world.provider.account.password = "another"
    assert rest(world).state == "failed"
    assert "does not accept the credentials" in world.held.error
    accounts.add(world.inventory, "p", api, "AC-user", world.url, "AC-user", "another", "Ann")
    assert world.registrar.turn() == 1  # at once, not when it would have been tried again
    assert world.settle().state == "registered"


class Stopped(BaseException):
    """The process is gone."""


@able("good", "late")
@pytest.mark.parametrize("after", [False, True], ids=["before-sending", "after-sending"])
def test_stopped_at_any_point_it_goes_on_from_the_records(
    worlds: Any, api: str, after: bool, behaviour: str
) -> None:
    """Each request in turn is the last of a process; a first registration, then a change of address."""
    world = worlds(api, behaviour)
    for location, house in (("home", "1200"), ("other", "1300")):
        world.move(location)
        stops = run_with_stops(world, after)
        assert stops >= 3
        assert (world.held.state, world.truth()) == ("registered", ("registered", house))
    assert len(world.kept()) == 1


def run_with_stops(world: World, after: bool) -> int:
    """Each process gets one request further than the one before; how many were stopped."""
    stops = 0
    while True:
        left = [stops % 9]

        def connect(provider: Any, secret: Any, left: list[int] = left) -> Connection:
            whole = world.connect(provider, secret)

            def send(request: wire.Request) -> wire.Reply:
                left[0] -= 1
                if left[0] < 0 and not after:
                    raise Stopped
                reply = whole.send(request)
                if left[0] < 0:
                    raise Stopped
                return reply

            return whole._replace(send=send)

        world.start(connect)
        try:
            world.settle()
        except Stopped:
            stops += 1
            if stops > 40:
                world.start()
                world.settle()
                return stops
        else:
            return stops


@able("good", "pages", "wrong-type")
def test_all_numbers_of_the_account_are_listed(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api, behaviour)
    many = [f"+1415555{last:04}" for last in range(100, 105)]
    world.own(many)
    found = numbers_of(connection(world))
    assert [owned.number for owned in found] == many


@able("no-credentials")
def test_a_list_that_cannot_be_had_says_why_without_the_secret(worlds: Any, api: str, behaviour: str) -> None:
    world = worlds(api, behaviour)
    with pytest.raises(OperatorError, match="does not accept the credentials") as caught:
        numbers_of(connection(world))
    assert PASSWORD not in str(caught.value)


def connection(world: World) -> Connection:
    provider, secret = world.inventory.snapshot().providers["p"], world.inventory.get(ProviderSecret, "p")
    return world.connect(provider, secret[0] if secret else None)


@pytest.mark.parametrize("api", APIS)
def test_nothing_is_taken_away_from_a_number_without_a_location(worlds: Any, api: str) -> None:
    world = worlds(api)
    world.settle()
    world.move("")
    held = world.settle()
    assert world.truth() == ("registered", "1200")
    assert (held.state, world.number.address_status) == ("draft", "unregistered")
    world.act(registration.Removed())
    held = world.settle()
    assert (held.state, world.truth()[0]) == ("unregistered", "absent")


@pytest.mark.parametrize("api", APIS)
def test_an_address_that_is_registered_already_is_found_and_left(worlds: Any, api: str) -> None:
    world = worlds(api)
    world.settle()
    before = world.kept()
    with world.inventory.change(who="test") as change:
        change.delete(Registration, NUMBER)
    world.provider.asked.clear()
    assert world.settle().state == "registered"
    assert world.kept() == before
    assert all(method == "GET" for method, path in world.provider.asked if "token" not in path)


def test_every_stand_in_says_what_it_wants() -> None:
    for name, kind in PROVIDERS.items():
        assert kind.name == name
        assert kind(Account(), "good").app


# what only the stand-in core does: it keeps addresses in memory, and says how long it has run


def test_a_core_that_restarted_is_asked_within_seconds_and_told_again(worlds: Any) -> None:
    world = worlds("core")
    held = world.settle()
    world.now += 60
    world.provider.restart()
    assert world.truth()[0] == "absent"
    world.now += WATCH
    world.registrar.turn()
    assert world.held.due == world.now < held.due
    world.registrar.turn()
    assert world.number.address_status == "pending"
    assert world.settle().state == "registered"
    assert world.truth() == ("registered", "1200")


def test_a_core_that_restarted_while_we_were_away_is_asked_too(worlds: Any) -> None:
    world = worlds("core")
    world.settle()
    world.now += 60
    world.provider.restart()
    world.start().turn()
    assert world.held.due == world.now


def test_a_core_that_goes_on_running_is_not_asked_before_the_night(worlds: Any) -> None:
    world = worlds("core")
    held = world.settle()
    for _turn in range(3):
        world.now += WATCH
        assert world.registrar.turn() == 0
    assert world.held == held
    assert world.provider.asked.count(("GET", "ping")) > 3


def test_a_core_that_is_away_changes_nothing_until_it_is_back(worlds: Any) -> None:
    world = worlds("core")
    held = world.settle()
    world.now += WATCH
    world.provider.leave()
    world.registrar.turn()
    assert world.held == held
    world.now += WATCH
    world.provider.restart()
    world.provider.serve()
    world.registrar.turn()
    assert world.held.due == world.now
    assert world.settle().state == "registered"
    assert world.truth() == ("registered", "1200")


def test_a_core_that_is_not_there_yet(worlds: Any) -> None:
    world = worlds("core")
    world.provider.leave()
    for _hour in range(10):
        world.registrar.turn()
        assert world.number.address_status != "registered"
        world.now += 3600
    assert (world.held.state, world.held.error) == ("failed", "The stand-in core does not answer")
    world.provider.serve()
    assert world.settle().state == "registered"
