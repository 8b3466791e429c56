"""TLS for phones: factory certificates of the makers, old versions on a port of its own, and who cannot be asked."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from provisioner.front.connection import Connection

HANDSHAKE_SECONDS = 30.0
MAX_HANDSHAKES = 1000  # at once
NOT_ASKED_SECONDS = 86_400.0
MAX_NOT_ASKED = 4096

# Phones' certificates are judged though their clock is past their end, and though a phone leaves out who signed it.
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; `ssl` has no name for it
_LENIENT = ssl.VerifyFlags(_NO_CHECK_TIME) | ssl.VERIFY_X509_PARTIAL_CHAIN

# Phones' certificates are signed with SHA-1 and have keys of 1,024 bits: level 0 takes those. The versions and the
# suites stay those of the default.
_MAKERS_CIPHERS = "DEFAULT:!aNULL:!eNULL:@SECLEVEL=0"
_LEGACY_CIPHERS = "ALL:!aNULL:!eNULL:@SECLEVEL=0"

_log = logging.getLogger(__name__)


def asking(context: ssl.SSLContext, makers: Path) -> bool:
    """Let `context` ask for a client certificate of the authorities in `makers/*.pem`; False: there are none."""
    loaded = False
    for path in sorted(makers.glob("*.pem")):
        try:
            context.load_verify_locations(path)
            loaded = True
        except OSError as error:
            _log.error("%s is no certificate in PEM (%s): mend or remove it", path, error.strerror or error)
    if loaded:
        context.set_ciphers(_MAKERS_CIPHERS)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= _LENIENT
    return loaded


Stamp = tuple[tuple[str, int, int], ...]


def stamp(makers: Path) -> Stamp:
    """Tells whether the files of `asking` have changed."""
    known = ((path.name, path.stat()) for path in sorted(makers.glob("*.pem")))
    return tuple((name, about.st_mtime_ns, about.st_size) for name, about in known)


def alike(context: ssl.SSLContext, other: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` speak the versions that `other` does."""
    return legacy(context) if other.minimum_version < ssl.TLSVersion.TLSv1_2 else context


def legacy(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` speak TLS 1.0 and 1.1 with the suites of their time."""
    context.set_ciphers(_LEGACY_CIPHERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


class TlsListener:
    """Accepts on `listener`. An address whose certificate could not be verified is not asked for one for a day.

    OpenSSL ends the handshake over such a certificate, and the phone would only see a broken network. `refused` hears
    of it.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], Connection],
        contexts: tuple[ssl.SSLContext, ssl.SSLContext | None],
        refused: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._make = make
        self.plain, self._asking = contexts
        self._refused = refused
        self._now = now
        self._not_asked: OrderedDict[str, float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def ask(self, context: ssl.SSLContext, makers: Path) -> None:
        """Ask for certificates of the authorities in `makers` from now on, with `context`; of none: do not ask."""
        self._asking = context if asking(context, makers) else None
        self._not_asked.clear()

    def close(self) -> None:
        """Take no more."""
        self._accepting.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(self._listener)
            except OSError as error:
                _log.warning("cannot take a connection (%s)", error.strerror)
                await asyncio.sleep(0.1)
                continue
            if len(self._tasks) >= MAX_HANDSHAKES:
                sock.close()
                continue
            task = loop.create_task(self._shake_hands(sock, str(address[0])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, sock: socket.socket, address: str) -> None:
        context = self.plain
        if self._asking and self._not_asked.get(address, 0.0) <= self._now():
            context = self._asking
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # whoever does not get through tries again
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.connect_accepted_socket(
                    self._make, sock, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
                )
            except ssl.SSLCertVerificationError:
                self._not_asked[address] = self._now() + NOT_ASKED_SECONDS
                self._not_asked.move_to_end(address)
                if len(self._not_asked) > MAX_NOT_ASKED:
                    self._not_asked.popitem(last=False)
                self._refused(address)
