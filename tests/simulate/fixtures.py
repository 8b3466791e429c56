"""Files as each maker's phone takes them, with the same account in all of them."""

from __future__ import annotations

import struct

POLYCOM, YEALINK, GRANDSTREAM = "0004f2000101", "001565000102", "000b82000103"

POLYCOM_FILES = {
    f"{POLYCOM}.cfg": b'<?xml version="1.0"?><APPLICATION APP_FILE_PATH="sip.ld" '
    b'CONFIG_FILES="[PHONE_MAC_ADDRESS]-line.cfg, site.cfg"/>',
    f"{POLYCOM}-line.cfg": b"""<phone><one reg.1.address="101" reg.1.displayName="Front desk"
        reg.1.auth.userId="u101" reg.1.auth.password="s3cret" reg.1.server.1.address="127.0.0.1"
        reg.1.server.1.port="5070" reg.1.server.1.transport="TCPOnly" reg.1.server.1.expires="300"
        prov.polling.period="7200"/></phone>""",
    "site.cfg": b"""<site dialplan.digitmap="911|10x" dialplan.impossibleMatchHandling="2"
        prov.polling.enabled="1" prov.polling.period="999" tone.dtmf.rfc2833Payload="101"
        dialplan.routing.server.1.address="127.0.0.1" dialplan.routing.server.1.port="5071"
        dialplan.routing.emergency.1.value="911, 933" dialplan.routing.emergency.1.server.1="1"
        device.set="1" device.prov.tagSerialNo="1" device.prov.tagSerialNo.set="1"
        device.prov.user="ignored"/>""",
}
YEALINK_FILES = {
    "y000000000066.cfg": b"""#!version:1.0.0.1
dialplan.digitmap.enable = 1
dialplan.digitmap.string = 911|10x
features.key_as_send = 0
static.auto_provision.repeat.enable = 1
static.auto_provision.repeat.minutes = 60
""",
    f"{YEALINK}.cfg": b"""#!version:1.0.0.1
# line one
account.1.enable = 1
account.1.display_name = Nurse = station
account.1.user_name = 102
account.1.auth_name = u102
account.1.password = s3cret
account.1.sip_server.1.address = 127.0.0.1
account.1.sip_server.1.port = 5070
account.1.sip_server.1.transport_type = 0
account.1.sip_server.1.expires = 300
account.1.dtmf.dtmf_payload = 101
""",
}
GRANDSTREAM_FILES = {
    f"cfg{GRANDSTREAM}.xml": b"""<?xml version="1.0" encoding="UTF-8"?>
<gs_provision version="1"><mac>00:0B:82:00:01:03</mac><config version="1">
<P271>1</P271><P3>Exam room</P3><P35>103</P35><P36>u103</P36><P34>s3cret</P34><P47>127.0.0.1:5070</P47>
<P32>5</P32><P79>101</P79><P130>0</P130><P290>{ 911 | 10x }</P290><P72>0</P72><P194>1</P194><P193>60</P193>
</config></gs_provision>""",
}
GRANDSTREAM_VERSION_2 = b"""<gs_provision><config version="2">
<item name="account.1"><part name="enable">Yes</part><part name="sip.userid">103</part>
<part name="sip.subscriber.userid">u103</part><part name="sip.subscriber.password">s3cret</part>
<part name="sip.subscriber.name">Exam room</part><part name="sip.server.1.address">127.0.0.1:5070</part>
<part name="sip.registerExpiration">5</part><part name="sip.transport">UDP</part></item>
<item name="account.1.call.keyAsSend">Disabled</item></config></gs_provision>"""


def grandstream_binary(mac: str, body: bytes) -> bytes:
    """A binary configuration file around `body`, which has an even length."""
    rest = bytes.fromhex(mac) + b"\r\n\r\n" + body
    words = (len(rest) + 6) // 2
    head = struct.pack(">I", words)
    total = sum(struct.unpack(f">{len(head + rest) // 2}H", head + rest))
    return head + struct.pack(">H", -total % 65536) + rest
