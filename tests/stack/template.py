"""Reads template.yaml as CloudFormation does: every `!Ref`, `!Sub`, `!GetAtt` … in its long form, as plain dicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
ALARMS = ROOT / "infra" / "alarms.yaml"
FUNCTION = "AWS::Serverless::Function"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; dates stay text, as `Version: 2012-10-17` is one."""


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _short_form)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template as plain data."""
    return yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506, the loader is a SafeLoader


@dataclass(frozen=True)
class Route:
    """One HTTP route and the logical id of its function."""

    method: str
    path: str
    logical_id: str


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Logical id → properties of every function."""
    resources = template["Resources"].items()
    return {key: value["Properties"] for key, value in resources if value["Type"] == FUNCTION}


def function_name(properties: dict[str, Any]) -> str:
    """The one name of a function: the folder that `CodeUri` points to."""
    return properties["CodeUri"].rstrip("/").rsplit("/", 1)[-1]


def events(template: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    """(logical id, properties) of every event of one kind: `HttpApi`, `ScheduleV2`, `DynamoDB`, `SQS`."""
    return [
        (logical_id, event["Properties"])
        for logical_id, properties in functions(template).items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == kind
    ]


def routes(template: dict[str, Any]) -> list[Route]:
    """Every route of the API."""
    return [Route(e["Method"].upper(), e["Path"], logical_id) for logical_id, e in events(template, "HttpApi")]


def expanded(template: dict[str, Any]) -> dict[str, Any]:
    """The template with its `Fn::ForEach` loops unrolled, as the transform AWS::LanguageExtensions does."""
    result = {**template}
    result.pop("Transform", None)
    for section in ("Resources", "Outputs"):
        result[section] = _unrolled(template.get(section, {}), template.get("Parameters", {}))
    return result


def _unrolled(section: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in section.items():
        if not key.startswith("Fn::ForEach::"):
            entries[key] = value
            continue
        variable, items, body = value
        if isinstance(items, dict):
            items = [item.strip() for item in parameters[items["Ref"]]["Default"].split(",")]
        for item in items:
            entries.update(_replaced(body, variable, item))
    return entries


def _replaced(node: Any, variable: str, item: str) -> Any:
    if isinstance(node, dict):
        return {_replaced(k, variable, item): _replaced(v, variable, item) for k, v in node.items()}
    if isinstance(node, list):
        return [_replaced(entry, variable, item) for entry in node]
    if isinstance(node, str):
        alphanumeric = "".join(c for c in item if c.isalnum())
        return node.replace(f"${{{variable}}}", item).replace(f"&{{{variable}}}", alphanumeric)
    return node


def statements(template: dict[str, Any], properties: dict[str, Any]) -> list[dict[str, Any]]:
    """The policy statements of a function, from its entry or from the role it names."""
    if "Role" in properties:
        role = template["Resources"][properties["Role"]["Fn::GetAtt"][0]]["Properties"]
        documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    else:
        documents = properties.get("Policies", [])
    return [statement for document in documents for statement in document["Statement"]]
