"""Write the package sources of a Debian suite, and how this machine reaches archives, to a folder.

python scripts/debian_suite.py sid FOLDER

writes FOLDER/sources.list and FOLDER/apt.conf. Where the archive is and who signs it is taken from
the machine's own sources, so this works on Debian alone; its own package lists stay as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lab import apt_sources, host
from lab.asterisk_root import machine_apt_options

_USAGE, _REFUSED = 2, 3


def main() -> int:
    """Write the two files; give the exit status."""
    if len(sys.argv) != 3:
        print("usage: debian_suite.py SUITE FOLDER", file=sys.stderr)
        return _USAGE
    suite, folder = sys.argv[1], Path(sys.argv[2])
    codename = host.codename()
    own = apt_sources.of_release(apt_sources.read_sources(), codename)
    main_archive = [source for source in own if codename in source.suites]
    if not host.is_debian() or not main_archive:
        print("/etc/apt names no archive of Debian: run this on Debian", file=sys.stderr)
        return _REFUSED
    dump = host.output_of(["apt-config", "dump", "Acquire"])
    lines = main_archive[0].lines([suite])
    (folder / "sources.list").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "apt.conf").write_text(machine_apt_options(dump), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
