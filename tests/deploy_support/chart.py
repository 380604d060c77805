"""The Helm chart, rendered by the real engine."""

from __future__ import annotations

import functools
import json
import runpy
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/salehi"
NAMESPACE = "calls"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))

Values = dict[str, Any]
Object = dict[str, Any]


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, as it is to Kubernetes."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - its interface
        """Build one mapping."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(
                None, None, f"{doubled} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


@functools.cache
def script() -> dict[str, Any]:
    """Load scripts/helm_chart.py."""
    return runpy.run_path(str(ROOT / "scripts/helm_chart.py"))


@functools.cache
def _chart() -> Chart:
    return Chart.load(CHART)


def example(name: str) -> Values:
    """Read the values of one example; `defaults` are none."""
    if name == "defaults":
        return {}
    values: Values = yaml.safe_load((CHART / f"examples/{name}.yaml").read_text(encoding="utf-8"))
    return values


def changed(values: Values, changes: Values) -> Values:
    """Lay changes over values, as a second `-f` of Helm does: lists are replaced."""
    merged = dict(values)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = changed(old, value)
        else:
            merged[key] = value
    return merged


def notes(values: Values) -> str:
    """Render what `helm install` says at its end."""
    return _chart().render(values, name="salehi", namespace=NAMESPACE)["salehi/templates/NOTES.txt"]


def render(values: Values, *, name: str = "salehi") -> list[Object]:
    """Render all objects; the same values give the same ones, so change none."""
    return list(_rendered(json.dumps(values), name))


@functools.cache
def _rendered(values: str, name: str) -> tuple[Object, ...]:
    rendered = _chart().render(json.loads(values), name=name, namespace=NAMESPACE)
    return tuple(_objects(rendered))


def _objects(rendered: dict[str, str]) -> Iterator[Object]:
    for path, text in sorted(rendered.items()):
        if path.endswith("NOTES.txt"):
            continue
        for document in yaml.load_all(text, _StrictLoader):
            if document:
                yield document


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    """Give the objects of one kind by name."""
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def workloads(objects: list[Object]) -> dict[str, Object]:
    """Give the services' deployments by name."""
    deployments = of_kind(objects, "Deployment")
    return {name: found for name, found in deployments.items() if service_of(found) != "asterisk"}


def service_of(found: Object) -> str:
    """Name the service an object belongs to."""
    component: str = found["metadata"]["labels"]["app.kubernetes.io/component"]
    return component


def pod_of(found: Object) -> Object:
    """Give the pod a deployment, a job or a pod makes."""
    pod: Object = found["spec"] if found["kind"] == "Pod" else found["spec"]["template"]["spec"]
    return pod


def container_of(found: Object) -> Object:
    """Give the only container of a workload."""
    (container,) = pod_of(found)["containers"]
    made: Object = container
    return made


def environment(found: Object) -> dict[str, Any]:
    """Give a workload's variables: the value, or the reference to a secret's key."""
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom", {}).get("secretKeyRef"))
        for entry in container_of(found)["env"]
    }
