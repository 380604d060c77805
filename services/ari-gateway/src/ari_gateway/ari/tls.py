"""Whose certificates are believed where Asterisk is reached over TLS, and what helps the others."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import cast

import aiohttp

from ari_gateway.ari.errors import AriUntrusted
from servicekit.errors import StartupError

_NAME_IT = "name the PEM file of its CA, or of the certificate itself, in ARI_CA_FILE"
_WRITE_ITS_NAME = "write the address with the name that stands in the certificate"
# OpenSSL's numbers of what can be wrong with a certificate (x509_vfy.h).
_WHAT_TO_DO = {
    2: _NAME_IT,  # its issuer is not there
    7: _NAME_IT,  # the issuer of that name has another key
    9: "set the clocks: it is not valid yet",
    10: "renew it on the PBX",
    18: _NAME_IT,  # issued by itself
    19: _NAME_IT,  # its CA is, and is not believed
    20: _NAME_IT,  # as 2, in what is believed
    21: _NAME_IT,  # as 2, with nothing beside it
    62: _WRITE_ITS_NAME,
    64: _WRITE_ITS_NAME,  # an IP address that does not stand there
}
_GET_ANOTHER = "give Asterisk another certificate"


def believing(ca_file: Path | None) -> ssl.SSLContext:
    """Believe certificates that a PEM file vouches for, or the system's CAs; names are compared.

    Raises:
        StartupError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise StartupError(
            f"ARI_CA_FILE={ca_file} cannot be used ({_why(error)}): name a readable PEM file "
            "with the CA of Asterisk's certificate, or with the certificate itself"
        ) from error
    if ca_file is not None:
        # Certificates that PBXs make for themselves lack what is demanded of public ones, and can
        # often be vouched for by nothing but their copy. Python 3.13 would refuse the first, older
        # ones the second.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def untrusted(error: aiohttp.ClientConnectorCertificateError) -> AriUntrusted:
    """Say in one line why a certificate is refused and what to do."""
    refused = cast("ssl.SSLCertVerificationError", error.certificate_error)
    what, to_do = refused.verify_message, _WHAT_TO_DO.get(refused.verify_code, _GET_ANOTHER)
    return AriUntrusted(f"its certificate is refused ({what.rstrip('.')}): {to_do}")


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "no certificate in PEM"
    return error.strerror or type(error).__name__
