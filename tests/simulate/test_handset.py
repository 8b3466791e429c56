"""Starts, upgrades, restarts and their reasons, as each maker's families do them."""

from __future__ import annotations

import asyncio

import pytest

from provisioner.errors import PeerError, UsageError
from provisioner.phones.catalogue import Model
from provisioner.simulate.handset import MAX_RESTARTS, Handset, Restarted
from provisioner.simulate.vendors import MAKERS, phone_type, phone_types
from provisioner.simulate.vendors.base import (
    Flash,
    PhoneType,
    Reply,
    Settings,
    UnreachableError,
    Upgrade,
    version_of,
)
from tests.simulate.fixtures import (
    GRANDSTREAM,
    GRANDSTREAM_FILES,
    POLYCOM,
    POLYCOM_FILES,
    YEALINK,
    YEALINK_FILES,
)
from tests.simulate.server import FileServer, play_from, serving

VVX, T46S, GXP = (phone_type(name) for name in ("polycom", "yealink", "grandstream"))
HEAD = b"#!version:1.0.0.1\n"


def handset(kind: PhoneType, mac: str, server: FileServer) -> Handset:
    async def no_pause(_seconds: float) -> None:
        """Tests do not wait."""

    return Handset(kind, mac, server.url, lambda: "c", pause=no_pause, remember=True)


def image(version: str, size: int = 100_000) -> bytes:
    return b"\x7fimage " + version.encode() + b"\0" + bytes(size)


def family(maker: str, name: str, model: str, **more: str) -> PhoneType:
    """A phone of a family, whether the catalogue has it or not."""
    kind = MAKERS[maker].type_of(Model(name=model, accounts=1, **more))
    assert kind.family is MAKERS[maker].families[name]
    return kind


def asked(kind: PhoneType, files: dict[str, bytes], settings: Settings | None = None) -> list[str]:
    """What a start asks for, in short."""
    flash = kind.new("0004f2450450")
    flash.settings = settings or {}
    mac = flash.mac
    return [f"{ask.method} {ask.path.replace(mac, 'MAC')}" for ask in play_from(kind.start(flash), files)[0]]


# every family


def test_every_model_of_the_catalogue_has_a_family_and_starts() -> None:
    for kind in phone_types():
        flash = kind.new("0004f2450450")
        found, outcome = play_from(kind.start(flash), {})
        assert found, kind.name
        assert "{" not in found[0].agent, found[0].agent
        assert outcome.restart is None
        assert not kind.read({}).account


def test_a_model_of_no_family_is_said() -> None:
    with pytest.raises(UsageError, match="no family of polycom phones"):
        MAKERS["polycom"].type_of(Model(name="Abacus", accounts=1))
    with pytest.raises(UsageError, match="no maker"):
        phone_type("acme")
    with pytest.raises(UsageError, match="no model of yealink"):
        phone_type("yealink", "T999")


LEGACY = family("polycom", "soundpoint-sip", "SoundPoint IP 430", part="2345-11402-001")


def test_polycom_two_stages_before_uc_software() -> None:
    master = b'<APPLICATION APP_FILE_PATH="sip.ld" CONFIG_FILES="local.cfg, sip.cfg, phone1.cfg"/>'
    files = {"0004f2450450.cfg": master, "sip.cfg": b'<sip lcl.ml.lang="English_United_States"/>'}
    assert asked(LEGACY, files) == [
        "GET 2345-11402-001.bootrom.ld", "GET MAC.cfg", "GET 2345-11402-001.sip.ld", "GET sip.ld", "PUT MAC-boot.log",
        "GET 2345-11402-001.bootrom.ld", "GET MAC.cfg", "GET 2345-11402-001.sip.ld", "GET sip.ld",
        "GET local.cfg", "GET sip.cfg", "GET phone1.cfg", "GET MAC-directory.xml", "GET MAC-phone.cfg",
        "GET MAC-directory.xml", "PUT MAC-app.log",
        "GET SoundPointIPLocalization/English_United_States/SoundPointIP-dictionary.xml",
    ]  # fmt: skip
    agents = [ask.agent for ask in play_from(LEGACY.start(LEGACY.new("0004f2450450")), files)[0]]
    assert [agents[0], agents[5]] == [
        "FileTransport PolycomSoundPointIP-SPIP_430-UA/4.1.4.0100",
        "FileTransport PolycomSoundPointIP-SPIP_430-UA/3.2.3.1734",
    ]


def test_polycom_ccx_asks_no_more_for_the_image_that_it_runs() -> None:
    kind = family("polycom", "ccx", "CCX 600", part="3111-49770-001")
    flash = kind.new("482567b5313f")
    files = {
        "482567b5313f.cfg": b'<APPLICATION APP_FILE_PATH="sip.ld" CONFIG_FILES=""/>',
        "sip.ld": image(flash.version),
    }
    for expected in (["3111-49770-001.sip.ld", "sip.ld"], []):
        paths = [ask.path for ask in play_from(kind.start(flash), files)[0]]
        assert [path for path in paths if path.endswith(".ld")] == expected


@pytest.mark.parametrize(
    ("name", "model", "order"),
    [
        ("gxp-2000", "GXP2000", ["cfgMAC", "cfgMAC.xml", "cfg.xml"]),
        ("gxp-21", "GXP2140", ["cfgMAC.xml", "cfgMAC", "cfg.xml"]),
        ("grp", "GRP2614", ["cfgMAC", "cfgMAC.xml", "cfggrp2614.xml", "cfg.xml", "devMAC.cfg"]),
        ("ht", "HT801", ["cfgMAC", "cfgMAC.xml", "cfg.xml"]),
        ("wp", "WP820", ["cfgMAC", "cfgMAC.xml", "cfgwp820.xml", "cfg.xml"]),
    ],
)
def test_grandstream_orders(name: str, model: str, order: list[str]) -> None:
    assert asked(family("grandstream", name, model), {}) == [f"GET {path}" for path in order]


def test_grandstream_images_lie_below_their_own_path_or_at_the_root() -> None:
    settings = {"P192": "fw.example/images", "P6767": "2", "P232": "a_", "P233": ".x"}
    for model, images, path in (
        ("GXP2140", ("gxp2140fw.bin",), "https://fw.example/images/a_gxp2140fw.bin.x"),
        ("GXP1628", ("gxp1600fw.bin",), "https://fw.example/a_gxp1600fw.bin.x"),
    ):
        kind = MAKERS["grandstream"].type_of(Model(name=model, accounts=1, images=images))
        assert asked(kind, {}, settings)[-1] == f"GET {path}"
        assert asked(kind, {}, {**settings, "P238": "2"})[-1] == "GET cfg.xml"


def test_yealink_before_v81_has_no_boot_files() -> None:
    old = family("yealink", "t-old", "T28P", common="0")
    assert asked(old, {}) == ["GET y000000000000.cfg", "GET MAC.cfg"]


def test_yealink_asks_for_the_key_beside_each_encrypted_file() -> None:
    paths = asked(T46S, {}, {"static.auto_provision.aes_key_in_file": "1"})
    assert paths[2:] == [
        "GET y000000000066.cfg", "GET y000000000066.enc", "GET y000000000066_Security.enc",
        "GET MAC.cfg", "GET MAC.enc", "GET MAC_Security.enc",
    ]  # fmt: skip


# firmware


def test_yealink_upgrades_before_its_own_file_and_then_reads_the_head_alone() -> None:
    common = HEAD + b"static.firmware.url = fw/66.86.0.20.rom\n"
    files = YEALINK_FILES | {
        "y000000000066.cfg": common,
        "fw/66.86.0.20.rom": image("66.86.0.20", 3_000_000),
    }
    with serving(files) as server:
        phone = handset(T46S, YEALINK, server)
        asyncio.run(phone.start())
        once = [
            f"{YEALINK}.boot", "y000000000000.boot", "y000000000066.cfg", "fw/66.86.0.20.rom",
        ]  # fmt: skip
        assert [name for _, name, _ in server.asked] == [*once, *once, f"{YEALINK}.cfg"]
        assert [agent.split()[2] for _, _, agent in server.asked] == ["66.86.0.15"] * 4 + ["66.86.0.20"] * 5
        assert phone.flash.upgrades == [Upgrade("66.86.0.15", "66.86.0.20")]
        assert phone.restarts == [Restarted("firmware 66.86.0.15 to 66.86.0.20", needless=False)]
    whole, head = (reply.size for ask, reply in phone.asked if ask.running)
    assert whole > 3_000_000
    assert head < 300_000


def test_yealink_does_not_take_an_image_for_other_hardware() -> None:
    files = YEALINK_FILES | {f"{YEALINK}.cfg": HEAD + b"firmware.url = x.rom\n", "x.rom": image("28.86.0.20")}
    flash = T46S.new(YEALINK)
    assert play_from(T46S.start(flash), files)[1].restart is None
    assert flash.faults == ["x.rom is for other hardware"]


def test_yealink_upgrades_handsets_without_a_restart_of_the_base() -> None:
    base = family("yealink", "w", "W52P", common="25")
    files = {
        "y000000000025.cfg": HEAD + b"over_the_air.url.w52h = handset/26.73.0.40.rom\n",
        "handset/26.73.0.40.rom": image("26.73.0.40"),
    }
    flash = base.new(YEALINK)
    found, outcome = play_from(base.start(flash), files)
    assert (found[-1].path, outcome.restart) == ("handset/26.73.0.40.rom", None)
    assert flash.handsets["w52h"] == "26.73.0.40"


def test_polycom_upgrades_and_goes_back_alike() -> None:
    for version in ("6.4.6.2453", "5.9.0.0001"):
        with serving(POLYCOM_FILES | {"sip.ld": image(version)}) as server:
            phone = handset(VVX, POLYCOM, server)
            asyncio.run(phone.start())
        assert phone.flash.version == version
        assert server.asked[-1][2].startswith(f"FileTransport PolycomVVX-VVX_411-UA/{version}")
        assert (
            server.asked[0][2].split("/")[1].startswith("5.9.7.47435")
        )  # the Updater has a version of its own


def test_grandstream_upgrades() -> None:
    kind = MAKERS["grandstream"].type_of(Model(name="GXP2170", accounts=6, images=("gxp2170fw.bin",)))
    with serving({"gxp2170fw.bin": image("1.0.11.85")}) as server:
        own = GRANDSTREAM_FILES[f"cfg{GRANDSTREAM}.xml"]
        path = f"<P192>127.0.0.1:{server.server_port}</P192></config>".encode()
        server.files[f"cfg{GRANDSTREAM}.xml"] = own.replace(b"</config>", path)
        phone = handset(kind, GRANDSTREAM, server)
        asyncio.run(phone.start())
        assert phone.flash.upgrades == [Upgrade("1.0.11.64", "1.0.11.85")]
        assert asyncio.run(phone.check()).account


def test_what_is_no_firmware_is_named_and_not_taken() -> None:
    flash = VVX.new(POLYCOM)
    play_from(VVX.start(flash), POLYCOM_FILES | {"sip.ld": b"<html>not here</html>"})
    assert flash.faults == ["sip.ld is no firmware"]
    assert version_of(b"x 1.2.3.4.5 y") == ""


def test_an_image_that_lies_about_itself_ends_in_words() -> None:
    files = YEALINK_FILES | {"y000000000066.cfg": HEAD + b"firmware.url = a.rom\n"}
    with serving(files) as server:
        phone = handset(T46S, YEALINK, server)
        server.each = lambda name, count: image(f"66.86.0.{20 + count}") if name == "a.rom" else None
        with pytest.raises(PeerError, match=r"again and again: firmware 66\.86\.0\."):
            asyncio.run(phone.start())
    assert len(phone.restarts) == MAX_RESTARTS + 1
    assert phone.restarts[-1] == Restarted("without end", needless=True)


# settings


def changed(kind: PhoneType, before: Settings, after: Settings, running: bool = True) -> str:
    restart = kind.restart_for(before, after, running)
    return restart.words if restart else ""


@pytest.mark.parametrize(
    ("kind", "name", "harmless"),
    [
        (VVX, "device.net.vlanId", "dialplan.digitmap"),
        (T46S, "static.network.vlan.internet_port_vid", "account.1.label"),
        (T46S, "static.network.qos.audiotos", "phone_setting.inter_digit_time"),
        (T46S, "static.syslog.server", "local_time.time_format"),
        (GXP, "P51", "P64"),
        (GXP, "network.port.eth.1.vlan.tag", "account.1.call.callLog"),
    ],
)
def test_settings_of_the_reboot_class(kind: PhoneType, name: str, harmless: str) -> None:
    for running in (False, True):
        assert changed(kind, {}, {name: "7"}, running) == f"changed {name}"
        assert changed(kind, {name: "7"}, {name: "7", harmless: "1"}, running) == ""


def test_a_running_phone_before_uc_software_restarts_for_any_change() -> None:
    assert changed(LEGACY, {}, {"dialplan.digitmap": "1"}, running=True) == "changed dialplan.digitmap"
    assert changed(LEGACY, {}, {"dialplan.digitmap": "1"}, running=False) == ""


def test_polycom_restarts_once_for_what_its_first_files_set_and_says_its_serial_number_then() -> None:
    with serving(POLYCOM_FILES) as server:
        phone = handset(VVX, POLYCOM, server)
        asyncio.run(phone.start())
        assert phone.restarts == [Restarted("changed device.prov.tagSerialNo", needless=False)]
        assert f"(SN:{POLYCOM})" in server.asked[-1][2]
        asyncio.run(phone.check())
        assert len(phone.restarts) == 1


def test_the_same_values_in_other_bytes_restart_nothing() -> None:
    vlan = YEALINK_FILES | {"y000000000066.cfg": HEAD + b"static.network.vlan.internet_port_vid = 7\n"}
    with serving(vlan) as server:
        phone = handset(T46S, YEALINK, server)
        asyncio.run(phone.start())
        assert [each.words for each in phone.restarts] == ["changed static.network.vlan.internet_port_vid"]
        server.files["y000000000066.cfg"] += b"# a comment\n"
        asyncio.run(phone.check())
    assert len(phone.restarts) == 1


def test_a_restart_that_somebody_asks_for_is_needless_unless_it_brings_something() -> None:
    with serving(YEALINK_FILES) as server:
        phone = handset(T46S, YEALINK, server)
        asyncio.run(phone.start())
        asyncio.run(phone.restart("told to"))
        assert phone.restarts == [Restarted("told to", needless=True)]
        server.files[f"{YEALINK}.cfg"] += b"static.syslog.server = 10.0.0.1\n"
        asyncio.run(phone.restart("told to"))
        assert [each.needless for each in phone.restarts] == [True, False, False]


# NOTIFY (facts 7)


@pytest.mark.parametrize(
    ("maker", "event", "settings", "action"),
    [
        ("polycom", "check-sync", {}, "check"),
        ("polycom", "check-sync", {"voIpProt.SIP.specialEvent.checkSync.alwaysReboot": "1"}, "restart"),
        ("polycom", "resync", {}, ""),
        ("yealink", "check-sync;reboot=false", {}, "restart"),
        ("yealink", "check-sync;reboot=false", {"sip.notify_reboot_enable": "0"}, "check"),
        ("yealink", "check-sync;reboot=true", {"sip.notify_reboot_enable": "0"}, "restart"),
        ("yealink", "check-sync", {"sip.notify_reboot_enable": "2"}, ""),
        ("yealink", "message-summary", {}, ""),
        ("grandstream", "check-sync;reboot=true", {}, "restart"),
        ("grandstream", "resync", {}, "check"),
        ("grandstream", "reset", {}, ""),
        ("grandstream", "reset", {"P26015": "1"}, "reset"),
    ],
)
def test_what_a_notify_does(maker: str, event: str, settings: Settings, action: str) -> None:
    assert MAKERS[maker].notified(event, settings) == action


def test_grandstream_challenges_unless_it_is_told_not_to() -> None:
    assert GXP.read({}).challenges
    assert not GXP.read({"P4428": "1"}).challenges
    assert not VVX.read({}).challenges


def test_factory_settings_forget_all_but_the_firmware() -> None:
    with serving(YEALINK_FILES) as server:
        phone = handset(T46S, YEALINK, server)
        asyncio.run(phone.start())
    phone.flash.version = "66.86.0.99"
    phone.reset()
    assert phone.flash == Flash(YEALINK, version="66.86.0.99")
    assert phone.configuration.account is None


# what the phone changes itself


def test_polycom_puts_its_overrides_unless_told_not_to() -> None:
    with serving(POLYCOM_FILES) as server:
        phone = handset(VVX, POLYCOM, server)
        asyncio.run(phone.start())
        asyncio.run(phone.change("reg.1.displayName", 'A "b"'))
        assert server.asked[-1][:2] == ("PUT", f"{POLYCOM}-phone.cfg")
        assert b"reg.1.displayName='A \"b\"'" in server.bodies[-1]
        configuration = asyncio.run(phone.check())
        assert configuration.account
        assert configuration.account.display == 'A "b"'
        phone.flash.settings["prov.autoConfigUpload.enabled"] = "0"
        count = len(server.asked)
        asyncio.run(phone.change("up.backlight", "1"))
        assert len(server.asked) == count


def test_yealink_keeps_what_was_changed_on_it_where_that_is_protected() -> None:
    keep = b"static.auto_provision.custom.protect = 1\nstatic.auto_provision.custom.sync = 1\n"
    files = YEALINK_FILES | {"y000000000066.cfg": HEAD + keep}
    with serving(files) as server:
        phone = handset(T46S, YEALINK, server)
        asyncio.run(phone.start())
        asyncio.run(phone.change("account.1.label", "Mine"))
        assert server.asked[-1][:2] == ("PUT", f"{YEALINK}-local.cfg")
        server.files[f"{YEALINK}.cfg"] += b"account.1.label = Theirs\n"
        asyncio.run(phone.check())
        assert phone.flash.settings["account.1.label"] == "Mine"


# servers


def test_a_phone_goes_where_its_settings_say_and_back_where_that_is_gone() -> None:
    with serving({}) as second:
        told = HEAD + f"static.auto_provision.server.url = {second.url}secret\n".encode()
        with serving({f"{YEALINK}.cfg": told}) as first:
            phone = handset(T46S, YEALINK, first)
            asyncio.run(phone.start())
            count = len(first.asked)
            asyncio.run(phone.check())
            assert len(first.asked) == count
            assert second.asked[-1][1] == f"secret/{YEALINK}.cfg"
            second.shutdown()
            second.server_close()
            asyncio.run(phone.check())
            assert len(first.asked) > count


@pytest.mark.parametrize(
    ("kind", "settings", "url"),
    [
        (VVX, {"device.prov.serverName": "h:80/x", "device.prov.serverType": "2"}, "http://h:80/x"),
        (VVX, {"device.prov.serverName": "h", "device.prov.serverType": "5"}, ""),
        (VVX, {"device.prov.serverName": "https://h/x"}, "https://h/x"),
        (GXP, {"P237": "h:80/x", "P212": "2"}, "https://h:80/x/"),
        (GXP, {}, ""),
    ],
)
def test_where_a_phone_asks(kind: PhoneType, settings: Settings, url: str) -> None:
    assert kind.read(settings).server == url


def test_a_file_that_does_not_come_is_asked_for_as_often_as_a_yealink_is_told() -> None:
    with serving(YEALINK_FILES) as server:
        phone = handset(T46S, YEALINK, server)
        phone.configuration = T46S.read({"static.auto_provision.attempt_before_failed": "3"})
        server.status = 503
        asyncio.run(phone.start())
        assert [name for _, name, _ in server.asked][:4] == [f"{YEALINK}.boot"] * 3 + ["y000000000000.boot"]


def test_ftp_is_said() -> None:
    with serving({}) as server:
        phone = handset(VVX, POLYCOM, server)
        phone.server = "ftp://127.0.0.1/"
        with pytest.raises(UnreachableError, match="by ftp"):
            asyncio.run(phone.start())


def test_factory_credentials_answer_a_challenge() -> None:
    with serving(POLYCOM_FILES) as server:
        server.challenge = 'Basic realm="x"'
        asyncio.run(handset(VVX, POLYCOM, server).start())
    assert "Basic UGxjbVNwSXA6UGxjbVNwSXA=" in server.authorizations


def test_a_binary_file_leads_a_grandstream_to_another_server() -> None:
    from tests.simulate.fixtures import grandstream_binary

    kind = family("grandstream", "ht", "HT801")
    binary = grandstream_binary(GRANDSTREAM, b"P237=other.example/x&P212=1&gnkey=0b82")
    found, _ = play_from(kind.start(kind.new(GRANDSTREAM)), {f"cfg{GRANDSTREAM}": binary})
    assert found[1].path == f"http://other.example/x/cfg{GRANDSTREAM}.xml"


def test_a_reply_has_a_body_only_when_there_is_one() -> None:
    assert Reply(404).body == b""
