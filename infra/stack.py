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
from checks import GONE, filled_in, mutated, of_type, read
from cloud import REGION, Deployed, account, skipped
from permissions import role_reaches, statements

SECRETS = {
    "anthropic": {"apiKey": "key"},
    "database": {"username": "service", "password": "first"},
    "migrator": {"username": "migrator", "password": "other"},
    "proxy": {"accepted": "a" * 32, "sent": "a" * 32},
}
RUST = "provided.al2023"  # the functions in Python only serve the deployment
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
VPC = {"VpcSubnetIds": ",".join(SUBNETS), "VpcSecurityGroupIds": "sg-0123456789abcdef0"}
DEPLOY_ROLE = {"Repository": "owner/name", "ArtifactBucket": "bucket"}

# What remains when a stack is deleted. infra/README.md says so, too.
KEPT = ("ApiGatewayAccount", "ApiGatewayRole", "DatabaseCa", "OidcProvider")

# The types and properties that moto skips, apart from their schema, and which check of checks.py looks at them, or why none does.
SKIPPED = {
    "AWS::ApiGateway::Account": "only has the role, whose reference is resolved here",
    "AWS::ApiGateway::RestApi Description": "free text",
    "AWS::ApiGateway::RestApi EndpointConfiguration": "stage_is_throttled_logged_and_traced",
    "AWS::ApiGateway::RestApi Parameters": "stage_is_throttled_logged_and_traced",
    "AWS::ApiGateway::Stage": "stage_is_throttled_logged_and_traced",
    "AWS::CloudWatch::Alarm": "alarms_are_well_defined",
    "AWS::CodeDeploy::Application": "SAM writes it",
    "AWS::CodeDeploy::DeploymentGroup": "deployments_take_themselves_back",
    "AWS::DynamoDB::Table TimeToLiveSpecification": "table_is_temporary",
    "AWS::IAM::OIDCProvider": "only_our_repository_deploys",
    "AWS::IAM::Role ManagedPolicyArns": "one_role_per_function",
    "AWS::Lambda::Function Architectures": "functions_are_built_and_sized",
    "AWS::Lambda::Function LoggingConfig": "every_function_has_a_log_group",
    "AWS::Lambda::Function Tags": "SAM's own",
    "AWS::Lambda::Function TracingConfig": "functions_are_built_and_sized",
    "AWS::Lambda::Function Layers": "authorities_are_in_the_layer",
    "AWS::Lambda::LayerVersion LayerName": "authorities_are_in_the_layer",
    "AWS::Logs::MetricFilter": "metrics_exist",
    "Custom::Migrations Revision": "migrations_run_first",
    "Custom::Migrations ServiceTimeout": "migrations_run_first",
    "Custom::Migrations Version": "migrations_run_first",
}


def life(stage, vpc, template, report, skipped_here):
    """Creates, updates and deletes the stack of a stage. Yields a sentence for each error."""
    with account() as given:
        secrets = boto3.client("secretsmanager", REGION)
        for name, value in SECRETS.items():
            secrets.create_secret(Name=f"ro-tracker/{stage}/{name}", SecretString=json.dumps(value))
        role = Deployed(f"ro-tracker-deploy-{stage}", read("infra/deploy-role.yaml"), DEPLOY_ROLE | {"Stage": stage})
        parameters = filled_in("default" if stage == "dev" else stage) | {"PermissionsBoundaryArn": role.outputs["BoundaryArn"]} | (VPC if vpc else {})
        stack = Deployed(f"ro-tracker-{stage}", template, parameters)
        there = role.kinds() | stack.kinds()
        report.append(f"{stage}{' in a VPC' * vpc}: creates {sum(map(len, given.values()))} resources")
        yield from functions_are_configured(vpc, "first")
        yield from role_reaches(list(statements({"Resources": role.resources()})), stack.resources())

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
        kept = {name for name, kind in (role.delete() | stack.delete()).items() if kind != "AWS::Lambda::Version"}
        report.append(f"  the deletion keeps {', '.join(sorted(kept))}")
        for name in kept ^ {name for name in there if name.startswith(KEPT)}:
            yield f"the deletion {'keeps' if name in kept else 'removes'} {name}"
        if boto3.client("lambda", REGION).list_functions()["Functions"]:
            yield "functions are left after the deletion"
        skipped_here |= set(skipped(given))


def functions_are_configured(vpc, password):
    """Whether what callers reach has the password, and is in the VPC. They reach the version of an alias, if there is one."""
    client = boto3.client("lambda", REGION)
    for function in client.list_functions()["Functions"]:
        name = function["FunctionName"]
        for alias in client.list_aliases(FunctionName=name)["Aliases"]:
            function = client.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])
        variables = function.get("Environment", {}).get("Variables", {})
        if variables.get("DB_USER") == "service" and variables["DB_PASSWORD"] != password:
            yield f"{name} has another password than {password}"
        if function["Runtime"] == RUST and function.get("VpcConfig", {}).get("SubnetIds", []) != (SUBNETS if vpc else []):
            yield f"{name} is in {function.get('VpcConfig')}"


def changes_arrive(parameter, resources, changed):
    for name in of_type(resources, "AWS::Lambda::Function").keys() - changed:
        if resources[name]["Properties"]["Runtime"] == RUST:
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
        print(f"  {name}: {SKIPPED.get(name)}")
    found += [f"moto skips {name}, and SKIPPED says nothing of it" for name in skips - SKIPPED.keys()]
    found += [f"checks.py has no {check}" for check in SKIPPED.values() if " " not in check and not hasattr(checks, check)]
    found += [f"moto does not skip {name}, which SKIPPED names" for name in SKIPPED.keys() - skips]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(bool(found))
