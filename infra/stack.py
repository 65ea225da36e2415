"""The stack of each stage, created, updated and deleted in moto, which imitates AWS inside of this process.

`python infra/stack.py` prints what was created, changed and kept, and what moto skips, and fails on an error.
`pytest infra/stack.py` tests that it does, with templates that CloudFormation would refuse.
"""

import json
import logging
import sys

import boto3
import pytest

import checks
from checks import GONE, mutated, of_type, read
from cloud import REGION, Deployed, account, configured, skipped

SECRETS = {"database": {"username": "ro", "password": "first"}, "anthropic": {"apiKey": "key"}}
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
VPC = {"VpcSubnetIds": ",".join(SUBNETS), "VpcSecurityGroupIds": "sg-0123456789abcdef0"}
DEPLOY_ROLE = {"Repository": "owner/name", "ArtifactBucket": "bucket"}

# What remains when a stack is deleted. infra/README.md says so, too.
KEPT = {"RateLimitTable", "ApiGatewayAccount", "ApiGatewayRole", "OidcProvider"}

# The types and properties that moto skips, apart from their schema, and where they are checked.
SKIPPED = {
    "AWS::ApiGateway::Account": "only has the role, whose reference is resolved here",
    "AWS::ApiGateway::RestApi Description": "free text",
    "AWS::ApiGateway::RestApi EndpointConfiguration": checks.stage_is_throttled_logged_and_traced,
    "AWS::ApiGateway::RestApi Parameters": checks.stage_is_throttled_logged_and_traced,
    "AWS::ApiGateway::Stage": checks.stage_is_throttled_logged_and_traced,
    "AWS::CloudWatch::Alarm": checks.alarms_are_well_defined,
    "AWS::DynamoDB::Table PointInTimeRecoverySpecification": checks.table_is_protected,
    "AWS::DynamoDB::Table TimeToLiveSpecification": checks.table_is_protected,
    "AWS::IAM::OIDCProvider": checks.only_our_repository_deploys,
    "AWS::IAM::Role ManagedPolicyArns": checks.one_role_per_function,
    "AWS::Lambda::Function Architectures": checks.functions_are_built_and_sized,
    "AWS::Lambda::Function LoggingConfig": checks.every_function_has_a_log_group,
    "AWS::Lambda::Function Tags": "SAM's own",
    "AWS::Lambda::Function TracingConfig": checks.functions_are_built_and_sized,
    "AWS::Logs::MetricFilter": checks.metrics_exist,
}


def life(stage, vpc, template, report, skipped_here):
    """Creates, updates and deletes the stack of a stage. Yields a sentence for each error."""
    with account() as given:
        secrets = boto3.client("secretsmanager", REGION)
        for name, value in SECRETS.items():
            secrets.create_secret(Name=f"ro-tracker/{stage}/{name}", SecretString=json.dumps(value))
        role = Deployed(f"ro-tracker-deploy-{stage}", read("infra/deploy-role.yaml"), DEPLOY_ROLE | {"Stage": stage})
        parameters = configured(stage) | {"PermissionsBoundaryArn": role.outputs["BoundaryArn"]} | (VPC if vpc else {})
        stack = Deployed(f"ro-tracker-{stage}", template, parameters)
        created, resources = sum(map(len, given.values())), role.resources() | stack.resources()
        report.append(f"{stage}{' in a VPC' * vpc}: creates {created} resources")
        yield from functions_are_configured(vpc, "first")

        for parameter, value in {"FrontendUrl": "https://another.example.com", "SecretsRevision": "another"}.items():
            if parameter == "SecretsRevision":
                rotated = json.dumps(SECRETS["database"] | {"password": "second"})
                secrets.put_secret_value(SecretId=f"ro-tracker/{stage}/database", SecretString=rotated)
            parameters[parameter] = value
            changed, gone = stack.update(template, parameters)
            report.append(f"  {parameter} changes {len(changed)}: {', '.join(sorted(changed))}; removes {', '.join(sorted(gone)) or 'none'}")
            yield from changes_arrive(parameter, stack.stack.template_dict["Resources"], changed)
        yield from functions_are_configured(vpc, "second")

        # A version has no life of its own: it disappears with its function.
        kept = {name for name, (kind, _) in (role.delete() | stack.delete()).items() if kind != "AWS::Lambda::Version"}
        report.append(f"  the deletion keeps {', '.join(sorted(kept))}")
        if kept != KEPT & resources.keys():
            yield f"the deletion keeps {sorted(kept)} instead of {sorted(KEPT & resources.keys())}"
        if boto3.client("lambda", REGION).list_functions()["Functions"]:
            yield "functions are left after the deletion"
        skipped_here |= set(skipped(given))


def functions_are_configured(vpc, password):
    for function in boto3.client("lambda", REGION).list_functions()["Functions"]:
        if function["Environment"]["Variables"].get("DB_PASSWORD", password) != password:
            yield f"{function['FunctionName']} has another password than {password}"
        if function.get("VpcConfig", {}).get("SubnetIds", []) != (SUBNETS if vpc else []):
            yield f"{function['FunctionName']} is in {function.get('VpcConfig')}"


def changes_arrive(parameter, resources, changed):
    for name in of_type(resources, "AWS::Lambda::Function").keys() - changed:
        yield f"{parameter} does not reach {name}"
    for kind, source in (("AWS::Lambda::Version", "FunctionName"), ("AWS::ApiGateway::Deployment", "RestApiId")):
        for name, resource in of_type(resources, kind).items():
            if resource["Properties"][source]["Ref"] in changed and name not in changed:
                yield f"{parameter} changes {resource['Properties'][source]['Ref']}, but {name} publishes nothing new"


def problems(template, stages=("dev", "prod"), vpcs=(False, True), report=None, skips=None):
    for stage in stages:
        for vpc in vpcs:
            try:
                yield from life(stage, vpc, template, [] if report is None else report, set() if skips is None else skips)
            except Exception as error:  # those of moto and of its clients have no common class
                yield f"{stage}{' in a VPC' * vpc}: {error!r}"


# Each of these breaks the template in one way: the path of a value, its new value, and a part of the error.
FUNCTION = "Resources RosFunction Properties"
MUTATIONS = [
    (f"{FUNCTION} Role", {"Fn::GetAtt": ["RosRole", "Name"]}, "Name"),
    ("Resources Api Properties Variables loggingRoleOf", {"Fn::GetAtt": ["ApiGatewayAccount", "Name"]}, "no attribute Name"),
    ("Globals Function MemorySize", "much", "MemorySize"),
    ("Resources RosLogGroup Properties RetentionInDays", 31, "RetentionInDays"),
    ("Resources RosRole Properties Boundary", "none", "Boundary"),
    ("Resources RosFunction Properties ReservedConcurrentExecutions", -1, "ReservedConcurrentExecutions"),
    ("Parameters DbHost", GONE, "DbHost"),
    ("Parameters NewUrl", {"Type": "String"}, "NewUrl"),
    ("Parameters DbHost AllowedPattern", "[0-9.]+", "DbHost may not be"),
    ("Parameters ThrottlingRate MaxValue", 10, "ThrottlingRate may not be"),
    ("Rules", {"Named": {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "DbHost"}, ""]}, "AssertDescription": "why"}]}}, "Named: why"),
    ("Resources Observability Properties Parameters Stage", GONE, "Stage"),
    ("Outputs DashboardUrl Value", {"Fn::GetAtt": ["Observability", "Outputs.Url"]}, "Outputs.Url"),
    (f"{FUNCTION} Environment Variables DB_USER", "{{resolve:secretsmanager:other:SecretString:username}}", "ResourceNotFound"),
    (f"{FUNCTION} Environment Variables DB_PASSWORD", "{{resolve:secretsmanager:ro-tracker/dev/database:SecretString:pass}}", "has no pass"),
    (f"{FUNCTION} Environment Variables FRONTEND_URL", "https://example.com", "FrontendUrl does not reach RosFunction"),
    ("Globals Function Environment Variables SECRETS_REVISION", "1", "SecretsRevision does not reach"),
    ("Resources RateLimitTable DeletionPolicy", "Delete", "DeletionProtectionEnabled"),
    ("Resources AiLogGroup DeletionPolicy", "Retain", "AiLogGroup"),
]


@pytest.mark.parametrize(("path", "value", "error"), MUTATIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_broken_template_is_refused(path, value, error):
    found = list(problems(mutated("template.yaml", path, value), ["dev"], [False]))
    assert any(error in problem for problem in found), found


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # SAM's transform reports that it has no feature toggles
    report, skips = [], set()
    found = list(problems(read(), report=report, skips=skips))
    print("\n".join(report))
    print("Skipped by moto, and what checks it beside the schema of its type:")
    for name in sorted(skips):
        check = SKIPPED.get(name)
        print(f"  {name}: {check if isinstance(check, str) else check and check.__name__}")
    found += [f"moto skips {name}, and SKIPPED says nothing of it" for name in skips - SKIPPED.keys()]
    found += [f"moto does not skip {name}, which SKIPPED names" for name in SKIPPED.keys() - skips]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(bool(found))
