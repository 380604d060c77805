"""A CA and the certificates it gives out, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from servicekit.tls import TlsFiles

_NAMES = "DNS:localhost,IP:127.0.0.1"


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=20)


@dataclass(frozen=True)
class Authority:
    """A CA in a directory of its own."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        """Make the CA."""
        directory.mkdir()
        made = cls(directory)
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", directory / "ca.key", "-out", directory / "ca.crt", "-days", "2",
            "-subj", f"/CN={directory.name}",
        )  # fmt: skip
        return made

    def issue(self, directory: Path, names: str = _NAMES) -> TlsFiles:
        """Give out a certificate as Kubernetes mounts it, in place of the one that is there.

        The files are links into a directory that is exchanged as a whole.
        """
        directory.mkdir(exist_ok=True)
        content = directory / f"..{len(list(directory.iterdir()))}"
        content.mkdir()
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", content / "tls.key", "-out", content / "tls.crt", "-days", "2",
            "-subj", "/CN=service", "-addext", f"subjectAltName={names}",
            "-addext", "basicConstraints=CA:FALSE",
            "-CA", self.directory / "ca.crt", "-CAkey", self.directory / "ca.key",
        )  # fmt: skip
        (content / "ca.crt").write_bytes((self.directory / "ca.crt").read_bytes())
        return exchange(directory, content)


def exchange(directory: Path, content: Path) -> TlsFiles:
    """Have the files of a directory lead into `content`, in one step."""
    link = directory / "..next"
    link.symlink_to(content.name)
    link.replace(directory / "..data")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        file = directory / name
        if not file.is_symlink():
            file.symlink_to(f"..data/{name}")
    return TlsFiles(directory / "tls.crt", directory / "tls.key", directory / "ca.crt")
