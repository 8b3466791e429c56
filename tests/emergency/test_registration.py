"""The state machine of an address: each state with each event that matters in it, as a table."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import replace

from provisioner.emergency import registration as r
from provisioner.emergency.registration import (
    Abilities,
    Approved,
    Asked,
    Context,
    Corrected,
    Doubtful,
    Forgotten,
    Insisted,
    Prepared,
    Read,
    Refused,
    Removed,
    Trouble,
    Valid,
    Written,
)
from provisioner.store.records import Postal, Reading, Registration, RegistrationState

NOW, NIGHT = 1_000_000.0, 1_040_000.0
HOME = Postal(street="1200 Harbor Point Way", inside="FL 2", city="Reno", state="NV", postcode="89501")
THEIRS, OTHER = replace(HOME, city="Sparks"), replace(HOME, street="1300 Harbor Point Way")
ABLE = Abilities(True, True, True, True, True, True, True, False, "933", 150, 60, 32, 3.0)
NO_SWAP, PLAIN = ABLE._replace(swaps=False), ABLE._replace(validates=False)


def held(state: RegistrationState = "draft", **fields: Any) -> Registration:
    made = r.begin("+14155550101", "p", HOME, NOW - 50)
    return replace(made, state=state, **fields)


def reading(status: Any, address: Postal | None = HOME, at: float = NOW - 100) -> Reading:
    return Reading(at=at, status=status, address=address)


READ_ON = {"accepted": HOME, "address_id": "a"}
TABLE = [  # name, before, event, abilities, (state, step, due in seconds)
    ("nothing there: validate", held(), Read("absent"), ABLE, ("validating", "validate", 0)),
    ("nothing there, cannot validate: prepare", held(), Read("absent"), PLAIN, ("submitting", "prepare", 0)),
    ("there already", held(), Read("registered", HOME, "x"), ABLE, ("registered", "read", NIGHT - NOW)),
    ("another there: change", held(), Read("registered", OTHER), ABLE, ("changing", "validate", 0)),
    ("valid", held("validating"), Valid(), ABLE, ("validating", "prepare", 0)),
    ("corrected", held("validating"), Corrected((THEIRS,)), ABLE, ("corrected", "", None)),
    ("several", held("validating"), Corrected((THEIRS, OTHER)), ABLE, ("needs_choice", "", None)),
    ("corrected to the same", held("validating"), Corrected((THEIRS, HOME)),
     ABLE, ("validating", "prepare", 0)),
    ("invalid", held("validating"), Refused("no", "address"), ABLE, ("invalid", "", None)),
    ("prepared", held("submitting", accepted=HOME), Prepared("a", HOME), ABLE, ("submitting", "read", 0)),
    ("prepared otherwise", held("submitting", accepted=HOME), Prepared("a", THEIRS),
     ABLE, ("corrected", "", None)),
    ("prepared, nothing there: assign", held("submitting", **READ_ON), Read("absent"),
     ABLE, ("submitting", "assign", 0)),
    ("another there, swaps: assign", held("draft", **READ_ON), Read("registered", OTHER),
     ABLE, ("changing", "assign", 0)),
    ("another there, no swap: release", held("draft", **READ_ON), Read("registered", OTHER),
     NO_SWAP, ("changing", "release", 0)),
    ("assigned", held("submitting", step="assign", **READ_ON), Written("o"), ABLE, ("pending", "read", 0)),
    ("released for a change", held("changing", step="release"), Written(), NO_SWAP, ("changing", "read", 0)),
    ("pending", held("pending"), Read("pending", HOME), ABLE, ("pending", "read", 2)),
    ("pending, later", held("pending", attempts=4), Read("pending", HOME), ABLE, ("pending", "read", 30)),
    ("pending for more than a day", held("pending", since=NOW - 86_401), Read("pending"),
     ABLE, ("needs_provider_human", "read", 3600)),
    ("a person must still help", held("needs_provider_human"), Read("pending"),
     ABLE, ("needs_provider_human", "read", 3600)),
    ("a person helped", held("needs_provider_human", **READ_ON), Read("registered", HOME),
     ABLE, ("registered", "read", NIGHT - NOW)),
    ("taken and not shown yet", held("pending", written=NOW - 60, **READ_ON), Read("absent"),
     ABLE, ("pending", "read", 2)),
    ("taken and not shown: again", held("pending", written=NOW - 121, tries=1, **READ_ON), Read("absent"),
     ABLE, ("submitting", "assign", 0)),
    ("taken and not shown, often", held("pending", tries=4, **READ_ON), Read("absent"),
     ABLE, ("needs_provider_human", "read", 3600)),
    ("failed at the provider", held("pending", tries=1, **READ_ON), Read("failed", HOME, "a"),
     ABLE, ("submitting", "assign", 5)),
    ("failed, no swap", held("pending", tries=1, **READ_ON), Read("failed", HOME, "a"),
     NO_SWAP, ("changing", "release", 5)),
    ("removing before a change", held("changing"), Read("removing"), NO_SWAP, ("changing", "read", 2)),
    ("lost", held("registered", **READ_ON), Read("absent"), ABLE, ("submitting", "assign", 0)),
    ("changed by somebody", held("registered", **READ_ON), Read("registered", OTHER),
     ABLE, ("corrected", "", None)),
    ("doubtful assignment", held("submitting", step="assign", **READ_ON), Doubtful("?"),
     ABLE, ("submitting", "read", 2)),
    ("doubtful preparation", held("submitting", step="prepare"), Doubtful("?"),
     ABLE, ("submitting", "read", 5)),
    ("doubtful, told to wait", held("submitting", step="assign"), Doubtful("?", 90),
     ABLE, ("submitting", "read", 90)),
    ("trouble", held("submitting", step="prepare"), Trouble("?"), ABLE, ("submitting", "prepare", 5)),
    ("trouble, told to wait", held("submitting", step="prepare"), Trouble("?", 77),
     ABLE, ("submitting", "prepare", 77)),
    ("trouble, the fifth", held("submitting", attempts=4), Trouble("?"), ABLE, ("failed", "read", 900)),
    ("trouble at night", held("registered", attempts=9), Trouble("?"), ABLE, ("registered", "read", 3600)),
    ("credentials", held("submitting"), Refused("no", "account"), ABLE, ("failed", "read", 60)),
    ("credentials at night", held("registered"), Refused("no", "account"), ABLE, ("registered", "read", 60)),
    ("number gone at night", held("registered"), Refused("no", "number"), ABLE, ("failed", "read", 60)),
    ("goes on after failure", held("failed", attempts=2, **READ_ON), Read("absent"),
     ABLE, ("failed", "assign", 0)),
    ("address forgotten", held("submitting", step="assign", **READ_ON), Forgotten("?"),
     ABLE, ("submitting", "read", 5)),
    ("approved", held("corrected", step="", choices=(THEIRS,)), Approved(0), ABLE, ("submitting", "read", 0)),
    ("approved what is not there", held("corrected", step="", choices=(THEIRS,)), Approved(3),
     ABLE, ("corrected", "", None)),
    ("insisted", held("corrected", step="", choices=(THEIRS,)), Insisted(), ABLE, ("submitting", "read", 0)),
    ("asked with a choice open", held("corrected", step="", choices=(THEIRS,)), Asked(),
     ABLE, ("corrected", "", None)),
    ("asked", held("registered"), Asked(), ABLE, ("registered", "read", 0)),
    ("asked after failure", held("invalid", step=""), Asked(), ABLE, ("draft", "read", 0)),
    ("remove refused with a place", held("registered"), Removed(), ABLE, ("registered", "read", -50)),
    ("remove", held("draft", wanted=None, step=""), Removed(), ABLE, ("removing", "read", 0)),
    ("remove: release", held("removing", wanted=None), Read("registered", HOME),
     ABLE, ("removing", "release", 0)),
    ("remove: released", held("removing", wanted=None, step="release"), Written(),
     ABLE, ("removing", "read", 0)),
    ("remove: under way", held("removing", wanted=None), Read("removing"), ABLE, ("removing", "read", 2)),
    ("remove: done", held("removing", wanted=None), Read("absent"), ABLE, ("unregistered", "", None)),
    ("no place: left alone", held("draft", wanted=None), Read("registered", HOME), ABLE, ("draft", "", None)),
    ("no place, no address", held("draft", wanted=None), Read("absent"), ABLE, ("unregistered", "", None)),
    ("discarded", held("registered", step="discard", old_ids=("o",)), Written(),
     ABLE, ("registered", "read", NIGHT - NOW)),
    ("discarded one of two", held("registered", step="discard", old_ids=("o", "p")), Written(),
     ABLE, ("registered", "discard", 0)),
    ("not discarded", held("registered", step="discard", old_ids=("o",)), Trouble("?"),
     ABLE, ("registered", "discard", 5)),
    ("not discarded, refused", held("registered", step="discard", old_ids=("o",)), Refused("?", "number"),
     ABLE, ("registered", "read", NIGHT - NOW)),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_what_follows(
    row: tuple[str, Registration, r.Event, Abilities, tuple[str, str, float | None]],
) -> None:
    _name, before, event, can, after = row
    got = r.on(before, event, Context(NOW, can, NIGHT))
    state, step, due = after
    assert (got.state, got.step) == (state, step)
    if due is not None:
        assert got.due - NOW == due
    assert got.sent == ""
    assert (got.since == NOW) is (got.state != before.state)


def test_every_state_is_in_the_table() -> None:
    seen = {row[1].state for row in TABLE} | {str(row[4][0]) for row in TABLE}
    assert seen == set(get_args(RegistrationState))


def test_only_a_reading_of_the_wanted_address_makes_it_registered() -> None:
    """Every state, every event: `registered` is kept, or comes from a Read that says so of this address."""
    events = [row[2] for row in TABLE]
    for state in get_args(RegistrationState):
        for event in events:
            for can in (ABLE, NO_SWAP, PLAIN):
                before = held(state, old_ids=("o",), **READ_ON)
                got = r.on(before, event, Context(NOW, can, NIGHT))
                told = isinstance(event, Read) and event.status == "registered" and event.address == HOME
                assert (got.state != "registered") or told or state == "registered"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (held("registered", reading=reading("registered")), "registered"),
        (held("registered", reading=reading("registered", at=NOW - r.STALE)), "stale"),
        (held("registered"), "stale"),
        (held("pending", reading=reading("registered")), "pending"),
        (held("changing"), "pending"),
        (held("corrected"), "correction"),
        (held("invalid"), "failed"),
        (held("registered", wanted=None, reading=reading("registered")), "unregistered"),
    ],
)
def test_what_the_number_says(made: Registration, said: str) -> None:
    assert r.status(made, NOW) == said


def test_another_place_begins_anew_and_keeps_what_must_be_deleted() -> None:
    before = held("registered", old_ids=("older",), tries=3, reading=reading("registered"), **READ_ON)
    moved = r.want(before, OTHER, NOW)
    assert (moved.state, moved.step, moved.due, moved.accepted, moved.address_id) == (
        "changing",
        "read",
        NOW,
        None,
        "",
    )
    assert moved.old_ids == ("older", "a")
    assert moved.tries == 0


def test_the_same_place_in_other_words_changes_nothing_at_the_provider() -> None:
    before = held("registered", **READ_ON)
    renamed = replace(HOME, street="1200 HARBOR POINT WAY", name="New name")
    assert r.want(before, renamed, NOW) == replace(before, wanted=renamed)


def test_the_end_of_a_write_is_judged_as_that_writes() -> None:
    """A person asked for another look while the assignment was on its way."""
    before = held("registered", step="read", sent="discard", old_ids=("o",), **READ_ON)
    got = r.on(before, Written(), Context(NOW, ABLE, NIGHT))
    assert (got.written, got.old_ids, got.tries) == (0.0, (), 0)


def test_a_gap_is_measured_from_the_first_look_without_to_the_first_with() -> None:
    had = held("changing", reading=reading("registered", OTHER), **READ_ON)
    gone = r.on(had, Read("removing"), Context(NOW, NO_SWAP, NIGHT))
    assert gone.gap_since == NOW
    pending = r.on(gone, Read("pending", HOME, "a"), Context(NOW + 20, NO_SWAP, NIGHT))
    assert pending.gap_since == NOW
    back = r.on(pending, Read("registered", HOME, "a"), Context(NOW + 31, NO_SWAP, NIGHT))
    assert (back.gap_since, back.gap_seconds) == (0.0, 31.0)


def test_a_swap_under_way_is_no_gap() -> None:
    had = held("changing", reading=reading("registered", OTHER), **READ_ON)
    assert r.on(had, Read("pending", HOME, "a"), Context(NOW, ABLE, NIGHT)).gap_since == 0.0


@pytest.mark.parametrize(
    ("before", "due"),
    [
        (held("registered", reading=reading("registered"), due=NIGHT), NOW),
        (held("failed", reading=reading("absent"), due=NOW + 900), NOW),
        (held("registered", reading=reading("registered", at=NOW - 20), due=NIGHT), NIGHT),
        (held("registered", reading=reading("registered"), due=NOW - 1), NOW - 1),
        (held("registered", reading=reading("registered"), step="assign", due=NIGHT), NIGHT),
        (held("corrected", reading=reading("registered"), step="", due=NIGHT), NIGHT),
        (held("draft", due=NIGHT), NIGHT),
    ],
    ids=[
        "registered",
        "failed",
        "read since",
        "due already",
        "a write is due",
        "a person's turn",
        "never read",
    ],
)
def test_what_was_read_before_a_restart_is_read_again(before: Registration, due: float) -> None:
    assert r.restarted(before, NOW - 50, NOW) == replace(before, due=due)


def test_only_writes_are_noted_before_they_are_made() -> None:
    for step in ("prepare", "assign", "release", "discard"):
        assert r.sending(held(step=step)).sent == step
    for step in ("read", "validate"):
        assert r.sending(held(step=step)).sent == ""


def test_what_no_provider_takes_is_not_sent() -> None:
    box = replace(HOME, street="P.O. Box 7")
    got = r.judged(held(wanted=box), ABLE, NOW)
    assert (got.state, got.step) == ("invalid", "")
    assert "post office box" in got.error
    assert r.judged(held(), ABLE, NOW) == held()


@pytest.mark.parametrize("offset", [-8 * 3600.0, 0.0, 5.5 * 3600])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_the_night_is_the_practices_own(offset: float, chance: float) -> None:
    for hour in range(24):
        now = NOW + hour * 3600
        at = r.night(now, offset, chance)
        assert 3600 <= (at + offset) % 86_400 < 5 * 3600
        assert 0 < at - now < 30 * 3600
