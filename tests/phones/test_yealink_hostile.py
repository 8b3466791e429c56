"""No value, whatever it holds, begins, changes or takes back a second setting in a Yealink phone's files."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.identity import Identity
from provisioner.phones.render import Renderer
from provisioner.store.records import Key, LineCredential, Snapshot
from tests.phones import yealink_files as files
from tests.phones.samples import ADDRESSES
from tests.phones.test_yealink import MAC, MODELS, practice

CATALOGUE = Catalogue()
ENDS = ("\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
INJECTED = "static.auto_provision.server.url = http://192.0.2.66/"
HOSTILE = (
    *(f"Anna{end}{INJECTED}" for end in ENDS),
    *(f"{end}account.1.enable = 0{end}" for end in ENDS),
    "%NULL%",
    " %null% ",
    "%NULL%\n",
    "#!version:1.0.0.1",
    "# all of it",
    "= 1",
    '" include:config "y000000000000.cfg',
    "<Name>&amp;]]><![CDATA[",
    "[T46S]",
    "\ue0000\ue001",
    "{{ device.admin_password }}",
    "N" * 10240,
    "\t\t",
    "",
)
_WORDS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.lists(st.sampled_from([*ENDS, "=", "#", "%NULL%", '"', "<", "account.1.enable", " "]), max_size=8).map(
        "".join
    ),
)


def hostile(value: str, model: str) -> Snapshot:
    """A practice whose every text is this value."""
    whole = practice(MODELS[model])
    phone = whole.phones[MAC]
    held = whole.credentials[MAC]
    phone = msgspec.structs.replace(
        phone,
        lines=tuple(msgspec.structs.replace(line, name=value) for line in phone.lines),
        keys=tuple(
            Key(position=key.position, function="blf", value=value, label=value) for key in phone.keys
        ),
    )
    held = msgspec.structs.replace(
        held,
        lines=tuple(LineCredential(auth_user=value, password=value) for _ in phone.lines),
        admin_password=value or "x",
        user_password=value or "x",
        http_password=value or "x",
    )
    return msgspec.structs.replace(whole, phones={MAC: phone}, credentials={MAC: held})


def fetch(snapshot: Snapshot, name: str, model: str) -> bytes:
    asked = file_asked(f"/{name}")
    assert asked
    data = Renderer(snapshot, ADDRESSES, CATALOGUE).file(
        asked, Identity("yealink", model, "", MAC, agent="phone")
    )
    assert data
    return data


def names(data: bytes) -> list[str]:
    return [each.name for each in files.parse(data)]


# Texts of the practice in the phone's own file; every other setting must stay what it was.
OWN = (".label", ".display_name", ".auth_name", ".password", ".value", ".name", "security.user_password")


@pytest.mark.parametrize("model", ["T28P", "T27G", "T46S", "T77U", "W60B", "W90DM"])
@given(value=_WORDS)
@example(value="%NULL%")
@example(value="N" * 10240)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_value_stays_in_its_setting(model: str, value: str) -> None:
    harmless = fetch(practice(MODELS[model]), f"{MAC}.cfg", model)
    data = fetch(hostile(value, model), f"{MAC}.cfg", model)
    assert names(data) == names(harmless)
    was = [each for each in files.parse(harmless) if not each.name.endswith(OWN)]
    assert [each for each in files.parse(data) if not each.name.endswith(OWN)] == was


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_one_by_one(value: str) -> None:
    data = fetch(hostile(value, "T46S"), f"{MAC}.cfg", "T46S")
    harmless = fetch(practice(MODELS["T46S"]), f"{MAC}.cfg", "T46S")
    assert names(data) == names(harmless)
    boot, _ = files.parse_boot(fetch(hostile(value, "T46S"), f"{MAC}.boot", "T46S"))
    assert boot == ["y000000000066.cfg", f"{MAC}.cfg"]


@pytest.mark.parametrize("value", ["%NULL%", " %NULL% ", "%null%", "%NULL%\n", "\x00%NULL%"])
def test_a_value_that_is_the_makers_null_takes_nothing_back(value: str) -> None:
    data = fetch(hostile(value, "T46S"), f"{MAC}.cfg", "T46S")
    found = dict(files.parse(data))
    for name in ("account.1.password", "account.1.auth_name", "account.1.display_name", "linekey.1.value"):
        assert found[name].upper() == "NULL", name
    # It is the maker's word still where a template says it.
    assert found["account.1.sip_server.2.address"] == files.NULL


@given(value=_WORDS)
@settings(max_examples=50, deadline=None)
def test_a_name_stays_in_the_phonebook(value: str) -> None:
    book = etree.fromstring(fetch(hostile(value, "T46S"), f"{MAC}-phonebook.xml", "T46S"))
    assert [each.tag for each in book] == ["DirectoryEntry"] * 3
    assert [part.tag for each in book for part in each] == ["Name", "Telephone"] * 3


def test_the_parser_sees_what_is_injected() -> None:
    """The tests above can fail: the parser takes each line end that a phone may take."""
    harmless = fetch(practice(MODELS["T46S"]), f"{MAC}.cfg", "T46S")
    for end in ("\n", "\r", "\r\n"):
        injected = harmless + f"account.9.label = a{end}account.9.enable = 1\n".encode()
        assert dict(files.parse(injected))["account.9.enable"] == "1"
    for end in ("\x00", "\x85", "\u2028"):
        with pytest.raises(files.Faulty):
            files.parse(harmless + f"account.9.label = a{end}b\n".encode())
