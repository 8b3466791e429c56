"""Digest authentication, both sides (RFC 2617, RFC 7616, RFC 3261 22)."""

from __future__ import annotations

import pytest

from provisioner.sip.digest import (
    MAX_NONCES,
    NONCE_SECONDS,
    Account,
    Authenticator,
    Verdict,
    _hash,
    answer,
    parse_credentials,
)
from tests.sip.lone import Lone
from tests.sip.lone import answer as respond
from tests.sip.pair import Clock

CNONCE_2617 = "0a4f113b"
CHALLENGE_2617 = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
CHALLENGE_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("challenge", "password", "cnonce", "response"),
    [
        (CHALLENGE_2617, "Circle Of Life", CNONCE_2617, "6629fae49393a05397450978507c4ef1"),
        (CHALLENGE_7616.format("MD5"), "Circle of Life", CNONCE_7616, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            CHALLENGE_7616.format("SHA-256"),
            "Circle of Life",
            CNONCE_7616,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
)
def test_known_vectors(challenge: str, password: str, cnonce: str, response: str) -> None:
    """The examples of RFC 2617 3.5 and RFC 7616 3.9.1."""
    value = answer(challenge, "Mufasa", password, "GET", "/dir/index.html", cnonce)
    given, asked = parse_credentials(value), parse_credentials(challenge)
    assert given["response"] == response
    assert (given["opaque"], given["nc"], given["qop"]) == (asked["opaque"], "00000001", "auth")


@pytest.mark.parametrize(
    "challenge",
    [
        "Basic realm=x",
        'Digest realm="r"',
        'Digest realm="r", nonce="n", algorithm=SHA-512-256',
        'Digest realm="r", nonce="n", algorithm=MD5-sess',
        'Digest realm="r", nonce="n", qop="auth-int"',
        "",
    ],
)
def test_challenges_that_we_cannot_answer(challenge: str) -> None:
    assert answer(challenge, "u", "p", "REGISTER", "sip:h", "c") is None


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ('Digest username="a,b;c=d", uri="sip:x;y=z"', "username", "a,b;c=d"),
        ('Digest username="a,b;c=d", uri="sip:x;y=z"', "uri", "sip:x;y=z"),
        (r'DIGEST username="a\"b"', "username", 'a"b'),
        ('Digest\tnc=00000001,qop="auth"', "qop", "auth"),
        ("Digest nc = 00000001 , qop=auth", "nc", "00000001"),
        ("Basic abc=", "abc", None),
    ],
)
def test_parameters(value: str, name: str, expected: str | None) -> None:
    assert parse_credentials(value).get(name) == expected


def test_quotes_in_a_realm_are_escaped() -> None:
    value = answer(r'Digest realm="a\"b", nonce="n"', "u", "p", "BYE", "sip:h", "c")
    assert parse_credentials(value)["realm"] == 'a"b'


# server


class Server:
    def __init__(self, *algorithms: str) -> None:
        self.clock = Clock()
        self.server = Authenticator("r", b"secret", self.clock, algorithms or ("MD5",))
        self.challenge = self.server.challenges("10.0.0.2")[-1]

    def check(self, value: str, source: str = "10.0.0.2", method: str = "REGISTER") -> str:
        return self.server.check(value, method, source, {"u": "p", "empty": ""}.get).outcome

    def answer(self, user: str = "u", password: str = "p", count: int = 1, method: str = "REGISTER") -> str:
        return answer(self.challenge, user, password, method, "sip:r", "c", count)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_right_answer(algorithm: str) -> None:
    server = Server(algorithm)
    assert server.server.check(server.answer(), "REGISTER", "10.0.0.2", {"u": "p"}.get) == Verdict("ok", "u")


def test_a01_strongest_first() -> None:
    server = Authenticator("r", b"s", Clock(), ("SHA-256", "MD5"))
    assert ["SHA-256" in challenge for challenge in server.challenges("h")] == [True, False]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"password": "x"}, "wrong"),
        ({"password": ""}, "wrong"),
        ({"user": "nobody"}, "wrong"),
        ({"user": "nobody", "password": ""}, "wrong"),
        ({"user": "empty", "password": ""}, "ok"),
        ({"method": "INVITE"}, "wrong"),
        ({"user": ""}, "none"),
    ],
)
def test_wrong_answers(change: dict, outcome: str) -> None:
    server = Server()
    assert server.check(server.answer(**change)) == outcome


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ('realm="r"', 'realm="x"', "none"),
        ("algorithm=MD5", "algorithm=SHA-256", "none"),
        ("algorithm=MD5, ", "", "ok"),
        ("algorithm=MD5", 'algorithm="md5"', "ok"),
        ("nc=00000001", 'nc="00000001"', "ok"),
        ("qop=auth", 'qop="auth"', "ok"),
        ("nc=00000001", "nc=1", "wrong"),
        ("Digest ", "Basic ", "none"),
        ('uri="sip:r"', 'uri="sip:x"', "wrong"),
    ],
)
def test_a02_how_clients_write_it(old: str, new: str, outcome: str) -> None:
    server = Server()
    assert server.check(server.answer().replace(old, new)) == outcome


@pytest.mark.parametrize(("age", "outcome"), [(0, "ok"), (NONCE_SECONDS, "ok"), (NONCE_SECONDS + 1, "stale")])
def test_a03_age(age: float, outcome: str) -> None:
    server = Server()
    server.clock.now += age
    assert server.check(server.answer()) == outcome


def test_a03_a_nonce_of_another_source_or_secret_is_stale() -> None:
    server = Server()
    assert server.check(server.answer(), source="10.0.0.3") == "stale"
    server.challenge = Authenticator("r", b"other", server.clock).challenges("10.0.0.2")[0]
    assert server.check(server.answer()) == "stale"
    server.challenge = 'Digest realm="r", nonce="zz", qop="auth"'
    assert server.check(server.answer()) == "stale"
    assert "stale=true" in server.server.challenges("10.0.0.2", stale=True)[0]
    assert "stale" not in server.server.challenges("10.0.0.2")[0]


def test_a03_counts_may_skip_but_not_repeat() -> None:
    server = Server()
    outcomes = [server.check(server.answer(count=count)) for count in (1, 2, 2, 1, 7, 6, 8)]
    assert outcomes == ["ok", "ok", "stale", "stale", "ok", "stale", "ok"]


def test_a03_without_qop_a_nonce_is_good_for_once() -> None:
    server = Server()
    server.challenge = server.challenge.replace(', qop="auth"', "")
    assert [server.check(server.answer()) for _ in range(2)] == ["ok", "stale"]


def test_a_count_that_is_no_number() -> None:
    server = Server()
    value = answer(server.challenge, "u", "p", "REGISTER", "sip:r", "c", 1)
    params = parse_credentials(value)
    ha1, ha2 = _hash("MD5", "u", "r", "p"), _hash("MD5", "REGISTER", "sip:r")
    forged = _hash("MD5", ha1, params["nonce"], "xyz", "c", "auth", ha2)
    value = value.replace("00000001", "xyz").replace(params["response"], forged)
    assert server.check(value) == "stale"


def test_two_challenges_at_once_do_not_share_a_nonce() -> None:
    server = Server()
    first, second = server.challenge, server.server.challenges("10.0.0.2")[0]
    outcomes = []
    for server.challenge in (first, second):
        outcomes.append(server.check(server.answer()))
    assert outcomes == ["ok", "ok"]


def test_counts_are_kept_for_a_limited_number_of_nonces() -> None:
    server = Server()
    for _ in range(MAX_NONCES + 5):
        server.challenge = server.server.challenges("10.0.0.2")[0]
        assert server.check(server.answer()) == "ok"
    assert len(server.server._counts) == MAX_NONCES


# the agent as client


def challenged(status: int, *challenges: str, credentials=lambda realm: ("u", "p")) -> Lone:
    lone = Lone()
    lone.call(credentials=credentials)
    name = "www-authenticate" if status == 401 else "proxy-authenticate"
    lone.hear(respond(lone.last(), status, "x", b"", *((name, each) for each in challenges)))
    return lone


@pytest.mark.parametrize(("status", "name"), [(401, "authorization"), (407, "proxy-authorization")])
def test_a09_the_request_goes_again(status: int, name: str) -> None:
    lone = challenged(status, 'Digest realm="r", nonce="n", qop="auth"')
    first, second = (lone.sent[at][1] for at in (0, 2))
    assert lone.lines()[1].startswith("ACK")
    again = lone.last("INVITE")
    assert again.cseq == (2, "INVITE")
    assert parse_credentials(again.get(name))["username"] == "u"
    for kept in (b"Call-ID: ", b"From: "):
        line = next(line for line in first.split(b"\r\n") if line.startswith(kept))
        assert line in second
    assert first.split(b"branch=")[1][:20] != second.split(b"branch=")[1][:20]


def test_t05_the_ack_of_a_2xx_carries_the_credentials() -> None:
    lone = challenged(407, 'Digest realm="r", nonce="n"')
    lone.hear(respond(lone.last("INVITE"), 200, "far", b""))
    ack = lone.last("ACK")
    assert ack.cseq == (2, "ACK")
    assert ack.get("proxy-authorization") == lone.last("INVITE").get("proxy-authorization")


def test_a08_the_first_challenge_that_we_know() -> None:
    challenges = (
        f'Digest realm="r", nonce="n", algorithm={name}' for name in ("SHA-512-256", "SHA-256", "MD5")
    )
    lone = challenged(401, *challenges)
    assert "algorithm=SHA-256" in lone.last("INVITE").get("authorization")


def test_a08_new_nonces_are_answered_three_times() -> None:
    lone = challenged(401, 'Digest realm="r", nonce="0"')
    for nonce in "1234":
        invite = lone.last("INVITE")
        lone.hear(respond(invite, 401, "x", b"", ("www-authenticate", f'Digest realm="r", nonce="{nonce}"')))
    assert len(lone.instants("INVITE")) == 4
    assert [event.status for event in lone.party.events] == [401]


def test_a08_the_same_nonce_again_means_a_wrong_password() -> None:
    lone = challenged(401, 'Digest realm="r", nonce="0"')
    lone.hear(
        respond(lone.last("INVITE"), 401, "x", b"", ("www-authenticate", 'Digest realm="r", nonce="0"'))
    )
    assert len(lone.instants("INVITE")) == 2
    assert [event.status for event in lone.party.events] == [401]


@pytest.mark.parametrize("credentials", [None, lambda realm: ("u", "p") if realm == "other" else None])
def test_without_credentials_the_challenge_is_the_answer(credentials) -> None:
    lone = challenged(401, 'Digest realm="r", nonce="0"', credentials=credentials)
    assert [event.status for event in lone.party.events] == [401]


def accounted(lone: Lone, account: Account, *headers: tuple[str, str]) -> str:
    """A call with an account, answered; the Authorization that it began with."""
    lone.call(credentials=account)
    begun = lone.last("INVITE").get("authorization")
    lone.hear(respond(lone.last("INVITE"), 404, "x", b"", *headers))
    return begun


def test_a08_a_nonce_is_used_again_with_the_next_count() -> None:
    lone, account = Lone(), Account("u", "p")
    lone.call(credentials=account)
    challenge = ("www-authenticate", 'Digest realm="r", nonce="n", qop="auth"')
    lone.hear(respond(lone.last("INVITE"), 401, "x", b"", challenge))
    assert "nc=00000001" in lone.last("INVITE").get("authorization")
    lone.hear(respond(lone.last("INVITE"), 404, "x", b""))
    counts = [parse_credentials(accounted(lone, account)).get("nc") for _ in range(2)]
    assert counts == ["00000002", "00000003"]


def test_a08_a_nonce_that_went_stale_is_replaced() -> None:
    lone, account = Lone(), Account("u", "p")
    account.challenges.take("authorization", ['Digest realm="r", nonce="old", qop="auth"'], set())
    lone.call(credentials=account)
    challenge = ("www-authenticate", 'Digest realm="r", nonce="new", qop="auth", stale=true')
    lone.hear(respond(lone.last("INVITE"), 401, "x", b"", challenge))
    (answer,) = lone.last("INVITE").all("authorization")
    assert (parse_credentials(answer)["nonce"], parse_credentials(answer)["nc"]) == ("new", "00000001")


def test_a08_a_nonce_from_before_that_is_refused_means_a_wrong_password() -> None:
    lone, account = Lone(), Account("u", "p")
    account.challenges.take("authorization", ['Digest realm="r", nonce="n"'], set())
    lone.call(credentials=account)
    lone.hear(
        respond(lone.last("INVITE"), 401, "x", b"", ("www-authenticate", 'Digest realm="r", nonce="n"'))
    )
    assert len(lone.instants("INVITE")) == 1
    assert [event.status for event in lone.party.events] == [401]


def test_a08_next_nonce() -> None:
    account = Account("u", "p")
    account.challenges.take("authorization", ['Digest realm="r", qop="auth", nonce="n"'], set())
    account.challenges.authorize(account, "INVITE", "sip:x", "c")
    account.challenges.next_nonce('nextnonce="fresh", qop=auth')
    ((_, value),) = account.challenges.authorize(account, "INVITE", "sip:x", "c")
    assert (parse_credentials(value)["nonce"], parse_credentials(value)["nc"]) == ("fresh", "00000001")


def test_a08_several_realms_are_answered_at_once() -> None:
    challenges = ['Digest realm="a", nonce="1"', 'Digest realm="b", nonce="2", algorithm=SHA-256']
    lone = challenged(407, *challenges)
    values = [parse_credentials(value) for value in lone.last("INVITE").all("proxy-authorization")]
    assert [(value["realm"], value["algorithm"]) for value in values] == [("a", "MD5"), ("b", "SHA-256")]


def test_an_account_for_one_realm_tells_no_other() -> None:
    account = Account("u", "p", "mine")
    assert account("mine") == ("u", "p")
    assert account("yours") is None
