"""Deploys the real template.yaml to the emulator, and does by API call the few things its CloudFormation leaves out."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import template as cfn
from emulator import REGION, Emulator

STACK = "parkade-stack"
STAGE = "stack"
BUCKET = "parkade-code"
DEPLOY_S_MAX = 300
WEBHOOK_SECRET = "whsec_stack"
LAMBDA = cfn.ROOT / "target" / "lambda"


@dataclass(frozen=True)
class Deployment:
    """What the checks need to know of the deployed stack."""

    url: str
    outputs: dict[str, str]
    physical: dict[str, str]
    template: dict[str, Any]


def _zipped(binary: Path) -> bytes:
    """The archive Lambda takes: one executable named `bootstrap`; stored, because it only crosses the loopback."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o755 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as output:
        output.writestr(entry, binary.read_bytes())
    return archive.getvalue()


def _packaged(emulator: Emulator) -> dict[str, Any]:
    """The template with code and nested template uploaded, as `sam package` writes it."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    template = cfn.load()
    for properties in cfn.functions(template).values():
        name = cfn.function_name(properties)
        binary = LAMBDA / name / "bootstrap"
        if not binary.is_file():
            raise RuntimeError(f"{binary} is missing: build it first (make build)")
        archive = _zipped(binary)
        key = f"{name}-{hashlib.sha256(archive).hexdigest()[:16]}.zip"
        s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
        properties["CodeUri"] = f"s3://{BUCKET}/{key}"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            nested = cfn.ROOT / resource["Properties"]["TemplateURL"]
            # The emulator unrolls loops in a root template only.
            body = json.dumps(cfn.expanded(cfn.load(nested))).encode()
            s3.put_object(Bucket=BUCKET, Key=nested.name, Body=body)
            resource["Properties"]["TemplateURL"] = f"{emulator.url}/{BUCKET}/{nested.name}"
    return template


def _parameters(twin_url: str) -> dict[str, str]:
    return {
        "Stage": STAGE,
        "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
        "DeletionProtection": "off",
        # The emulator has no CodeDeploy; traffic goes to the new version at once.
        "CanaryDeployment": "false",
        "DevTokens": "on",
        "StripeBaseUrl": twin_url,
        "StripeSecretKey": "sk_test_stack",
        "StripeWebhookSecret": WEBHOOK_SECRET,
    }


def deploy(emulator: Emulator, twin_url: str) -> Deployment:
    """Creates the stack, waits for it, closes the emulator's gaps and says where the API answers."""
    template = _packaged(emulator)
    parameters = _parameters(twin_url)
    for name, value in parameters.items():
        # The emulator's SAM transform sees a parameter's default, not the value it was called with.
        template["Parameters"][name]["Default"] = value
    emulator.client("s3").put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(template).encode())
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{emulator.url}/{BUCKET}/template.json",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = _wait(cloudformation)
    physical = {
        r["LogicalResourceId"]: r["PhysicalResourceId"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
        for r in page["StackResourceSummaries"]
    }
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
    _create_routes(emulator, template, physical)
    _enable_expiry(emulator, template, physical)
    api = physical["HttpApi"]
    return Deployment(f"{emulator.url}/_aws/execute-api/{api}", outputs, physical, template)


def _wait(cloudformation: Any) -> dict[str, Any]:
    deadline = time.monotonic() + DEPLOY_S_MAX
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return stack
        if stack["StackStatus"].endswith(("FAILED", "ROLLBACK_COMPLETE")):
            events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
            failed = [
                f"  {e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}"
                for e in events
                if e["ResourceStatus"].endswith("FAILED")
            ]
            raise RuntimeError("the stack was not created:\n" + "\n".join(failed or [str(stack)]))
        time.sleep(0.2)
    raise RuntimeError(f"the stack was not created within {DEPLOY_S_MAX} s")


def _create_routes(emulator: Emulator, template: dict[str, Any], physical: dict[str, str]) -> None:
    """SAM puts the routes into an OpenAPI body, which the emulator's CloudFormation does not read."""
    gateway = emulator.client("apigatewayv2")
    api = physical["HttpApi"]
    present = {route["RouteKey"] for route in gateway.get_routes(ApiId=api)["Items"]}
    for route in cfn.routes(template):
        key = f"{route.method} {route.path}"
        if key in present:
            continue
        integration = gateway.create_integration(
            ApiId=api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=physical[f"{route.logical_id}Aliaslive"],
            PayloadFormatVersion="2.0",
        )
        gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration['IntegrationId']}")


def _enable_expiry(emulator: Emulator, template: dict[str, Any], physical: dict[str, str]) -> None:
    dynamodb = emulator.client("dynamodb")
    for logical_id, resource in template["Resources"].items():
        expiry = resource["Properties"].get("TimeToLiveSpecification")
        if expiry:
            dynamodb.update_time_to_live(TableName=physical[logical_id], TimeToLiveSpecification=expiry)
