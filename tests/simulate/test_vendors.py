"""What each make understands of its files, and in which order it asks for them."""

from __future__ import annotations

import asyncio

import pytest

from provisioner.errors import UsageError
from provisioner.simulate import files
from provisioner.simulate.handset import Handset
from provisioner.simulate.vendors import grandstream, phone_type
from provisioner.simulate.vendors.base import (
    Account,
    Ask,
    Configuration,
    Flash,
    Pass,
    PhoneType,
    Settings,
    UnreachableError,
)
from tests.simulate import fixtures
from tests.simulate.fixtures import (
    GRANDSTREAM,
    GRANDSTREAM_FILES,
    POLYCOM,
    POLYCOM_FILES,
    YEALINK,
    YEALINK_FILES,
)
from tests.simulate.server import play_from, serving

POLYCOM_ORDER = [
    f"PUT {POLYCOM}-boot.log", f"GET {POLYCOM}.cfg", "GET 3111-48450-001.sip.ld", "GET sip.ld",
    f"GET {POLYCOM}-line.cfg", "GET site.cfg", f"GET {POLYCOM}-phone.cfg", f"GET {POLYCOM}-web.cfg",
    "GET 000000000000-license.cfg", f"GET {POLYCOM}-license.cfg", f"GET {POLYCOM}-calls.xml",
    f"GET {POLYCOM}-directory.xml", "GET 000000000000-directory.xml", f"HEAD {POLYCOM}-app.log",
    f"PUT {POLYCOM}-app.log",
]  # fmt: skip
YEALINK_ORDER = [
    f"GET {YEALINK}.boot", "GET y000000000000.boot", "GET y000000000066.cfg", f"GET {YEALINK}.cfg",
]  # fmt: skip
GRANDSTREAM_ORDER = [f"GET cfg{GRANDSTREAM}.xml", f"GET cfg{GRANDSTREAM}"]
VVX, T46S, GXP = (phone_type(name) for name in ("polycom", "yealink", "grandstream"))


def started(kind: PhoneType, mac: str, served: dict[str, bytes], flash: Flash | None = None) -> Settings:
    return play_from(kind.start(flash or kind.new(mac)), served)[1].settings


def configured(
    kind: PhoneType, mac: str, served: dict[str, bytes], flash: Flash | None = None
) -> Configuration:
    return kind.read(started(kind, mac, served, flash))


def went(run: Pass, served: dict[str, bytes]) -> tuple[list[Ask], Settings]:
    asked, outcome = play_from(run, served)
    return asked, outcome.settings


def handset(kind: PhoneType, mac: str, url: str) -> Handset:
    return Handset(kind, mac, url, lambda: "c", remember=True)


@pytest.mark.parametrize(
    ("name", "mac", "served", "order", "agent"),
    [
        (
            "polycom", POLYCOM, POLYCOM_FILES, POLYCOM_ORDER,
            "FileTransport PolycomVVX-VVX_411-UA/5.9.7.4477 Type/Application",
        ),
        ("yealink", YEALINK, YEALINK_FILES, YEALINK_ORDER, "Yealink SIP-T46S 66.86.0.15 00:15:65:00:01:02"),
        (
            "grandstream", GRANDSTREAM, GRANDSTREAM_FILES, GRANDSTREAM_ORDER,
            "Grandstream Model HW GXP2170 SW 1.0.11.64 DevId 000b82000103",
        ),
    ],
)  # fmt: skip
def test_order_of_requests_on_the_wire(
    name: str, mac: str, served: dict[str, bytes], order: list[str], agent: str
) -> None:
    with serving(served) as server:
        phone = handset(phone_type(name), mac, server.url)
        account = asyncio.run(phone.start()).account
    assert server.names()[: len(order)] == order
    assert server.asked[len(order) - 1][2] == agent
    assert account
    assert (account.password, account.host, account.port, account.expires) == (
        "s3cret",
        "127.0.0.1",
        5070,
        300,
    )


# Polycom


def test_polycom_settings() -> None:
    found = configured(VVX, POLYCOM, POLYCOM_FILES)
    assert found.account == Account("101", "u101", "s3cret", "127.0.0.1", 5070, "TCP", 300, "Front desk", 101)
    assert found.poll == 7200  # the file listed first wins
    assert found.emergency == {"911": ("127.0.0.1", 5071), "933": ("127.0.0.1", 5071)}
    assert found.dial_plan.dial("911").wait == "at once"


def test_polycom_stages_and_the_serial_number_once_it_is_told_to_send_it() -> None:
    flash = VVX.new(POLYCOM)
    asked, flash.settings = went(VVX.start(flash), POLYCOM_FILES)
    assert [ask.agent.rpartition("/")[2] for ask in asked[:2]] == ["Updater", "Application"]
    assert "(SN:" not in asked[-1].agent
    asked, _ = went(VVX.start(flash), POLYCOM_FILES)
    assert f"(SN:{POLYCOM}) Type/Application" in asked[-1].agent


def test_polycom_obeys_device_parameters_only_when_they_are_set() -> None:
    _, settings = went(VVX.start(VVX.new(POLYCOM)), POLYCOM_FILES)
    assert "device.prov.tagSerialNo" in settings
    assert "device.prov.user" not in settings


def test_polycom_doubles_a_part_number_that_is_already_there() -> None:
    master = b'<APPLICATION APP_FILE_PATH="fw/3111-48450-001.sip.ld" CONFIG_FILES=""/>'
    asked, _ = went(VVX.start(VVX.new(POLYCOM)), {f"{POLYCOM}.cfg": master})
    assert [ask.path for ask in asked[2:4]] == [
        "fw/3111-48450-001.3111-48450-001.sip.ld", "fw/3111-48450-001.sip.ld",
    ]  # fmt: skip


def test_polycom_falls_back_to_the_common_master_and_takes_the_models_own_list() -> None:
    master = b"""<APPLICATION CONFIG_FILES="a.cfg" OVERRIDES_DIRECTORY="over/" LOG_FILE_DIRECTORY="logs">
        <APPLICATION_VVX411 CONFIG_FILES_VVX411="b.cfg"/></APPLICATION>"""
    asked, _ = went(VVX.start(VVX.new(POLYCOM)), {"000000000000.cfg": master})
    paths = [ask.path for ask in asked]
    assert paths[1:4] == [f"{POLYCOM}.cfg", "000000000000.cfg", "b.cfg"]
    assert f"over/{POLYCOM}-phone.cfg" in paths
    assert paths[-1] == f"logs/{POLYCOM}-app.log"


def test_polycom_overrides_beat_what_is_served() -> None:
    overrides = {
        f"{POLYCOM}-web.cfg": b'<o reg.1.displayName="web" reg.1.address="7"/>',
        f"{POLYCOM}-phone.cfg": b'<o reg.1.displayName="phone"/>',
    }
    account = configured(VVX, POLYCOM, POLYCOM_FILES | overrides).account
    assert account
    assert (account.user, account.display) == ("7", "phone")


def test_polycom_takes_parameters_from_a_file_that_is_no_master() -> None:
    found = configured(VVX, POLYCOM, {f"{POLYCOM}.cfg": POLYCOM_FILES[f"{POLYCOM}-line.cfg"]})
    assert found.account
    assert found.account.user == "101"


def test_polycom_without_any_file_keeps_what_it_had() -> None:
    flash = Flash(POLYCOM, {"reg.1.address": "101@pbx.example"})
    account = configured(VVX, POLYCOM, {}, flash).account
    assert account
    assert (account.user, account.host, account.port) == ("101", "pbx.example", 5060)


def test_broken_files_are_named_and_left_out() -> None:
    flash = VVX.new(POLYCOM)
    served = POLYCOM_FILES | {f"{POLYCOM}-line.cfg": b"<phone"}
    assert configured(VVX, POLYCOM, served, flash).account is None
    assert flash.faults == [f"{POLYCOM}-line.cfg is not XML"]


def test_entities_of_a_file_reach_nothing() -> None:
    hostile = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a reg.1.address="101">&x;</a>'
    _, settings = went(VVX.start(VVX.new(POLYCOM)), {f"{POLYCOM}.cfg": hostile})
    assert settings == {"reg.1.address": "101"}


@pytest.mark.parametrize(
    ("text", "handling", "keys", "number"),
    [("10x", "0", "12", "12"), ("10x", "1", "12", ""), ("(x)", "2", "911", "911")],
)
def test_polycom_dial_plan(text: str, handling: str, keys: str, number: str) -> None:
    settings = {"dialplan.digitmap": text, "dialplan.impossibleMatchHandling": handling}
    assert VVX.read(settings).dial_plan.dial(keys).number == number


# Yealink


def test_yealink_settings() -> None:
    found = configured(T46S, YEALINK, YEALINK_FILES)
    assert found.account == Account(
        "102", "u102", "s3cret", "127.0.0.1", 5070, "UDP", 300, "Nurse = station", 101
    )
    assert found.poll == 3600
    assert found.dial_plan.dial("101").wait == "at once"


def test_yealink_boot_file_names_what_is_asked() -> None:
    boot = b"""#!version:1.0.0.1
overwrite_mode = 1
include:config "site.cfg"
[T54W,T57W] include:config "other.cfg"
[T46S] include:config <mine.cfg>
"""
    flash = Flash(YEALINK, {"account.1.enable": "1", "old": "x"})
    served = {"y000000000000.boot": boot, "site.cfg": b"#!version:1.0.0.1\na = 1\n"}
    asked, settings = went(T46S.start(flash), served)
    assert [ask.path for ask in asked[2:]] == ["site.cfg", "mine.cfg"]
    assert settings == {"a": "1"}


def test_yealink_applies_only_what_changed_and_resets_by_null() -> None:
    flash = T46S.new(YEALINK)
    _, flash.settings = went(T46S.start(flash), YEALINK_FILES)
    flash.settings["by.hand"] = "kept"
    flash.settings["account.1.user_name"] = "changed by hand"
    _, flash.settings = went(T46S.start(flash), YEALINK_FILES)
    assert flash.settings["account.1.user_name"] == "changed by hand"
    null = YEALINK_FILES[f"{YEALINK}.cfg"] + b"by.hand = %NULL%\n"
    _, flash.settings = went(T46S.start(flash), YEALINK_FILES | {f"{YEALINK}.cfg": null})
    assert flash.settings["account.1.user_name"] == "102"
    assert "by.hand" not in flash.settings


def test_yealink_wants_the_version_line() -> None:
    flash = T46S.new(YEALINK)
    served = {f"{YEALINK}.cfg": b"account.1.enable = 1\n"}
    assert went(T46S.start(flash), served)[1] == {}
    assert flash.faults == [f"{YEALINK}.cfg does not begin with #!version:1.0.0.1"]


def test_yealink_asks_for_its_local_file_when_told_to() -> None:
    served = YEALINK_FILES | {
        "y000000000066.cfg": b"#!version:1.0.0.1\nstatic.auto_provision.custom.sync = 1\n"
    }
    asked, _ = went(T46S.start(T46S.new(YEALINK)), served)
    assert asked[-1].path == f"{YEALINK}-local.cfg"


def test_yealink_dial_plan() -> None:
    assert T46S.read({}).dial_plan.dial("415#").number == "415"
    rules = {
        "dialplan.dialnow.rule.1": "911",
        "dialplan.dialnow.rule.2": "10x",
        "phone_setting.dialnow_delay": "0",
    }
    assert T46S.read(rules).dial_plan.dial("101").wait == "at once"
    broken = {"dialplan.digitmap.enable": "1", "dialplan.digitmap.string": "{"}
    assert T46S.read(broken).dial_plan.dial("911").wait == "pause"


@pytest.mark.parametrize(
    "missing", ["account.1.enable", "account.1.user_name", "account.1.sip_server.1.address"]
)
def test_yealink_waits_without_an_account(missing: str) -> None:
    _, settings = went(T46S.start(T46S.new(YEALINK)), YEALINK_FILES)
    del settings[missing]
    assert T46S.read(settings).account is None


# Grandstream


def test_grandstream_settings() -> None:
    found = configured(GXP, GRANDSTREAM, GRANDSTREAM_FILES)
    assert found.account == Account("103", "u103", "s3cret", "127.0.0.1", 5070, "UDP", 300, "Exam room", 101)
    assert found.poll == 3600
    assert found.dial_plan.dial("911").wait == "at once"


def test_grandstream_understands_version_2() -> None:
    served = {f"cfg{GRANDSTREAM}.xml": fixtures.GRANDSTREAM_VERSION_2}
    found = configured(GXP, GRANDSTREAM, served)
    assert found.account == Account("103", "u103", "s3cret", "127.0.0.1", 5070, "UDP", 300, "Exam room", 101)
    assert found.dial_plan.end_key == ""


def test_grandstream_asks_on_while_nothing_is_there() -> None:
    asked, _ = went(GXP.start(GXP.new(GRANDSTREAM)), {})
    assert [ask.path for ask in asked] == [
        f"cfg{GRANDSTREAM}.xml", f"cfg{GRANDSTREAM}", "cfg.xml",
    ]  # fmt: skip


def test_grandstream_reads_all_files_when_told_to() -> None:
    first = b"<gs_provision><config version='1'><P8467>1</P8467><P35>1</P35></config></gs_provision>"
    last = b"<gs_provision><config version='1'><P35>2</P35></config></gs_provision>"
    _, settings = went(GXP.start(GXP.new(GRANDSTREAM)), {f"cfg{GRANDSTREAM}.xml": first, "cfg.xml": last})
    assert settings["P35"] == "2"


def test_grandstream_refuses_a_file_for_another_phone() -> None:
    flash = GXP.new("000b82000104")
    served = {"cfg000b82000104.xml": GRANDSTREAM_FILES[f"cfg{GRANDSTREAM}.xml"]}
    assert configured(GXP, flash.mac, served, flash).account is None
    assert flash.faults == ["cfg000b82000104.xml is for another phone"]


def test_grandstream_binary_file() -> None:
    good = fixtures.grandstream_binary(GRANDSTREAM, b"P35=103&P3=Exam%20room&gnkey=0b82\0")
    assert grandstream.unpack(good, GRANDSTREAM) == {"P35": "103", "P3": "Exam room"}
    flash = GXP.new(GRANDSTREAM)
    _, settings = went(GXP.start(flash), {f"cfg{GRANDSTREAM}": good})
    assert settings["P35"] == "103"
    went(GXP.start(flash), {f"cfg{GRANDSTREAM}": good[:-1] + b"1"})
    assert flash.faults == [f"cfg{GRANDSTREAM} is not a configuration"]


def test_grandstream_binary_vector() -> None:
    """Length and sum of a known file: MAC 0004f200e06b, P1=A."""
    vector = bytes.fromhex("00000010BA480004F200E06B0D0A0D0A") + b"P1=A&gnkey=0b82\0"
    assert fixtures.grandstream_binary("0004f200e06b", b"P1=A&gnkey=0b82\0") == vector
    assert grandstream.unpack(vector, "0004f200e06b") == {"P1": "A"}
    assert grandstream.unpack(vector, GRANDSTREAM) is None
    assert grandstream.unpack(b"<html>", GRANDSTREAM) is None


def test_grandstream_falls_back_to_its_factory_map() -> None:
    assert GXP.read({"P290": "{ (x) }"}).dial_plan.dial("911").number == "911"


# HTTP


@pytest.mark.parametrize(
    ("challenge", "begins"),
    [('Basic realm="x"', "Basic dTpw"), ('Digest realm="x", nonce="n", qop="auth"', 'Digest username="u"')],
)
def test_credentials_are_sent_once_when_asked(challenge: str, begins: str) -> None:
    with serving(GRANDSTREAM_FILES) as server:
        server.challenge = challenge
        url = server.url.replace("http://", "http://u:p@")
        account = asyncio.run(handset(GXP, GRANDSTREAM, url).start()).account
    assert account
    assert account.user == "103"
    assert [value[: len(begins)] for value in server.authorizations] == ["", begins, "", begins]


def test_without_credentials_a_401_is_the_answer() -> None:
    with serving(GRANDSTREAM_FILES) as server:
        server.challenge = 'Basic realm="x"'
        phone = handset(GXP, GRANDSTREAM, server.url)
        asyncio.run(phone.start())
    assert phone.flash.settings == {}
    assert len(server.asked) == 3


def test_a_server_that_is_not_there_is_one_line() -> None:
    with serving({}) as server:
        url = server.url.replace("http://", "http://u:secret@")
    with pytest.raises(UnreachableError, match="does not answer") as caught:
        asyncio.run(handset(GXP, GRANDSTREAM, url).start())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x/", "x", "http://"])
def test_only_http_servers(url: str) -> None:
    with pytest.raises(UsageError, match="--server"):
        files.check_url(url)


def test_a_url_gets_its_slash() -> None:
    assert files.check_url("http://127.0.0.1:8080") == "http://127.0.0.1:8080/"
