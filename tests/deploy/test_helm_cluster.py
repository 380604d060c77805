"""What surrounds the services: scaling, disruption, monitoring, prompts, rules, names."""

from __future__ import annotations

import ast
from pathlib import Path

import yaml

from deploy_support.chart import (
    CHART,
    ROOT,
    changed,
    container_of,
    example,
    of_kind,
    pod_of,
    render,
    script,
    workloads,
)

SMALL = example("small")
PRODUCTION = example("production")


def test_speech_and_intent_scale_on_cpu_and_saturation() -> None:
    """The autoscalers own the replicas, and ask for metrics the services really export."""
    exported = {
        "salehi-speech": ROOT / "services/speech/src/speech/metrics.py",
        "salehi-intent": ROOT / "services/intent/src/intent/metrics.py",
    }
    objects = render(PRODUCTION)
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    assert set(scalers) == set(exported)
    for name, source in exported.items():
        assert "replicas" not in workloads(objects)[name]["spec"]
        cpu, *load = scalers[name]["spec"]["metrics"]
        assert cpu["resource"]["target"]["averageUtilization"] == 70
        assert load
        for metric in load:
            assert metric["pods"]["metric"]["name"] in _strings(source)
            assert metric["pods"]["target"]["averageValue"] == "700m"
    pools = {
        metric["pods"]["metric"]["selector"]["matchLabels"]["pool"]
        for metric in scalers["salehi-speech"]["spec"]["metrics"][1:]
    }
    assert pools <= _strings(ROOT / "services/speech/src/speech/engines.py")


def _strings(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_scaling_on_cpu_alone_needs_no_custom_metrics() -> None:
    """With saturation 0 the autoscalers ask for CPU only."""
    on = {"autoscaling": {"enabled": True, "saturation": 0}}
    scalers = of_kind(render(changed(SMALL, {"speech": on})), "HorizontalPodAutoscaler")
    assert [m["type"] for m in scalers["salehi-speech"]["spec"]["metrics"]] == ["Resource"]


def test_keda_takes_the_place_of_the_autoscaler() -> None:
    """With KEDA there are ScaledObjects instead, which ask Prometheus for the same figures."""
    keda = {"autoscaling": {"engine": "keda", "prometheusAddress": "http://prometheus:9090"}}
    objects = render({**PRODUCTION, **keda})
    assert of_kind(objects, "HorizontalPodAutoscaler") == {}
    scaled = of_kind(objects, "ScaledObject")
    assert set(scaled) == {"salehi-speech", "salehi-intent"}
    queries = {
        name: trigger["metadata"]["query"]
        for name, found in scaled.items()
        for trigger in found["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    }
    assert queries == {
        "salehi-speech": 'max(sum by (pool) (salehi_speech_saturation{namespace="calls",'
        'service="salehi-speech",pool=~"stt|stt_embedded"}))',
        "salehi-intent": 'sum(salehi_intent_llm_saturation{namespace="calls",'
        'service="salehi-intent"})',
    }


def test_disruptions_take_one_pod_at_a_time() -> None:
    """What runs more than once has a budget of one; what runs once can be moved."""
    assert of_kind(render(SMALL), "PodDisruptionBudget") == {}
    objects = render(PRODUCTION)
    budgets = of_kind(objects, "PodDisruptionBudget")
    assert set(budgets) == set(workloads(objects))
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        selector = workloads(objects)[name]["spec"]["selector"]
        assert budget["spec"]["selector"] == selector


def test_replicas_are_spread() -> None:
    """Replicas of one workload prefer different machines and zones."""
    for deployment in workloads(render(PRODUCTION)).values():
        spread = pod_of(deployment)["topologySpreadConstraints"]
        keys = {part["topologyKey"] for part in spread}
        assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        for part in spread:
            assert part["labelSelector"] == deployment["spec"]["selector"]


def test_prometheus_finds_every_service() -> None:
    """The ServiceMonitor selects all services by labels and scrapes the port of their metrics."""
    objects = render(PRODUCTION)
    (monitor,) = of_kind(objects, "ServiceMonitor").values()
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "interval": "15s"}]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = of_kind(objects, "Service")
    assert set(services) == set(workloads(objects))
    assert all(wanted <= s["metadata"]["labels"].items() for s in services.values())


def test_alerts_and_dashboards_are_those_of_the_files() -> None:
    """Rules and dashboards of the files are installed as they are, found by Grafana's label."""
    objects = render(PRODUCTION)
    (rule,) = of_kind(objects, "PrometheusRule").values()
    rules = (CHART / "files/rules/salehi.yaml").read_text(encoding="utf-8")
    assert rule["spec"] == yaml.safe_load(rules)
    assert rule["spec"]["groups"]
    dashboards = of_kind(objects, "ConfigMap").values()
    files = {path.name: path.read_text(encoding="utf-8") for path in CHART.glob("files/dashboards/*.json")}  # fmt: skip  # noqa: E501
    assert {k: v.strip() for d in dashboards for k, v in d["data"].items()} == {
        name: text.strip() for name, text in files.items()
    }
    assert all(d["metadata"]["labels"]["grafana_dashboard"] == "1" for d in dashboards)


def test_prompts_are_made_where_asterisk_plays_them() -> None:
    """A PBX whose sounds are on a volume gets a Job that writes there, in its language."""
    english = {"CALL_LANGUAGE": "en"}
    pbxs = [{**pbx, "config": {**pbx["config"], **english}} for pbx in PRODUCTION["pbxs"]]
    objects = render({**PRODUCTION, "pbxs": pbxs})
    (job,) = of_kind(objects, "Job").values()
    (sounds,) = [v for v in pod_of(job)["volumes"] if v["name"] == "sounds"]
    assert sounds["nfs"] == PRODUCTION["pbxs"][0]["sounds"]["volume"]["nfs"]
    container = container_of(job)
    assert container["command"] == ["python", "-m", "speech.prompts", "/sounds"]
    assert {"name": "sounds", "mountPath": "/sounds"} in container["volumeMounts"]
    given = {e["name"]: e.get("value") for e in container["env"]}
    assert given["CALL_LANGUAGE"] == "en"
    assert given["PROMPTS_FILE"] == "/etc/salehi/prompts/prompts.yaml"
    token = next(e for e in container["env"] if e["name"] == "VIRA_TTS_TOKEN")
    assert token["valueFrom"]["secretKeyRef"]["name"] == "salehi"
    assert set(given) <= {name.upper() for name in script()["SERVICES"]["speech"][0].model_fields}


def test_prompts_are_made_anew_only_when_something_changed() -> None:
    """The Job keeps its name while its pod stays the same, and gets another one else."""
    jobs = [
        list(of_kind(render(changed(PRODUCTION, changes)), "Job"))
        for changes in ({}, {"dialer": {"replicas": 3}}, {"image": {"tag": "2"}})
    ]
    assert jobs[0] == jobs[1] != jobs[2]


def test_campaign_rules_come_from_a_config_map() -> None:
    """Intent reads a campaign's own rules from the ConfigMap that is named."""
    values = changed(SMALL, {"intent": {"rulesConfigMap": "rules"}})
    deployment = workloads(render(values))["salehi-intent"]
    assert {"name": "rules", "configMap": {"name": "rules"}} in pod_of(deployment)["volumes"]
    mount = {"name": "rules", "mountPath": "/etc/salehi/rules", "readOnly": True}
    assert mount in container_of(deployment)["volumeMounts"]
    given = {e["name"]: e.get("value") for e in container_of(deployment)["env"]}
    assert given["INTENT_RULES_FILE"] == "/etc/salehi/rules/rules.yaml"


def test_names_stay_short_enough() -> None:
    """The longest names that the values allow are still names for Kubernetes."""
    pbx = {**SMALL["pbxs"][0], "name": "p" * 15, "sounds": {"volume": {"emptyDir": {}}}}
    values = {**SMALL, "pbxs": [pbx], "monitoring": {"dashboards": {"enabled": True}}}
    for release in ("r" * 53, "salehi" + "r" * 47):
        objects = render(values, name=release)
        assert max(len(found["metadata"]["name"]) for found in objects) <= 63
        assert len({(f["kind"], f["metadata"]["name"]) for f in objects}) == len(objects)
