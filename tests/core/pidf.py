"""Location documents for tests (RFC 4119, 5139)."""

from __future__ import annotations

from xml.sax.saxutils import escape

CIVIC = {
    "country": "US", "A1": "IL", "A3": "Springfield", "PRD": "N", "RD": "Main", "STS": "ST", "HNO": "521",
    "FLR": "2", "PC": "62701", "UNIT": "200", "ROOM": "Exam 3",
}  # fmt: skip


def pidf(civic: dict[str, str] = CIVIC, escaped: bool = True) -> bytes:
    """A PIDF-LO with a civic address."""
    text = "".join(
        f"<ca:{name}>{escape(value) if escaped else value}</ca:{name}>" for name, value in civic.items()
    )
    return f"""<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"
 entity="pres:101@practice.example"><dm:device id="d1"><gp:geopriv><gp:location-info>
 <ca:civicAddress>{text}</ca:civicAddress></gp:location-info><gp:usage-rules/></gp:geopriv></dm:device>
</presence>""".encode()


def multipart(sdp: bytes, locations: dict[str, bytes]) -> tuple[str, bytes]:
    """Content type and body of an INVITE with SDP and locations by Content-ID."""
    parts = [b"Content-Type: application/sdp\r\n\r\n" + sdp]
    for name, document in locations.items():
        head = f"Content-Type: application/pidf+xml\r\nContent-ID: <{name}>\r\n\r\n"
        parts.append(head.encode() + document)
    body = b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"
    return 'multipart/mixed; boundary="cut"', body
