"""`release = "refer"`: the core is asked to connect caller and target; whatever it says, nobody is lost."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from provisioner.edge.release import AFTER_SECONDS, REFER_SECONDS
from provisioner.sip.message import Request
from provisioner.sip.refer import Referral
from provisioner.store.records import Trunk
from tests.edge.test_transfer_calls import Transfer
from tests.edge.world import CORE, World, practice

pytestmark = pytest.mark.rule("hold.release-refer")


def trunk(release: str = "refer", refer: bool = True) -> Trunk:
    return Trunk(
        id="core",
        uri=f"sip:{CORE[0]}:{CORE[1]}",
        release=release,  # type: ignore[arg-type]
        settings={} if refer else {"refer": False},
    )


class Core:
    """A core that takes REFER: `referrals` are those that came to the caller's dialog."""

    def __init__(self, record: Trunk) -> None:
        self.world = World(practice(trunks={"core": record}))
        self.world.register_all()
        self.transfer = Transfer(self.world)
        self.caller = self.transfer.caller
        self.referrals: list[Referral] = []
        self.caller.session.on_refer = self.referrals.append

    def join(self, number: str = "2124567890") -> Core:
        self.target = self.transfer.dial(number)
        self.target.answer()
        self.transfer.press("*1")
        return self

    def says(self, *statuses: int) -> None:
        """202, then NOTIFYs."""
        (referral,) = self.referrals
        referral.accept()
        for status in statuses:
            referral.report(status)
        self.world.run()

    @property
    def bridged(self) -> bool:
        world = self.world
        return world.hears(self.caller) is self.target and world.hears(self.target) is self.caller

    @property
    def counters(self) -> dict[str, int]:
        return {name: n for name, n in self.world.edge.counters.items() if "refer" in name}


@pytest.fixture
def core() -> Iterator[Core]:
    made = Core(trunk())
    yield made
    made.world.end()
    made.world.assert_nothing_left()


def test_refer_names_the_target_and_its_dialog(core: Core) -> None:
    core.join()
    (referral,) = core.referrals
    (request,) = core.world.core.requests("REFER")
    dialog = core.target.session.dialog
    assert dialog
    assert referral.replaces
    assert referral.replaces.keys[0] == dialog.key
    assert str(referral.target) == f"sip:{CORE[0]}:{CORE[1]}"
    assert request.get("refer-to").count("Replaces=") == 1
    assert unquote(request.get("refer-to")).count(dialog.call_id) == 1
    assert request.get("referred-by").startswith("<sip:")


def test_the_edge_leaves_when_the_core_has_done_it(core: Core) -> None:
    core.join()
    assert core.bridged
    core.says(180)
    assert core.bridged
    (referral,) = core.referrals
    referral.report(200)
    core.world.run()
    assert core.caller.ended
    assert core.target.ended
    assert core.world.edge.calls == {}
    assert core.world.outcome() == "released to the core"
    assert core.counters == {"released-by-refer": 1}


@pytest.mark.parametrize("status", [403, 405, 481, 501, 603])
def test_refused_and_bridged(core: Core, status: int) -> None:
    core.join()
    core.referrals[0].refuse(status)
    core.world.run()
    assert core.bridged
    core.world.pass_time(REFER_SECONDS + 5)
    assert core.bridged
    assert core.counters == {"refer-failed": 1}
    core.caller.hangup()
    assert core.target.ended


@pytest.mark.parametrize("statuses", [(503,), (180, 486), (603,)])
def test_failed_and_bridged(core: Core, statuses: tuple[int, ...]) -> None:
    core.join()
    core.says(*statuses)
    assert core.bridged
    assert core.counters == {"refer-failed": 1}
    core.target.hangup()
    assert core.caller.ended


@pytest.mark.parametrize("accepted", [True, False])
def test_silent_and_bridged(core: Core, accepted: bool) -> None:
    if not accepted:
        core.caller.session.on_request = lambda transaction: None  # type: ignore[method-assign]
    core.join()
    if accepted:
        core.says()
    core.world.pass_time(REFER_SECONDS - 1)
    assert core.bridged
    assert core.counters == {}
    core.world.pass_time(2)
    assert core.bridged
    assert core.counters == {"refer-failed": 1}
    core.target.hangup()
    assert core.caller.over or not accepted


def test_late_and_done_all_the_same(core: Core) -> None:
    core.join().says()
    core.world.pass_time(REFER_SECONDS + 1)
    core.referrals[0].report(200)
    core.world.run()
    assert core.caller.ended
    assert core.target.ended


def notify(core: Core, event: str, state: str, body: bytes) -> None:
    dialog = core.caller.session.dialog
    assert dialog
    request: Request = dialog.request("NOTIFY")
    request.headers += [("event", event), ("subscription-state", state), ("content-type", "message/sipfrag")]
    request.body = body
    core.world.core.agent.request_in(dialog, request)
    core.world.run()


@pytest.mark.parametrize("body", [b"", b"SIP/2.0 100 Trying\r\n", b"nonsense", b"SIP/2.0 2000 OK"])
def test_a_subscription_that_ends_without_a_result_is_a_failure(core: Core, body: bytes) -> None:
    core.join().says()
    notify(core, "refer", "terminated;reason=noresource", body)
    assert core.bridged
    assert core.counters == {"refer-failed": 1}


def test_news_of_something_else_are_not_news_of_it(core: Core) -> None:
    core.join().says()
    notify(core, "message-summary", "active", b"SIP/2.0 200 OK\r\n")
    assert core.bridged
    assert core.counters == {}


def test_a_notify_before_the_202_counts(core: Core) -> None:
    core.join()
    notify(core, "refer", "terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    assert core.caller.ended
    assert core.target.ended


@pytest.mark.parametrize("first", ["target", "caller"])
def test_a_core_that_ends_its_leg_before_it_says_so(core: Core, first: str) -> None:
    core.join().says()
    gone, other = (core.target, core.caller) if first == "target" else (core.caller, core.target)
    gone.hangup()
    assert not other.over
    assert core.world.hears(other) == "music"
    if first == "target":
        core.referrals[0].report(200)
        core.world.run()
    core.world.pass_time(AFTER_SECONDS + 0.1)
    assert other.ended
    assert core.world.edge.calls == {}


def test_both_hang_up_while_it_is_pending(core: Core) -> None:
    core.join().says()
    core.target.hangup()
    core.caller.hangup()
    core.world.pass_time(AFTER_SECONDS + 0.1)
    assert core.world.edge.calls == {}


@pytest.mark.parametrize(
    ("record", "number"),
    [
        (trunk("bridge"), "2124567890"),
        (trunk(refer=False), "2124567890"),  # the core is not known to take it
        (trunk(), "102"),  # the target is here
    ],
)
def test_no_refer(record: Trunk, number: str) -> None:
    core = Core(record).join(number)
    assert core.bridged
    assert core.world.core.requests("REFER") == []
    core.world.end()
    core.world.assert_nothing_left()


def test_no_refer_across_trunks() -> None:
    """The second call went by another core: the first knows nothing of it."""
    backup = Trunk(id="backup", uri="sip:198.51.100.20:5060", order=20, release="refer")
    core = Core(trunk())
    core.world.edge.trunks.update([trunk(), backup])
    core.world.core.on_call = lambda talk: talk.session.reject(503)
    core.transfer.press("*12124567890#")
    core.target = core.world.backup.calls[-1]
    core.target.answer()
    core.transfer.press("*1")
    assert core.bridged
    assert core.world.core.requests("REFER") == core.world.backup.requests("REFER") == []
    core.world.end()
    core.world.assert_nothing_left()


def test_desk_hangs_up_while_consulting_and_the_core_takes_over(core: Core) -> None:
    core.target = core.transfer.dial("2124567890")
    core.target.answer()
    core.transfer.desk.hangup()
    core.says(200)
    assert core.caller.ended
    assert core.target.ended
