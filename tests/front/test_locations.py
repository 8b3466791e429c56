"""HELD over HTTP: who gets an answer, which, and that nobody reads where another phone is."""

from __future__ import annotations

import base64
import http.client

import pytest
from msgspec.structs import replace

from provisioner.emergency import documents, pidf, references
from provisioner.emergency.held import CONTENT_TYPE, HELD, IDENTITY
from provisioner.front.locations import PATH, Registered
from provisioner.phones.limits import Limits
from provisioner.store.records import Credential, Location, Snapshot
from tests.front.harness import Front
from tests.phones.samples import ADDRESSES, AGENTS, MODELS, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS
KEY = b"k" * 32
REQUEST = f'<locationRequest xmlns="{HELD}"/>'.encode()
HEADERS = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE, "User-Agent": AGENTS[YEALINK]}
STREET = {"country": "US", "A1": "IL", "A3": "Springfield", "RD": "Main", "HNO": "521", "PC": "62701"}
NOW = 1_700_000_000.0


def placed(**practice: object) -> Snapshot:
    """The sample practice, each phone in a room of its own."""
    bare = snapshot(**practice)
    rooms = {
        mac: Location(id=mac, name=mac, civic={**STREET, "ROOM": f"room {number}"})
        for number, mac in enumerate(MODELS, 1)
    }
    phones = {mac: replace(phone, location=mac) for mac, phone in bare.phones.items()}
    secrets = {mac: Credential(id=mac, http_user=mac, http_password=f"files{mac}") for mac in MODELS}
    return replace(bare, locations=rooms, phones=phones, credentials=secrets)


@pytest.fixture
def held(front: Front) -> Front:
    """A front that knows where the phones are; the one that asks from 127.0.0.1 is the Yealink."""
    place(front)
    front.locations.key, front.locations.base = KEY, f"https://127.0.0.1:{front.https}{PATH}"
    front.locations._now = lambda: NOW
    register(front, YEALINK)
    return front


def place(front: Front, **practice: object) -> None:
    from provisioner.phones.render import Renderer

    known = front.lookup.renderer
    front.lookup.renderer = Renderer(placed(**practice), ADDRESSES, known.catalogue if known else None)


def register(front: Front, mac: str, extension: str = "102", expires: int = 60) -> None:
    front.locations.registered.heard(
        {"extension": extension, "mac": mac, "address": "127.0.0.1:5060", "expires_in": expires}
    )


def ask(
    front: Front,
    body: bytes | None = REQUEST,
    path: str = PATH,
    method: str = "POST",
    https: bool = False,
    **headers: str,
) -> tuple[int, dict[str, str], bytes]:
    connection = (
        http.client.HTTPSConnection("127.0.0.1", front.https, timeout=10, context=front.client())
        if https
        else http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    )
    sent = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def room(body: bytes) -> str:
    """The room in a response; the error code in brackets."""
    root = documents.read(body)
    assert documents.faults(body, "held") == []
    document = root.find(f"{{{pidf.PIDF}}}presence")
    return f"[{root.get('code')}]" if document is None else pidf.civic_of(document)["ROOM"]


@pytest.mark.parametrize("https", [False, True])
def test_a_phone_is_known_by_where_it_registers_from(held: Front, https: bool) -> None:
    status, headers, body = ask(held, https=https)
    assert (status, room(body)) == (200, "room 2")
    assert headers["Content-Type"] == CONTENT_TYPE
    assert headers["Content-Length"] == str(len(body))


def test_b65_nobody_between_keeps_it(held: Front) -> None:
    _, headers, _ = ask(held)
    assert "no-store" in headers["Cache-Control"] or "private" in headers["Cache-Control"]
    assert headers["Expires"] == "0"


def test_who_is_not_known_gets_nothing(held: Front) -> None:
    register(held, YEALINK, expires=0)
    assert room(ask(held)[2]) == "[locationUnknown]"


def test_two_phones_behind_one_address_get_nothing_without_proof(held: Front) -> None:
    register(held, POLYCOM, "101")
    assert room(ask(held)[2]) == "[locationUnknown]"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "https", "expected"),
    [
        (basic(GRANDSTREAM, f"files{GRANDSTREAM}"), True, "room 3"),
        (basic(GRANDSTREAM, f"files{GRANDSTREAM}"), False, "[locationUnknown]"),
        (basic(GRANDSTREAM, f"files{POLYCOM}"), True, "[locationUnknown]"),
        (basic("nobody", "x"), True, "[locationUnknown]"),
        (basic("", ""), True, "[locationUnknown]"),
        ("Basic %%%", True, "[locationUnknown]"),
        ("Bearer x", True, "[locationUnknown]"),
    ],
)
def test_user_and_password_prove_it_over_tls(
    held: Front, authorization: str, https: bool, expected: str
) -> None:
    register(held, YEALINK, expires=0)
    assert room(ask(held, https=https, Authorization=authorization)[2]) == expected


def test_the_mac_on_the_link_outweighs_all_else(held: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours = held.door._neighbours
    monkeypatch.setattr(neighbours, "is_own", lambda _address: False)
    monkeypatch.setattr(neighbours, "mac", lambda _address: POLYCOM)
    proof = basic(GRANDSTREAM, f"files{GRANDSTREAM}")
    assert room(ask(held, https=True, Authorization=proof)[2]) == "room 1"
    monkeypatch.setattr(neighbours, "mac", lambda _address: "aabbccddeeff")
    assert room(ask(held, https=True, Authorization=proof)[2]) == "[locationUnknown]"


def third_party(mac: str) -> bytes:
    device = f'<device xmlns="{IDENTITY}"><mac>{mac}</mac></device>'
    return f'<locationRequest xmlns="{HELD}">{device}</locationRequest>'.encode()


def test_a_phone_does_not_learn_where_another_is(held: Front) -> None:
    assert room(ask(held, third_party(POLYCOM))[2]) == "[badIdentifier]"
    assert room(ask(held, third_party(YEALINK))[2]) == "room 2"


@pytest.mark.parametrize(
    ("networks", "expected"), [(("127.0.0.0/8",), "room 1"), (("10.0.0.0/8",), "[badIdentifier]")]
)
def test_third_parties_that_are_authorised(held: Front, networks: tuple[str, ...], expected: str) -> None:
    place(held, location_askers=networks)
    assert room(ask(held, third_party(POLYCOM))[2]) == expected


def test_outside_of_the_practices_networks(held: Front) -> None:
    register(held, YEALINK, expires=0)
    place(held, phone_networks=("10.0.0.0/8",))
    assert room(ask(held)[2]) == "[notLocatable]"


def test_a_phone_that_asks_too_much_is_told_so_and_no_other_phone(held: Front) -> None:
    for _request in range(round(Limits().phone_burst) + 20):
        held.door.trust.sources.phone(YEALINK)
    assert ask(held)[0] == 429
    register(held, YEALINK, expires=0)
    register(held, POLYCOM, "101")
    assert ask(held)[0] == 200


@pytest.mark.parametrize("path", [PATH, f"{PATH}/guessed"])
def test_who_guesses_without_end_is_told_so(held: Front, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register(held, YEALINK, expires=0)
    monkeypatch.setattr(held.door.trust.sources, "limits", Limits(rate=0.0, burst=1.0, refused=2))
    monkeypatch.setattr(held.door._neighbours, "is_own", lambda _address: False)
    statuses = [ask(held, path=path, https=True)[0] for _request in range(5)]
    assert statuses == [404 if path != PATH else 200, *[429] * 4]
    assert [held.reason for held in held.door.trust.sources.quarantine()] == ["flood"]


def test_before_an_inventory_was_read(held: Front) -> None:
    held.lookup.renderer = None
    assert room(ask(held)[2]) == "[locationUnknown]"
    assert room(ask(held, REQUEST.replace(b"/>", b' responseTime="5"/>'))[2]) == "[timeout]"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "GET", "body": None, "Content_Type": ""}, 404),
        ({"method": "HEAD", "body": None, "Content_Type": ""}, 404),
        ({"method": "PUT"}, 405),
        ({"method": "DELETE"}, 405),
        ({"Content_Type": "text/xml"}, 406),
        ({"Content_Type": ""}, 406),
        ({"Accept": "text/html"}, 406),
        ({"Accept": ""}, 200),
        ({"Accept": "*/*"}, 200),
        ({"Content_Type": "application/held+xml; charset=utf-8"}, 200),
        ({"Range": "bytes=0-1"}, 501),
        ({"Expect": "x"}, 501),
        ({"If_None_Match": "x"}, 412),
        ({"If_Modified_Since": "x"}, 412),
        ({"body": b"x" * (documents.MAX_DOCUMENT + 1)}, 413),
    ],
)
def test_b60_what_is_no_request_of_held(held: Front, changes: dict, status: int) -> None:
    assert ask(held, **changes)[0] == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><locationRequest xmlns='%b'>&x;</locationRequest>"
        % HELD.encode(),
        b"<a>" * 4000,
    ],
)
def test_b34_hostile_bodies_get_an_error_of_held(held: Front, body: bytes) -> None:
    status, _, answer = ask(held, body)
    assert (status, room(answer)) in [(200, "[xmlError]"), (200, "[requestError]")]


# location URIs


def uri(body: bytes) -> str:
    found = documents.read(body).findtext(f"{{{HELD}}}locationUriSet/{{{HELD}}}locationURI", "")
    return found.removeprefix("https://127.0.0.1:").partition("/")[2]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_holds_a_uri_reads_where_the_phone_is(held: Front, method: str) -> None:
    path = f"/{uri(ask(held)[2])}"
    register(held, YEALINK, expires=0)  # whoever reads it need not be known
    body = REQUEST if method == "POST" else None
    status, headers, answer = ask(held, body, path, method, https=True)
    assert (status, room(answer), headers["Content-Type"]) == (200, "room 2", CONTENT_TYPE)
    assert uri(answer) == ""


def test_the_bare_document_for_who_asks_for_it(held: Front) -> None:
    path = f"/{uri(ask(held)[2])}"
    status, headers, answer = ask(held, None, path, "GET", https=True, Accept=pidf.CONTENT_TYPE)
    assert (status, headers["Content-Type"]) == (200, pidf.CONTENT_TYPE)
    assert documents.faults(answer, "pidf_lo") == []


def test_a_uri_is_read_over_tls_only(held: Front) -> None:
    assert ask(held, None, f"/{uri(ask(held)[2])}", "GET")[0] == 404


def test_a_uri_ends(held: Front) -> None:
    path = f"/{uri(ask(held)[2])}"
    held.locations._now = lambda: NOW + references.SECONDS
    assert ask(held, None, path, "GET", https=True)[0] == 404


@pytest.mark.parametrize("token", ["x", "../staff", "A" * 39, "%00", "a/b"])
def test_a_uri_that_never_was(held: Front, token: str) -> None:
    assert ask(held, None, f"{PATH}/{token}", "GET", https=True)[0] == 404


def test_the_location_of_a_phone_that_is_gone(held: Front) -> None:
    path = f"/{uri(ask(held)[2])}"
    held.lookup.renderer = None
    assert ask(held, None, path, "GET", https=True)[0] == 404


def test_without_a_key_there_are_no_uris(held: Front) -> None:
    held.locations.key = b""
    answer = ask(held)[2]
    assert (room(answer), uri(answer)) == ("room 2", "")


def test_each_answer_is_remembered_without_the_token(held: Front) -> None:
    path = f"/{uri(ask(held)[2])}"
    ask(held, None, path, "GET", https=True)
    first, second = held.journal.of("requests")
    assert (first["rule"], first["mac"], first["path"], first["status"]) == ("location", YEALINK, PATH, 200)
    assert (second["mac"], second["path"]) == ("", f"{PATH}/***")


# who registers from where


def row(mac: str, address: str, extension: str = "101", expires: int = 60) -> dict[str, object]:
    return {"extension": extension, "mac": mac, "address": address, "expires_in": expires}


def test_registrations_come_and_go() -> None:
    registered = Registered()
    registered.replace([row(POLYCOM, "10.0.0.1:5060"), row(POLYCOM, "10.0.0.1:5061", "111")])
    assert registered.mac("10.0.0.1") == POLYCOM  # two lines of one phone
    assert registered.mac("::ffff:10.0.0.1") == POLYCOM
    registered.heard(row(YEALINK, "[fd00::2]:5060", "102"))
    assert registered.mac("fd00::2") == YEALINK
    registered.heard(row(POLYCOM, "10.0.0.1:5060", expires=0))
    assert registered.mac("10.0.0.1") == POLYCOM
    registered.heard(row(POLYCOM, "10.0.0.1:5061", "111", expires=0))
    assert registered.mac("10.0.0.1") == ""
    registered.replace([])
    assert registered.mac("fd00::2") == ""
