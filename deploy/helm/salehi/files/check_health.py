# ruff: noqa: INP001 - handed to python -c in a pod
"""Ask each target named on the command line, a `host:port/service`, whether it serves."""

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main() -> int:
    """Print one line per target; give 0 when all serve, else 1."""
    status = 0
    for named in sys.argv[1:]:
        target, _, service = named.rpartition("/")
        with grpc.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=service)
            try:
                answer = stub.Check(request, timeout=20, wait_for_ready=True)
            except grpc.RpcError as error:
                said = error.code().name
            else:
                said = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        print(f"{said}\t{target}\t{service}", flush=True)  # noqa: T201 - read in the pod's log
        if said != "SERVING":
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
