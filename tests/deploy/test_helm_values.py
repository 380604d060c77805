"""What the chart takes as values, and what it says to those it does not take."""

from __future__ import annotations

import json
from typing import Any

import helm_python as helm
import pytest
import yaml

from deploy_support.chart import CHART, EXAMPLES, changed, example, notes, render, script

SMALL = example("small")
PRODUCTION = example("production")


@pytest.mark.parametrize("name", ["defaults", *EXAMPLES])
@pytest.mark.parametrize("version", ["v1.30.0", "v1.37.0"])
def test_examples_pass_helm_lint(name: str, version: str) -> None:
    """Helm's own linter has no error and no warning about any example, old cluster or new."""
    report = helm.lint(CHART, example(name), strict=True, kube_version=version)
    assert [found for found in report["messages"] if found["severity"] > 1] == []


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"confg": {}}, "confg"),
        ({"config": {"CALL_LANGAUGE": "en"}}, "CALL_LANGAUGE"),
        ({"config": {"CALL_LANGUAGE": "de"}}, "CALL_LANGUAGE"),
        ({"config": {"OPERATOR_EXTENSION": 200}}, "OPERATOR_EXTENSION"),
        ({"config": {"MAX_CONCURRENT_CALLS": 0}}, "MAX_CONCURRENT_CALLS"),
        ({"config": {"DIALER_PORT": 1}}, "DIALER_PORT"),
        ({"config": {"DRAIN_TIMEOUT": 1}}, "DRAIN_TIMEOUT"),
        ({"secret": {"values": {"VIRA_TOKEN": "x"}}}, "VIRA_TOKEN"),
        ({"pbxs": [{"name": "Main"}]}, "pbxs"),
        ({"pbxs": [{"name": "main", "ari": {"url": "http://x"}}]}, "url"),
        ({"pbxs": [{"name": "main", "config": {"LLM_MODEL": "x"}}]}, "LLM_MODEL"),
        ({"speech": {"replica": 3}}, "replica"),
        ({"speech": {"resources": {"limit": {}}}}, "limit"),
        ({"intent": {"autoscaling": {"saturation": 70}}}, "saturation"),
        ({"storage": {"database": "postgres"}}, "database"),
        ({"networkPolicy": {"database": [{"to": []}]}}, "database"),
        ({"runAs": {"user": 0}}, "user"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    """A misspelt name, a value out of range, and what the chart decides itself are refused."""
    with pytest.raises(helm.HelmError, match=named):
        render(values)


@pytest.mark.parametrize("where", ["config", "pbxs"])
def test_secrets_and_peoples_numbers_are_refused_outside_the_secret(where: str) -> None:
    """No key of the secret, nor a list of numbers to call, can be given as a plain setting."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    secret = schema["definitions"]["secrets"]["properties"]
    assert {"ARI_PASSWORD", "DATABASE_URL", "SESSION_STORE_URL", "STATIC_CONTACTS"} <= set(secret)
    for name in secret:
        values: dict[str, Any] = {"config": {name: "x"}}
        with pytest.raises(helm.HelmError, match=name):
            render(values if where == "config" else {"pbxs": [{"name": "main", **values}]})


TWO = [{**SMALL["pbxs"][0], "name": name, "ari": {**SMALL["pbxs"][0]["ari"], "appName": name}}
       for name in ("one", "two")]  # fmt: skip
_PLAIN = SMALL["pbxs"][0]["ari"]
_MIXED = {"baseUrl": "https://192.0.2.10:8089/ari", "wsUrl": "ws://192.0.2.10:8088/ari/events"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config": {"OUTBOUND_TRUNK": ""}}, "OUTBOUND_TRUNK is not set"),
        ({"secret": {"existingSecret": ""}}, "no secret with ARI_PASSWORD"),
        ({"secret": {"values": {"ARI_PASSWORD": "x"}}}, "exclude each other"),
        ({"pbxs": [{"name": "main"}]}, "ari.baseUrl is not set"),
        ({"pbxs": [{"name": "main", "ari": {"baseUrl": "http://pbx/ari"}}]}, "ari.cidrs is not"),
        ({"pbxs": [{"name": "main", "ari": {**_PLAIN, "caConfigMap": "ca"}}]}, "not all of ARI is"),
        ({"pbxs": [{"name": "main", "ari": {**_MIXED, "caConfigMap": "ca"}}]}, "not all of ARI is"),
        ({"pbxs": [TWO[0], {**TWO[1], "name": "one"}]}, "a name stands there twice"),
        ({"pbxs": [TWO[0], {**TWO[1], "ari": TWO[0]["ari"]}]}, "appName of its own"),
        ({"pbxs": [{**TWO[0], "standby": True}]}, "storage.sessions=url"),
        ({"dialer": {"replicas": 2}}, "dialer.replicas above 1 needs storage.database=url"),
        ({"reporter": {"replicas": 2}}, "reporter.replicas above 1 needs storage.database=url"),
        ({"storage": {"database": "url"}}, "networkPolicy.database is not set"),
        ({"storage": {"sessions": "url"}}, "networkPolicy.sessions is not set"),
        ({"config": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}}, "networkPolicy.traces"),
        ({"ariGateway": {"longestCallSeconds": 3599}}, "more than 3600 seconds together"),
        ({"asterisk": {"enabled": True}}, "exclude each other: clear one"),
        ({"tls": {"enabled": True}}, "tls.existingSecret is not set"),
        ({"prompts": {"configMap": "a", "volume": {"nfs": {}}}}, "exclude each other"),
        (
            {"autoscaling": {"engine": "keda"}, "intent": {"autoscaling": {"enabled": True}}},
            "prometheusAddress is not set",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(changes: dict[str, Any], said: str) -> None:
    """What would start and then not work is refused at install, in one line."""
    with pytest.raises(helm.HelmError, match=said):
        render(changed(SMALL, changes))


def test_a_gateway_without_operators_is_refused() -> None:
    """A PBX needs somebody who takes the calls of the interested."""
    settings = {k: v for k, v in SMALL["config"].items() if k != "OPERATOR_EXTENSION"}
    with pytest.raises(helm.HelmError, match="OPERATOR_EXTENSION is not set"):
        render({**SMALL, "config": settings})


def test_several_pbxs_need_a_database_each() -> None:
    """Two PBXs on one Secret, and so one database, are refused: each counts its calls alone."""
    shared = [{**pbx, "existingSecret": "salehi"} for pbx in PRODUCTION["pbxs"]]
    with pytest.raises(helm.HelmError, match="existingSecret of its own"):
        render(changed(PRODUCTION, {"pbxs": shared}))


def test_the_schema_is_closed() -> None:
    """Every object of the schema that names its fields takes no others."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    loose = {"volume"}  # a volume has one field beside its name, of the many Kubernetes knows

    def closed(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                assert node.get("additionalProperties") is False, path
            for key, value in node.items():
                closed(value, f"{path}.{key}")

    closed({name: part for name, part in schema.items() if name not in loose}, "")


def test_every_value_is_described() -> None:
    """README.md has a row for every value; only maps of an author's own have no fields there."""
    described = {value.path for value in script()["_values"]()}
    tree = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def leaves(node: Any, path: str) -> list[str]:
        if path in described or not isinstance(node, dict) or not node:
            return [path]
        return [leaf for key, value in node.items() for leaf in leaves(value, f"{path}.{key}"[0 if path else 1:])]  # fmt: skip  # noqa: E501

    assert set(leaves(tree, "")) - {""} <= described


def test_notes_say_what_to_do_next() -> None:
    """The notes lead on: to a PBX where there is none, else to the prompts and the contacts."""
    assert "`pbxs` is empty" in notes({})
    small = notes(SMALL)
    assert "scripts/sync_audio.sh" in small
    assert "dialer import" in small
    production = notes(PRODUCTION)
    assert "sync_audio" not in production
    assert "dialer import" not in production
    assert "Secret of your own" in notes(example("trial"))
    assert "networkPolicy is off" in notes({"networkPolicy": {"enabled": False}})
