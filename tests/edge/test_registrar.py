"""The registrar: facts R01 to R05 and N09 of the field, and REGISTER as phones send it."""

from __future__ import annotations

import pytest

from provisioner.edge.registrar import MAX_CONTACTS, Binding, IntervalTooBriefError, Registrar
from provisioner.errors import PeerError
from provisioner.sip.message import Request
from provisioner.sip.transaction import Flow
from tests.edge.world import Clock, World

LOCAL = ("192.0.2.1", 5060)


def flow(host: str = "10.0.0.5", port: int = 5060, connection: int = 0) -> Flow:
    return Flow("TCP" if connection else "UDP", LOCAL, (host, port), connection)


class Bench:
    """A registrar with a clock and a record of what it told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, bool]] = []
        self.registrar = Registrar(self.clock, lambda binding, on: self.told.append((binding.contact, on)))

    def register(
        self,
        *contacts: str,
        expires: str = "",
        call_id: str = "c",
        seq: int = 1,
        over: Flow | None = None,
        extension: str = "101",
    ) -> list[Binding]:
        headers = [("contact", contact) for contact in contacts]
        headers += [("call-id", call_id), ("cseq", f"{seq} REGISTER"), ("user-agent", "Phone/1")]
        if expires:
            headers.append(("expires", expires))
        request = Request("REGISTER", "sip:x", headers)
        return self.registrar.register(request, extension, over or flow())

    def contacts(self, extension: str = "101") -> list[str]:
        return [binding.contact for binding in self.registrar.contacts(extension)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


A, B = "<sip:101@10.0.0.5:5060>", "<sip:101@10.0.0.6:5060>"
INSTANCE = ';+sip.instance="<urn:uuid:1>"'


def test_r01_the_key_is_the_contact(bench: Bench) -> None:
    bench.register(A)
    bench.register(B, seq=2)
    assert bench.contacts() == [A[1:-1], B[1:-1]]


def test_r01_the_same_instance_at_a_new_address_leaves_no_ghost(bench: Bench) -> None:
    bench.register(A + INSTANCE + ";reg-id=1")
    bench.register(B + INSTANCE + ";reg-id=1", seq=2, over=flow("10.0.0.6"))
    assert bench.contacts() == [B[1:-1]]
    assert bench.registrar.extension_at(("10.0.0.5", 5060)) == ""
    assert bench.registrar.extension_at(("10.0.0.6", 5060)) == "101"
    assert (bench.registrar.at("10.0.0.5"), bench.registrar.at("10.0.0.6")) == (False, True)


def test_r01_another_reg_id_is_another_binding(bench: Bench) -> None:
    bench.register(A + INSTANCE + ";reg-id=1")
    bench.register(A + INSTANCE + ";reg-id=2", seq=2)
    assert len(bench.contacts()) == 2


@pytest.mark.parametrize("seq", [4, 5])
def test_r02_cseq_must_grow(bench: Bench, seq: int) -> None:
    bench.register(A, seq=5)
    bench.clock.now += 100
    with pytest.raises(PeerError) as caught:
        bench.register(A, seq=seq)
    assert caught.value.status == 500
    assert [round(binding.expires) for binding in bench.registrar.contacts("101")] == [4600]


def test_r02_cseq_must_grow_whatever_the_address(bench: Bench) -> None:
    bench.register(A, seq=5)
    with pytest.raises(PeerError):
        bench.register(A, seq=4, over=flow("10.9.9.9"))
    assert bench.registrar.contacts("101")[0].flow == flow()


def test_r02_another_call_id_begins_anew(bench: Bench) -> None:
    bench.register(A, seq=5)
    assert bench.register(A, seq=1, call_id="d")


def test_n09_a_phone_that_restarts_with_the_same_call_id(bench: Bench) -> None:
    bench.register(A + INSTANCE, seq=50)
    assert bench.register(A + INSTANCE, seq=2, over=flow(port=6000))
    assert bench.registrar.contacts("101")[0].cseq == 2


def test_n09_not_from_elsewhere(bench: Bench) -> None:
    bench.register(A + INSTANCE, seq=50)
    with pytest.raises(PeerError):
        bench.register(A + INSTANCE, seq=2, over=flow("10.9.9.9"))


def test_n09_after_the_binding_has_expired(bench: Bench) -> None:
    bench.register(A, seq=50, expires="60")
    bench.clock.now += 61
    assert bench.register(A, seq=2)


def test_r02_star_removes_all(bench: Bench) -> None:
    bench.register(A)
    bench.register(B, seq=2)
    assert bench.register("*", expires="0", seq=3) == []
    assert bench.contacts() == []
    assert bench.told[-2:] == [(A[1:-1], False), (B[1:-1], False)]


@pytest.mark.parametrize("expires", ["", "60"])
def test_r02_star_needs_expires_0(bench: Bench, expires: str) -> None:
    bench.register(A)
    with pytest.raises(PeerError):
        bench.register("*", expires=expires, seq=2)
    assert bench.contacts() == [A[1:-1]]


@pytest.mark.parametrize("bad", ["*", "<sip:", "<sip:101@10.0.0.7>;expires=5", "nonsense"])
def test_r02_all_or_nothing(bench: Bench, bad: str) -> None:
    bench.register(A)
    with pytest.raises(PeerError):
        bench.register(B, bad, seq=2)
    assert bench.contacts() == [A[1:-1]]


def test_r02_an_old_cseq_for_one_of_two_changes_neither(bench: Bench) -> None:
    bench.register(A, seq=5)
    with pytest.raises(PeerError):
        bench.register(B, A, seq=5)
    assert bench.contacts() == [A[1:-1]]


def test_too_many_contacts(bench: Bench) -> None:
    for number in range(MAX_CONTACTS):
        bench.register(f"<sip:101@10.0.0.5:{6000 + number}>", seq=number + 1, expires="60")
    with pytest.raises(PeerError) as caught:
        bench.register(A, seq=99)
    assert caught.value.status == 403
    bench.clock.now += 61  # what has expired does not count
    assert bench.register(A, seq=100)


@pytest.mark.parametrize(
    ("contact", "header", "seconds"),
    [
        (A, "", 3600),
        (A, "120", 120),
        (A + ";expires=90", "120", 90),
        (A + ';expires="90"', "", 90),
        (A, "99999", 3600),
        (A, "99999999999999999999", 3600),
        (A, "soon", 3600),
        (A, "60", 60),
    ],
)
def test_r03_expires(bench: Bench, contact: str, header: str, seconds: int) -> None:
    (binding,) = bench.register(contact, expires=header)
    assert bench.registrar.remaining(binding) == seconds
    bench.clock.now += seconds - 1
    assert bench.contacts()
    bench.clock.now += 2
    assert not bench.contacts()
    bench.registrar.expire()
    assert bench.told[-1] == (A[1:-1], False)


@pytest.mark.parametrize("seconds", ["1", "59"])
def test_r03_too_brief(bench: Bench, seconds: str) -> None:
    with pytest.raises(IntervalTooBriefError):
        bench.register(A, expires=seconds)


def test_r03_expires_0_removes(bench: Bench) -> None:
    bench.register(A)
    assert bench.register(A + ";expires=0", seq=2) == []


def test_asking_changes_nothing(bench: Bench) -> None:
    bench.register(A)
    assert [binding.contact for binding in bench.register(seq=2)] == [A[1:-1]]
    assert len(bench.told) == 1


def test_r05_contact_parameters_stay(bench: Bench) -> None:
    bench.register("<sip:101@10.0.0.5:5060;line=abc;ob;x-private=1>")
    assert bench.contacts() == ["sip:101@10.0.0.5:5060;line=abc;ob;x-private=1"]


def test_a_lost_connection_takes_its_bindings(bench: Bench) -> None:
    bench.register(A, over=flow(connection=3))
    bench.register(B, over=flow(connection=4), seq=2)
    bench.registrar.flow_lost(flow(connection=3))
    assert bench.contacts() == [B[1:-1]]


def test_two_lines_of_one_phone(bench: Bench) -> None:
    bench.register(A)
    bench.register(A, extension="102", call_id="d")
    assert bench.registrar.extension_at(("10.0.0.5", 5060)) == "102"
    bench.register(A, extension="102", call_id="d", seq=2, expires="0")
    assert bench.registrar.extension_at(("10.0.0.5", 5060)) == "101"


def test_restore(bench: Bench) -> None:
    def binding(number: int, over: Flow, expires: float) -> Binding:
        return Binding("101", f"k{number}", f"sip:101@h{number}", over, expires, "", "c", 1)

    bench.registrar.restore(binding(1, flow(), bench.clock() + 60))
    bench.registrar.restore(binding(2, flow(), bench.clock() - 1))
    bench.registrar.restore(binding(3, flow(connection=1), bench.clock() + 60))  # its connection is gone
    assert bench.contacts() == ["sip:101@h1"]


def test_keep_drops_lines_that_are_no_more(bench: Bench) -> None:
    bench.register(A)
    bench.register(A, extension="102", call_id="d")
    bench.registrar.keep({"102"})
    assert bench.contacts() == []
    assert bench.contacts("102")


def test_phones_that_came_together_do_not_come_back_together() -> None:
    """R08: 90 to 100 % of what each asks for, never below the least."""
    shares = iter([1.0, 0.9, 0.95, 0.9])
    bench = Bench()
    bench.registrar._share = lambda: next(shares)
    granted = []
    for seq, expires in enumerate(("3600", "3600", "600", "60")):
        (binding,) = bench.register(A, expires=expires, seq=seq)
        granted.append(bench.registrar.remaining(binding))
    assert granted == [3600, 3240, 570, 60]


# on the wire


def test_register_with_digest(world: World) -> None:
    response = world.phones["101"].register()
    assert response.status == 200
    contact, _, expires = response.get("contact").partition(";expires=")
    assert contact == "<sip:101@10.0.0.101:5060>"
    assert 3240 <= int(expires) <= 3600  # R08: each a little less than it asked for
    assert response.get("date").endswith(" GMT")
    first = next(message for message in world.phones["101"].received if message.get("www-authenticate"))
    assert first.status == 401  # type: ignore[union-attr]


def test_registration_is_told_and_kept(world: World) -> None:
    name, row = world.events[0]
    assert name == "registration"
    assert (row["extension"], row["address"]) == ("101", "10.0.0.101:5060")
    assert 3240 <= row["expires_in"] <= 3600
    table, stored = world.rows[0]
    assert table == "registrations"
    assert stored["body"]["contact"] == "sip:101@10.0.0.101:5060"


def test_unregister(world: World) -> None:
    assert world.phones["101"].register(expires=0).get("contact") == ""
    assert world.events[-1][1]["expires_in"] == 0
    assert world.rows[-1][1]["expires"] == 1.7e9 + world.clock()


def test_wrong_password_and_unknown_user_look_the_same(world: World) -> None:
    wrong = world.phones["101"].register(account=("user101", "guess"))
    unknown = world.phones["101"].register(account=("nobody", "guess"), aor="999")
    assert wrong.status == unknown.status == 401

    def shape(response: object) -> list[str]:
        return sorted(name for name, _ in response.headers)  # type: ignore[attr-defined]

    assert shape(wrong) == shape(unknown)
    assert wrong.reason == unknown.reason


def test_another_lines_address_of_record_is_403(world: World) -> None:
    assert world.phones["101"].register(aor="102").status == 403
    assert [binding.extension for binding in world.edge.registrar.all()] == ["101", "102", "103"]


def test_the_digest_user_may_be_the_address_of_record(world: World) -> None:
    assert world.phones["101"].register(aor="user101").status == 200


def test_since_when_it_is_registered_without_a_pause(bench: Bench) -> None:
    def age() -> float:
        return bench.registrar.age(bench.registrar.contacts("101")[0])

    bench.register(A, expires="3600")
    bench.clock.now += 100
    bench.register(A, seq=2, expires="60")
    assert age() == 100
    bench.clock.now += 61
    bench.register(A, seq=3)
    assert age() == 0


def test_423_says_how_long_it_must_be(world: World) -> None:
    response = world.phones["101"].register(expires=30)
    assert response.status == 423
    assert response.get("min-expires") == "60"


def test_r05_a_phone_is_rung_where_it_registered_from(world: World) -> None:
    contact = "<sip:102@192.168.7.7:7777;line=abc;ob>"
    phone = world.phones["102"]
    phone.register(expires=0)
    phone.register(contact=contact)
    world.phones["101"].call("102")
    assert world.ringing("102").invite.uri == contact[1:-1]
    world.ringing("102").answer()


def test_two_lines_registering_at_the_same_moment_get_nonces_of_their_own(world: World) -> None:
    for phone in (world.phones["101"], world.phones["101"]):
        assert phone.register().status == 200
    nonces = {
        message.get("www-authenticate")
        for message in world.phones["101"].received
        if message.get("www-authenticate")
    }
    assert len(nonces) == 3
