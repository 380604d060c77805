"""Who reaches whom: the NetworkPolicies, and the trial's Asterisk."""

from __future__ import annotations

from deploy_support.chart import (
    ROOT,
    Object,
    changed,
    container_of,
    example,
    of_kind,
    pod_of,
    render,
    service_of,
    workloads,
)
from deploy_support.policies import Network

SMALL = example("small")
PRODUCTION = example("production")
CALLS = {
    ("ari-gateway", "speech"),
    ("ari-gateway", "intent"),
    ("ari-gateway", "reporter"),
    ("dialer", "ari-gateway"),
    ("dialer", "reporter"),
    ("reporter", "dialer"),
}


def labels_of(found: Object) -> dict[str, str]:
    """Give the labels of a deployment's pods."""
    labels: dict[str, str] = found["spec"]["template"]["metadata"]["labels"]
    return labels


def grpc_port(found: Object) -> int:
    """Give the port a workload serves gRPC on."""
    port: int = container_of(found)["ports"][0]["containerPort"]
    return port


def network(objects: list[Object]) -> Network:
    """Take the policies out of the rendered objects."""
    return Network(list(of_kind(objects, "NetworkPolicy").values()))


def test_who_talks_to_whom() -> None:
    """Exactly the calls of the architecture pass, and between PBXs none."""
    objects = render(PRODUCTION)
    rules = network(objects)
    deployments = workloads(objects).values()
    for source in deployments:
        for target in deployments:
            pair = (service_of(source), service_of(target))
            both = {d["metadata"]["labels"].get("salehi/pbx") for d in (source, target)} - {None}
            expected = pair in CALLS and len(both) == 1
            reached = rules.reaches(labels_of(source), labels_of(target), grpc_port(target))
            assert reached == expected, pair


def test_strangers_reach_nothing() -> None:
    """A pod without our labels reaches no port of any service."""
    objects = render(PRODUCTION)
    stranger = {"app": "stranger"}
    for target in workloads(objects).values():
        for port in container_of(target)["ports"]:
            assert not network(objects).reaches(stranger, labels_of(target), port["containerPort"])


def test_a_pod_that_no_policy_names_is_cut_off() -> None:
    """What is of the release and has no policy of its own reaches nothing, nor is it reached."""
    objects = render(SMALL)
    rules = network(objects)
    speech = labels_of(workloads(objects)["salehi-speech"])
    unnamed = {**speech, "app.kubernetes.io/component": "unnamed"}
    assert not rules.leaves(unnamed, "203.0.113.5", 443)
    assert not rules.reaches({"app": "stranger"}, unnamed, 50053)


def test_the_test_pod_reaches_every_health_service() -> None:
    """`helm test` may ask each service how it is, and asks each."""
    for values in (SMALL, PRODUCTION):
        objects = render(values)
        (pod,) = of_kind(objects, "Pod").values()
        probes = container_of(pod)["args"]
        assert len(probes) == len(workloads(objects))
        for name, target in workloads(objects).items():
            probe = container_of(target)["readinessProbe"]["grpc"]
            assert f"dns:///{name}.calls.svc:{probe['port']}/{probe['service']}" in probes
            assert network(objects).reaches(
                pod["metadata"]["labels"], labels_of(target), probe["port"]
            )


def test_only_the_gateway_reaches_its_asterisk() -> None:
    """ARI is open to the gateway of that PBX, and to nobody else even at the providers' port."""
    pbxs = [
        {**PRODUCTION["pbxs"][0], "ari": {"baseUrl": "https://192.0.2.10/ari", "appName": "a"}},
        PRODUCTION["pbxs"][1],
    ]
    objects = render({**PRODUCTION, "pbxs": pbxs})
    rules = network(objects)
    for name, deployment in workloads(objects).items():
        tehran = rules.leaves(labels_of(deployment), "192.0.2.10", 443)
        shiraz = rules.leaves(labels_of(deployment), "198.51.100.10", 8089)
        assert tehran == (name == "salehi-ari-gateway-tehran"), name
        assert shiraz == (name == "salehi-ari-gateway-shiraz"), name


def test_providers_are_reached_and_the_cluster_is_not() -> None:
    """All but the gateway reach the world at 443; none reaches private networks or metadata."""
    objects = render(SMALL)
    rules = network(objects)
    for deployment in workloads(objects).values():
        labels = labels_of(deployment)
        outside = rules.leaves(labels, "203.0.113.5", 443)
        assert outside == (service_of(deployment) != "ari-gateway")
        assert not rules.leaves(labels, "203.0.113.5", 80)
        for address in ("10.1.2.3", "192.168.1.1", "169.254.169.254", "fd00::1"):
            assert not rules.leaves(labels, address, 443), address


def test_without_networks_of_providers_nobody_reaches_them() -> None:
    """An empty list lets nothing out, not everything."""
    objects = render(changed(SMALL, {"networkPolicy": {"providers": {"cidrs": []}}}))
    for deployment in workloads(objects).values():
        assert not network(objects).leaves(labels_of(deployment), "203.0.113.5", 443)


def test_stores_are_reached_by_those_who_keep_something_there() -> None:
    """Dialer and reporter reach the database, the gateway the session store, the others neither."""
    objects = render(PRODUCTION)
    rules = network(objects)
    for deployment in workloads(objects).values():
        service, labels = service_of(deployment), labels_of(deployment)
        assert rules.leaves(labels, "192.0.2.40", 5432) == (service in {"dialer", "reporter"})
        assert rules.leaves(labels, "192.0.2.41", 6379) == (service == "ari-gateway")


def test_asterisk_for_a_trial_is_reached_by_the_gateway_alone() -> None:
    """The trial's Asterisk gets all placeholders of its configuration, and ARI is the gateway's."""
    objects = render(example("trial"))
    asterisk = of_kind(objects, "Deployment")["salehi-asterisk"]
    given = {entry["name"] for entry in container_of(asterisk)["env"]}
    table = (ROOT / "deploy/asterisk/README.md").read_text(encoding="utf-8")
    named = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert given == {name for cell in named for name in cell.replace("`", "").replace(" ", "").split(",")}  # fmt: skip  # noqa: E501
    rules = network(objects)
    for deployment in workloads(objects).values():
        reached = rules.reaches(labels_of(deployment), labels_of(asterisk), 8088)
        assert reached == (service_of(deployment) == "ari-gateway")
    gateway = workloads(objects)["salehi-ari-gateway-main"]
    address = {e["name"]: e.get("value") for e in container_of(gateway)["env"]}["ARI_BASE_URL"]
    assert address == "http://salehi-asterisk.calls.svc:8088/ari"
    (sounds,) = [v for v in pod_of(asterisk)["volumes"] if v["name"] == "sounds"]
    (made,) = pod_of(asterisk)["initContainers"]
    assert "emptyDir" in sounds
    assert made["command"][-1] == "/sounds"
