"""Who is asking, over every user agent seen in the field."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioner.phones.identity import Contradiction, Identity, identify, normal_mac, of_agent, vendor_of_mac

POLYCOM = [
    ("PolycomSoundPointIP-SPIP_335-UA/3.2.1.0078", "SPIP 335", "3.2.1.0078", "", ""),
    ("PolycomSoundPointIP-SPIP_335-UA/4.2.1.0275", "SPIP 335", "4.2.1.0275", "", ""),
    ("PolycomSoundPointIP-SPIP_600-UA/3.1.3.0439", "SPIP 600", "3.1.3.0439", "", ""),
    ("PolycomSoundPointIP-SPIP_450-UA/3.2.3.1734", "SPIP 450", "3.2.3.1734", "", ""),
    ("PolycomSoundStationIP-SSIP_6000-UA/3.2.0.0157", "SSIP 6000", "3.2.0.0157", "", ""),
    (
        "PolycomSoundStationIP-SSIP_6000-UA/4.0.4.2906 Type/Application",
        "SSIP 6000",
        "4.0.4.2906",
        "",
        "Application",
    ),
    ("PolycomSoundStationIP-SSIP_6000-UA/5.0.3.1667 Type/Updater", "SSIP 6000", "5.0.3.1667", "", "Updater"),
    (
        "PolycomSoundStationIP-SSIP_5000-UA/4.0.3.7562 (SN:0004f2e765da) Type/Application",
        "SSIP 5000",
        "4.0.3.7562",
        "0004f2e765da",
        "Application",
    ),
    ("PolycomVVX-VVX_400-UA/4.1.4.7430 Type/Application", "VVX 400", "4.1.4.7430", "", "Application"),
    ("PolycomVVX-VVX_310-UA/5.1.1.2986", "VVX 310", "5.1.1.2986", "", ""),
    ("PolycomVVX-VVX_101-UA/5.4.3.1014 Type/Application", "VVX 101", "5.4.3.1014", "", "Application"),
    ("PolycomVVX-VVX_450-UA/5.9.1.0615 Type/Application", "VVX 450", "5.9.1.0615", "", "Application"),
    ("PolycomVVX-VVX_311-UA/5.9.6.2327 Type/Application", "VVX 311", "5.9.6.2327", "", "Application"),
    ("PolycomVVX-VVX_500-UA/5.9.7.47435 Type/Updater", "VVX 500", "5.9.7.47435", "", "Updater"),
    ("PolycomVVX-VVX_500-UA/5.9.7.4477 Type/Application", "VVX 500", "5.9.7.4477", "", "Application"),
    (
        "PolyCCX-CCX_600-UA/8.0.2.3267 (SN:482567b5313f) Type/Application",
        "CCX 600",
        "8.0.2.3267",
        "482567b5313f",
        "Application",
    ),
    (
        "PolyCCX-CCX_500-UA/9.4.1.0508 (SN:64167f9f4c90) Type/Application",
        "CCX 500",
        "9.4.1.0508",
        "64167f9f4c90",
        "Application",
    ),
    ("PolyEdge-Edge_E450-UA/8.0.0.15602 Type/Application", "Edge E450", "8.0.0.15602", "", "Application"),
]

YEALINK = """
Yealink SIP-T19P_E2 53.80.0.3 00:15:65:4c:4c:26 | T19P E2
yealink SIP-T18 18.0.0.80 00:15:65:27:3e:05 | T18
Yealink SIP-T20P 9.72.0.30 00:15:65:5e:16:7c | T20P
yealink SIP-T28P 2.70.0.140 00:15:65:13:ae:0b | T28P
Yealink SIP-T23G 44.80.0.60 00:15:65:93:70:f2 | T23G
Yealink SIP-T38G  38.70.0.125 00:15:65:2f:c3:5e | T38G
Yealink SIP-T46G 28.83.0.120 00:15:65:4a:a9:37 | T46G
Yealink SIP VP-T49G 51.80.0.10 00:15:65:9b:5a:44 | T49G
Yealink SIP-T31G 124.85.257.55 80:5e:c0:d5:7d:72 | T31G
Yealink SIP-T34W 124.86.0.75 24:9a:d8:88:d0:f4 | T34W
Yealink SIP-T58A 58.83.0.15 00:15:65:9b:5b:22 | T58A
Yealink SIP-T56A  58.80.0.25 001565f429a4 | T56A
Yealink SIP-T77U 185.87.0.10 44:db:d2:bd:b5:69 | T77U
Yealink SIP-T87W 185.87.0.10 44:db:d2:c9:73:b7 | T87W
Yealink CP860 37.72.0.5 00:15:65:8a:37:86 | CP860
Yealink CP960 73.83.0.30 00:15:65:8a:37:86 | CP960
Yealink SIP-W52P 25.73.0.20 00:15:65:40:ae:35 | W52P
Yealink W52P 25.80.0.15 00:15:65:b8:60:05 | W52P
W52P 25.30.0.2 00:15:65:44:b3:7c | W52P
VP530P 23.70.0.40 00:15:65:31:4b:c0 | VP530P
Yealink W60B 77.81.0.35 80:5e:c0:09:ab:dc | W60B
Yealink W70B 146.85.0.5 80:5e:0c:1d:65:4e | W70B
Yealink W80B 103.83.0.122 24:9a:d8:d1:a6:31 | W80B
Yealink W90DM 130.85.0.15 80:5e:c0:d9:c7:44 | W90DM
Yealink W75B 175.85.0.5 24:9a:d8:df:fb:11 | W75B
"""

GRANDSTREAM = """
Grandstream Model HW GXP1405 SW 1.0.4.23 DevId 000b8240d55c | GXP1405
Grandstream Model HW GXP1628 SW 1.0.4.138 DevId c074ad2bd859 | GXP1628
Grandstream Model HW GXP2135 SW 1.0.7.97 DevId 000b828aa872 | GXP2135
Grandstream Model HW GXP2200 V2.2A SW 1.0.1.33 DevId 000b82462d97 | GXP2200
Grandstream Model HW GXV3240 V1.6B SW 1.0.1.27 DevId 000b82632815 | GXV3240
Grandstream Model HW GXV3350  V1.3A SW 1.0.1.8 DevId c074ad150b88 | GXV3350
Grandstream Model HW GRP2614 SW 1.0.5.15 DevId c074ad0b63ee | GRP2614
Grandstream Model HW GRP2616 SW 1.0.13.59 DevId ec74d7800474 | GRP2616
Grandstream Model HW GRP2601W SW 1.0.7.32 DevId EC:74:D7:89:1A:76 | GRP2601W
Grandstream Model HW GHP621W SW 1.0.1.37 DevId 000b82c12345 | GHP621W
Grandstream Model HW HT801 V1.1A SW 1.0.17.5 DevId c074ad273a10 | HT801
Grandstream Model HW HT802V2 V1.0A SW 1.0.5.4 DevId ec74d763e419 | HT802V2
Grandstream GXP2000 (gxp2000e.bin:1.2.5.3/boot55e.bin:1.1.6.9) DevId 000b822726c8 | GXP2000
"""


def table(text: str) -> list[tuple[str, str]]:
    return [tuple(line.split(" | ")) for line in text.strip().splitlines()]  # type: ignore[misc]


@pytest.mark.parametrize(("rest", "model", "version", "mac", "stage"), POLYCOM)
def test_polycom_agents(rest: str, model: str, version: str, mac: str, stage: str) -> None:
    assert of_agent(f"FileTransport {rest}") == Identity("polycom", model, version, mac, stage, "phone")


@pytest.mark.parametrize(("agent", "model"), table(YEALINK))
def test_yealink_agents(agent: str, model: str) -> None:
    *_, version, mac = agent.split()
    expected = Identity("yealink", model, version, mac.replace(":", ""), "", "phone")
    assert of_agent(agent) == expected


@pytest.mark.parametrize(("agent", "model"), table(GRANDSTREAM))
def test_grandstream_agents(agent: str, model: str) -> None:
    mac = agent.split()[-1].replace(":", "").lower()
    found = of_agent(agent)
    assert (found.vendor, found.model, found.mac, found.agent) == ("grandstream", model, mac, "phone")
    assert found.version in agent


SIP = """
PolycomVVX-VVX_310-UA/5.3.0.12768 | polycom | VVX 310 | 5.3.0.12768 |
PolycomVVX-VVX_310-UA/4.1.4.7430_0004f2abcdef | polycom | VVX 310 | 4.1.4.7430 | 0004f2abcdef
Polycom/5.5.2.8571 PolycomVVX-VVX_310-UA/5.5.2.8571 | polycom | VVX 310 | 5.5.2.8571 |
PolycomRealPresenceTrio-Trio_8800-UA/5.4.3.2007 | polycom | Trio 8800 | 5.4.3.2007 |
Yealink SIP-T53W 96.87.0.16 80:5e:0c:4d:79:6d | yealink | T53W | 96.87.0.16 | 805e0c4d796d
Yealink SIP-T46S 66.85.0.5 | yealink | T46S | 66.85.0.5 |
Yealink CP960 73.83.0.30 | yealink | CP960 | 73.83.0.30 |
Yealink W60B 77.81.0.35 | yealink | W60B | 77.81.0.35 |
Yealink AX83H 180.87.0.10 | yealink | AX83H | 180.87.0.10 |
Grandstream GRP2612W 1.0.5.67 | grandstream | GRP2612W | 1.0.5.67 |
Grandstream GXV3275 1.0.3.226 | grandstream | GXV3275 | 1.0.3.226 |
Grandstream HT-502  V1.2A 1.0.10.1 chip V2.2 | grandstream | HT-502 | 1.0.10.1 |
Grandstream DP750 1.0.3.30 | grandstream | DP750 | 1.0.3.30 |
Grandstream WP820 1.0.7.81 | grandstream | WP820 | 1.0.7.81 |
Grandstream GAC2500 1.0.3.21 | grandstream | GAC2500 | 1.0.3.21 |
Grandstream GXP2000 1.1.6.16 | grandstream | GXP2000 | 1.1.6.16 |
"""


@pytest.mark.parametrize("row", SIP.strip().splitlines())
def test_agents_in_sip(row: str) -> None:
    agent, vendor, model, version, mac = (part.strip() for part in row.split("|"))
    assert of_agent(agent) == Identity(vendor, model, version, mac, "", "phone")


@given(st.binary(max_size=400))
@example(b"PolycomVVX-" + b"a" * 240 + b"!")
@example(b"Yealink " + b"1." * 120)
@example(b"Grandstream Model HW " + b"a " * 110)
def test_any_bytes_are_an_agent(junk: bytes) -> None:
    assert of_agent(junk.decode("latin-1")).agent in ("phone", "none", "other")


def test_a_hardware_id_is_not_a_mac() -> None:
    found = of_agent("Yealink-T46G 28.71.0.81 28.1.0.128.0.0.0")
    assert found == Identity("yealink", "T46G", "28.71.0.81", "", "", "phone")


@pytest.mark.parametrize(
    "agent",
    ["curl/7.88.1", "Mozilla/5.0 (X11; Linux x86_64)", "FileTransport Polycom", "Yealink", "x" * 5000],
)
def test_other_agents_are_no_phones(agent: str) -> None:
    assert of_agent(agent) == Identity(agent="other")


T46S = "Yealink SIP-T46S 66.85.0.5 00:15:65:00:01:02"
VVX = "FileTransport PolycomVVX-VVX_411-UA/5.9.6.2327 Type/Application"
GXP = "Grandstream Model HW GXP2170 SW 1.0.11.64 DevId 000b82000103"


@pytest.mark.parametrize(
    ("path", "agent", "mac"),
    [
        ("/001565000102.cfg", T46S, "001565000102"),
        ("/y000000000066.cfg", T46S, "001565000102"),
        ("/0004f2000101.cfg", VVX, "0004f2000101"),
        ("/waiting.cfg", VVX, ""),
        ("/CFG000B82000103.XML", GXP, "000b82000103"),
        ("/nothing", GXP, "000b82000103"),
    ],
)
def test_path_and_agent_together(path: str, agent: str, mac: str) -> None:
    found = identify(path, agent)
    assert isinstance(found, Identity)
    assert found == of_agent(agent)._replace(mac=mac)


@pytest.mark.parametrize(
    ("path", "agent", "rule"),
    [
        ("/001565000109.cfg", T46S, "mac-mismatch"),
        ("/cfg000b82000109.xml", GXP, "mac-mismatch"),
        ("/0004f2000109.cfg", VVX.replace(" Type", " (SN:0004f2000101) Type"), "mac-mismatch"),
        ("/000b82000103.cfg", GXP, "not-this-makers-file"),
        ("/cfg000b82000103.xml", VVX, "not-this-makers-file"),
        ("/0004f2000101-line.cfg", T46S.replace("00:15:65:00:01:02", ""), "not-this-makers-file"),
        ("/y000000000066.cfg", VVX, "not-this-makers-file"),
    ],
)
def test_contradictions(path: str, agent: str, rule: str) -> None:
    found = identify(path, agent)
    assert isinstance(found, Contradiction)
    assert found.rule == rule


@pytest.mark.parametrize(
    ("path", "vendor"),
    [
        ("/0004f2000101.cfg", "polycom"),
        ("/805e0c000102.cfg", "yealink"),
        ("/aabbcc000102.cfg", ""),
        ("/waiting.cfg", "polycom"),
        ("/cfgaabbcc000103.xml", "grandstream"),
    ],
)
def test_without_an_agent_the_file_and_the_prefix_tell_the_maker(path: str, vendor: str) -> None:
    found = identify(path, "")
    assert isinstance(found, Identity)
    assert (found.vendor, found.agent) == (vendor, "none")


@pytest.mark.parametrize("text", ["00:15:65:00:01:02", "00-15-65-00-01-02", "0015.6500.0102", "001565000102"])
def test_spellings_of_a_mac(text: str) -> None:
    assert normal_mac(text.upper()) == "001565000102"
    assert vendor_of_mac("001565000102") == "yealink"


@pytest.mark.parametrize(
    "text", ["", "00156500010", "0015650001021", "00156500010g", "00:00:00:00:00:00", "f" * 12]
)
def test_what_is_no_mac(text: str) -> None:
    assert normal_mac(text) is None
