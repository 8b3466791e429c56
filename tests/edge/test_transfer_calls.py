"""The warm transfer by keypad as caller, desk user and target hear it (docs/calls.md), in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from provisioner.store.records import Practice
from tests.edge.world import MAIN, OUTSIDE, Talk, World, number_of, practice

State = str
STATES: tuple[State, ...] = ("menu", "collecting", "dialling", "consulting", "completing")


class Transfer:
    """A patient and desk 101 who took the call; the target is 102."""

    def __init__(self, world: World, to: str = number_of("101")) -> None:
        self.world = world
        self.caller = world.inbound(to)
        self.desk = world.ringing("101")
        self.desk.answer()
        self.target: Talk

    def press(self, keys: str) -> None:
        self.world.press(self.desk, keys)

    def dial(self, digits: str) -> Talk:
        self.press(f"*1{digits}#")
        far = self.world.core if len(digits) > 3 else self.world.phones[digits]
        self.target = far.calls[-1]
        return self.target

    def reach(self, state: State) -> Transfer:
        """Go to a state of the table."""
        if state in ("menu", "collecting"):
            self.press("*" if state == "menu" else "*1")
        elif state != "talking":
            self.dial("102")
            if state != "dialling":
                self.target.answer()
            if state == "completing":
                self.press("*")
            if state == "joined":
                self.press("*1")
        return self

    def hears(self) -> tuple:
        """What caller and desk hear."""
        return self.world.hears(self.caller), self.world.hears(self.desk)

    @property
    def state(self) -> str:
        (state,) = self.world.states()
        return state

    def talking(self) -> bool:
        return self.hears() == (self.desk, self.caller) and self.state in ("talking", "joined")


@pytest.fixture
def transfer(world: World) -> Transfer:
    return Transfer(world)


# the table, row by row


@pytest.mark.rule("transfer.joined", "transfer.consulting", "transfer.completing", "transfer.way-edge")
def test_the_whole_transfer_to_an_extension(world: World, transfer: Transfer) -> None:
    assert transfer.talking()
    transfer.press("*")
    assert transfer.hears() == ("music", "menu")
    transfer.press("1")
    assert transfer.hears() == ("music", "dialtone")
    transfer.press("1")
    assert transfer.hears() == ("music", "silence")
    transfer.press("*")  # clears
    assert transfer.hears() == ("music", "dialtone")
    transfer.press("102")
    transfer.press("#")
    target = transfer.target = world.ringing("102")
    assert transfer.hears() == ("music", "ringback")
    assert transfer.state == "dialling"
    assert target.invite.get("from").startswith("Room 101 <sip:101@")
    target.answer()
    assert transfer.hears() == ("music", target)
    assert world.hears(target) is transfer.desk
    assert transfer.state == "consulting"
    transfer.press("*")
    assert transfer.hears() == ("music", "completing")
    assert world.hears(target) == "music"
    transfer.press("1")
    assert transfer.desk.ended
    assert world.hears(transfer.caller) is target
    assert world.hears(target) is transfer.caller
    transfer.caller.hangup()
    assert target.ended
    row = next(row for table, row in world.rows if table == "calls")
    assert [words for _, words in row["steps"]] == [
        "talking", "menu", "collecting", "dialling 102", "consulting 102", "completing", "joined 102", "ended",
    ]  # fmt: skip
    assert (row["desk"], row["target"]) == ("102", "102")


@pytest.mark.rule("transfer.way-edge", "transfer.resolve")
def test_the_whole_transfer_to_an_outside_number(world: World, transfer: Transfer) -> None:
    target = transfer.dial("2124567890")
    assert target.invite.uri.startswith(f"sip:{OUTSIDE}@")
    assert f"sip:{number_of('101')}@" in target.invite.get("p-asserted-identity")
    target.answer()
    transfer.press("*1")
    assert transfer.desk.ended
    assert world.hears(transfer.caller) is target
    assert world.hears(target) is transfer.caller
    world.press(target, "*")  # no menu for a leg of the core
    assert world.passed_on[-1] == "*"
    target.hangup()
    assert transfer.caller.ended


@pytest.mark.rule("transfer.talking")
def test_keys_while_talking_are_passed_on(world: World, transfer: Transfer) -> None:
    transfer.press("1234567890#")
    assert world.passed_on == list("1234567890#")
    assert transfer.talking()


@pytest.mark.rule("transfer.menu")
def test_menu_2_returns(transfer: Transfer) -> None:
    transfer.press("*2")
    assert transfer.talking()


@pytest.mark.parametrize("bad", ["key", "silence", "prompt never ends"])
@pytest.mark.rule("transfer.menu")
def test_menu_is_played_three_times_then_returns(world: World, transfer: Transfer, bad: str) -> None:
    act = _badly(world, transfer, bad)
    transfer.press("*")
    for _ in range(2):
        act()
        assert transfer.hears() == ("music", "menu")
    act()
    assert transfer.talking()


def _badly(world: World, transfer: Transfer, how: str) -> Callable[[], None]:
    def silence() -> None:
        world.prompt_ends(transfer.desk)
        world.pass_time(7.9)
        assert transfer.state in ("menu", "completing")
        world.pass_time(0.2)

    return {
        "key": lambda: transfer.press("5"),
        "silence": silence,
        "prompt never ends": lambda: world.pass_time(30.1),
    }[how]


@pytest.mark.parametrize("bad", ["key", "silence", "prompt never ends"])
@pytest.mark.rule("transfer.completing")
def test_completing_menu_is_played_three_times_then_the_target_is_back(
    world: World, transfer: Transfer, bad: str
) -> None:
    act = _badly(world, transfer, bad)
    transfer.reach("completing")
    for _ in range(2):
        act()
        assert transfer.hears() == ("music", "completing")
    act()
    assert transfer.hears() == ("music", transfer.target)
    assert world.hears(transfer.target) is transfer.desk


@pytest.mark.rule("transfer.completing")
def test_completing_menu_2_releases_the_target(transfer: Transfer) -> None:
    transfer.reach("completing")
    transfer.press("2")
    assert transfer.target.ended
    assert transfer.talking()


@pytest.mark.rule("transfer.collecting")
def test_digits_without_hash_count_after_10_seconds(world: World, transfer: Transfer) -> None:
    transfer.press("*1102")
    world.pass_time(9.9)
    assert transfer.state == "collecting"
    world.pass_time(0.2)
    assert transfer.state == "dialling"


@pytest.mark.rule("transfer.collecting")
def test_no_digits_in_10_seconds_is_the_menu_again(world: World, transfer: Transfer) -> None:
    transfer.press("*1")
    world.pass_time(10.1)
    assert transfer.hears() == ("music", "menu")


@pytest.mark.parametrize(
    ("digits", "prompt"),
    [
        ("199", "invalid"),
        ("101", "own-extension"),
        ("911", "emergency-target"),
        ("9911", "emergency-target"),
        ("933", "emergency-target"),
        ("988", "crisis-target"),
        ("411", "refused"),
        ("5551212", "area-code"),
        ("011442071234567", "not-nanp"),
        ("19005551212", "refused"),
    ],
)
@pytest.mark.rule("transfer.resolve", "dialled.crisis")
def test_wrong_target_says_why(world: World, transfer: Transfer, digits: str, prompt: str) -> None:
    transfer.press(f"*1{digits}#")
    assert transfer.hears() == ("music", f"{prompt} menu")
    assert transfer.state == "menu"
    transfer.press("2")
    assert transfer.talking()


@pytest.mark.parametrize(
    ("status", "prompt"), [(486, "busy-target"), (480, "no-answer"), (408, "no-answer"), (503, "unreachable")]
)
@pytest.mark.rule("transfer.dialling")
def test_target_fails(transfer: Transfer, status: int, prompt: str) -> None:
    transfer.dial("102").refuse(status)
    assert transfer.hears() == ("music", f"{prompt} menu")
    transfer.press("2")
    assert transfer.talking()


@pytest.mark.rule("transfer.dialling", "hold.no-voicemail")
def test_target_does_not_answer_in_30_seconds(world: World, transfer: Transfer) -> None:
    target = transfer.dial("102")
    world.pass_time(30.1)
    assert target.ended
    assert transfer.hears() == ("music", "no-answer menu")


@pytest.mark.rule("transfer.dialling")
def test_target_is_not_registered(world: World, transfer: Transfer) -> None:
    world.phones["102"].register(expires=0)
    transfer.press("*1102#")
    assert transfer.hears() == ("music", "no-answer menu")


@pytest.mark.rule("transfer.dialling")
def test_target_outside_with_the_trunk_down(world: World, transfer: Transfer) -> None:
    world.edge.trunks.peers[0].up = False
    transfer.press("*12124567890#")
    assert transfer.hears() == ("music", "unreachable menu")


def test_no_media_port_for_the_target(world: World, transfer: Transfer) -> None:
    world.media.capacity = 0
    transfer.press("*1102#")
    assert transfer.hears()[1].endswith(" menu")


@pytest.mark.rule("transfer.dialling")
def test_early_media_of_the_target_is_heard_by_the_desk(world: World, transfer: Transfer) -> None:
    target = transfer.dial("2124567890")
    target.early()
    assert transfer.hears() == ("music", target)
    target.refuse(486)
    assert transfer.hears() == ("music", "busy-target menu")


@pytest.mark.rule("transfer.dialling")
def test_star_stops_dialling(transfer: Transfer) -> None:
    target = transfer.dial("102")
    transfer.press("*")
    assert target.ended
    assert transfer.hears() == ("music", "menu")


@pytest.mark.rule("transfer.dialling")
def test_star_stops_dialling_as_the_target_answers(world: World, transfer: Transfer) -> None:
    target = transfer.dial("102")
    target.session.accept(target._answer())
    transfer.press("*")
    assert target.over
    assert transfer.hears() == ("music", "menu")


@pytest.mark.parametrize("state", ["consulting", "completing"])
@pytest.mark.rule("transfer.consulting")
def test_target_hangs_up(transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    transfer.target.hangup()
    assert transfer.hears() == ("music", "menu")
    transfer.press("2")
    assert transfer.talking()


def test_a_second_target_after_the_first_refused(transfer: Transfer, world: World) -> None:
    transfer.dial("102").refuse(486)
    transfer.press("1103#")
    world.ringing("103").answer()
    transfer.press("*1")
    assert world.hears(transfer.caller) is world.ringing("103")


# what must hold in every state


@pytest.mark.parametrize("state", STATES)
@pytest.mark.rule("hold.key-cuts-prompt")
def test_keys_of_the_others_mean_nothing(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    world.press(transfer.caller, "12*#")
    if state in ("consulting", "completing"):
        world.press(transfer.target, "12*#")
    assert transfer.state == state


@pytest.mark.parametrize("state", STATES)
@pytest.mark.rule("transfer.way-edge")
def test_the_keys_of_the_machine_are_not_heard(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    assert world.passed_on == []


@pytest.mark.parametrize("state", STATES)
@pytest.mark.rule("hold.re-invites")
def test_hold_and_resume_of_the_desk_break_nothing(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    before = transfer.hears()
    transfer.desk.reinvite("sendonly")
    assert world.hears(transfer.caller) == "music"
    if state == "consulting":
        assert world.hears(transfer.target) == "music"
    assert transfer.state == state
    transfer.desk.reinvite("sendrecv")
    assert transfer.hears() == before


@pytest.mark.parametrize("state", STATES)
@pytest.mark.rule("hold.re-invites")
def test_session_refresh_of_the_caller_breaks_nothing(transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    before = transfer.hears()
    assert transfer.caller.reinvite("sendrecv").status == 200
    assert transfer.hears() == before


@pytest.mark.rule("hold.re-invites")
def test_caller_on_hold_by_the_core_while_the_desk_transfers(world: World, transfer: Transfer) -> None:
    transfer.caller.reinvite("sendonly")
    assert world.hears(transfer.desk) == "music"
    transfer.reach("joined")
    assert world.hears(transfer.target) == "music"
    transfer.caller.reinvite("sendrecv")
    assert world.hears(transfer.target) is transfer.caller


# the caller hangs up


@pytest.mark.parametrize("state", ["menu", "collecting", "dialling"])
@pytest.mark.rule("hold.caller-hangs-up")
def test_caller_hangs_up_and_the_desk_is_told(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    transfer.caller.hangup()
    if state == "dialling":
        assert transfer.target.ended
    assert world.hears(transfer.desk) == "caller-hung-up"
    world.prompt_ends(transfer.desk)
    assert transfer.desk.ended
    assert world.edge.calls == {}


@pytest.mark.parametrize("state", ["consulting", "completing"])
@pytest.mark.parametrize("last", ["desk", "target"])
@pytest.mark.rule("hold.caller-hangs-up")
def test_caller_hangs_up_and_the_desk_keeps_the_target(
    world: World, transfer: Transfer, state: State, last: str
) -> None:
    transfer.reach(state)
    transfer.caller.hangup()
    assert world.hears(transfer.desk) is transfer.target
    assert world.hears(transfer.target) is transfer.desk
    transfer.press("*1")
    assert world.passed_on[-2:] == ["*", "1"]
    if last == "desk":
        transfer.desk.hangup()
        assert transfer.target.ended
    else:
        transfer.target.hangup()
        assert transfer.desk.ended
    assert world.edge.calls == {}


@pytest.mark.parametrize("state", ["talking", "joined"])
def test_caller_hangs_up_and_all_is_over(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    transfer.caller.hangup()
    assert transfer.desk.ended
    assert world.edge.calls == {}


# the desk hangs up


@pytest.mark.parametrize("state", ["menu", "collecting", "dialling"])
@pytest.mark.rule("hold.caller-never-lost")
def test_desk_hangs_up_is_rung_back_and_answers(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    transfer.desk.hangup()
    if state == "dialling":
        assert transfer.target.ended
    again = world.ringing("101")
    assert again is not transfer.desk
    assert again.invite.get("from").startswith(f"Desk 101 <sip:{number_of('101')}@")
    assert world.hears(transfer.caller) == "ringback"
    again.answer()
    transfer.desk = again
    assert transfer.talking()
    transfer.press("*2")
    assert transfer.talking()


@pytest.mark.rule("hold.caller-never-lost")
def test_recall_lasts_30_seconds_then_the_caller_is_let_go(world: World, transfer: Transfer) -> None:
    transfer.press("*")
    transfer.desk.hangup()
    world.pass_time(29.9)
    assert world.hears(transfer.caller) == "ringback"
    world.pass_time(0.2)
    assert world.ringing("101").ended
    assert transfer.caller.ended  # no group behind the number of one extension


@pytest.mark.rule("hold.caller-never-lost")
def test_recall_then_the_group_then_bye(world: World) -> None:
    transfer = Transfer(world, MAIN).reach("menu")
    transfer.desk.hangup()
    before = len(world.phones["102"].calls)
    world.pass_time(30.1)
    assert len(world.phones["102"].calls) == before + 1
    assert world.hears(transfer.caller) == "ringback"
    world.pass_time(30.1)
    assert world.ringing("102").ended
    assert transfer.caller.ended
    assert world.edge.calls == {}


@pytest.mark.rule("hold.caller-never-lost")
def test_recall_is_taken_by_one_of_the_group(world: World) -> None:
    transfer = Transfer(world, MAIN).reach("menu")
    transfer.desk.hangup()
    world.ringing("101").refuse(486)  # the phone rung back declines: the group at once
    other = world.ringing("103")
    other.answer()
    transfer.desk = other
    assert transfer.talking()
    assert world.ringing("102").ended
    transfer.press("*")
    assert transfer.hears() == ("music", "menu")


@pytest.mark.rule("hold.caller-never-lost")
def test_recall_of_a_phone_that_is_gone_goes_to_the_group_at_once(world: World) -> None:
    transfer = Transfer(world, MAIN).reach("collecting")
    world.phones["101"].register(expires=0)
    transfer.desk.hangup()
    assert not world.ringing("102").over
    world.ringing("102").answer()
    assert world.hears(transfer.caller) is world.ringing("102")


def test_group_without_anybody_lets_the_caller_go(world: World) -> None:
    transfer = Transfer(world, MAIN).reach("menu")
    for phone in world.phones.values():
        phone.register(expires=0)
    transfer.desk.hangup()
    assert transfer.caller.ended
    assert world.edge.calls == {}


@pytest.mark.parametrize("stage", ["recall", "group"])
def test_caller_hangs_up_during_the_recall(world: World, stage: str) -> None:
    transfer = Transfer(world, MAIN).reach("menu")
    transfer.desk.hangup()
    if stage == "group":
        world.pass_time(30.1)
    transfer.caller.hangup()
    assert world.ringing("101").over
    assert world.ringing("102").over
    assert world.edge.calls == {}


@pytest.mark.parametrize("state", ["consulting", "completing"])
@pytest.mark.rule("hold.caller-never-lost")
def test_desk_hangs_up_and_the_transfer_completes(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    transfer.desk.hangup()
    assert world.hears(transfer.caller) is transfer.target
    assert world.hears(transfer.target) is transfer.caller


@pytest.fixture
def recalling() -> Iterator[World]:
    """A practice whose desks get the caller back when they hang up."""
    setting = Practice(id="practice", name="Demo", main_number=MAIN, on_hangup="recall")
    world = World(practice(practice=setting))
    world.register_all()
    yield world
    world.end()
    world.assert_nothing_left()


@pytest.mark.parametrize("state", ["consulting", "completing"])
@pytest.mark.rule("hold.caller-never-lost")
def test_desk_hangs_up_and_is_rung_back_by_setting(recalling: World, state: State) -> None:
    transfer = Transfer(recalling).reach(state)
    transfer.desk.hangup()
    assert transfer.target.ended
    assert recalling.hears(transfer.caller) == "ringback"
    transfer.desk = recalling.ringing("101")
    transfer.desk.answer()
    assert transfer.talking()


@pytest.mark.parametrize("state", ["talking", "joined"])
def test_desk_or_target_hangs_up_ends_the_call(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    (transfer.desk if state == "talking" else transfer.target).hangup()
    assert transfer.caller.ended
    assert world.edge.calls == {}


# and again


@pytest.mark.rule("transfer.joined")
def test_the_targets_desk_transfers_again(world: World, transfer: Transfer) -> None:
    transfer.reach("joined")
    transfer.desk = transfer.target
    assert transfer.talking()
    transfer.press("*1103#")
    third = world.ringing("103")
    third.answer()
    assert transfer.hears() == ("music", third)
    transfer.press("*1")
    assert world.hears(transfer.caller) is third
    assert world.hears(third) is transfer.caller
    assert transfer.desk.ended


def test_own_extension_is_that_of_the_new_desk(world: World, transfer: Transfer) -> None:
    transfer.reach("joined")
    transfer.desk = transfer.target
    transfer.press("*1102#")
    assert transfer.hears() == ("music", "own-extension menu")


def test_a_desk_that_was_called_by_another_may_transfer(world: World) -> None:
    caller = world.phones["103"].call("101")
    desk = world.ringing("101")
    desk.answer()
    world.press(desk, "*1102#")
    world.ringing("102").answer()
    world.press(desk, "*1")
    assert world.hears(caller) is world.ringing("102")


@pytest.mark.rule("transfer.inbound-only")
def test_a_desk_that_placed_the_call_may_not(world: World) -> None:
    caller = world.phones["103"].call("101")
    world.ringing("101").answer()
    world.press(caller, "*")
    assert world.passed_on == ["*"]


@pytest.mark.rule("transfer.way-core")
def test_trunk_whose_core_plays_the_menus(world: World) -> None:
    trunk = world.edge.trunks.peers[0].trunk
    changed = type(trunk)(id=trunk.id, uri=trunk.uri, transfer="core")
    world.edge.trunks.update([changed])
    caller = world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    world.press(desk, "*1")
    assert world.passed_on == ["*", "1"]
    assert world.hears(caller) is desk


@pytest.mark.parametrize("state", [*STATES, "talking", "joined"])
def test_the_appliance_stops_in_any_state(world: World, transfer: Transfer, state: State) -> None:
    transfer.reach(state)
    world.edge.close()
    world.run()
    assert all(talk.over for talk in world.talks())
    assert world.edge.calls == {}
