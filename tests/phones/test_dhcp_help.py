"""What a DHCP server is to tell phones: the address, the options of each maker, the texts."""

from __future__ import annotations

import pytest

from provisioner.errors import UsageError
from provisioner.phones.boot import VENDORS
from provisioner.phones.dhcp_help import SERVERS, Server, makers, server, text, told
from provisioner.store.records import PhoneSettings, Practice, Snapshot

STATUS = {"phones": "http://192.0.2.10:8080", "tftp": "0.0.0.0:69"}
URL = "http://192.0.2.10:8080/"


def site(**values: str | int) -> Snapshot:
    return Snapshot(
        revision=1,
        practice=Practice(id="practice", name="", main_number=""),
        phone_settings={"site": PhoneSettings(id="site", values=dict(values))},
    )


@pytest.mark.parametrize(
    ("status", "values", "found"),
    [
        ({}, {}, Server(URL, "192.0.2.10")),
        ({"phones": "http://192.0.2.10:80"}, {}, Server("http://192.0.2.10/", "192.0.2.10")),
        ({"tftp": "192.0.2.10:6969"}, {}, Server(URL, "")),
        ({"phones": "http://[2001:db8::1]:80"}, {}, Server("http://[2001:db8::1]/", "")),
        ({}, {"provisioning_host": "phones.example.net"}, Server("http://phones.example.net:8080/", "")),
        ({}, {"provisioning_host": "[2001:db8::2]"}, Server("http://[2001:db8::2]:8080/", "")),
        ({}, {"provisioning_port": 80}, Server("http://192.0.2.10/", "192.0.2.10")),
        # That port is of HTTPS, which a phone from the factory cannot check.
        ({}, {"provisioning_port": 443, "provisioning_scheme": "https"}, Server(URL, "192.0.2.10")),
    ],
)
def test_where_phones_find_the_appliance(
    status: dict[str, str], values: dict[str, str | int], found: Server
) -> None:
    assert server({**STATUS, **status}, site(**values)) == found


def test_the_options_of_each_maker() -> None:
    found = {
        maker.name: {option.code: option.value for option in maker.options}
        for maker in makers(Server(URL, "192.0.2.10"))
    }
    assert found == {
        "polycom": {160: URL, 66: URL, 150: "192.0.2.10"},
        "yealink": {66: URL, 43: URL, 150: "192.0.2.10"},
        "grandstream": {66: URL, 160: URL, 150: "192.0.2.10"},
    }
    assert tuple(found) == VENDORS


def test_windows_is_told_by_mac_and_in_octets() -> None:
    lines = text("windows", Server(URL, "192.0.2.10")).splitlines()
    assert '-MacAddress EQ,"000B82*","C074AD*","EC74D7*"' in next(
        each for each in lines if 'Grandstream phones" -C' in each
    )
    octets = next(line for line in lines if "-OptionId 43" in line).rpartition(" ")[2]
    assert bytes(int(each, 16) for each in octets.split(",")).decode() == URL
    assert '-OptionId 150 -Value "192.0.2.10"' in lines[-1]


def test_the_firewalls_table() -> None:
    lines = text("pfsense", Server(URL, "192.0.2.10")).splitlines()
    assert f"66      Text                 {URL}" in lines
    assert "150     IP address or host   192.0.2.10" in lines
    hexed = next(line for line in lines if line.startswith("43")).split()[-1]
    assert bytes.fromhex(hexed.replace(":", "")).decode() == URL


@pytest.mark.parametrize("kind", SERVERS)
def test_option_150_is_left_out_where_it_would_lead_nowhere(kind: str) -> None:
    assert "150" in text(kind, Server(URL, "192.0.2.10"))
    assert "150" not in text(kind, Server("http://phones.example.net/", ""))


def test_all_of_it_and_an_unknown_kind() -> None:
    assert told(Server(URL, ""))["servers"].keys() == SERVERS.keys()
    with pytest.raises(UsageError, match="name one of dnsmasq"):
        text("odd", Server(URL, ""))
