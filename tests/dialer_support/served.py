"""The dialer's service over real gRPC, without the loops that dial."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

from dialer import service
from dialer.claim import Rules
from dialer.do_not_call_import import ListImporter
from dialer.erasing import Eraser
from dialer.gateway import Gateway
from dialer.importing import Importer, ImportRules
from dialer.limits import Line, LineLimits
from dialer.numbers import NumberPlan
from dialer.service import DialerServicer, Parts
from dialer.status import StatusReader
from dialer.stopping import Stopper
from dialer.waking import Bells
from dialer_support.campaign import rules
from salehi.dialer.v1 import dialer_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService
from servicekit.storage import Storage
from support.timing import HandClock

RULES = rules(Line("1001", LineLimits(2, 10, 200)))
Stub: TypeAlias = "dialer_pb2_grpc.DialerServiceAsyncStub"  # known to type checkers alone


class Doors:
    """What the service speaks for, put together as the engine does it."""

    def __init__(
        self,
        storage: Storage,
        gateway: Gateway,
        clock: HandClock,
        directory: Path,
        rules_: Rules = RULES,
    ) -> None:
        self.bells = Bells()
        self.stopper = Stopper(gateway, storage, clock)
        import_rules = ImportRules(NumberPlan(), require_consent=True, directory=directory)
        self.parts = Parts(
            storage=storage,
            status=StatusReader(storage, rules_, clock),
            importer=Importer(storage, import_rules, bells=self.bells, clock=clock),
            list_importer=ListImporter(storage, NumberPlan(), directory, clock),
            eraser=Eraser(storage, NumberPlan()),
            stopper=self.stopper,
            plan=NumberPlan(),
            waiting_for=lambda: "no contact is due",
            bells=self.bells,
            clock=clock,
        )

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Serve during the block; give the address."""
        add_to = dialer_pb2_grpc.add_DialerServiceServicer_to_server
        server = GrpcServer([GrpcService(service.SERVICE, add_to, DialerServicer(self.parts))])
        port = await server.start("127.0.0.1", 0, "TEST_PORT")
        yield f"127.0.0.1:{port}"
        await server.drain(0)

    @contextlib.asynccontextmanager
    async def asked(self) -> AsyncIterator[Stub]:
        """Serve during the block; give a client."""
        async with self.served() as address, Peer(address, service.SERVICE) as peer:
            await peer.wait_ready()
            yield dialer_pb2_grpc.DialerServiceStub(peer.channel)
