"""Asks for files from inside a namespace: HOST:PORT as argument, a list of requests (JSON) as input.

A request: `path`, `agent`, `authorization`, `method`; `user` and `password`: it answers a digest challenge; `tftp`: the
port, in place of HTTP. Printed: a list of `status` (0: TFTP error, 200: TFTP data) and `body`.
"""

import hashlib
import http.client
import json
import re
import socket
import sys


def digest(challenge: str, user: str, password: str, method: str, path: str) -> str:
    """An answer to an MD5 challenge with qop=auth (RFC 7616)."""
    given = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    digested = [
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for text in (f"{user}:{given['realm']}:{password}", f"{method}:{path}")
    ]
    text = f"{digested[0]}:{given['nonce']}:00000001:abc:auth:{digested[1]}"
    response = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return (
        f'Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{path}", qop=auth, '
        f'nc=00000001, cnonce="abc", response="{response}"'
    )


def fetch(connection: http.client.HTTPConnection, ask: dict[str, str]) -> dict[str, object]:
    method, path = ask.get("method", "GET"), ask["path"]
    headers = {"User-Agent": ask.get("agent", "")}
    if "authorization" in ask:
        headers["Authorization"] = ask["authorization"]
    for _ in range(2):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode("latin-1")
        challenges = answer.headers.get_all("WWW-Authenticate") or []
        if answer.status != 401 or "user" not in ask or "Authorization" in headers:
            break
        headers["Authorization"] = digest(challenges[0], ask["user"], ask["password"], method, path)
    return {"status": answer.status, "body": body, "challenges": challenges}


def transfer(host: str, port: int, path: str) -> dict[str, object]:
    """The first block of a file over TFTP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"\0\1" + path.encode() + b"\0octet\0", (host, port))
        data = sock.recv(2048)
    return {"status": 200 if data[:2] == b"\0\3" else 0, "body": data[4:].decode("latin-1")}


def main() -> None:
    host, _, port = sys.argv[1].partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    answers = [
        transfer(host, int(ask["tftp"]), ask["path"]) if "tftp" in ask else fetch(connection, ask)
        for ask in json.load(sys.stdin)
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
