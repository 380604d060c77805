"""What NetworkPolicies let through, judged as Kubernetes does: both ends must allow it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

Labels = dict[str, str]
Rule = dict[str, Any]


@dataclass(frozen=True)
class Network:
    """The policies of a release in one namespace."""

    policies: list[dict[str, Any]]

    def reaches(self, source: Labels, target: Labels, port: int) -> bool:
        """Whether a pod reaches another one of the namespace at a TCP port."""
        out = self._rules(source, "Egress")
        into = self._rules(target, "Ingress")
        return (out is None or any(_to_pod(rule, "to", target, port) for rule in out)) and (
            into is None or any(_to_pod(rule, "from", source, port) for rule in into)
        )

    def leaves(self, source: Labels, address: str, port: int) -> bool:
        """Whether a pod reaches an address outside the cluster at a TCP port."""
        rules = self._rules(source, "Egress")
        return rules is None or any(_to_address(rule, address, port) for rule in rules)

    def _rules(self, pod: Labels, direction: str) -> list[Rule] | None:
        """Give the rules that hold for a pod; None when no policy selects it."""
        chosen = [
            policy["spec"]
            for policy in self.policies
            if direction in policy["spec"]["policyTypes"]
            and _selects(policy["spec"]["podSelector"], pod)
        ]
        if not chosen:
            return None
        return [rule for spec in chosen for rule in spec.get(direction.lower()) or []]


def _selects(selector: Rule, labels: Labels) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    among = selector.get("matchExpressions", [])
    return all(labels.get(key) == value for key, value in wanted) and all(
        labels.get(part["key"]) in part["values"] for part in among
    )


def _is_open(rule: Rule, port: int) -> bool:
    ports = rule.get("ports")
    return not ports or any(
        part["protocol"] == "TCP" and part["port"] <= port <= part.get("endPort", part["port"])
        for part in ports
    )


def _to_pod(rule: Rule, side: str, labels: Labels, port: int) -> bool:
    peers = rule.get(side)
    return _is_open(rule, port) and (
        not peers
        or any(
            peer.get("namespaceSelector") == {}
            or ("podSelector" in peer and _selects(peer["podSelector"], labels))
            for peer in peers
        )
    )


def _to_address(rule: Rule, address: str, port: int) -> bool:
    peers = rule.get("to")
    return _is_open(rule, port) and (
        not peers or any(_holds(peer["ipBlock"], address) for peer in peers if "ipBlock" in peer)
    )


def _holds(block: Rule, address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return ip in ipaddress.ip_network(block["cidr"]) and not any(
        ip in ipaddress.ip_network(left_out) for left_out in block.get("except", [])
    )
