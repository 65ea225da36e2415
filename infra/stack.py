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
from cloud import REGION, Deployed, Refused, account, complete, skipped
from permissions import boundary, boundary_reaches, role_reaches, statements

SECRETS = {
    "anthropic": {"apiKey": "key"},
    "database": {"username": "service", "password": "first"},
    "migrator": {"username": "migrator", "password": "other"},
    "probe": {"clientId": "client", "clientSecret": "secret"},
    "proxy": {"accepted": "a" * 32, "sent": "a" * 32},
}
RUST = "provided.al2023"  # the functions in Python only serve the deployment
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
VPC = {"VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1", "VpcSecurityGroupIds": "sg-0123456789abcdef0"}

# Parameters that deploy-role.yaml has, too. A test creates the zone.
SHARED = {
    "DomainName": "api.genthrust.com",
    "HostedZoneId": None,
    "DashboardOrigin": "genthrust.netlify.app",
    "ApiWebAcl": "true",
    "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012",
}
EVERYTHING = SHARED | {
    "CertificateArn": CERTIFICATE,
    "BasePath": "/ro",
    "DashboardDomain": "ro.genthrust.com",
    "DashboardCertificateArn": CERTIFICATE,
    "DashboardWebAclArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/office/12345678-1234-1234-1234-123456789012",
    "ProxySecret": "true",
    "ProbeTokenUrl": "https://login.microsoftonline.com/12345678-1234-1234-1234-123456789012/oauth2/v2.0/token",
    "AiLogConversations": "false",
    "ManageApiGatewayAccount": "true",
}

# Each stack that is created: its name in the report, its stage, and the parameters that differ from those of samconfig.toml.
STACKS = {
    "dev": ("dev", {}),
    "dev in a VPC": ("dev", VPC),
    "prod": ("prod", {}),
    "prod in a VPC": ("prod", VPC),
    "prod with all that is optional": ("prod", EVERYTHING),
}

# Each update: the parameters that it changes, the package of the functions and that of the authorities.
UPDATES = {
    "another FrontendUrl": ({"FrontendUrl": "https://another.genthrust.com"}, "code", "ca"),
    "another SecretsRevision": ({"SecretsRevision": "another"}, "code", "ca"),
    "another package": ({}, "other", "ca"),
    "another ca.pem": ({}, "other", "other"),
}
DEPLOY_ROLE = {"Repository": "owner/name", "ArtifactBucket": "bucket"}

# What remains when a stack is deleted. infra/README.md says so, too.
KEPT = {"ApiGatewayAccount", "ApiGatewayRole", "OidcProvider"}

# What moto skips: types, and properties of other types. For each the check of checks.py, or why there is none. The schema of the
# type is checked for all of them.
SKIPPED = {
    "AWS::ApiGateway::Account": "only has the role, whose reference is resolved here",
    "AWS::ApiGateway::BasePathMapping": "domain_is_optional",
    "AWS::ApiGateway::DomainName": "domain_is_optional",
    "AWS::ApiGateway::RestApi Description": "free text",
    "AWS::ApiGateway::RestApi EndpointConfiguration": "stage_is_throttled_logged_and_traced",
    "AWS::ApiGateway::RestApi Parameters": "stage_is_throttled_logged_and_traced",
    "AWS::ApiGateway::Stage": "stage_is_throttled_logged_and_traced",
    "AWS::Budgets::Budget": "budget_is_of_the_month",
    "AWS::CloudFront::Distribution": "distribution_streams",
    "AWS::CloudWatch::Alarm": "alarms_are_well_defined",
    "AWS::CodeDeploy::Application": "SAM writes it",
    "AWS::CodeDeploy::DeploymentGroup": "deployments_take_themselves_back",
    "AWS::DynamoDB::Table TimeToLiveSpecification": "table_is_temporary",
    "AWS::IAM::OIDCProvider": "only has the address and the audience that GitHub names",
    "AWS::IAM::Role ManagedPolicyArns": "functions_may_use_what_they_have",
    "AWS::IAM::RolePolicy": "permissions.py compares its actions",
    "AWS::Lambda::EventInvokeConfig": "scheduled_check_asks_every_function",
    "AWS::Lambda::Function Architectures": "functions_are_built_and_sized",
    "AWS::Lambda::Function LoggingConfig": "every_function_has_a_log_group",
    "AWS::Lambda::Function Tags": "SAM's own",
    "AWS::Lambda::Function TracingConfig": "functions_are_built_and_sized",
    "AWS::Lambda::Function KmsKeyArn": "variables_can_be_encrypted",
    "AWS::Lambda::Function Layers": "authorities_are_in_the_layer",
    "AWS::Lambda::LayerVersion LayerName": "authorities_are_in_the_layer",
    "AWS::Logs::MetricFilter": "metrics_exist",
    "AWS::Logs::QueryDefinition": "queries_read_the_logs",
    "AWS::WAFv2::WebACL": "web_acl_guards_the_gateway",
    "AWS::WAFv2::WebACLAssociation": "web_acl_guards_the_gateway",
    "Custom::Migrations Revision": "migrations_run_first",
    "Custom::Migrations ServiceTimeout": "migrations_run_first",
    "Custom::Migrations Version": "migrations_run_first",
}


def life(stage, different, template, report, skips):
    """Creates, updates and deletes the stack of a stage. Yields a sentence for each error."""
    with account() as given:
        secrets = boto3.client("secretsmanager", REGION)
        for name, value in SECRETS.items():
            secrets.create_secret(Name=f"ro-tracker/{stage}/{name}", SecretString=json.dumps(value))
        if "HostedZoneId" in different:
            zone = boto3.client("route53").create_hosted_zone(Name="genthrust.com", CallerReference="zone")["HostedZone"]
            different = different | {"HostedZoneId": zone["Id"].removeprefix("/hostedzone/")}
        shared = {name: value for name, value in different.items() if name in SHARED}
        role = Deployed(f"ro-tracker-deploy-{stage}", read("infra/deploy-role.yaml"), DEPLOY_ROLE | {"Stage": stage} | shared)
        parameters = filled_in("default" if stage == "dev" else stage) | different
        parameters["PermissionsBoundaryArn"] = role.outputs["BoundaryArn"]
        stack = Deployed(f"ro-tracker-{stage}", template, parameters)
        created = role.resources() | stack.resources()
        report.append(f"  creates {len(created)} resources, {len(role.resources())} of them for the deployment")
        yield from functions_are_configured(parameters, "first")
        deploying = {"Resources": role.resources()}
        yield from role_reaches(list(statements(deploying)), stack.resources())
        yield from boundary_reaches(boundary(deploying), stack.resources())

        rotated = json.dumps(SECRETS["database"] | {"password": "second"})
        for name, (change, package, authorities) in UPDATES.items():
            if "SecretsRevision" in change:
                secrets.put_secret_value(SecretId=f"ro-tracker/{stage}/database", SecretString=rotated)
            parameters |= change
            changed, gone = stack.update(template, parameters, package, authorities)
            report.append(f"  {name} changes {len(changed)}: {', '.join(sorted(changed))}; removes {', '.join(sorted(gone)) or 'nothing'}")
            yield from changes_arrive(name, stack.stack.template_dict["Resources"], changed)
        yield from functions_are_configured(parameters, "second")

        # A version has no life of its own: it disappears with its function.
        kept = {name for name, one in (stack.delete() | role.delete()).items() if one["Type"] != "AWS::Lambda::Version"}
        report.append(f"  the deletion removes {len(created) - len(kept)}, and keeps {', '.join(sorted(kept))}")
        for name in kept ^ (KEPT & created.keys()):
            yield f"the deletion {'keeps' if name in kept else 'removes'} {name}"
        if boto3.client("lambda", REGION).list_functions()["Functions"]:
            yield "functions are left after the deletion"
        skips |= set(skipped(given))


def functions_are_configured(parameters, password):
    """Yields the differences from these parameters. Callers reach the version of an alias, if there is one."""
    client = boto3.client("lambda", REGION)
    for function in client.list_functions()["Functions"]:
        name = function["FunctionName"]
        if function["Runtime"] != RUST:
            continue
        for alias in client.list_aliases(FunctionName=name)["Aliases"]:
            function = client.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])
        variables = function["Environment"]["Variables"]
        if variables.get("DB_USER") == "service" and variables["DB_PASSWORD"] != password:
            yield f"{name} has another password than {password}"
        if variables["FRONTEND_URL"] != parameters["FrontendUrl"]:
            yield f"{name} has the FrontendUrl {variables['FRONTEND_URL']}"
        subnets = function.get("VpcConfig", {}).get("SubnetIds", [])
        if ",".join(subnets) != parameters["VpcSubnetIds"]:
            yield f"{name} is in the subnets {subnets}"


def changes_arrive(change, resources, changed):
    for name in of_type(resources, "AWS::Lambda::Function").keys() - changed:
        if resources[name]["Properties"]["Runtime"] == RUST:
            yield f"{change} does not reach {name}"
    for kind, source in (("AWS::Lambda::Version", "FunctionName"), ("AWS::ApiGateway::Deployment", "RestApiId")):
        for name, resource in of_type(resources, kind).items():
            if resource["Properties"][source]["Ref"] in changed and name not in changed:
                yield f"{change} changes {resource['Properties'][source]['Ref']}, but {name} publishes nothing new"


def problems(template, stacks, report, skips):
    for name in stacks:
        report.append(f"{name}:")
        try:
            for problem in life(*STACKS[name], template, report, skips):
                yield f"{name}: {problem}"
        except Exception as error:  # those of moto and of its clients have no common class
            yield f"{name}: {error!r}"


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
    ("Rules", {"Named": {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "DbHost"}, ""]}, "AssertDescription": "why"}]}}, "why"),
    ("Resources Observability Properties Parameters Stage", GONE, "Stage"),
    ("Outputs DashboardUrl Value", {"Fn::GetAtt": ["Observability", "Outputs.Url"]}, "Outputs.Url"),
    (f"{FUNCTION} Description", "{{resolve:secretsmanager:other:SecretString:username}}", "ResourceNotFound"),
    (f"{FUNCTION} Description", "{{resolve:secretsmanager:ro-tracker/dev/database:SecretString:pass}}", "has no pass"),
    (f"{FUNCTION} Environment Variables FRONTEND_URL", "https://example.com", "ros has the FrontendUrl https://example.com"),
    (f"{FUNCTION} VersionDescription", GONE, "publishes nothing new"),
    ("Resources Configuration Properties Values", [], "publishes nothing new"),
    ("Resources RosVersionErrors Properties AlarmName", "errors", "may not use cloudwatch:PutMetricAlarm on"),
    ("Resources RosLogGroup Properties LogGroupName", "/ros", "the boundary keeps RosRole from logs:PutLogEvents on"),
    ("Resources RateLimitTable DeletionPolicy", "Retain", "keeps RateLimitTable"),
    ("Resources ApiGatewayRole DeletionPolicy", "Delete", "removes ApiGatewayRole"),
]


@pytest.mark.parametrize(("path", "value", "error"), MUTATIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_broken_template_is_refused(path, value, error):
    found = list(problems(mutated("template.yaml", path, value), ["dev"], [], set()))
    assert any(error in problem for problem in found), found


@pytest.mark.parametrize("environment", checks.STAGES)
def test_placeholders_are_refused(environment):
    with pytest.raises(Refused, match="Fill in"):
        complete(read(), checks.parameters_of(environment))


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # SAM's transform reports that it has no feature toggles
    report, skips = [], set()
    found = list(problems(read(), STACKS, report, skips))
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
