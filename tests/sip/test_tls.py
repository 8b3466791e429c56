"""TLS towards a core and from phones: names by RFC 5922, reasons in one line, real handshakes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioner import certificates
from provisioner.errors import OperatorError
from provisioner.sip import tls
from provisioner.sip.headers import Via
from provisioner.sip.message import Request, Stream
from provisioner.sip.session import Failed
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import SipTransport
from tests.sip.authority import Authority
from tests.sip.lone import request
from tests.sip.test_transport import ANYONE, HOST, Station, _both_loops, _loop  # noqa: F401

DOMAIN = "core.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("names", "cn", "domain", "wildcards", "good"),
    [
        (["sip:core.example"], "x", DOMAIN, False, True),
        (["sip:CORE.example"], "x", "Core.Example.", False, True),
        (["core.example"], "x", DOMAIN, False, True),
        (["other.example", "core.example"], "x", DOMAIN, False, True),
        (["sip:other.example", "core.example"], "x", DOMAIN, False, False),  # a SIP URI beats DNS names
        (["sips:core.example"], "x", DOMAIN, False, False),
        (["sip:user@core.example"], "x", DOMAIN, False, False),
        (["https:core.example", "core.example"], "x", DOMAIN, False, True),
        (["sub.core.example"], "x", DOMAIN, False, False),
        (["core.example"], "x", "sub.core.example", False, False),
        (["*.core.example"], "x", "a.core.example", False, False),
        (["*.core.example"], "x", "a.core.example", True, True),
        (["*.core.example"], "x", "a.b.core.example", True, False),
        (["*.core.example"], "x", DOMAIN, True, False),
        (["*.example"], "x", DOMAIN, True, False),  # not for all of a top level
        (None, "core.example", DOMAIN, False, True),
        (None, "other.example", DOMAIN, False, False),
        (["other.example"], "core.example", DOMAIN, False, False),  # CN counts only without any SAN
        (["192.0.2.1"], "x", "192.0.2.1", False, True),
        (["2001:db8::1"], "x", "2001:DB8:0::1", False, True),
        (["192.0.2.1"], "x", "192.0.2.2", False, False),
        (["core.example"], "x", "192.0.2.1", False, False),
    ],
)
def test_h06_whom_a_certificate_is_good_for(
    authority: Authority, names: list[str] | None, cn: str, domain: str, wildcards: bool, good: bool
) -> None:
    certificate, _ = authority.issue(names, cn)
    assert (tls.refusal(certificate, domain, wildcards) == "") is good


def test_a_refusal_says_both_names(authority: Authority) -> None:
    certificate, _ = authority.issue(["b.example", "a.example"])
    said = "the certificate is for a.example, b.example, not for core.example"
    assert tls.refusal(certificate, DOMAIN) == said
    certificate, _ = authority.issue(["sip:u@core.example"])
    assert tls.refusal(certificate, DOMAIN) == "the certificate is for nobody, not for core.example"


def test_authorities_that_are_none() -> None:
    with pytest.raises(OperatorError, match="no PEM certificates"):
        tls.client_context("nonsense")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (ConnectionResetError(), "the connection was broken off"),
        (ssl.SSLError(1, "x"), "the TLS handshake failed: broken off"),
    ],
)
def test_failures_in_words(error: OSError, said: str) -> None:
    assert tls.words(error) == said


class Core(Station):
    """A core that listens for TLS, and keeps the requests that it got."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def on_request(self, transaction: ServerTransaction) -> None:
        self.requests.append(transaction.request)
        transaction.reply(200)


def played(
    authority: Authority,
    server: ssl.SSLContext,
    scene: Callable[[Station, Core], Coroutine],
    **policy: object,
) -> None:
    """A scene between an edge that trusts `authority` for DOMAIN, and a core with the server context."""

    async def play() -> None:
        left: list[dict] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: left.append(context))
        edge, core = await Station().open(), Core()
        await core.open()
        await core.transport.open_tls(0, server)
        edge.transport.policies[DOMAIN] = tls.Policy(tls.client_context(authority.pem), **policy)
        async with asyncio.timeout(20):
            await scene(edge, core)
        for station in (edge, core):
            station.transport.close()
        await asyncio.sleep(0)
        assert left == []

    with asyncio.Runner(loop_factory=_loop[0]) as runner:
        runner.run(play())


async def ask(edge: Station, core: Core) -> int:
    """OPTIONS over TLS; the status, 0 when it could not be delivered."""
    answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    flow = edge.agent.connect("TLS", (HOST, core.transport.tls_port), DOMAIN)
    message = edge.agent.new_request("OPTIONS", f"sip:{DOMAIN}", ANYONE, ANYONE, [])
    edge.agent.request(
        message, flow, lambda response: answered.set_result(response.status if response else 0)
    )
    return await answered


def test_h06_a_call_over_tls_and_back_over_the_same_connection(authority: Authority) -> None:
    _, server = authority.issue([f"sip:{DOMAIN}"])

    async def scene(edge: Station, core: Core) -> None:
        flow = edge.agent.connect("TLS", (HOST, core.transport.tls_port), DOMAIN)
        uri = f"sip:x@{DOMAIN};transport=tls"
        edge.agent.invite(uri, flow, ANYONE, ANYONE, edge.media.offer(), edge.listen, pinned=False)
        assert [await edge.next() for _ in range(2)] == ["Progress", "Answered"]
        assert await core.next() == "Confirmed"
        invite = core.sessions[0].invite
        via = Via.parse(invite.get("via"))
        assert (via.transport, "alias" in via.params) == ("TLS", True)
        assert ";transport=tls>" in invite.get("contact")
        core.sessions[0].hangup()
        assert await edge.next() == "Ended"
        assert (len(edge.transport._connections), len(core.transport._connections)) == (1, 1)

    played(authority, server, scene)


def test_t12_a_connection_is_used_again_for_the_same_domain_only(authority: Authority) -> None:
    _, server = authority.issue([DOMAIN])

    async def scene(edge: Station, core: Core) -> None:
        assert [await ask(edge, core) for _ in range(3)] == [200, 200, 200]
        assert len(core.transport._connections) == 1
        remote = (HOST, core.transport.tls_port)
        assert edge.agent.connect("TLS", remote, DOMAIN).connection == 1
        assert edge.agent.connect("TLS", remote, "other.example").connection == 2

    played(authority, server, scene)


@pytest.mark.parametrize(
    ("names", "dates", "said"),
    [
        (["other.example"], (-1, 60), f"({DOMAIN}): the certificate is for other.example, not for {DOMAIN}"),
        ([DOMAIN], (-9, -1), "the certificate is refused: certificate has expired"),
        (
            [DOMAIN],
            (1, 9),
            "the certificate is refused: certificate is not yet valid (or the clock of this machine is wrong)",
        ),
    ],
)
def test_h06_a_bad_certificate_is_refused_in_one_line(
    authority: Authority, names: list[str], dates: tuple, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, server = authority.issue(names, begins=dates[0], ends=dates[1])

    async def scene(edge: Station, core: Core) -> None:
        assert [await ask(edge, core) for _ in range(2)] == [0, 0]
        assert core.requests == []  # not a byte of a request gets out
        assert edge.transport.problems[HOST, core.transport.tls_port] in said

    played(authority, server, scene)
    (line,) = [record.getMessage() for record in caplog.records if record.name.endswith("transport")]
    assert said in line
    assert line.startswith(f"no TLS to {HOST}:")


def test_h06_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    _, server = Authority(tmp_path).issue([DOMAIN])

    async def scene(edge: Station, core: Core) -> None:
        assert await ask(edge, core) == 0

    played(authority, server, scene)


def test_h06_wildcards_by_policy_only(authority: Authority) -> None:
    _, server = authority.issue(["*.core.example"])

    async def scene(edge: Station, core: Core) -> None:
        edge.transport.policies["a.core.example"] = edge.transport.policies[DOMAIN]
        flow = edge.agent.connect("TLS", (HOST, core.transport.tls_port), "a.core.example")
        message = edge.agent.new_request("OPTIONS", f"sip:{DOMAIN}", ANYONE, ANYONE, [])
        answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        edge.agent.request(message, flow, answered.set_result)
        assert await answered

    played(authority, server, scene, wildcards=True)


def test_h06_a_certificate_that_ends_soon_is_told(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    _, server = authority.issue([DOMAIN], ends=20.5)

    async def scene(edge: Station, core: Core) -> None:
        assert await ask(edge, core) == 200

    played(authority, server, scene)
    assert f"the certificate of {DOMAIN} ends in 20 days" in caplog.text


def test_nothing_older_than_tls_1_2(authority: Authority) -> None:
    _, server = authority.issue([DOMAIN])
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        server.maximum_version = ssl.TLSVersion.TLSv1_1
    server.set_ciphers("ALL:@SECLEVEL=0")

    async def scene(edge: Station, core: Core) -> None:
        assert await ask(edge, core) == 0

    with pytest.warns(DeprecationWarning, match="TLSv1"):
        server.minimum_version = ssl.TLSVersion.TLSv1
    played(authority, server, scene)


def test_a_server_that_speaks_no_tls(authority: Authority) -> None:
    _, server = authority.issue([DOMAIN])

    async def scene(edge: Station, core: Core) -> None:
        flow = edge.agent.connect("TLS", (HOST, core.port), DOMAIN)
        edge.agent.invite(f"sip:x@{DOMAIN}", flow, ANYONE, ANYONE, b"", edge.listen)
        assert await edge.events.get() == Failed(503, "Not delivered")

    played(authority, server, scene)


def test_a_phone_over_tls_with_the_appliances_own_certificate(tmp_path: Path) -> None:
    """The certificate is the local authority's; a lost connection is told, for its bindings."""

    async def play() -> None:
        station = await Station().open()
        gone = asyncio.Event()
        station.transport._on_lost = lambda flow: (station.lost.append(flow), gone.set())
        port = await station.transport.open_tls(0, certificates.context(tmp_path, [HOST], file="sip.pem"))
        client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        reader, writer = await asyncio.open_connection(HOST, port, ssl=client)
        writer.write(request("OPTIONS", transport="TLS"))
        stream = Stream()
        answers: list = []
        while not answers:
            answers = stream.feed(await reader.read(4096))
        assert answers[0].status == 200
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        writer.close()
        await gone.wait()
        assert [flow.transport for flow in station.lost] == ["TLS"]
        assert station.lost[0].local == (HOST, port)
        station.transport.close()

    asyncio.run(play())


def test_a_taken_tls_port_is_said_so(authority: Authority) -> None:
    _, server = authority.issue([DOMAIN])

    async def scene(edge: Station, core: Core) -> None:
        with pytest.raises(OperatorError, match="--sips-port"):
            await edge.transport.open_tls(core.transport.tls_port, server)

    played(authority, server, scene)


def test_two_processes_make_one_authority(tmp_path: Path) -> None:
    async def play() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(certificates.context, tmp_path, [], file=f"{n}.pem") for n in range(3))
        )

    asyncio.run(play())
    pems = [(tmp_path / f"{n}.pem").read_bytes() for n in range(3)]
    ca = (tmp_path / "ca.pem").read_bytes().split(b"-----END PRIVATE KEY-----\n")[1]
    assert all(pem.endswith(ca) for pem in pems)


def test_days_left(authority: Authority) -> None:
    certificate, _ = authority.issue([DOMAIN])
    assert tls.days_left(certificate, certificate.not_valid_after_utc - timedelta(days=3)) == 3
    assert tls.days_left(certificate, datetime.now(UTC) + timedelta(days=90)) < 0


def test_without_a_policy_the_systems_authorities_decide(authority: Authority) -> None:
    _, server = authority.issue(["elsewhere.example"])

    async def scene(edge: Station, core: Core) -> None:
        flow = edge.agent.connect("TLS", (HOST, core.transport.tls_port), "elsewhere.example")
        edge.agent.invite("sip:x@elsewhere.example", flow, ANYONE, ANYONE, b"", edge.listen)
        assert await edge.events.get() == Failed(503, "Not delivered")
        assert isinstance(edge.transport, SipTransport)

    played(authority, server, scene)
