"""The compose project, read without Docker: what it promises agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy_support.chart import script
from lab.demo.cast import LINES, SETTINGS

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, tuple[Any, str]] = script()["SERVICES"]
DOCKERFILES = [ROOT / "deploy/asterisk/Dockerfile", *(ROOT / "deploy/docker").rglob("Dockerfile")]
# The image itself says these, or the container has no use for another value.
_OF_THE_IMAGE = {
    *("BIND_HOST", "DATA_DIR", "LOG_DIR", "PROMPTS_FILE"),
    *("AST_SOUND_DIR", "REVIEW_DIR", "TRANSCRIPT_LOG_DIR"),
    # The services are alone in their network.
    *("GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CA"),
}
# What compose and Asterisk read of .env, beside the services' settings.
_OF_COMPOSE = {
    *("COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"),
    *("POSTGRES_PASSWORD", "TRUNK_ADDRESS", "OPERATORS_ADDRESS", "QUALIFY_S"),
}
_ONCE = {"prompts", "demo"}
# Its image holds the collector alone, nothing that could ask it.
_CANNOT_BE_ASKED = {"otel-collector"}


class _Loader(yaml.SafeLoader):
    """YAML in which `!override` marks a value that replaces another."""


_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_sequence(node))


def _read(path: str) -> dict[str, Any]:
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith("freepbx.yml"):
        text = re.sub(r"!override\n", "\n", text)  # before a mapping
    found: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    return found


PROJECT = _read("docker-compose.yml")["services"]
NAMED = _read("deploy/docker/settings.yml")["services"]


def _environment(service: str) -> dict[str, str | None]:
    return {**NAMED[service]["environment"], **PROJECT[service]["environment"]}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_its_own_settings_and_no_others(service: str) -> None:
    """The names are those of the settings class; every setting can be set in .env."""
    settings, _ = SERVICES[service]
    prefix = service.upper().replace("-", "_")
    names = {name.upper() for name in settings.model_fields}
    own_ports = {f"{prefix}_PORT", f"{prefix}_METRICS_PORT"}
    assert set(_environment(service)) == names - _OF_THE_IMAGE - own_ports


def test_the_images_own_settings_are_in_the_image() -> None:
    """What services are told of where they listen and write stands in the Dockerfile."""
    text = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    told = dict(re.findall(r"^ +([A-Z_]+)=(\S+)", text, re.MULTILINE))
    assert told["BIND_HOST"] == "0.0.0.0"
    for service in SERVICES:
        places = [str(entry).split(":") for entry in PROJECT[service].get("tmpfs", [])]
        places += [str(entry).split(":")[::-1] for entry in PROJECT[service]["volumes"]]
        mounted = {path for place in places for path in place}
        assert {told["DATA_DIR"], told["LOG_DIR"]} <= mounted, service


@pytest.mark.parametrize("service", SERVICES)
def test_peers_and_health_are_where_the_code_listens(service: str) -> None:
    """Addresses name a service and its default port; the check asks for the service by name."""
    for name, value in _environment(service).items():
        if name.endswith("_ADDRESS"):
            peer = name.removesuffix("_ADDRESS").lower().replace("_", "-")
            port = SERVICES[peer][0].model_fields[f"{peer.replace('-', '_')}_port"].default
            assert value == f"{peer}:{port}"
    health = _environment(service)["HEALTH_PORT"]
    asked = PROJECT[service]["healthcheck"]["test"][-1]
    assert asked == f"127.0.0.1:{health}/{SERVICES[service][1]}"


def test_asterisk_is_told_every_placeholder() -> None:
    """Its variables are the placeholders of its configuration."""
    conf = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "deploy/asterisk").glob("*.conf"))
    placeholders = set(re.findall(r"@([A-Z][A-Z_]*)@", conf))
    in_the_image = {"ASTERISK_DIR"}
    assert set(PROJECT["asterisk"]["environment"]) == placeholders - in_the_image


def test_only_loopback_is_published() -> None:
    """A published port is one of 127.0.0.1, and belongs to what a person looks at."""
    ports = {name: found["ports"] for name, found in PROJECT.items() if "ports" in found}
    assert set(ports) == {"prometheus", "grafana", "jaeger"}
    assert all(port.startswith("127.0.0.1:") for listed in ports.values() for port in listed)


def test_every_server_is_watched_and_started_again() -> None:
    """What runs on has a check and a restart policy; what runs once has none."""
    for name, found in PROJECT.items():
        if name in _ONCE:
            assert found["restart"] == "no"
            continue
        assert found["restart"] == "unless-stopped"
        disabled = found["healthcheck"].get("disable", False)
        assert disabled == (name in _CANNOT_BE_ASKED)
        assert disabled or found["healthcheck"]["test"]


def test_nothing_has_rights_it_does_not_need() -> None:
    """Every container has a read-only root, no capability, and gains none."""
    for found in PROJECT.values():
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]
        assert found["security_opt"] == ["no-new-privileges:true"]


def test_what_waits_waits_for_health() -> None:
    """A start waits until the other is healthy, or has ended well; a gateway may drain at its end."""  # noqa: E501
    for found in PROJECT.values():
        for peer, wish in found.get("depends_on", {}).items():
            once = peer in _ONCE
            wanted = "service_completed_successfully" if once else "service_healthy"
            assert wish["condition"] == wanted
            profiles = set(PROJECT[peer].get("profiles", []))
            assert wish.get("required", True) or profiles
            assert profiles <= set(found.get("profiles", [])) or not wish.get("required", True)
    drain = SERVICES["ari-gateway"][0].model_fields["drain_timeout"]
    longest_s = next(m.le for m in drain.metadata if hasattr(m, "le"))
    assert PROJECT["ari-gateway"]["stop_grace_period"] == "61m"
    assert longest_s < 61 * 60


def test_images_are_those_of_the_chart() -> None:
    """Images are named by service, tagged with the project's version, and built from here."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for name in (*SERVICES, "asterisk"):
        found = PROJECT[name]
        repository, _, tag = found["image"].partition(":")
        assert repository == f"salehi/{name}"
        version = re.fullmatch(r"\$\{SALEHI_TAG:-(.+)\}", tag)
        assert version
        assert f'version = "{version[1]}"' in project
        assert found["build"]["args"].get("SERVICE", "asterisk") == name
        assert (ROOT / found["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_both_builders_can_build(path: Path) -> None:
    """A Dockerfile needs no frontend from a registry and nothing that BuildKit alone knows."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^#\s*syntax=|<<|--chmod|--mount", text, re.MULTILINE)
    if "stand-ins" not in str(path):
        assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001:10001"
        assert "org.opencontainers.image.version" in text


def test_nothing_of_a_users_own_is_sent_to_the_builder() -> None:
    """The build context leaves out everything but what is named; settings and data are not."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:].split("/")[0] for rule in rules if rule.startswith("!")}
    assert let_in == {"requirements", "protos", "libs", "services", "lab", "assets", "deploy"}


def test_what_is_mounted_is_there() -> None:
    """Files and folders of the project that containers are given exist."""
    for found in PROJECT.values():
        for volume in found.get("volumes", []):
            if isinstance(volume, str) and volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume


def test_prometheus_asks_every_service() -> None:
    """Jobs are named as those on one machine, and targets are the services' own ports."""
    here = _read("deploy/docker/prometheus.yml")["scrape_configs"]
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in here}
    one_machine = _read("deploy/prometheus/prometheus.yml")["scrape_configs"]
    assert list(jobs) == [job["job_name"] for job in one_machine]
    for service, (settings, _) in SERVICES.items():
        port = settings.model_fields[f"{service.replace('-', '_')}_metrics_port"].default
        assert jobs[service] == [f"{service}:{port}"]


def test_grafana_finds_data_and_dashboards() -> None:
    """Sources of data are services of the project, and dashboards are where they are mounted."""
    home = "deploy/grafana/provisioning"
    sources = _read(f"{home}/datasources/prometheus.yaml")["datasources"]
    for source in sources:
        host, _, port = source["url"].removeprefix("http://").partition(":")
        assert host in PROJECT
        assert PROJECT[host]["ports"][0].endswith(f":{port}")
    linked = sources[0]["jsonData"]["exemplarTraceIdDestinations"][0]["datasourceUid"]
    assert linked in {source["uid"] for source in sources}
    (provider,) = _read(f"{home}/dashboards/salehi.yaml")["providers"]
    mounts = [volume.split(":") for volume in PROJECT["grafana"]["volumes"]]
    mounted = {target: source for source, target, *_ in mounts}
    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == f"./{home}"


def test_traces_reach_jaeger_through_the_collector() -> None:
    """The collector listens where docs tell services to send, and hands on to Jaeger."""
    collector = _read("deploy/otel/collector.yaml")
    pipeline = collector["service"]["pipelines"]["traces"]
    used = [*pipeline["receivers"], *pipeline["processors"], *pipeline["exporters"]]
    assert set(used) == {*collector["receivers"], *collector["processors"], *collector["exporters"]}
    port = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].partition(":")[2]
    told = (ROOT / "docs/compose.md").read_text(encoding="utf-8")
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT=http://otel-collector:{port}" in told
    assert collector["exporters"]["otlp"]["endpoint"].partition(":")[0] in PROJECT


def test_the_demos_settings_are_settings() -> None:
    """demo.env names settings that exist, dials the cast's lines, and tells nobody outside."""
    lines = (ROOT / "deploy/docker/demo.env").read_text(encoding="utf-8").splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    known = {name.upper() for settings, _ in SERVICES.values() for name in settings.model_fields}
    assert set(told) <= known | _OF_COMPOSE
    assert told["OUTBOUND_NUMBERS"] == ",".join(LINES)
    for name in ("CALL_LANGUAGE", "CALL_WINDOW", "OPERATOR_EXTENSION", "ORIGINATION_TIMEOUT"):
        assert told[name] == SETTINGS[name]
    hosts = [re.sub(r"^http://", "", told[name]) for name in told if name.endswith("_URL")]
    hosts += [told["TRUNK_ADDRESS"], told["OPERATORS_ADDRESS"]]
    assert {host.split(":")[0] for host in hosts} == {"fakes", "phones"}


def test_the_override_leaves_no_asterisk_of_ours() -> None:
    """With a PBX of the user's own ours is not started, not waited for, and not in reach."""
    override = _read("docker-compose.freepbx.yml")["services"]
    assert override["asterisk"] == {"profiles": ["none"]}
    waiting = [name for name in PROJECT if "asterisk" in PROJECT[name].get("depends_on", {})]
    assert waiting == ["ari-gateway"]
    gateway = override["ari-gateway"]
    assert set(gateway["depends_on"]) == {
        *PROJECT["ari-gateway"]["depends_on"].keys() - {"asterisk"},
        "prompts",
    }
    assert "pbx" not in gateway["networks"]
    assert set(gateway["environment"]) == {"ARI_BASE_URL", "ARI_WS_URL"}
    (sounds,) = override["prompts"]["volumes"]
    assert f"sounds:{sounds['target']}" in PROJECT["prompts"]["volumes"]
