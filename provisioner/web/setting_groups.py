"""How the settings of phones are grouped on their page: the common ones first, the rest for who knows why."""

from __future__ import annotations

from typing import NamedTuple

from provisioner.web.language import later as N_


class Group(NamedTuple):
    """Settings that belong together, by name. `expert`: shown only to who asks for all."""

    title: str
    basic: tuple[str, ...]
    expert: tuple[str, ...] = ()


def _group(title: str, basic: str, expert: str = "") -> Group:
    return Group(title, tuple(basic.split()), tuple(expert.split()))


GROUPS = (
    _group(
        N_("Display and language"),
        "language time_zone time_format date_format screen_saver",
        "ntp_server",
    ),
    _group(
        N_("Privacy"),
        "show_caller call_history redial_list hide_digits",
        "phone_web_page",
    ),
    _group(
        N_("Calls"),
        "call_waiting auto_answer directory voicemail_number",
        "phone_do_not_disturb phone_forward phone_conference digit_map_pause_seconds emergency_numbers ring_tones",
    ),
    _group(
        N_("Network"),
        "vlan_id pc_vlan_id lldp",
        "cdp dhcp_vlan vlan_priority qos_signalling qos_audio",
    ),
    _group(
        N_("Files and firmware"),
        "poll_seconds firmware_server",
        "provisioning_scheme provisioning_host provisioning_port provisioning_auth encrypt_files vendor_clouds pnp "
        "dhcp_provisioning",
    ),
    _group(
        N_("Sound"),
        "codecs",
        "dtmf dtmf_payload",
    ),
    _group(
        N_("Registration"),
        "",
        "transport srtp registrar_host registrar_port registrar_2_host registrar_2_port register_seconds "
        "subscribe_seconds",
    ),
    _group(
        N_("Logs"),
        "",
        "syslog_host syslog_level",
    ),
)

# Values that say little by themselves, in words.
CHOICES: dict[str, dict[str, str]] = {
    "language": {
        "en": N_("English"), "es": N_("Spanish"), "fr": N_("French"), "de": N_("German"), "it": N_("Italian"),
        "ja": N_("Japanese"), "ko": N_("Korean"), "pt": N_("Portuguese"), "ru": N_("Russian"), "zh": N_("Chinese"),
    },
    "time_format": {"12": N_("12 hours, am and pm"), "24": N_("24 hours")},
    "date_format": {"mdy": N_("month, day, year"), "dmy": N_("day, month, year"), "ymd": N_("year, month, day")},
    "dtmf": {"rfc4733": N_("as events (RFC 4733)"), "info": N_("as SIP INFO"), "inband": N_("as tones in the audio")},
}  # fmt: skip
