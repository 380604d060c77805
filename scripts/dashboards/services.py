"""The five services as programs: requests, errors, durations, resources, stores."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, per_minute, stat

_OURS = 'job=~"(.*-)?(ari-gateway|dialer|speech|intent|reporter)(-.*)?"'
_JOB = 'job=~"$job"'
# Of a caller who hung up, or who asked for what is not there, the service is not to blame.
_FAULTS = 'code=~"UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|INTERNAL|UNAVAILABLE|DATA_LOSS"'


def _rate(metric: str, by: str, matching: str = _JOB) -> str:
    return f"sum by ({by}) (rate({metric}{{{matching}}}[$__rate_interval]))"


def _quantile_of(metric: str) -> str:
    return f"histogram_quantile(0.95, {_rate(f'{metric}_bucket', 'le, method')})"


SERVICES = Dashboard(
    uid="salehi-services",
    title="Salehi: services",
    description="The five services as programs: requests, errors, durations, resources, stores.",
    window="now-1h",
    variables={"job": "salehi_rpc_server_in_flight"},
    rows=[
        Row(
            "Now",
            [
                stat(
                    "Services up",
                    "Instances that Prometheus reaches. Fewer than you run: see which, below.",
                    f"sum(up{{{_OURS}}})",
                ),
                stat(
                    "Ready to dial",
                    "1 when a gateway takes calls. 0: `dialer status` says why.",
                    "max(salehi_gateway_ready_to_dial)",
                    alarm_at=1,
                    low_is_bad=True,
                    words={0: "no", 1: "yes"},
                ),
                stat(
                    "Oldest result for the panel",
                    "Age of the oldest result the panel has not heard of. Growing: the panel "
                    "is away.",
                    "max(salehi_outbox_oldest_age_seconds)",
                    unit="s",
                    warn_at=60,
                    alarm_at=600,
                ),
                stat(
                    "Dead letters",
                    "Results the panel refused for good: `reporter dead-letters list`.",
                    "max(salehi_outbox_dead_letters)",
                    alarm_at=1,
                ),
                stat(
                    "Results not handed over",
                    "Kept by gateways until the reporter takes them. Growing: the reporter is "
                    "away.",
                    "sum(salehi_gateway_unreported_results)",
                    warn_at=10,
                ),
                stat(
                    "Times the database was away",
                    "Seen by the reporter in the time shown.",
                    "sum(increase(salehi_reporter_store_errors_total[$__range]))",
                    warn_at=1,
                ),
            ],
        ),
        Row(
            "Requests (as served)",
            [
                Panel(
                    "Requests per second",
                    "RPCs served, by method.",
                    [Query(_rate("salehi_rpc_server_seconds_count", "method"), "{{method}}")],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Faults per second",
                    "RPCs that ended with a fault of ours. INTERNAL: app.log has the story; "
                    "RESOURCE_EXHAUSTED: more replicas.",
                    [
                        Query(
                            _rate(
                                "salehi_rpc_server_seconds_count",
                                "method, code",
                                f"{_JOB}, {_FAULTS}",
                            ),
                            "{{method}} {{code}}",
                        )
                    ],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Duration, 95th percentile",
                    "Time to serve an RPC; streams last as long as their client listens.",
                    [Query(_quantile_of("salehi_rpc_server_seconds"), "{{method}}")],
                    unit="s",
                    width=8,
                ),
            ],
        ),
        Row(
            "Requests (as sent)",
            [
                Panel(
                    "Requests per second",
                    "RPCs sent to peers, by method.",
                    [Query(_rate("salehi_rpc_client_seconds_count", "method"), "{{method}}")],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Faults per second",
                    "RPCs that came to nothing. UNAVAILABLE: the peer is away or its address "
                    "wrong.",
                    [
                        Query(
                            _rate(
                                "salehi_rpc_client_seconds_count",
                                "method, code",
                                f"{_JOB}, {_FAULTS}",
                            ),
                            "{{method}} {{code}}",
                        )
                    ],
                    unit="reqps",
                    width=8,
                ),
                Panel(
                    "Duration, 95th percentile",
                    "With the way there and back. Far above what is served: the network, or a "
                    "queue.",
                    [Query(_quantile_of("salehi_rpc_client_seconds"), "{{method}}")],
                    unit="s",
                    width=8,
                ),
            ],
        ),
        Row(
            "Resources",
            [
                Panel(
                    "Processor",
                    "Cores used. A service has one event loop: near 1 it is full; add a replica.",
                    [
                        Query(
                            _rate("process_cpu_seconds_total", "job, instance"),
                            "{{job}} {{instance}}",
                        )
                    ],
                    warn_at=0.8,
                    width=8,
                ),
                Panel(
                    "Memory",
                    "Resident memory. Growing for days: report it.",
                    [Query(f"process_resident_memory_bytes{{{_JOB}}}", "{{job}} {{instance}}")],
                    unit="bytes",
                    width=8,
                ),
                Panel(
                    "Open files",
                    "By what the system allows. Near 100 %: raise the limit (ulimit -n).",
                    [
                        Query(
                            f"process_open_fds{{{_JOB}}} / process_max_fds{{{_JOB}}}",
                            "{{job}} {{instance}}",
                        )
                    ],
                    unit="percentunit",
                    warn_at=0.8,
                    width=8,
                ),
                Panel(
                    "RPCs being served",
                    "Growing without end: something hangs.",
                    [
                        Query(
                            f"sum by (method) (salehi_rpc_server_in_flight{{{_JOB}}})", "{{method}}"
                        )
                    ],
                ),
                Panel(
                    "Tasks of the gateway",
                    "As few after calls as before them. Growing without calls: report it.",
                    [Query("sum by (instance) (salehi_gateway_tasks)", "{{instance}}")],
                ),
            ],
        ),
        Row(
            "Results on their way",
            [
                Panel(
                    "Outbox",
                    "Results the panel has not heard of yet.",
                    [Query("max(salehi_outbox_pending)", "pending")],
                    width=8,
                ),
                Panel(
                    "Reports to the panel, per minute",
                    "`unavailable`: tried again by itself; `refused`: a dead letter.",
                    [per_minute("salehi_panel_deliveries_total", "outcome")],
                    unit="cpm",
                    width=8,
                ),
                Panel(
                    "SMS, per minute",
                    "Alerts to the admins. `failed`: look at SMS_API_KEY and SMS_FROM.",
                    [per_minute("salehi_sms_total", "outcome")],
                    unit="cpm",
                    width=8,
                ),
            ],
        ),
    ],
)
