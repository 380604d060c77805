"""Contacts that are there from the start: the static list and the contact file."""

from __future__ import annotations

from pathlib import Path

import structlog

from dialer.contacts import NewContact, add_contacts
from dialer.errors import InvalidNumber, UnreadableFile
from dialer.importing import Importer
from dialer.metrics import CONTACTS_ADDED, CONTACTS_REJECTED
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.tables import Source
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_CHUNK = 500
_BASIS = "static list"


async def take_static(
    storage: Storage, plan: NumberPlan, numbers: tuple[str, ...], clock: Clock
) -> None:
    """Take the static list: each number once per database, whatever restarts come between.

    Entries that are no number are named by their position.

    Raises:
        StoreUnavailable: the database is away.
    """
    found: dict[str, NewContact] = {}
    for position, text in enumerate(numbers, start=1):
        try:
            number = plan.normalise(text)
        except InvalidNumber as error:
            CONTACTS_REJECTED.labels(Source.STATIC).inc()
            log.warning("STATIC_CONTACTS: entry left out", entry=position, reason=str(error))
            continue
        key = f"{Source.STATIC}:{number}"
        found.setdefault(key, NewContact(Source.STATIC, key, number, _BASIS))
    contacts = list(found.values())
    added = 0
    async with storage.transaction() as connection:
        for start in range(0, len(contacts), _CHUNK):
            chunk = contacts[start : start + _CHUNK]
            added += len(await add_contacts(connection, chunk, now_ms(clock)))
    CONTACTS_ADDED.labels(Source.STATIC).inc(added)
    log.info("static contacts taken", new=added, known_before=len(contacts) - added)


async def take_contacts_file(importer: Importer, path: Path) -> None:
    """Take CONTACTS_FILE, unless this very file was taken before.

    A file that cannot be used is named in the log; the campaign goes on without it.

    Raises:
        StoreUnavailable: the database is away; to be repeated.
    """
    try:
        if await importer.was_taken(path):
            log.info("CONTACTS_FILE was taken before", file=str(path))
        else:
            await importer.take_file(path)
    except UnreadableFile as error:
        log.warning("CONTACTS_FILE cannot be used: correct it and restart", reason=str(error))
