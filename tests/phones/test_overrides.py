"""What a phone uploads of itself: less what the appliance owns, and never trusted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from provisioner.errors import PeerError
from provisioner.phones.boot import file_asked
from provisioner.phones.formats import escape_xml
from provisioner.phones.identity import identify
from provisioner.phones.overrides import (
    MAX_PARAMETERS,
    MAX_SIZE,
    OWNED,
    check_call_list,
    check_directory,
    owned,
    stripped,
)
from tests.phones.samples import AGENTS, MODELS, renderer

MAC = next(iter(MODELS))


def ours() -> frozenset[str]:
    of = renderer()
    paths = [f"/{MAC}{end}" for end in (".cfg", "-line.cfg", "-keys.cfg", "-site.cfg")]
    files = []
    for path in paths:
        asked, who = file_asked(path), identify(path, AGENTS[MAC])
        assert asked
        files.append(of.file(asked, who) or b"")  # type: ignore[arg-type]
    return owned(files)


def of_file(data: bytes | None) -> dict[str, str]:
    assert data
    root = etree.fromstring(data)
    return {str(name): str(value) for element in root.iter() for name, value in element.attrib.items()}


def override(**values: str) -> bytes:
    text = " ".join(f'{name}="{escape_xml(value)}"' for name, value in values.items())
    return f'<?xml version="1.0"?>\n<PHONE_CONFIG><!-- by the phone --><OVERRIDES {text}/></PHONE_CONFIG>'.encode()


UPLOAD = {
    "up.headsetMode": "1",
    "up.backlight.timeout": '5 < 7 & "late"',
    "np.normal.ringing.toneVolume.chassis": "-24",
    # Owned by name, in any case of letters.
    "reg.1.server.1.address": "203.0.113.66",
    "REG.2.address": "666",
    "device.prov.serverName": "203.0.113.66",
    "dialplan.routing.emergency.9.value": "933",
    "divert.fwd.1.enabled": "1",
    "voIpProt.SIP.outboundProxy.address": "203.0.113.66",
    "httpd.enabled": "1",
    "feature.doNotDisturb.enable": "1",
    "LINEKEY.1.category": "Unassigned",
    # Owned since our files say it.
    "up.screenSaver.enabled": "0",
    "UP.ONETOUCHVOICEMAIL": "1",
    "lcl.ml.lang": "German_Germany",
}


def test_what_the_appliance_owns_is_stripped() -> None:
    assert of_file(stripped(override(**UPLOAD), ours())) == {
        "up.headsetMode": "1",
        "up.backlight.timeout": '5 < 7 & "late"',
        "np.normal.ringing.toneVolume.chassis": "-24",
    }


def test_what_our_files_set_is_owned() -> None:
    found = ours()
    assert {"reg.1.auth.password", "up.screensaver.enabled", "lcl.ml.lang", "se.rt.internal.ringer"} <= found
    for name in found:
        assert stripped(override(**{name: "1"}), found) is None


@pytest.mark.parametrize("prefix", OWNED)
def test_a_family_of_parameters_is_owned_whole(prefix: str) -> None:
    assert stripped(override(**{f"{prefix}x": "1", f"{prefix.upper()}y": "2"}), ()) is None


def test_nothing_left_is_no_file() -> None:
    assert stripped(override(**{"reg.1.address": "1"}), ()) is None
    assert stripped(b"<PHONE_CONFIG/>", ()) is None


def test_the_same_settings_give_the_same_bytes() -> None:
    one = stripped(override(**{"up.a": "1", "up.b": "2"}), ())
    other = stripped(b"<x up.b='2'>\n<!-- later --><y up.a='1'/></x>", ())
    assert one == other
    assert one
    assert stripped(one, ()) == one


NAMES = st.from_regex(r"[a-z][A-Za-z0-9.]{0,20}", fullmatch=True)
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff\ue000\ue001"), max_size=50
)


@given(st.dictionaries(NAMES, TEXT, max_size=8))
def test_values_come_through_whole_and_stay(values: dict[str, str]) -> None:
    found = stripped(override(**values), ())
    kept = {name: value for name, value in values.items() if not name.lower().startswith(OWNED)}
    assert (of_file(found) if found else {}) == kept
    assert found is None or stripped(found, ()) == found


ENTITY = (
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><PHONE_CONFIG><A up.x="1">&x;</A></PHONE_CONFIG>'
)
BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><PHONE_CONFIG><A up.x="&c;"/></PHONE_CONFIG>'
)
HOSTILE = {
    "nothing": b"",
    "no XML": b"0101000000|so |4|00|booted",
    "cut off": b"<PHONE_CONFIG><OVERRIDES up.x='1'",
    "twice": b"<a up.x='1' up.x='2'/>",
    "an entity": ENTITY,
    "a bomb": BOMB,
    "a document type": b'<!DOCTYPE a SYSTEM "http://203.0.113.66/a.dtd"><a up.x="1"/>',
    "no encoding": b'<?xml version="1.0" encoding="martian"?><a up.x="1"/>',
    "a namespace": b'<a xmlns:e="urn:e" e:up="1"/>',
    "a strange name": '<a up.\u00e9="1"/>'.encode(),
    "a long value": override(**{"up.x": "x" * 1025}),
    "many parameters": override(**{f"up.x{n}": "1" for n in range(MAX_PARAMETERS + 1)}),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_override_is_refused(data: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        stripped(data, ())
    assert refused.value.status == 400


def test_a_large_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(PeerError) as refused:
        stripped(b"<a" + b" " * MAX_SIZE + b"/>", ())
    assert refused.value.status == 413


DEEP = b"<a>" * 2000 + b"</a>" * 2000


@given(st.binary(max_size=300) | st.sampled_from([DEEP, ENTITY, BOMB]))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    for read in (lambda data: stripped(data, ()), check_directory, check_call_list):
        with suppress(PeerError):
            read(data)


DIRECTORY = b"""<?xml version="1.0" encoding="UTF-8"?>
<directory><item_list><item><fn>Anna</fn><ln>B</ln><ct>102</ct><sd>1</sd><rt>3</rt><dc/><ad>0</ad></item>
<item><ct>103</ct></item></item_list></directory>"""


def test_a_directory_is_known_by_its_form() -> None:
    check_directory(DIRECTORY)
    check_directory(b"<directory/>")
    check_directory(b"<directory><item_list/></directory>")


@pytest.mark.parametrize(
    "data",
    [
        b"<item_list/>",
        b"<directory><x/></directory>",
        DIRECTORY.replace(b"<dc/>", b"<script/>"),
        DIRECTORY.replace(b"<dc/>", b"<dc><x/></dc>"),
        DIRECTORY.replace(b"<item>", b"<thing>").replace(b"</item>", b"</thing>"),
        DIRECTORY.replace(b"Anna", b"A" * 1025),
        DIRECTORY[:-5],
    ],
)
def test_what_is_no_directory_is_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        check_directory(data)


def test_a_list_of_calls() -> None:
    for root in (b"callList", b"call_list", b"CALL_LISTS", b"callLists"):
        check_call_list(b"<%s><call number='101'/></%s>" % (root, root))
    for data in (DIRECTORY, b"<callList>", b"", b"<callList2/>"):
        with pytest.raises(PeerError):
            check_call_list(data)
