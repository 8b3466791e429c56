"""The location server: a phone learns where it is, and nobody learns where another is."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from provisioner.emergency import documents, held, pidf
from provisioner.emergency.held import Asker, Knowledge
from provisioner.store.records import Line, Location, Phone, Practice, Snapshot

DESK, LAB, LOST, BROKEN = "0004f2000101", "001565000102", "000b82000103", "000b82000104"
ADDRESS = "10.0.0.101"
NOW = 1_800_000_000.0
URI = "https://clinic.example/held/abc"
STREET = {"country": "US", "A1": "IL", "A3": "Springfield", "RD": "Main", "HNO": "521", "PC": "62701"}


def phone(mac: str, extension: str, location: str) -> Phone:
    line = Line(extension=extension, number=f"+12125550{extension}")
    return Phone(id=mac, vendor="yealink", model="T46S", lines=(line,), location=location)


SNAPSHOT = Snapshot(
    revision=1,
    practice=Practice(id="practice", name="Clinic", main_number=""),
    locations={
        "house": Location(id="house", name="House", civic=STREET),
        "desk": Location(id="desk", name="Desk", civic={"ROOM": "1"}, parent="house", level="room"),
        "lab": Location(id="lab", name="Lab", civic={"ROOM": "2"}, parent="house", level="room"),
        "bad": Location(id="bad", name="Bad", civic={"country": "usa"}),
    },
    phones={
        DESK: phone(DESK, "101", "desk"),
        LAB: phone(LAB, "102", "lab"),
        LOST: phone(LOST, "103", ""),
        BROKEN: phone(BROKEN, "104", "bad"),
    },
)
ME = Asker(ADDRESS, DESK)


def knowledge(snapshot: Snapshot | None = SNAPSHOT, uri: str = URI) -> Knowledge:
    return Knowledge(
        snapshot,
        NOW,
        lambda: "n0b0dy",
        lambda address: {ADDRESS: DESK, "10.0.0.102": LAB}.get(address, ""),
        lambda mac: (uri, NOW + 3600) if uri else None,
    )


def request(inner: str = "", attributes: str = "") -> bytes:
    return f'<locationRequest xmlns="{held.HELD}" {attributes}>{inner}</locationRequest>'.encode()


def kind(types: str, exact: bool = False) -> str:
    return f'<locationType exact="{str(exact).lower()}">{types}</locationType>'


def device(inner: str) -> str:
    return f'<device xmlns="{held.IDENTITY}">{inner}</device>'


def asked(document: bytes, asker: Asker = ME, known: Knowledge | None = None) -> etree._Element:
    """The response, which is valid by the schema whatever was asked."""
    response = held.answer(document, asker, known or knowledge())
    assert documents.faults(response, "held") == []
    return documents.read(response)


def code(root: etree._Element) -> str:
    return root.get("code", "") if root.tag == f"{{{held.HELD}}}error" else ""


def room(root: etree._Element) -> str:
    document = root.find(f"{{{pidf.PIDF}}}presence")
    return "" if document is None else pidf.civic_of(document).get("ROOM", "")


def uri(root: etree._Element) -> str:
    return root.findtext(f"{{{held.HELD}}}locationUriSet/{{{held.HELD}}}locationURI", "")


def test_a_phone_learns_its_whole_address() -> None:
    root = asked(request())
    document = root.find(f"{{{pidf.PIDF}}}presence")
    assert document is not None
    assert pidf.civic_of(document) == {**STREET, "ROOM": "1"}
    assert uri(root) == URI
    expires = datetime.fromtimestamp(NOW + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert root.find(f"{{{held.HELD}}}locationUriSet").get("expires") == expires  # type: ignore[union-attr]


def test_nothing_in_it_names_the_phone() -> None:
    text = held.answer(request(), ME, knowledge()).decode()
    assert 'entity="pres:n0b0dy@provisioner.invalid"' in text
    for secret in (DESK, ADDRESS, "101", "deviceID"):
        assert secret not in text


# what is asked for


@pytest.mark.parametrize(
    ("types", "exact", "civic", "by_uri"),
    [
        ("any", False, True, True),
        ("any", True, True, True),  # exact means nothing with any
        ("civic", False, True, False),
        ("civic", True, True, False),
        ("locationURI", False, False, True),
        ("locationURI", True, False, True),
        ("civic locationURI", True, True, True),
        ("geodetic", False, True, False),
        ("geodetic locationURI", False, True, True),
        ("geodetic,civic,locationURI", False, True, True),  # with commas, as Grandstream is set
        ("civic , locationURI", False, True, True),
    ],
)
def test_b61_the_types_of_location(types: str, exact: bool, civic: bool, by_uri: bool) -> None:
    root = asked(request(kind(types, exact)))
    assert (bool(room(root)), bool(uri(root))) == (civic, by_uri)


@pytest.mark.parametrize("time", ["0", "8", " 5000 ", "emergencyRouting", "emergencyDispatch"])
def test_b61_response_times(time: str) -> None:
    assert room(asked(request(attributes=f'responseTime="{time}"'))) == "1"


def test_a_location_uri_that_cannot_be_made_is_left_out() -> None:
    known = knowledge(uri="")
    assert room(asked(request(), known=known)) == "1"
    assert room(asked(request(kind("locationURI")), known=known)) == "1"


# each error code


STRANGER = Asker("10.0.0.9")
ERRORS = [
    ("requestError", b"", ME, SNAPSHOT),
    ("requestError", b" \n", ME, SNAPSHOT),
    ("requestError", request(kind("civic") + kind("civic")), ME, SNAPSHOT),
    ("requestError", request(device("") + device("")), ME, SNAPSHOT),
    ("xmlError", b"hello", ME, SNAPSHOT),
    ("xmlError", b"<locationRequest>", ME, SNAPSHOT),
    ("xmlError", b"<!DOCTYPE x>" + request(), ME, SNAPSHOT),
    ("xmlError", request(kind("postcard")), ME, SNAPSHOT),
    ("xmlError", request(kind("any civic")), ME, SNAPSHOT),
    ("xmlError", request(kind("")), ME, SNAPSHOT),
    ("xmlError", request('<locationType exact="maybe">civic</locationType>'), ME, SNAPSHOT),
    ("xmlError", request(attributes='responseTime="soon"'), ME, SNAPSHOT),
    ("xmlError", request(attributes='responseTime="-1"'), ME, SNAPSHOT),
    ("generalLisError", request(), Asker("10.0.0.104", BROKEN), SNAPSHOT),
    ("locationUnknown", request(), Asker("10.0.0.103", LOST), SNAPSHOT),
    ("locationUnknown", request(), STRANGER, SNAPSHOT),
    ("locationUnknown", request(), Asker("10.0.0.9", "aabbccddeeff"), SNAPSHOT),
    ("locationUnknown", request(), ME, None),
    ("timeout", request(attributes='responseTime="500"'), ME, None),
    ("unsupportedMessage", b"<locationRequest/>", ME, SNAPSHOT),
    ("unsupportedMessage", f'<other xmlns="{held.HELD}"/>'.encode(), ME, SNAPSHOT),
    ("cannotProvideLiType", request(kind("geodetic", exact=True)), ME, SNAPSHOT),
    ("cannotProvideLiType", request(kind("civic geodetic", exact=True)), ME, SNAPSHOT),
    ("notLocatable", request(), Asker("203.0.113.9", inside=False), SNAPSHOT),
    ("badIdentifier", request(device("<mac>00-15-65-00-01-02</mac>")), ME, SNAPSHOT),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "document", "asker", "snapshot"), ERRORS)
def test_b64_errors(expected: str, document: bytes, asker: Asker, snapshot: Snapshot | None) -> None:
    root = asked(document, asker, knowledge(snapshot))
    assert code(root) == expected
    assert root.findtext(f"{{{held.HELD}}}message") == held.WORDS[expected]


def test_b64_every_code_is_reachable() -> None:
    assert {row[0] for row in ERRORS} == set(held.WORDS)


def test_cannot_provide_a_uri_that_cannot_be_made() -> None:
    root = asked(request(kind("locationURI", exact=True)), known=knowledge(uri=""))
    assert code(root) == "cannotProvideLiType"


# identifiers


@pytest.mark.parametrize(
    "spelling",
    ["00-04-F2-00-01-01", "00:04:f2:00:01:01", "0004F2000101", "0004.f200.0101", " 00-04-f2-00-01-01 "],
)
def test_b62_a_phones_own_mac_in_any_spelling(spelling: str) -> None:
    root = asked(request(device(f"<mac>{spelling}</mac>")))
    assert room(root) == "1"
    assert root.findtext(f"{{{held.IDENTITY}}}device/{{{held.IDENTITY}}}mac") == "00-04-F2-00-01-01"


@pytest.mark.parametrize(
    "own",
    [
        f'<ip v="4">{ADDRESS}</ip>',
        f'<ip v="6">::ffff:{ADDRESS}</ip>',
        "<uri>sip:101@clinic.example</uri>",
        "<nai>101@clinic.example</nai>",
        "<uri>tel:+12125550101</uri>",
        "<nai>phone@clinic.example</nai>",
        "<udpport>5060</udpport>",
        "<duid>00</duid>",
        '<chassis xmlns="urn:maker">switch-1</chassis>',
        "",
    ],
)
def test_b62_what_may_be_the_phones_own_changes_nothing(own: str) -> None:
    assert room(asked(request(device(own)))) == "1"


@pytest.mark.parametrize(
    "other",
    [
        "<mac>00-15-65-00-01-02</mac>",
        "<mac>nonsense</mac>",
        '<ip v="4">10.0.0.102</ip>',
        "<uri>sip:102@clinic.example</uri>",
        "<uri>tel:+12125550102</uri>",
        "<msisdn>12125550102</msisdn>",
        "<mac>00-04-F2-00-01-01</mac><mac>00-15-65-00-01-02</mac>",
    ],
)
def test_a_third_party_is_refused(other: str) -> None:
    assert code(asked(request(device(other)))) == "badIdentifier"


@pytest.mark.parametrize("named", [DESK, LAB, "aabbccddeeff"])
def test_who_is_not_known_gets_nothing_by_naming_a_phone(named: str) -> None:
    root = asked(request(device(f"<mac>{named}</mac>")), STRANGER)
    assert code(root) == "locationUnknown"  # the same for all three: it cannot be found out which exist


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("<mac>00-15-65-00-01-02</mac>", "2"),
        ('<ip v="4">10.0.0.102</ip>', "2"),
        ("<uri>sip:102@x</uri>", "2"),
        ('<mac>00-15-65-00-01-02</mac><ip v="4">10.0.0.102</ip>', "2"),
    ],
)
def test_who_is_authorised_may_ask_for_others(named: str, expected: str) -> None:
    assert room(asked(request(device(named)), Asker("10.0.0.5", trusted=True))) == expected


@pytest.mark.parametrize(
    "named",
    [
        "<mac>aabbccddeeff</mac>",
        '<ip v="4">10.0.0.99</ip>',
        "<duid>00</duid>",
        "<uri>sip:999@x</uri>",
        '<mac>00-04-F2-00-01-01</mac><ip v="4">10.0.0.102</ip>',
    ],
)
def test_who_is_authorised_and_names_nobody(named: str) -> None:
    assert code(asked(request(device(named)), Asker("10.0.0.5", trusted=True))) == "badIdentifier"


# location URIs


def test_who_holds_a_uri_reads_where_the_phone_is() -> None:
    for document in (None, request(), request(kind("civic"))):
        response = held.dereferenced(document, LAB, knowledge())
        assert documents.faults(response, "held") == []
        root = documents.read(response)
        assert room(root) == "2"
        assert uri(root) == ""  # RFC 6753 3.1: no URI for a URI


@pytest.mark.parametrize(
    ("document", "mac", "expected"),
    [
        (request(device("<mac>x</mac>")), LAB, "badIdentifier"),
        (request(kind("locationURI", exact=True)), LAB, "cannotProvideLiType"),
        (b"x", LAB, "xmlError"),
        (None, LOST, "locationUnknown"),
        (None, BROKEN, "generalLisError"),
    ],
)
def test_a_uri_that_leads_to_nothing(document: bytes | None, mac: str, expected: str) -> None:
    assert code(documents.read(held.dereferenced(document, mac, knowledge()))) == expected


def test_the_bare_document() -> None:
    document = held.presence(LAB, knowledge())
    assert document
    assert documents.faults(document, "pidf_lo") == []
    assert pidf.civic_of(documents.read(document))["ROOM"] == "2"
    assert held.presence(LOST, knowledge()) is None
    assert held.presence(LAB, knowledge(None)) is None


# hostile ones


HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(lambda text: request(re.sub("[<&]", "", text))),
    st.text(max_size=60).map(lambda text: request(device(f"<mac>{re.sub('[<&]', '', text)}</mac>"))),
)


@given(HOSTILE, st.sampled_from([ME, STRANGER, Asker("x", trusted=True)]))
def test_any_request_gets_a_valid_answer_and_nobody_elses_room(document: bytes, asker: Asker) -> None:
    response = held.answer(document, asker, knowledge())
    assert documents.faults(response, "held") == []
    assert room(documents.read(response)) in ("", "1")
