"""What template.yaml promises, checked without an account: names, routes, references, permissions, alarms, samples."""

from __future__ import annotations

import copy
import graphlib
import json
import logging
import os
import re
import unittest
from collections import Counter
from types import SimpleNamespace
from typing import Any

import permissions
import template as cfn
from samtranslator.translator.transform import transform

SECRETS = ["PARKADE_MASTER_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"]
STRIPE_CLIENTS = ["Pay", "PaymentMethods", "PaymentWebhook", "OnPaymentRequested", "Reconcile"]
ROUTES = {
    "reserve": ["POST /v1/reservations"],
    "get-reservation": ["GET /v1/reservations/{id}"],
    "modify": ["PATCH /v1/reservations/{id}"],
    "cancel": ["PUT /v1/reservations/{id}/cancel", "DELETE /v1/reservations/{id}"],
    "validate": ["POST /v1/reservations/{id}/validations"],
    "adjust": [
        "POST /v1/reservations/{id}/violations",
        "DELETE /v1/reservations/{id}/violations/{number}",
        "POST /v1/reservations/{id}/refunds",
    ],
    "list-reservations": ["GET /v1/users/{id}/reservations"],
    "pay": ["POST /v1/payments"],
    "payment-methods": [
        "POST /v1/users/{id}/payment-methods",
        "GET /v1/users/{id}/payment-methods",
        "DELETE /v1/users/{id}/payment-methods/{method}",
        "PUT /v1/users/{id}/automatic-payment",
    ],
    "payment-webhook": ["POST /v1/webhooks/stripe"],
    "preferences": ["GET /v1/users/{id}/preferences", "PUT /v1/users/{id}/preferences"],
    "get-payment": ["GET /v1/payments/{id}"],
    "list-payments": ["GET /v1/users/{id}/payments"],
    "get-receipt": ["GET /v1/receipts/{id}"],
    "get-wallet": ["GET /v1/users/{id}/wallet"],
    "quote": ["POST /v1/quotes"],
    "search": ["GET /v1/spots/available"],
    "discover": ["GET /v1/lots"],
    "list-spots": ["GET /v1/lots/{lot}/spots"],
    "get-spot": ["GET /v1/lots/{lot}/spots/{spot}"],
    "put-lot": ["PUT /v1/lots/{lot}"],
    "exceptions": ["GET /v1/reconciliation/exceptions", "PUT /v1/reconciliation/exceptions/{id}"],
    "get-ledger": ["GET /v1/lots/{lot}/ledger", "GET /v1/reconciliation/ledger"],
    "price-explain": ["GET /v1/reservations/{id}/price", "POST /v1/prices/explain"],
    "tariffs": [
        "POST /v1/lots/{lot}/tariffs",
        "GET /v1/lots/{lot}/tariffs",
        "POST /v1/lots/{lot}/tariffs/validation",
        "GET /v1/lots/{lot}/tariffs/{version}",
        "GET /v1/lots/{lot}/tariffs/{version}/changes",
        "PUT /v1/lots/{lot}/tariffs/{version}/publication",
        "DELETE /v1/lots/{lot}/tariffs/{version}/publication",
        "POST /v1/lots/{lot}/tariffs/{version}/simulation",
    ],
    "tills": [
        "POST /v1/lots/{lot}/tills/{till}/payments",
        "POST /v1/lots/{lot}/tills/{till}/payouts",
        "POST /v1/lots/{lot}/tills/{till}/counts",
        "GET /v1/lots/{lot}/tills/{till}/counts",
    ],
    "put-spots": ["PUT /v1/lots/{lot}/spots"],
    "set-spot-status": ["PUT /v1/lots/{lot}/spots/{spot}/status"],
    "check-in": ["POST /v1/gate/check-in"],
    "check-out": ["POST /v1/gate/check-out"],
}
PSEUDO = re.compile(r"AWS::(AccountId|Partition|Region|StackId|StackName|URLSuffix|NoValue)")
# Lambda's advice: a message must not come back while its batch, with retries of the poller, is still worked on.
VISIBILITY_PER_TIMEOUT_MIN = 6
EVENT_FILES = cfn.ROOT / "events"


def walk(node: Any):
    """Every dict below a node."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def referenced(node: Any) -> set[str]:
    """Logical ids, parameters and pseudo parameters that a node refers to."""
    names: set[str] = set()
    for entry in walk(node):
        if "Ref" in entry:
            names.add(entry["Ref"])
        if "Fn::GetAtt" in entry:
            names.add(entry["Fn::GetAtt"][0])
        if "Fn::Sub" in entry:
            text, variables = entry["Fn::Sub"], {}
            if isinstance(text, list):
                text, variables = text
            found = re.findall(r"\$\{([^!}][^}]*)\}", text)
            names |= {name.split(".")[0] for name in found if name not in variables}
    return names


def as_list(value: Any) -> list[Any]:
    """A value, or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def translated(template: dict[str, Any]) -> dict[str, Any]:
    """What CloudFormation makes of the template: SAM's own transform, with the parameters' defaults."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    template = copy.deepcopy(template)
    for properties in cfn.functions(template).values():
        properties["CodeUri"] = "s3://bucket/key"
    logging.disable(logging.WARNING)
    try:
        return transform(template, {}, SimpleNamespace(load=dict))
    finally:
        logging.disable(logging.NOTSET)


class TemplateTest(unittest.TestCase):
    """One method per promise."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.template = cfn.load()
        cls.functions = cfn.functions(cls.template)
        cls.names = {cfn.function_name(p): logical_id for logical_id, p in cls.functions.items()}
        cls.alarms = cfn.expanded(cfn.load(cfn.ALARMS))

    def test_every_folder_in_functions_is_deployed_under_its_own_name(self) -> None:
        folders = sorted(path.parent.name for path in (cfn.ROOT / "functions").glob("*/Cargo.toml"))
        self.assertEqual(folders, sorted(self.names))
        for name, logical_id in self.names.items():
            properties = self.functions[logical_id]
            self.assertEqual(properties["CodeUri"], f"target/lambda/{name}/")
            self.assertEqual(properties["FunctionName"], {"Fn::Sub": f"parkade-${{Stage}}-{name}"})
            self.assertEqual(logical_id, "".join(part.capitalize() for part in name.split("-")))

    def test_a_functions_package_and_binary_carry_its_name(self) -> None:
        for name in self.names:
            manifest = (cfn.ROOT / "functions" / name / "Cargo.toml").read_text()
            self.assertIn(f'name = "{name}"', manifest)

    def test_the_routes_are_those_of_the_api(self) -> None:
        found: dict[str, list[str]] = {}
        for route in cfn.routes(self.template):
            name = cfn.function_name(self.functions[route.logical_id])
            found.setdefault(name, []).append(f"{route.method} {route.path}")
        self.assertEqual(found, ROUTES)
        keys = Counter(key for keys in found.values() for key in keys)
        self.assertEqual([key for key, count in keys.items() if count > 1], [])

    def test_every_function_has_a_source(self) -> None:
        for logical_id, properties in self.functions.items():
            self.assertTrue(properties.get("Events"), logical_id)

    def test_every_reference_resolves(self) -> None:
        for path in [cfn.TEMPLATE, *sorted((cfn.ROOT / "infra").glob("*.yaml"))]:
            template = cfn.expanded(cfn.load(path))
            known = set(template["Resources"]) | set(template.get("Parameters", {}))
            used = referenced({key: template.get(key, {}) for key in ("Resources", "Outputs", "Conditions", "Globals")})
            dangling = {name for name in used - known if not PSEUDO.fullmatch(name)}
            self.assertEqual(dangling, set(), path.name)

    def test_a_deployment_can_be_ordered(self) -> None:
        resources = translated(self.template)["Resources"]
        depends = {}
        for logical_id, resource in resources.items():
            needs = referenced(resource) | set(as_list(resource.get("DependsOn", [])))
            depends[logical_id] = {name for name in needs if name in resources and name != logical_id}
        self.assertIn("ReserveDeploymentGroup", depends, "the canary is part of what is checked")
        try:
            tuple(graphlib.TopologicalSorter(depends).static_order())
        except graphlib.CycleError as error:
            self.fail(" → ".join(error.args[1]))

    def test_parameters_of_the_nested_template_fit(self) -> None:
        given = set(self.template["Resources"]["Alarms"]["Properties"]["Parameters"])
        wanted = {name for name, p in self.alarms["Parameters"].items() if "Default" not in p}
        self.assertEqual(given, wanted)

    def test_every_function_has_alarms_and_rolls_back_by_its_own(self) -> None:
        alarms = {r["Properties"]["AlarmName"]["Fn::Sub"] for r in self.alarms["Resources"].values()}
        for name, logical_id in self.names.items():
            for kind in ("errors", "throttles"):
                self.assertIn(f"parkade-${{Stage}}-{name}-{kind}", alarms)
            output = name.replace("-", "")
            rollback = self.functions[logical_id]["DeploymentPreference"]["Alarms"]
            self.assertEqual(rollback, [{"Fn::GetAtt": ["Alarms", f"Outputs.{output}"]}], name)
            self.assertEqual(self.alarms["Outputs"][output]["Value"], {"Fn::Sub": f"parkade-${{Stage}}-{name}-errors"})
        for logical_id, _ in cfn.events(self.template, "ScheduleV2"):
            name = cfn.function_name(self.functions[logical_id])
            self.assertIn(f"parkade-${{Stage}}-{name}-silent", alarms)
        for logical_id, _ in cfn.events(self.template, "DynamoDB"):
            name = cfn.function_name(self.functions[logical_id])
            self.assertIn(f"parkade-${{Stage}}-{name}-late", alarms)

    def test_every_dead_letter_queue_has_an_alarm(self) -> None:
        alarms = {r["Properties"]["AlarmName"]["Fn::Sub"] for r in self.alarms["Resources"].values()}
        queues = {k: v for k, v in self.template["Resources"].items() if v["Type"] == "AWS::SQS::Queue"}
        for logical_id, queue in queues.items():
            if "RedrivePolicy" not in queue["Properties"]:
                self.assertIn(queue["Properties"]["QueueName"]["Fn::Sub"], alarms, logical_id)

    def test_what_fails_for_good_is_kept_and_partial_failures_are_reported(self) -> None:
        for kind in ("DynamoDB", "SQS"):
            for logical_id, event in cfn.events(self.template, kind):
                self.assertEqual(event["FunctionResponseTypes"], ["ReportBatchItemFailures"], logical_id)
        for logical_id, event in cfn.events(self.template, "DynamoDB"):
            self.assertTrue(event["BisectBatchOnFunctionError"], logical_id)
            # -1 is as long as the stream keeps the record.
            self.assertNotEqual(event["MaximumRetryAttempts"], 0, logical_id)
            self.assertIn("OnFailure", event["DestinationConfig"], logical_id)
        for logical_id, event in cfn.events(self.template, "ScheduleV2"):
            self.assertIn(event["ScheduleExpression"], ["rate(1 minute)", "rate(1 hour)"], logical_id)
            self.assertIn("Arn", event["DeadLetterConfig"], logical_id)
            on_failure = self.functions[logical_id]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
            self.assertIn("Destination", on_failure, logical_id)

    def test_a_message_stays_invisible_while_it_is_worked_on(self) -> None:
        default = self.template["Globals"]["Function"]["Timeout"]
        for logical_id, event in cfn.events(self.template, "SQS"):
            queue = self.template["Resources"][event["Queue"]["Fn::GetAtt"][0]]["Properties"]
            timeout = self.functions[logical_id].get("Timeout", default)
            self.assertGreater(queue["VisibilityTimeout"], VISIBILITY_PER_TIMEOUT_MIN * timeout, logical_id)
            self.assertIn("deadLetterTargetArn", queue["RedrivePolicy"])

    def test_policies_name_their_actions_and_resources(self) -> None:
        for logical_id, properties in self.functions.items():
            statements = cfn.statements(self.template, properties)
            self.assertTrue(statements, logical_id)
            for statement in statements:
                for action in statement["Action"]:
                    self.assertNotIn("*", action, logical_id)
                if statement["Action"] == ["sns:Publish"]:
                    # A text's resource is the phone number, which no ARN can name: everything else is left out instead.
                    self.assertEqual(statement["NotResource"], {"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}, logical_id)
                elif statement["Action"] != ["dynamodb:ListStreams"]:
                    self.assertNotEqual(statement["Resource"], "*", logical_id)

    def test_policies_allow_exactly_what_the_code_calls(self) -> None:
        for name, logical_id in self.names.items():
            with self.subTest(function=name):
                allowed = permissions.allowed(self.template, self.functions[logical_id])
                self.assertEqual(allowed, permissions.needed(name))

    def test_only_the_functions_that_tell_drivers_may_send_and_only_from_the_one_address(self) -> None:
        senders = set()
        for logical_id, properties in self.functions.items():
            for statement in cfn.statements(self.template, properties):
                if statement["Action"] == ["ses:SendEmail"]:
                    senders.add(logical_id)
                    condition = {"StringEquals": {"ses:FromAddress": {"Ref": "NotificationsFrom"}}}
                    self.assertEqual(statement["Condition"], condition, logical_id)
        self.assertEqual(senders, {"Notify", "Remind"})

    def test_nobody_may_change_or_delete_what_is_sealed(self) -> None:
        for name, logical_id in self.names.items():
            allowed = permissions.allowed(self.template, self.functions[logical_id]).get("Ledger", set())
            self.assertEqual(allowed & {"UpdateItem", "DeleteItem", "BatchWriteItem"}, set(), name)

    def test_secrets_go_only_where_they_are_used_and_only_as_references(self) -> None:
        for logical_id, properties in self.functions.items():
            variables = properties.get("Environment", {}).get("Variables", {})
            for name in SECRETS:
                if name in variables:
                    self.assertTrue(variables[name]["Fn::Sub"].startswith("{{resolve:secretsmanager:"), logical_id)
            self.assertEqual("STRIPE_SECRET_KEY" in variables, logical_id in STRIPE_CLIENTS)
            self.assertEqual("STRIPE_WEBHOOK_SECRET" in variables, logical_id == "PaymentWebhook")

    def test_tables_are_protected(self) -> None:
        tables = {k: v for k, v in self.template["Resources"].items() if v["Type"] == "AWS::DynamoDB::Table"}
        self.assertEqual(sorted(tables), ["Calendar", "Derived", "Ledger", "Records"])
        for logical_id, table in tables.items():
            properties = table["Properties"]
            self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("Retain", "Retain"), logical_id)
            self.assertTrue(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], logical_id)
            self.assertEqual(properties["SSESpecification"], {"SSEEnabled": True, "SSEType": "KMS"}, logical_id)
            # Nothing of the books is ever deleted.
            expiry = None if logical_id == "Ledger" else {"AttributeName": "x", "Enabled": True}
            self.assertEqual(properties.get("TimeToLiveSpecification"), expiry, logical_id)
            self.assertEqual(properties["BillingMode"], "PAY_PER_REQUEST", logical_id)
            self.assertEqual(properties["DeletionProtectionEnabled"], {"Fn::If": ["Protected", True, False]}, logical_id)
            for index in properties.get("GlobalSecondaryIndexes", []):
                self.assertEqual(index["Projection"], {"ProjectionType": "KEYS_ONLY"}, logical_id)


class SamplesTest(unittest.TestCase):
    """events/<function>/*.json."""

    def test_every_function_has_a_sample_and_every_sample_a_function(self) -> None:
        template = cfn.load()
        names = {cfn.function_name(p) for p in cfn.functions(template).values()}
        self.assertEqual({p.parent.name for p in EVENT_FILES.glob("*/*.json")}, names)

    def test_every_sample_has_the_shape_of_a_source_of_its_function(self) -> None:
        template = cfn.load()
        for logical_id, properties in cfn.functions(template).items():
            name = cfn.function_name(properties)
            for path in sorted((EVENT_FILES / name).glob("*.json")):
                sample = json.loads(path.read_text())
                kinds = {event["Type"] for event in properties["Events"].values()}
                with self.subTest(path=str(path.relative_to(cfn.ROOT))):
                    self.assertIn(self.kind(sample), kinds)
                    if self.kind(sample) == "HttpApi":
                        self.check_http(sample, [r for r in cfn.routes(template) if r.logical_id == logical_id])

    @staticmethod
    def kind(sample: dict[str, Any]) -> str:
        """The SAM event type that sends such a payload."""
        if "routeKey" in sample:
            return "HttpApi"
        if sample.get("source") == "aws.scheduler":
            return "ScheduleV2"
        sources = {record["eventSource"] for record in sample["Records"]}
        return {"aws:sqs": "SQS", "aws:dynamodb": "DynamoDB"}[sources.pop()] if len(sources) == 1 else "mixed"

    def check_http(self, sample: dict[str, Any], routes: list[cfn.Route]) -> None:
        keys = {f"{route.method} {route.path}": route for route in routes}
        self.assertIn(sample["routeKey"], keys)
        route = keys[sample["routeKey"]]
        http = sample["requestContext"]["http"]
        self.assertEqual((http["method"], http["path"]), (route.method, sample["rawPath"]))
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        match = re.fullmatch(pattern, sample["rawPath"])
        self.assertIsNotNone(match)
        self.assertEqual(sample.get("pathParameters", {}), match.groupdict())
        if "body" in sample:
            json.loads(sample["body"])


if __name__ == "__main__":
    unittest.main()
