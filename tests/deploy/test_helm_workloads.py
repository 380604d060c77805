"""What runs: settings, secrets, probes, ports, and how it starts and ends."""

from __future__ import annotations

import pytest

from deploy_support.chart import (
    EXAMPLES,
    Object,
    changed,
    container_of,
    environment,
    example,
    notes,
    of_kind,
    pod_of,
    render,
    script,
    service_of,
    workloads,
)
from servicekit.settings import ServiceSettings, load_settings

SMALL = example("small")
PRODUCTION = example("production")
SERVICES = script()["SERVICES"]
_A_SECRET = {
    "DATABASE_URL": "postgresql://u:p@h/n",
    "SESSION_STORE_URL": "redis://h:6379/0",
    "SMS_ADMINS": "09120000000",
    "STATIC_CONTACTS": "09120000000",
}


def settings_of(found: Object, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """Read the settings as the service will, with the variables of its container alone."""
    service = service_of(found)
    for name in {name.upper() for kind, _ in SERVICES.values() for name in kind.model_fields}:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(found).items():
        monkeypatch.setenv(name, value if isinstance(value, str) else _A_SECRET.get(name, "x"))
    read: ServiceSettings = load_settings(SERVICES[service][0])
    return read


@pytest.mark.parametrize("name", ["defaults", *EXAMPLES])
def test_services_take_what_the_chart_gives_them(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Each service starts with its container's variables, and knows every one of them."""
    monkeypatch.chdir(str(tmp_path))  # no .env of this machine
    found = workloads(render(example(name)))
    assert found
    for deployment in found.values():
        known = {field.upper() for field in SERVICES[service_of(deployment)][0].model_fields}
        assert set(environment(deployment)) <= known
        settings = settings_of(deployment, monkeypatch)
        assert settings.bind_host == "0.0.0.0"
        mounts = {mount["mountPath"] for mount in container_of(deployment)["volumeMounts"]}
        assert {str(settings.data_dir), str(settings.log_dir), "/tmp"} <= mounts  # noqa: S108


@pytest.mark.parametrize("name", ["small", "production"])
def test_ports_are_those_the_services_listen_on(name: str) -> None:
    """Container, Service, probes and targets use the ports that the code listens on by default."""
    objects = render(example(name))
    services = of_kind(objects, "Service")
    for name_, deployment in workloads(objects).items():
        service = service_of(deployment)
        fields = SERVICES[service][0].model_fields
        prefix = service.replace("-", "_")
        grpc = fields[f"{prefix}_port"].default
        metrics = fields[f"{prefix}_metrics_port"].default
        ports = {p["name"]: p["containerPort"] for p in container_of(deployment)["ports"]}
        assert (ports["grpc"], ports["metrics"]) == (grpc, metrics)
        listed = {p["name"]: (p["port"], p["targetPort"]) for p in services[name_]["spec"]["ports"]}
        assert listed == {"grpc": (grpc, "grpc"), "metrics": (metrics, "metrics")}
        assert not {entry for entry in environment(deployment) if entry.endswith("METRICS_PORT")}


def test_peers_are_found_by_every_pods_address() -> None:
    """Each address is a `dns:///` target of a headless Service of this release, at its port."""
    objects = render(PRODUCTION)
    services = of_kind(objects, "Service")
    seen = set()
    for deployment in workloads(objects).values():
        for name, value in environment(deployment).items():
            if not name.endswith("_ADDRESS"):
                continue
            host, _, port = value.removeprefix("dns:///").partition(":")
            service, namespace, kind = host.split(".")
            assert value.startswith("dns:///")
            assert (namespace, kind) == ("calls", "svc")
            assert services[service]["spec"]["clusterIP"] == "None"
            assert services[service]["spec"]["ports"][0]["port"] == int(port)
            peer = services[service]["metadata"]["labels"]
            own = deployment["metadata"]["labels"]
            assert peer["app.kubernetes.io/component"] in name.lower().replace("_", "-")
            assert peer.get("salehi/pbx", own["salehi/pbx"]) == own["salehi/pbx"]
            seen.add(name)
    assert seen == {f"{s.upper().replace('-', '_')}_ADDRESS" for s in SERVICES}


def test_services_select_their_own_pods_alone() -> None:
    """A Service's selector matches the pods of one deployment."""
    objects = render(PRODUCTION)
    deployments = workloads(objects)
    for name, service in of_kind(objects, "Service").items():
        wanted = service["spec"]["selector"].items()
        matched = [
            deployment["metadata"]["name"]
            for deployment in deployments.values()
            if wanted <= deployment["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert matched == [name]


@pytest.mark.parametrize("name", ["small", "production"])
def test_probes_are_grpc_and_liveness_ignores_draining(name: str) -> None:
    """Readiness asks for the service, which drains; liveness and start ask for the process."""
    for deployment in workloads(render(example(name))).values():
        container = container_of(deployment)
        named = container["readinessProbe"]["grpc"]
        assert named["service"] == SERVICES[service_of(deployment)][1]
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {"port": named["port"]}
        started_s = (
            container["startupProbe"]["periodSeconds"]
            * container["startupProbe"]["failureThreshold"]
        )
        assert started_s >= (3600 if service_of(deployment) == "ari-gateway" else 60)


def test_a_gateway_has_time_for_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway lets the longest call go on, and is not killed before that and 60 seconds."""
    values = changed(
        SMALL, {"ariGateway": {"longestCallSeconds": 1200}, "config": {"ORIGINATION_TIMEOUT": 45}}
    )
    gateway = workloads(render(values))["salehi-ari-gateway-main"]
    settings = settings_of(gateway, monkeypatch)
    assert pod_of(gateway)["terminationGracePeriodSeconds"] == 45 + 1200 + 60
    assert settings.model_dump()["drain_timeout"] == 45 + 1200
    assert container_of(gateway)["lifecycle"]["preStop"]["sleep"]["seconds"] < 60
    own = changed(values, {"pbxs": [{**SMALL["pbxs"][0], "config": {"ORIGINATION_TIMEOUT": 60}}]})
    gateway = workloads(render(own))["salehi-ari-gateway-main"]
    assert pod_of(gateway)["terminationGracePeriodSeconds"] == 60 + 1200 + 60


def test_one_gateway_leads_each_pbx() -> None:
    """Gateways are replaced, never doubled, and wait for the lease; a standby is one more pod."""
    small = workloads(render(SMALL))["salehi-ari-gateway-main"]
    assert small["spec"]["strategy"] == {"type": "Recreate"}
    assert small["spec"]["replicas"] == 1
    assert environment(small)["STANDBY"] == "on"
    production = workloads(render(PRODUCTION))
    gateways = {n: d for n, d in production.items() if service_of(d) == "ari-gateway"}
    assert set(gateways) == {"salehi-ari-gateway-tehran", "salehi-ari-gateway-shiraz"}
    assert {d["spec"]["replicas"] for d in gateways.values()} == {2}
    assert {d["spec"]["strategy"]["type"] for d in gateways.values()} == {"Recreate"}
    applications = [environment(d)["ARI_APP_NAME"] for d in gateways.values()]
    assert sorted(applications) == ["salehi-shiraz", "salehi-tehran"]
    events = environment(gateways["salehi-ari-gateway-shiraz"])["ARI_WS_URL"]
    assert events == "wss://pbx-shiraz.example.com:8089/ari/events"


@pytest.mark.parametrize("service", ["dialer", "reporter", "ari-gateway"])
def test_a_volume_belongs_to_one_pod(service: str) -> None:
    """On SQLite each has a volume that outlives the release, and a new pod waits for the old."""
    objects = render(SMALL)
    deployment = workloads(objects)[f"salehi-{service}-main"]
    data = next(v for v in pod_of(deployment)["volumes"] if v["name"] == "data")
    claim = of_kind(objects, "PersistentVolumeClaim")[data["persistentVolumeClaim"]["claimName"]]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert deployment["spec"]["replicas"] == 1
    assert not {"DATABASE_URL", "SESSION_STORE_URL"} & set(environment(deployment))


def test_with_databases_outside_nothing_is_kept_in_the_cluster() -> None:
    """With addresses in the secret, which must be there, nothing has a volume and pods roll."""
    objects = render(PRODUCTION)
    assert of_kind(objects, "PersistentVolumeClaim") == {}
    for name, deployment in workloads(objects).items():
        wanted = {"ari-gateway": "SESSION_STORE_URL", "dialer": "DATABASE_URL"}
        wanted["reporter"] = "DATABASE_URL"
        if key := wanted.get(service_of(deployment)):
            pbx = name.rpartition("-")[2]
            reference = {"name": f"salehi-{pbx}", "key": key, "optional": False}
            assert environment(deployment)[key] == reference
        if service_of(deployment) in {"dialer", "reporter"}:
            assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
            assert deployment["spec"]["replicas"] == 2


def test_secrets_are_in_secrets_alone() -> None:
    """A value of the secret is found in the Secret and nowhere else, the notes included."""
    names = script()["_names"]
    keys = sorted({n for kind, _ in SERVICES.values() for n in names(kind, secret=True)})
    values = changed(
        example("trial"),
        {"secret": {"values": {key: f"hush-{key}" for key in keys}}, "pbxs": [{"name": "main"}]},
    )
    everything = {**values, "monitoring": {"dashboards": {"enabled": True}}}
    objects = render(everything)
    (secret,) = of_kind(objects, "Secret").values()
    assert secret["stringData"] == values["secret"]["values"]
    others = [found for found in objects if found["kind"] != "Secret"]
    assert "hush-" not in str(others) + notes(everything)


def test_a_service_gets_no_secret_of_another() -> None:
    """A container is given those keys that its service reads."""
    for deployment in workloads(render(PRODUCTION)).values():
        service = service_of(deployment)
        allowed = set(script()["_names"](SERVICES[service][0], secret=True))
        given = {k for k, value in environment(deployment).items() if isinstance(value, dict)}
        assert given <= allowed
        assert ("ARI_PASSWORD" in given) == (service == "ari-gateway")
        if service == "ari-gateway":  # without it the pod does not even start
            assert environment(deployment)["ARI_PASSWORD"]["optional"] is False


def test_large_numbers_and_switches_are_written_as_the_settings_read_them() -> None:
    """Helm reads numbers as floating point; a service must not see 3.1536e+07."""
    values = changed(SMALL, {"config": {"MIN_GAP_PER_PERSON": 31536000, "TURN_BUDGET": 7.5,
                                        "REQUIRE_CONSENT": False}})  # fmt: skip
    found = workloads(render(values))
    dialer = environment(found["salehi-dialer-main"])
    assert dialer["MIN_GAP_PER_PERSON"] == "31536000"
    assert dialer["REQUIRE_CONSENT"] == "false"
    assert environment(found["salehi-ari-gateway-main"])["TURN_BUDGET"] == "7.5"


def test_a_pbxs_settings_win_over_the_common_ones() -> None:
    """A setting of one PBX reaches its services and no other PBX's."""
    found = workloads(render(changed(PRODUCTION, {"config": {"MAX_CONCURRENT_CALLS": 3}})))
    assert environment(found["salehi-dialer-shiraz"])["MAX_CONCURRENT_CALLS"] == "4"
    assert environment(found["salehi-dialer-tehran"])["MAX_CONCURRENT_CALLS"] == "3"


def test_images_are_named_by_service() -> None:
    """An image is registry, repository, service and the chart's version, unless told otherwise."""
    small = workloads(render(SMALL))
    assert container_of(small["salehi-speech"])["image"] == "salehi/speech:0.1.0"
    told = {"image": {"registry": "r.example", "repository": "calls", "tag": "7"}}
    images = {container_of(d)["image"] for d in workloads(render({**SMALL, **told})).values()}
    assert images == {f"r.example/calls/{service}:7" for service in SERVICES}


def test_a_gateway_believes_the_ca_of_its_own_asterisk() -> None:
    """The ConfigMap named for a PBX is where its gateway looks, and no other pod has it."""
    tehran, shiraz = PRODUCTION["pbxs"]
    believed = {**tehran, "ari": {**tehran["ari"], "caConfigMap": "pbx-ca"}}
    found = workloads(render(changed(PRODUCTION, {"pbxs": [believed, shiraz]})))
    gateway = found.pop("salehi-ari-gateway-tehran")
    assert environment(gateway)["ARI_CA_FILE"] == "/etc/salehi/ari/ca.crt"
    assert {"name": "ari-ca", "configMap": {"name": "pbx-ca"}} in pod_of(gateway)["volumes"]
    mount = {"name": "ari-ca", "mountPath": "/etc/salehi/ari", "readOnly": True}
    assert mount in container_of(gateway)["volumeMounts"]
    assert "ari-ca" not in str(found)
    assert "ARI_CA_FILE" not in str(found)


def test_extra_variables_and_volumes_arrive() -> None:
    """What a user adds to one service wins, is there once, and is in no other pod."""
    volume = {"name": "review", "persistentVolumeClaim": {"claimName": "review"}}
    mount = {"name": "review", "mountPath": "/review"}
    extra = {
        "extraEnv": [
            {"name": "REVIEW_DIR", "value": "/review"},
            {"name": "DATA_DIR", "value": "/other"},
            {"name": "STT_API_KEY", "value": "mine"},
        ],
        "extraVolumes": [volume],
        "extraVolumeMounts": [mount],
    }
    found = workloads(render(changed(SMALL, {"speech": extra})))
    speech = found.pop("salehi-speech")
    assert environment(speech)["REVIEW_DIR"] == "/review"
    names = [entry["name"] for entry in container_of(speech)["env"]]
    assert len(names) == len(set(names))
    assert environment(speech)["DATA_DIR"] == "/other"
    assert environment(speech)["STT_API_KEY"] == "mine"
    assert volume in pod_of(speech)["volumes"]
    assert mount in container_of(speech)["volumeMounts"]
    assert "REVIEW_DIR" not in str(found)


@pytest.mark.parametrize("name", ["defaults", *EXAMPLES])
def test_pods_meet_the_restricted_standard(name: str) -> None:
    """Every container is `restricted`, its root read-only, without a token or Service variables."""
    pods = [
        pod_of(found)
        for found in render(example(name))
        if found["kind"] in {"Deployment", "Job", "Pod"}
    ]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"]
            assert container["resources"]["limits"]["memory"]
