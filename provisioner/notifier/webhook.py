"""One notice as an HTTP POST of JSON, signed (HMAC-SHA256, RFC 2104). Blocks."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from provisioner.notifier.mail import NotDelivered

SECONDS = 10.0  # for each answer of the server


def signature(key: str, at: int, body: bytes) -> str:
    """`t=<at>,v1=<hex>`: HMAC-SHA256 with `key` over the time (seconds since 1970), a dot and the body."""
    digest = hmac.new(key.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def send(
    row: Mapping[str, Any],
    key: str,
    now: float,
    context: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> None:
    """Deliver; any 2xx is a receipt, a redirect is not followed. Raises NotDelivered."""
    facts = dict(row["body"])
    url = urlsplit(facts.pop("to"))
    body = msgspec.json.encode({"id": row["id"], **facts})
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Provisioner",
        "X-Provisioner-Notice": row["id"],
    }
    if key:
        headers["X-Provisioner-Signature"] = signature(key, int(now), body)
    host, port = url.hostname or "", url.port
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        trust = context or ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=trust)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except ssl.SSLError as error:
        raise NotDelivered(f"the server's certificate or TLS is no good ({error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotDelivered(f"the server cannot be reached ({type(error).__name__})") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"the server answered {status}")
