"""Which proof opens a phone's files, by policy, place and time; what a hostile asker gets."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from provisioner.phones.limits import Limits, Quarantine
from provisioner.phones.proof import Asker, Contacts, masked
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust, Verdict
from provisioner.sip import digest
from provisioner.store.records import Phone, Snapshot
from tests.phones.samples import ADDRESSES, AGENTS, MODELS, password, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS
FILES = {POLYCOM: f"/{POLYCOM}.cfg", YEALINK: f"/{YEALINK}.cfg", GRANDSTREAM: f"/cfg{GRANDSTREAM}.xml"}
NEW = "001565000199"
NEW_AGENT = "Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:99"
HOSTILE = "0200000000ff"
HOME, ELSEWHERE = "10.1.0.5", "10.2.0.9"
START = 1_700_000_000.0


def secret(mac: str) -> str:
    return f"p{mac}abcdefghijklmno"  # 28 characters


def site(welcome_until: float = 0.0, **practice: Any) -> Snapshot:
    plain = snapshot(**practice)
    credentials = {
        mac: msgspec.structs.replace(
            each,
            http_user=mac,
            http_password=f"http{mac}",
            path_secret=secret(mac),
            welcome_until=welcome_until,
        )
        for mac, each in plain.credentials.items()
    }
    return msgspec.structs.replace(plain, credentials=credentials)


class World:
    """One front's trust with clocks that a test turns."""

    def __init__(self, snap: Snapshot | None = None, limits: Limits | None = None) -> None:
        self.now = START
        self.told: list[Quarantine] = []
        self.trust = Trust(lambda: self.now, lambda: self.now - START, bytes(32), self.told.append, limits)
        self.renderer = Renderer(snap or site(), ADDRESSES)

    def set(self, snap: Snapshot) -> None:
        self.renderer = Renderer(snap, ADDRESSES)

    def ask(self, path: str, agent: str = "", address: str = HOME, **more: Any) -> Verdict:
        asker = Asker(path, agent, address, **more)
        return (
            self.trust.judge(self.renderer, asker)
            if asker.method in ("GET", "HEAD")
            else self.trust.judge_upload(self.renderer, asker)
        )

    def phone(self, mac: str = YEALINK, address: str = HOME, folder: str = "", **more: Any) -> str:
        """What a phone that asks for its own file gets: the rule."""
        path = f"/{folder}{FILES[mac]}" if folder else FILES[mac]
        verdict = self.ask(path, AGENTS[mac], address, **more)
        holds = verdict.body is not None and password(mac).encode() in verdict.body
        assert holds == (verdict.status == 200 and mac != POLYCOM)
        return verdict.rule


@pytest.fixture
def world() -> World:
    return World()


# proofs


def test_the_neighbour_table(world: World) -> None:
    assert world.phone(neighbour=YEALINK) == "neighbour"
    assert world.phone(neighbour=HOSTILE) == "other-neighbour"
    assert world.phone(neighbour=POLYCOM) == "other-neighbour"
    assert (
        world.phone(address=ELSEWHERE) == "proof-required"
    )  # it had its first files: no second first contact


def test_first_contact_is_once_at_one_address_for_an_hour(world: World) -> None:
    assert world.phone() == "first-contact"
    assert world.phone(address=ELSEWHERE) == "proof-required"
    world.now += 3599
    assert world.phone() == "first-contact"
    world.now += 1
    assert world.phone() == "proof-required"


def test_first_contact_ends_with_a_proof(world: World) -> None:
    assert world.phone() == "first-contact"
    assert world.phone(folder=secret(YEALINK)) == "secret-path"
    assert world.phone() == "proof-required"


def test_welcome_again_opens_one_more(world: World) -> None:
    assert world.phone() == "first-contact"
    world.now += 7200
    assert world.phone() == "proof-required"
    world.set(site(welcome_until=world.now + 60))
    assert world.phone(address=ELSEWHERE) == "first-contact"
    assert world.phone() == "proof-required"


def test_the_secret_path(world: World) -> None:
    assert world.phone(folder=secret(YEALINK)) == "secret-path"
    assert world.phone(folder="x/" + secret(YEALINK).upper()) == "secret-path"
    assert world.phone(folder=secret(POLYCOM)) == "proof-required"
    assert world.phone(folder=secret(YEALINK)[:-1]) == "proof-required"
    assert world.phone(folder=secret(YEALINK), address=ELSEWHERE) == "replayed-path"
    assert world.phone(folder=secret(YEALINK), neighbour=HOSTILE) == "other-neighbour"


def test_a_phone_that_moved_answers_the_challenge(world: World) -> None:
    assert world.phone(folder=secret(YEALINK)) == "secret-path"
    path = f"/{secret(YEALINK)}{FILES[YEALINK]}"
    refused = world.ask(path, AGENTS[YEALINK], ELSEWHERE)
    assert (refused.rule, refused.status, len(refused.challenges)) == ("replayed-path", 401, 2)
    for kind in (0, 1):  # MD5 first, for old phones look no further; SHA-256
        there = f"10.2.0.{kind + 10}"
        challenge = world.ask(path, AGENTS[YEALINK], there).challenges[kind]
        said = digest.answer(challenge, YEALINK, f"http{YEALINK}", "GET", path, "c")
        assert world.ask(path, AGENTS[YEALINK], there, authorization=said).rule == "credentials"
        assert (
            world.ask(path, AGENTS[YEALINK], there, authorization=said).rule == "proof-required"
        )  # replayed
    assert world.phone(folder=secret(YEALINK), address=there) == "secret-path"


def answer(world: World, user: str, secret_: str, path: str = FILES[YEALINK], **more: Any) -> Verdict:
    world.phone(neighbour=YEALINK)  # no first contact any more
    challenge = world.ask(FILES[YEALINK], AGENTS[YEALINK], **more).challenges[0]
    said = digest.answer(challenge, user, secret_, "GET", path, "cnonce")
    return world.ask(FILES[YEALINK], AGENTS[YEALINK], authorization=said, **more)


def test_credentials(world: World) -> None:
    assert answer(world, YEALINK, f"http{YEALINK}").rule == "credentials"
    assert answer(world, YEALINK, f"http{YEALINK}", neighbour=HOSTILE).rule == "credentials"  # Wi-Fi
    for user, word in ((YEALINK, "wrong"), (POLYCOM, f"http{POLYCOM}"), ("", "")):
        found = answer(world, user, word)
        assert (found.status, found.body) == (401, None)
    assert answer(world, YEALINK, f"http{YEALINK}", f"/{POLYCOM}.cfg").rule == "wrong-credentials"


def basic(user: str, word: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def test_basic_credentials(world: World) -> None:
    world.phone(neighbour=YEALINK)
    right = basic(YEALINK, f"http{YEALINK}")
    assert world.phone(authorization=right) == "credentials"
    assert world.phone(authorization=right, neighbour=HOSTILE) == "other-neighbour"
    assert world.phone(authorization=basic(POLYCOM, f"http{POLYCOM}")) == "wrong-credentials"
    assert world.phone(authorization="Basic ÿÿ") == "wrong-credentials"
    offered = [challenge.split()[0] for challenge in world.ask(FILES[YEALINK], AGENTS[YEALINK]).challenges]
    assert offered == ["Digest", "Digest"]
    secure = world.ask(FILES[YEALINK], AGENTS[YEALINK], scheme="https").challenges
    assert [challenge.split()[0] for challenge in secure] == ["Digest", "Digest", "Basic"]


def test_certificates(world: World) -> None:
    assert world.phone(certificate=YEALINK.upper(), neighbour=HOSTILE) == "certificate"
    assert world.phone(certificate="00:15:65:00:01:02") == "certificate"
    assert world.phone(certificate=POLYCOM, neighbour=YEALINK) == "other-certificate"
    assert world.phone(certificate="anybody") == "other-certificate"


def test_behind_a_router_that_staff_named() -> None:
    world = World(site(routers=(HOSTILE, "10.1.0.77")))
    assert world.phone(neighbour=HOSTILE) == "first-contact"
    assert world.phone(POLYCOM, "10.1.0.77", neighbour="020000000001") == "first-contact"
    assert world.phone(GRANDSTREAM, neighbour="020000000001") == "other-neighbour"


def test_a_phone_without_secrets_of_its_own_never_matches_an_empty_one() -> None:
    world = World(snapshot())
    world.phone(neighbour=YEALINK)
    for folder in ("", "/", "//x/"):
        assert world.phone(folder=folder) == "proof-required"
    assert world.phone(authorization=basic("", "")) == "proof-required"
    assert world.phone(authorization='Digest username="", response="", uri="/"') == "proof-required"


# policy

AN_HOUR = START + 3600


@pytest.mark.parametrize(
    ("practice", "proof", "unknown", "mine", "shared"),
    [
        ({}, {}, "waiting", "first-contact", "shared"),
        ({"adoption_until": AN_HOUR}, {}, "waiting", "first-contact", "shared"),
        ({"adoption_until": START}, {}, "not-adopted", "proof-required", "proof-required"),
        ({"adoption": "adopted"}, {}, "not-adopted", "proof-required", "proof-required"),
        ({"adoption": "adopted", "welcome_until": AN_HOUR}, {}, "not-adopted", "first-contact", "shared"),
        ({"adoption": "adopted"}, {"neighbour": YEALINK}, "neighbour-mismatch", "neighbour", "shared"),
        ({"adoption": "certificate", "welcome_until": AN_HOUR}, {}, *["certificate-required"] * 3),
        ({"adoption": "certificate"}, {"neighbour": YEALINK}, *["certificate-required"] * 3),
        ({"adoption": "certificate"}, {"local": True}, *["certificate-required"] * 3),
        ({"adoption": "certificate"}, {"certificate": YEALINK}, "other-certificate", "certificate", "shared"),
        ({"adoption": "certificate"}, {"certificate": NEW}, "waiting", *["other-certificate"] * 2),
        ({"adoption": "adopted"}, {"local": True}, "not-adopted", "adopted", "shared"),
    ],
)
def test_policies(
    practice: dict[str, Any], proof: dict[str, Any], unknown: str, mine: str, shared: str
) -> None:
    snap = site(**practice)
    assert World(snap).ask(f"/{NEW}.cfg", NEW_AGENT, **proof).rule == unknown
    assert World(snap).phone(**proof) == mine
    assert World(snap).ask("/y000000000066.cfg", AGENTS[YEALINK], **proof).rule == shared


DIRECTORY = "/000000000000-directory.xml"


def shared(world: World, path: str = "/waiting.cfg", **more: Any) -> str:
    """What a phone that says no MAC gets."""
    return world.ask(path, AGENTS[POLYCOM], **more).rule


def test_shared_files_of_who_says_no_mac() -> None:
    world = World(site(adoption="adopted"))
    assert shared(world) == "not-adopted"
    assert shared(world, neighbour=POLYCOM) == "shared"
    assert shared(world, local=True) == "shared"
    assert world.phone(POLYCOM, folder=secret(POLYCOM)) == "secret-path"
    assert shared(world) == "shared"
    assert shared(world, address=ELSEWHERE) == "not-adopted"
    world.set(site(adoption="certificate"))
    assert shared(world) == shared(world, local=True) == "certificate-required"


def test_the_directory_names_people(world: World) -> None:
    """It is shared, but with phones of the practice only, an open window or not."""
    assert shared(world) == "shared"
    assert shared(world, DIRECTORY) == "not-adopted"
    assert shared(world, DIRECTORY, neighbour=HOSTILE) == "not-adopted"
    assert shared(world, DIRECTORY, neighbour=POLYCOM) == "shared"
    assert world.phone(POLYCOM) == "first-contact"
    assert shared(world, DIRECTORY) == "shared"


def test_uploads_need_a_proof_too(world: World) -> None:
    put = lambda **more: (  # noqa: E731
        world.ask(f"/{POLYCOM}-app.log", AGENTS[POLYCOM], method="PUT", **more).rule
    )
    assert put(neighbour=POLYCOM) == "upload"
    assert put(neighbour=HOSTILE) == "other-neighbour"
    assert put() == "upload"  # before its first contact is over
    world.phone(POLYCOM, neighbour=POLYCOM)
    assert put() == "proof-required"


# sweeps, floods, quarantine


def sweep(world: World, count: int, first: int = 0, **more: Any) -> list[str]:
    macs = [f"001565{number:06x}" for number in range(first, first + count)]
    agents = [
        f"Yealink SIP-T46S 66.85.0.5 {':'.join(mac[i : i + 2] for i in range(0, 12, 2))}" for mac in macs
    ]
    return [world.ask(f"/{mac}.cfg", agent, **more).rule for mac, agent in zip(macs, agents, strict=True)]


def test_a_neighbour_that_sweeps(world: World) -> None:
    rules = sweep(world, 20, 0x1000, neighbour=HOSTILE)
    assert rules == ["neighbour-mismatch"] * 9 + ["quarantined"] * 11
    ((held, more),) = [(held, held.hits) for held in world.trust.sources.quarantine()]
    assert (held.source, held.address, held.reason, more) == (HOSTILE, HOME, "sweep", 11)
    assert world.told == [held]
    assert world.ask("/y000000000066.cfg", "", ELSEWHERE, neighbour=HOSTILE).rule == "quarantined"
    assert held.address == ELSEWHERE
    assert world.phone(neighbour=YEALINK) == "neighbour"  # at the same address
    assert world.ask(f"/{NEW}.cfg", NEW_AGENT, neighbour=NEW).rule == "waiting"


@pytest.mark.parametrize(
    "agent", ["curl/8", AGENTS[GRANDSTREAM], "Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:02"]
)
def test_a_sweep_with_an_agent_that_cannot_be(world: World, agent: str) -> None:
    rules = [world.ask(f"/{number:012x}.cfg", agent, ELSEWHERE).rule for number in range(1, 21)]
    assert rules[-1] == "quarantined"
    assert world.phone(address=ELSEWHERE) == "quarantined"  # no first contact from there
    assert world.phone(address=ELSEWHERE, folder=secret(YEALINK)) == "secret-path"


def test_who_comes_back_stays_longer_and_release(world: World) -> None:
    ends = []
    for _ in range(4):
        sweep(world, 9, neighbour=HOSTILE)
        (held,) = world.trust.sources.quarantine()
        ends.append(held.until - (world.now - START))
        world.now += ends[-1]
        assert world.trust.sources.quarantine() == []
    assert ends == [3600, 14400, 57600, 86400]
    sweep(world, 9, neighbour=HOSTILE)
    assert world.trust.sources.release(HOME)
    assert not world.trust.sources.release(HOME)
    assert world.phone(GRANDSTREAM, neighbour=HOSTILE) == "other-neighbour"


def test_a_hundred_phones_behind_one_router(world: World) -> None:
    """New ones wait, adopted ones prove themselves: neither is a sweep."""
    assert set(sweep(world, 100)) == {"waiting"}
    many = {f"0015650a{number:04x}": number for number in range(100)}
    plain = site()
    phones = {mac: Phone(id=mac, vendor="yealink", model="T46S") for mac in many}
    credentials = {
        mac: msgspec.structs.replace(plain.credentials[YEALINK], id=mac, path_secret=secret(mac))
        for mac in many
    }
    world.set(msgspec.structs.replace(plain, phones=phones, credentials=credentials))
    first = {world.ask(f"/{mac}.cfg").rule for mac in many}
    later = {world.ask(f"/{secret(mac)}/{mac}.cfg").rule for _ in range(5) for mac in many}
    assert (first, later, world.told) == ({"first-contact"}, {"secret-path"}, [])


def test_an_endless_sweep_of_new_phones_ends(world: World) -> None:
    rules = sweep(world, 600, 0x1000)
    assert rules.count("waiting") == 501
    assert rules[-1] == "quarantined"


def test_programs_here_are_a_fleet_but_no_scanner(world: World) -> None:
    assert set(sweep(world, 3000, 0x1000, local=True)) == {"waiting"}
    rules = [world.ask(f"/{number:012x}.cfg", "curl/8", local=True).rule for number in range(1, 60)]
    assert rules.count("not-a-phone") == 51
    assert world.phone(local=True) == "adopted"


def test_floods(world: World) -> None:
    world = World(limits=Limits(burst=10, rate=1, refused=5, phone_burst=3, phone_rate=1))
    rules = [world.ask("/waiting.cfg", AGENTS[POLYCOM], ELSEWHERE).rule for _ in range(20)]
    assert rules == ["shared"] * 10 + ["too-many-requests"] * 6 + ["quarantined"] * 4
    assert [held.reason for held in world.told] == ["flood"]
    assert [world.phone(neighbour=YEALINK) for _ in range(4)] == ["neighbour"] * 3 + ["too-many-requests"]
    world.now += 2
    assert [world.phone(neighbour=YEALINK) for _ in range(3)] == ["neighbour"] * 2 + ["too-many-requests"]
    assert world.phone(POLYCOM, neighbour=POLYCOM) == "neighbour"


def test_what_is_remembered_is_bounded() -> None:
    limits = Limits(sources=50, quarantined=20, phones=1, strange=0)
    world = World(limits=limits)
    for number in range(200):
        world.ask(f"/{YEALINK}.cfg", "curl", f"10.3.0.{number}")
        world.ask("/waiting.cfg", AGENTS[POLYCOM], f"10.4.0.{number}")
    sources = world.trust.sources
    assert (len(sources._sources), len(sources._quarantine)) == (50, 20)
    world.phone(YEALINK, neighbour=YEALINK)
    world.phone(POLYCOM, neighbour=POLYCOM)
    assert len(sources._phones) == 1


def test_one_source_is_a_whole_ipv6_network(world: World) -> None:
    for number in range(9):
        world.ask(f"/{number + 1:012x}.cfg", "curl", f"2001:db8:1:1::{number + 1:x}")
    assert [held.source for held in world.trust.sources.quarantine()] == ["2001:db8:1:1::/64"]
    assert world.ask("/waiting.cfg", AGENTS[POLYCOM], "2001:db8:1:1:ffff::1").rule == "quarantined"
    assert world.ask("/waiting.cfg", AGENTS[POLYCOM], "2001:db8:1:2::1").rule == "shared"


# contacts


def test_contacts_outlive_a_restart(world: World) -> None:
    world.phone(neighbour=YEALINK)
    world.phone(GRANDSTREAM)
    contacts = world.trust.proofs.contacts
    assert contacts.changed
    again = World()
    again.trust.proofs.contacts.load(contacts.dump(world.renderer.snapshot.phones))
    assert not contacts.changed
    assert again.phone() == "proof-required"
    assert again.phone(GRANDSTREAM) == "first-contact"
    assert again.phone(GRANDSTREAM, ELSEWHERE) == "proof-required"


def test_contacts_of_phones_that_are_gone_are_forgotten() -> None:
    contacts = Contacts()
    contacts.proved(YEALINK, HOME, 0.0, START)
    contacts.proved(POLYCOM, ELSEWHERE, 0.0, START)
    contacts.dump({POLYCOM})
    assert (contacts.get(YEALINK), contacts.at(HOME), contacts.at(ELSEWHERE)) == (None, False, True)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/{secret(YEALINK)}/{YEALINK}.cfg", f"/***/{YEALINK}.cfg"),
        (f"/a//{secret(YEALINK)}/{secret(POLYCOM)}/x.cfg?q=1", "/a//***/***/x.cfg"),
        ("/SoundPointIPLocalization/x.xml", "/SoundPointIPLocalization/x.xml"),
        (f"/{YEALINK}.cfg?password=x", f"/{YEALINK}.cfg"),
    ],
)
def test_no_secret_folder_is_shown(path: str, shown: str) -> None:
    assert masked(path) == shown
