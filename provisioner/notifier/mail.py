"""One notice as an e-mail (RFC 5322) to a mail server that takes submissions (RFC 6409). Blocks."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from provisioner.emergency.notices import subject, text
from provisioner.store.records import Notifying

SECONDS = 20.0  # for each answer of the server


class NotDelivered(Exception):  # noqa: N818
    """What kept a notice from being delivered, in words without secrets."""


def message(facts: Mapping[str, Any], settings: Notifying, identity: str, now: float) -> EmailMessage:
    """The e-mail. `identity`: a repeat has the same Message-ID, so that it is shown once."""
    mail = EmailMessage()
    sender = settings.mail_from or settings.mail_to[0]
    mail["From"], mail["To"] = sender, str(facts["to"])
    mail["Subject"] = " ".join(subject(facts).split())
    mail["Date"] = formatdate(now, localtime=False)
    mail["Message-ID"] = f"<{identity}@provisioner.invalid>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["X-Priority"], mail["Importance"] = "1", "high"
    mail.set_content(text(facts))
    return mail


def send(
    row: Mapping[str, Any],
    settings: Notifying,
    password: str,
    now: float,
    context: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> None:
    """Deliver. Raises NotDelivered. `context`: whom to trust; the system's authorities without."""
    mail = message(row["body"], settings, row["id"], now)
    trust = context or ssl.create_default_context()
    host, port = settings.mail_host, settings.mail_port
    try:
        if settings.mail_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=trust)
        else:
            server = smtplib.SMTP(host, port, timeout=seconds)
        with server:
            if settings.mail_security == "starttls":
                server.starttls(context=trust)
            if settings.mail_user:
                server.login(settings.mail_user, password)
            server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise NotDelivered(f"the mail server does not take user and password ({error.smtp_code})") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server refused it ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        raise NotDelivered(f"the mail server does not take this address ({codes[0]})") from None
    except smtplib.SMTPNotSupportedError:
        raise NotDelivered("the mail server offers no STARTTLS, or no sign-in") from None
    except ssl.SSLError as error:
        raise NotDelivered(f"the mail server's certificate or TLS is no good ({error.reason})") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotDelivered(f"the mail server cannot be reached ({type(error).__name__})") from None
