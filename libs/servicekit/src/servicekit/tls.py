"""mTLS between the services, from files that are renewed while the process runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

from servicekit.errors import StartupError

log = structlog.get_logger(__name__)

Version = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Pems:
    """What the files held at one moment, each in PEM."""

    cert: bytes
    key: bytes
    ca: bytes


@dataclass(frozen=True)
class TlsFiles:
    """Where certificate, key, and the CA of the peers are."""

    cert: Path
    key: Path
    ca: Path

    def version(self) -> Version:
        """Tell apart what the files held at different times.

        Raises:
            OSError: one is not there.
        """
        found = [path.stat() for path in (self.cert, self.key, self.ca)]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)

    def read(self) -> Pems:
        """Read all three; give only what belongs together.

        Raises:
            OSError: one cannot be read.
            ssl.SSLError: no PEM, or the key is not the certificate's.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        context.load_verify_locations(self.ca)
        return Pems(self.cert.read_bytes(), self.key.read_bytes(), self.ca.read_bytes())


class Renewal:
    """The newest of the files that could be used; a broken renewal changes nothing."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            StartupError: they cannot be used.
        """
        self._files = files
        try:
            self._seen = files.version()
            self.pems = files.read()
        except (OSError, ssl.SSLError) as error:
            raise StartupError(
                f"GRPC_TLS_CERT={files.cert}, GRPC_TLS_KEY={files.key} and GRPC_TLS_CA={files.ca} "
                f"cannot be used ({_why(error)}): name a certificate, its key and the CA in PEM"
            ) from error

    def renew(self) -> bool:
        """Look at the files; whether `pems` is newer than before."""
        try:
            version = self._files.version()
            if version == self._seen:
                return False
            pems = self._files.read()
            if self._files.version() != version:  # being replaced right now: take them next time
                return False
        except (OSError, ssl.SSLError) as error:
            log.warning("the renewed certificate cannot be used", reason=_why(error))
            return False
        self._seen, self.pems = version, pems
        log.info("the certificate was renewed")
        return True


def _why(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return reason or type(error).__name__


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Serve callers with a certificate of the CA alone; each handshake has the newest files.

    Raises:
        StartupError: the files cannot be used.
    """
    renewal = Renewal(files)

    def newest() -> grpc.ServerCertificateConfiguration:
        renewal.renew()
        return _configuration(renewal.pems)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(renewal.pems), newest, require_client_authentication=True
    )


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.cert)], pems.ca)


def channel_credentials(pems: Pems) -> grpc.ChannelCredentials:
    """Show our certificate, and believe servers with one of the CA."""
    return grpc.ssl_channel_credentials(pems.ca, pems.key, pems.cert)
