"""Phones of other makes register with what the appliance's files say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.sipp import register
from tests.peers.wait import until

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    needs("sipp", "baresip")
    with Appliance(tmp_path_factory.mktemp("registration")) as appliance:
        yield appliance


@pytest.mark.parametrize("extension", DEMO)
def test_file_names_the_account(appliance: Appliance, extension: str) -> None:
    account = appliance.account(DEMO[extension])
    assert (account.user, account.server, account.port) == (extension, appliance.host, appliance.port)


@pytest.mark.parametrize("extension", DEMO)
def test_sipp_registers(appliance: Appliance, extension: str, tmp_path: Path) -> None:
    host = appliance.new_host()
    register(tmp_path, appliance, appliance.account(DEMO[extension]), host)
    assert appliance.registered(host) == [extension]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("extension", DEMO)
def test_baresip_registers(appliance: Appliance, extension: str, transport: str, tmp_path: Path) -> None:
    account = appliance.account(DEMO[extension])
    with Baresip(tmp_path / "phone", account, appliance.new_host(), transport=transport) as phone:
        phone.registered()
        assert appliance.registered(phone.host) == [extension]


def test_wrong_password_is_refused_to_sipp(appliance: Appliance, tmp_path: Path) -> None:
    host = appliance.new_host()
    account = replace(appliance.account(DEMO["101"]), password="wrong")
    register(tmp_path, appliance, account, host, status="401")
    assert appliance.registered(host) == []


def test_wrong_password_is_refused_to_baresip(appliance: Appliance, tmp_path: Path) -> None:
    """It tries again with each new nonce, as often as it is asked, until nobody listens to this user there."""
    account = replace(appliance.account(DEMO["102"]), password="wrong")
    before = appliance.count("dropped-pair")
    with Baresip(tmp_path / "phone", account, appliance.new_host()) as phone:
        until(lambda: appliance.count("dropped-pair") > before, "the edge stops listening")
        assert appliance.registered(phone.host) == []
