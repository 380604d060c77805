"""What every Salehi service does the same way, so that none does it twice."""

from __future__ import annotations

import os

# gRPC's C library prints lines of its own to stderr; our errors say the same in words for users.
# It reads this when it is first imported, so it is set before anything here imports it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
