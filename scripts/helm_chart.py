"""Write what of the Helm chart is made from the code, the values and the files of other folders.

    .venv/bin/python scripts/helm_chart.py

`tests/deploy` compares the result with what is checked in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart
from pydantic import SecretStr

from ari_gateway.service import CALLS
from ari_gateway.settings import GatewaySettings
from dialer.service import SERVICE as DIALER
from dialer.settings import DialerSettings
from intent.service import SERVICE as INTENT
from intent.settings import IntentSettings
from reporter.service import SERVICE as REPORTER
from reporter.settings import ReporterSettings
from servicekit.settings import ServiceSettings
from speech.service import SERVICE as SPEECH
from speech.settings import SpeechSettings

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy/helm/salehi"
GOLDEN = ROOT / "tests/deploy/golden"
SERVICES: dict[str, tuple[type[ServiceSettings], str]] = {
    "ari-gateway": (GatewaySettings, CALLS),
    "dialer": (DialerSettings, DIALER),
    "speech": (SpeechSettings, SPEECH),
    "intent": (IntentSettings, INTENT),
    "reporter": (ReporterSettings, REPORTER),
}
OF_A_PBX = ("ari-gateway", "dialer", "reporter")
# Not secret in the code's eyes, but an address with a password, or people's numbers.
ALSO_SECRET = frozenset({"SESSION_STORE_URL", "STATIC_CONTACTS", "SMS_ADMINS"})
# The chart decides these itself, from other values.
MANAGED = frozenset(
    {
        "BIND_HOST", "DATA_DIR", "LOG_DIR", "STANDBY", "DRAIN_TIMEOUT",
        "ARI_BASE_URL", "ARI_WS_URL", "ARI_APP_NAME", "ARI_USERNAME", "ARI_CA_FILE",
        "AST_SOUND_DIR", "PROMPTS_FILE", "INTENT_RULES_FILE",
        "GRPC_TLS_CERT", "GRPC_TLS_KEY", "GRPC_TLS_CA", "HEALTH_PORT",
    }
)  # fmt: skip
_COPIES = {
    "deploy/prometheus/rules/salehi.yaml": "files/rules",
    "deploy/grafana/dashboards/*.json": "files/dashboards",
}


def made_files() -> dict[Path, str]:
    """Give what the made files should hold, by path in the chart."""
    made = {
        CHART / "files/services.yaml": _services(),
        CHART / "values.schema.json": _schema(),
        CHART / "README.md": _readme(),
    }
    for pattern, folder in _COPIES.items():
        for source in sorted(ROOT.glob(pattern)):
            made[CHART / folder / source.name] = source.read_text(encoding="utf-8")
    return made


def golden_files() -> dict[Path, str]:
    """Give the rendered defaults and the rendered small example, by path."""
    golden = {}
    with Chart.load(CHART) as chart:
        for name in ("defaults", "small"):
            example = CHART / f"examples/{name}.yaml"
            values = yaml.safe_load(example.read_text(encoding="utf-8")) if example.exists() else {}
            rendered = chart.render(values, name="salehi", namespace="calls")
            parts = [f"# {path}\n{text.strip()}\n" for path, text in sorted(rendered.items())]
            golden[GOLDEN / f"{name}.txt"] = "\n".join(
                part for part in parts if part.count("\n") > 2
            )
    return golden


def _is_managed(name: str) -> bool:
    return name in MANAGED or name.endswith(("_PORT", "_ADDRESS"))


def _is_secret(settings: type[ServiceSettings], name: str) -> bool:
    annotation = str(settings.model_fields[name.lower()].annotation)
    return name in ALSO_SECRET or SecretStr.__name__ in annotation


def _names(settings: type[ServiceSettings], *, secret: bool) -> list[str]:
    """Give the settings a user of the chart can set, plain or secret ones."""
    every = (name.upper() for name in settings.model_fields)
    return sorted(
        name for name in every if not _is_managed(name) and _is_secret(settings, name) is secret
    )


def _services() -> str:
    table = {}
    for service, (settings, health) in SERVICES.items():
        prefix = service.replace("-", "_")
        table[service] = {
            "grpc": settings.model_fields[f"{prefix}_port"].default,
            "metrics": settings.model_fields[f"{prefix}_metrics_port"].default,
            "health": health,
            "plain": _names(settings, secret=False),
            "secret": _names(settings, secret=True),
        }
    head = "# Ports, health names and settings of each service, made by scripts/helm_chart.py.\n"
    return head + yaml.safe_dump(table, sort_keys=False)


def _schema() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    schema["definitions"]["settings"] = _settings_schema(tuple(SERVICES), secret=False)
    schema["definitions"]["pbxSettings"] = _settings_schema(OF_A_PBX, secret=False)
    schema["definitions"]["secrets"] = _settings_schema(tuple(SERVICES), secret=True)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _settings_schema(services: tuple[str, ...], *, secret: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for service in services:
        settings = SERVICES[service][0]
        described = settings.model_json_schema()
        for name in _names(settings, secret=secret):
            found = _value_schema(described["properties"][name.lower()], described)
            if name in properties and properties[name] != found:  # services differ in the range
                found = {key: found[key] for key in ("type", "description")}
            properties[name] = found
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(sorted(properties.items())),
    }


def _value_schema(field: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    """Turn pydantic's description of one setting into that of its text in an environment."""
    flat = dict(field)
    for part in flat.pop("anyOf", []):
        if part.get("type") != "null":
            flat |= part
    if reference := flat.pop("$ref", None):
        flat |= {**described["$defs"][reference.rpartition("/")[2]], **flat}
    if flat.get("type") == "array":
        flat["type"] = "string"
    kept = (
        "type", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "description",
    )  # fmt: skip
    return {key: flat[key] for key in kept if key in flat}


@dataclass(frozen=True)
class _Value:
    path: str
    default: object
    text: str


def _values() -> Iterator[_Value]:
    """Read values.yaml: each key with a comment that begins with `# --`."""
    source = (CHART / "values.yaml").read_text(encoding="utf-8")
    tree = yaml.safe_load(source)
    path: list[str] = []
    text: list[str] = []
    for line in source.splitlines():
        if comment := re.fullmatch(r" *# -- (.*)", line):
            text = [comment[1]]
        elif text and (more := re.fullmatch(r" *# ?(.*)", line)):
            text.append(more[1])
        elif key := re.match(r"( *)([A-Za-z]\w*):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if text:
                default = tree
                for part in path:
                    default = default[part]
                yield _Value(".".join(path), default, " ".join(text))
            text = []


def _readme() -> str:
    template = (CHART / "README.md.in").read_text(encoding="utf-8")
    rows = [f"| `{v.path}` | `{json.dumps(v.default)}` | {v.text} |" for v in _values()]
    values = "\n".join(["| value | default | what it is |", "|---|---|---|", *rows])
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    fields = "\n".join(
        ["| field | what it is |", "|---|---|", *_pbx_rows(schema["definitions"]["pbx"], "")]
    )
    return template.replace("@VALUES@", values).replace("@PBX@", fields)


def _pbx_rows(node: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, field in node["properties"].items():
        path = f"{prefix}{name}"
        if "$ref" in field:
            yield f"| `{path}` | Settings of this PBX's services, over those of `config`. |"
        elif "properties" in field:
            yield from _pbx_rows(field, f"{path}.")
        else:
            yield f"| `{path}` | {field['description']} |"


def main() -> None:
    """Write every made file; the golden ones last, for they come from the others."""
    for make in (made_files, golden_files):
        for path, text in make().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
