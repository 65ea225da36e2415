"""The role with which CloudFormation deploys, compared with the schemas of CloudFormation and the reference of IAM.

The public schema of each resource type lists the actions with which CloudFormation creates, reads, changes and deletes it.
IAM's reference says on which resources an action can be allowed. cfn-lint brings both, as of the day of its release.

`python infra/permissions.py` prints what is missing and what is too much, with the exceptions, and fails on an error.
`pytest infra/permissions.py` tests that it does.
"""

import fnmatch
import functools
import json
import logging
import pathlib
import re
import sys
import tempfile
from unittest import mock

import boto3
import cfnlint.data.AdditionalSpecs
import pytest
from botocore.client import BaseClient
from cfnlint.helpers import load_resource
from click.testing import CliRunner
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from samcli.commands.deploy.command import cli as sam_deploy

from checks import GONE, ROOT, WILDCARDS, deploy, listed, mutated, policies, read, strings
from cloud import REGION, schema_of

# Actions that the schema of a type lists for properties that our resources do not have.
UNUSED = {
    "The API has no policy": ["apigateway:UpdateRestApiPolicy"],
    "The nested stack has no stack policy and no protection": [
        "cloudformation:SetStackPolicy",
        "cloudformation:UpdateTerminationProtection",
    ],
    "The distribution has no tenants, no origins in a VPC and no staging": [
        "cloudfront:CreateConnectionGroup",
        "cloudfront:GetConnectionGroup",
        "cloudfront:GetVpcOrigin",
        "cloudfront:UpdateDistributionWithStagingConfig",
    ],
    "IAM has no such action; CreateDistribution and TagResource allow it": ["cloudfront:CreateDistributionWithTags"],
    "Deployments go to Lambda": ["codedeploy:RegisterOnPremisesInstance"],
    "The table has no replicas": [
        "dynamodb:AssociateTableReplica",
        "dynamodb:BatchWriteItem",
        "dynamodb:CreateTableReplica",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
    ],
    "The table is not imported": [
        "dynamodb:DescribeImport",
        "dynamodb:ImportTable",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObjectMetadata",
        "s3:ListBucket",
    ],
    "The table has no stream, no policy and no insights": [
        "dynamodb:DeleteResourcePolicy",
        "dynamodb:DisableKinesisStreamingDestination",
        "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:PutResourcePolicy",
        "dynamodb:UpdateContributorInsights",
        "dynamodb:UpdateKinesisStreamingDestination",
        "kinesis:DescribeStream",
        "kinesis:PutRecords",
    ],
    "The table has DynamoDB's key, whose policy allows its use": ["kms:ListAliases", "kms:RevokeGrant"],
    "Functions have no file systems": ["elasticfilesystem:DescribeMountTargets", "s3files:ListMountTargets"],
    "Functions are not signed": [
        "lambda:DeleteFunctionCodeSigningConfig",
        "lambda:GetCodeSigningConfig",
        "lambda:PutFunctionCodeSigningConfig",
    ],
    "Functions have the settings for recursion, runtime updates and scaling that Lambda gives them": [
        "lambda:AssociateRuntimeAlias",
        "lambda:DeleteProvisionedConcurrencyConfig",
        "lambda:PassCapacityProvider",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutFunctionScalingConfig",
        "lambda:PutProvisionedConcurrencyConfig",
        "lambda:PutRuntimeManagementConfig",
    ],
    "Packages are named without a version": ["s3:GetObjectVersion"],
    "Policies are for roles, not for users or groups": [
        "iam:AttachGroupPolicy",
        "iam:AttachUserPolicy",
        "iam:DetachGroupPolicy",
        "iam:DetachUserPolicy",
    ],
    "No role may lose its boundary": ["iam:DeleteRolePermissionsBoundary"],
    "Log groups have no key, index, policy, protection or delivery": [
        "firehose:TagDeliveryStream",
        "logs:AssociateKmsKey",
        "logs:CreateLogDelivery",
        "logs:DeleteIndexPolicy",
        "logs:DeleteResourcePolicy",
        "logs:DisassociateKmsKey",
        "logs:PutBearerTokenAuthentication",
        "logs:PutDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:PutLogGroupDeletionProtection",
        "logs:PutResourcePolicy",
        "s3:REST.PUT.OBJECT",
    ],
    "The topic has no data protection": ["sns:PutDataProtectionPolicy"],
    "The web ACL is for a stage of the gateway, and for no other service": [
        "amplify:AssociateWebACL",
        "amplify:DisassociateWebACL",
        "amplify:GetWebACLForResource",
        "apprunner:AssociateWebAcl",
        "apprunner:DescribeWebAclForService",
        "apprunner:DisassociateWebAcl",
        "appsync:AssociateWebACL",
        "appsync:DisassociateWebACL",
        "appsync:GetWebACLForResource",
        "appsync:SetWebACL",
        "bedrock-agentcore:GatewayAssociateWebACL",
        "bedrock-agentcore:GatewayDisassociateWebACL",
        "bedrock-agentcore:GatewayGetWebACLForResource",
        "cognito-idp:AssociateWebACL",
        "cognito-idp:DisassociateWebACL",
        "cognito-idp:GetWebACLForResource",
        "ec2:AssociateVerifiedAccessInstanceWebAcl",
        "ec2:DescribeVerifiedAccessInstanceWebAclAssociations",
        "ec2:DisassociateVerifiedAccessInstanceWebAcl",
        "ec2:GetVerifiedAccessInstanceWebAcl",
        "elasticloadbalancing:CreateWebACLAssociation",
        "elasticloadbalancing:DeleteWebACLAssociation",
        "elasticloadbalancing:GetLoadBalancerWebACL",
        "elasticloadbalancing:SetWebACL",
    ],
    "The web ACL has no rules of other accounts or vendors": [
        "payments:GetConnectedAccount",
        "wafv2:GetPermissionPolicy",
        "wafv2:PutPermissionPolicy",
    ],
}

# Actions of the role that no schema lists.
BESIDES = {
    "cloudformation:TagResource": "the tags of samconfig.toml are for the nested stack, too",
    "lambda:InvokeFunction": "CloudFormation calls the functions of custom resources",
    "secretsmanager:GetSecretValue": "CloudFormation reads the secrets that the template refers to",
}

# The permissions of GitHub's role that no call of `sam deploy` is named after.
BESIDES_CALLS = {
    "cloudformation:TagResource": "CreateChangeSet sets the tags of samconfig.toml",
    "iam:PassRole": "CreateChangeSet hands over CloudFormation's role",
    "s3:AbortMultipartUpload": "PutObject of a large package",
    "s3:ListBucket": "without it, HeadObject does not say whether a package is there",
}

# The resource that an action is for. `id` is the physical id.
ARNS = {
    "AWS::ApiGateway::DomainName": "apigateway:{region}::/domainnames/{DomainName}",
    "AWS::ApiGateway::RestApi": "apigateway:{region}::/restapis/{id}",
    "AWS::Budgets::Budget": "budgets::{account}:budget/{Budget[BudgetName]}",
    "AWS::CloudFormation::Stack": "cloudformation:{region}:{account}:stack/{id}/1",
    "AWS::CloudFront::Distribution": "cloudfront::{account}:distribution/{id}",
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{AlarmName}",
    "AWS::CloudWatch::Dashboard": "cloudwatch::{account}:dashboard/{DashboardName}",
    "AWS::CodeDeploy::Application": "codedeploy:{region}:{account}:application:{id}",
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy:{region}:{account}:deploymentgroup:{ApplicationName}/{id}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{id}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{id}",
    "AWS::IAM::Role": "iam::{account}:role/{id}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{FunctionName}",
    "AWS::Lambda::LayerVersion": "lambda:{region}:{account}:layer:{LayerName}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{LogGroupName}",
    "AWS::Logs::MetricFilter": "logs:{region}:{account}:log-group:{LogGroupName}",
    "AWS::Route53::RecordSet": "route53:::hostedzone/{HostedZoneId}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{TopicName}",
    "AWS::WAFv2::WebACL": "wafv2:{region}:{account}:regional/webacl/{Name}/1",
}

REFERENCE = load_resource(cfnlint.data.AdditionalSpecs, "Policies.json")


def types():
    """The types of both templates."""
    resources = [*deploy(read()).values(), *read("infra/observability.yaml")["Resources"].values()]
    return {resource["Type"] for resource in resources if not resource["Type"].startswith("Custom::")}


def actions_for(kind, *handlers):
    """The actions of the handlers of a type."""
    schema = schema_of(kind)
    found = {action for handler in handlers for action in schema.get("handlers", {}).get(handler, {}).get("permissions", [])}
    return found | set(schema.get("tagging", {}).get("permissions", []))


def statements(role, of="CloudFormationRole"):
    """The statements of a role or policy of deploy-role.yaml that allow something."""
    for name, document in policies(role["Resources"]):
        optional = of == "CloudFormationRole" and role["Resources"][name]["Type"] == "AWS::IAM::RolePolicy"
        if name == of or optional:
            yield from (statement for statement in document["Statement"] if statement["Effect"] == "Allow")


def role_has_what_the_types_need(role):
    has = actions_of(statements(role))
    needed = {action for kind in types() for action in actions_for(kind, "create", "read", "update", "delete")}
    unused = {action for actions in UNUSED.values() for action in actions}
    for action in sorted(needed - has - unused):
        yield f"the role lacks {action}"
    for action in sorted(has - needed - BESIDES.keys()):
        yield f"no type needs {action}"
    for action in sorted((unused - needed) | (unused & has) | (BESIDES.keys() - has) | (BESIDES.keys() & needed)):
        yield f"the reason for {action} is out of date"


def formats(action):
    """The ARNs of the resources that an action can be limited to, as regular expressions."""
    service, name = action.lower().split(":")
    kinds = REFERENCE[service]["Actions"].get(name, {}).get("Resources", [])
    for kind in kinds:
        for text in REFERENCE[service]["Resources"][kind.lower()]["ARNFormats"]:
            yield re.sub(r"\$\{\w+\}", "[^:]*", text)


def actions_have_the_resources_that_iam_knows(role):
    """An action that knows no resources is allowed by nothing but "*"."""
    for statement in statements(role):
        everything = statement["Resource"] == "*"
        for action in listed(statement["Action"]):
            if not everything and not list(formats(action)):
                yield f"{action} cannot be limited to {statement['Resource']}"
            if everything and (list(formats(action)) or action not in WILDCARDS):
                yield f"{action} is allowed on all resources"


def role_passes_the_right_roles(role):
    """The schemas do not say which roles: those of the stack to its services, and itself to CloudFormation for the nested stack."""
    passed = {}
    for statement in statements(role):
        if "iam:PassRole" in listed(statement["Action"]):
            for service in listed(statement["Condition"]["StringEquals"]["iam:PassedToService"]):
                passed[service] = statement["Resource"]["Fn::Sub"].partition(":role/")[2]
    of_stack = {principal for _, resource in deploy(read()).items() for principal in services_that_assume(resource)}
    expected = dict.fromkeys(of_stack, "ro-tracker-${Stage}-*")
    expected["cloudformation.amazonaws.com"] = role["Resources"]["CloudFormationRole"]["Properties"]["RoleName"]["Fn::Sub"]
    for service in sorted(service for service in passed.keys() | expected.keys() if passed.get(service) != expected.get(service)):
        yield f"the role passes {passed.get(service)} to {service}, not {expected.get(service)}"


def services_that_assume(resource):
    if resource["Type"] == "AWS::IAM::Role":
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            yield from listed(statement["Principal"]["Service"])


def role_reaches(allowing, resources):
    """Whether the names that the resources really have are those that the role may use."""
    for resource in resources.values():
        if resource["Type"] not in ARNS:
            continue
        names = resource["Properties"] | {"id": resource["Id"], "region": REGION, "account": DEFAULT_ACCOUNT_ID}
        arn = "arn:aws:" + ARNS[resource["Type"]].format(**names)
        for action in actions_for(resource["Type"], "create", "read", "update", "delete"):
            if not any(re.fullmatch(pattern, arn) for pattern in formats(action)):
                continue
            if action in actions_of(allowing) and not allows(allowing, action, arn):
                yield f"the role may not use {action} on {arn}"


def boundary(role):
    """What the boundary allows; its statement with a condition is for the role of the gateway, which has a policy of AWS."""
    return [statement for statement in statements(role, "Boundary") if "Condition" not in statement]


def boundary_reaches(allowing, resources):
    """Yields the permissions that the boundary takes away from the roles of a stack, on the resources that they really have."""
    for name, document in policies(resources):
        for statement in document["Statement"]:
            for action in listed(statement["Action"]) if statement["Effect"] == "Allow" else []:
                for _, arn in strings(statement["Resource"]):
                    if not allows(allowing, action, arn):
                        yield f"the boundary keeps {name} from {action} on {arn}"


def actions_of(allowing):
    return {action for statement in allowing for action in listed(statement["Action"])}


def allows(allowing, action, arn):
    patterns = [listed(statement["Resource"]) for statement in allowing if action in listed(statement["Action"])]
    return any(fnmatch.fnmatchcase(arn, pattern) for some in patterns for pattern in some)


def boundary_is_what_the_roles_need(role):
    """checks.py compares what the roles need with the boundary; this is the other direction."""
    needed = actions_of(statement for _, document in policies(deploy(read())) for statement in document["Statement"])
    for action in sorted(actions_of(boundary(role)) - needed):
        yield f"no role needs {action}, which the boundary allows"


@functools.cache
def calls_of_sam():
    """The actions that `sam deploy` asks for when it updates a stack, as the workflow does; moto answers its calls."""
    calls, original = [], BaseClient._make_api_call

    def noted(client, operation, arguments):
        operation = {"HeadObject": "GetObject"}.get(operation, operation)
        calls.append(f"{client.meta.service_model.service_name}:{operation}")
        return original(client, operation, arguments)

    with mock_aws(), tempfile.TemporaryDirectory() as directory:
        boto3.client("s3", REGION).create_bucket(Bucket="bucket")
        managed = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"SourceBucket": {"Value": "bucket"}}}
        boto3.client("cloudformation", REGION).create_stack(
            StackName="aws-sam-cli-managed-default",
            Tags=[{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
            TemplateBody=json.dumps(managed),
        )
        template = pathlib.Path(directory, "template.json")
        role = ["--role-arn", "arn:aws:iam::123456789012:role/cloudformation", "--no-confirm-changeset"]
        for name in ("before", "after"):
            topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": name}}
            template.write_text(json.dumps({"Resources": {"Topic": topic}}))
            calls.clear()
            with mock.patch.object(BaseClient, "_make_api_call", noted):
                files = ["--config-file", str(ROOT / "samconfig.toml"), "--template-file", str(template)]
                result = CliRunner().invoke(sam_deploy, files + role, catch_exceptions=False)
            assert result.exit_code == 0, result.output
    return set(calls)


def github_may_do_what_sam_does(role):
    has = actions_of(statements(role, "GitHubRole"))
    for action in sorted(calls_of_sam() - has):
        yield f"GitHub lacks {action}"
    for action in sorted(has - calls_of_sam() - BESIDES_CALLS.keys()):
        yield f"`sam deploy` does not need {action}"


# Each of these breaks the template in one way, which the check must report: the path of a value, and its new value.
POLICIES = "Resources CloudFormationRole Properties Policies"
MUTATIONS = {
    role_has_what_the_types_need: [
        (f"{POLICIES} 0 PolicyDocument Statement 0 Action 0", GONE),
        (f"{POLICIES} 0 PolicyDocument Statement 0 Action 0", "lambda:PutFunctionScalingConfig"),
        (f"{POLICIES} 0 PolicyDocument Statement 0 Action 0", "lambda:CreateEventSourceMapping"),
        ("Resources DistributionPolicy", GONE),
    ],
    actions_have_the_resources_that_iam_knows: [
        (f"{POLICIES} 0 PolicyDocument Statement 0 Resource", "*"),
        (f"{POLICIES} 1 PolicyDocument Statement 2 Resource", {"Fn::Sub": "arn:aws:codedeploy:${AWS::Region}:*:application:x"}),
    ],
    role_passes_the_right_roles: [
        (f"{POLICIES} 3 PolicyDocument Statement 4", GONE),
        (f"{POLICIES} 3 PolicyDocument Statement 3 Condition StringEquals iam:PassedToService 0", "ec2.amazonaws.com"),
    ],
    boundary_is_what_the_roles_need: [
        ("Resources Boundary Properties PolicyDocument Statement 0 Action 0", "logs:CreateLogGroup"),
    ],
    github_may_do_what_sam_does: [
        ("Resources GitHubRole Properties Policies 0 PolicyDocument Statement 3 Action 1", GONE),
        ("Resources GitHubRole Properties Policies 0 PolicyDocument Statement 3 Action 1", "cloudformation:DeleteStack"),
    ],
}


FROM_SAM = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # SAM itself calls deprecated functions


@FROM_SAM
@pytest.mark.parametrize("check", MUTATIONS, ids=lambda check: check.__name__)
def test_deploy_role(check):
    assert list(check(read("infra/deploy-role.yaml"))) == []


@FROM_SAM
@pytest.mark.parametrize(("check", "path", "value"), [(check, *one) for check, changes in MUTATIONS.items() for one in changes])
def test_mutation_is_found(check, path, value):
    assert list(check(mutated("infra/deploy-role.yaml", path, value)))


def test_unreachable_name_is_found():
    statement = {"Action": "sns:CreateTopic", "Resource": f"arn:aws:sns:{REGION}:{DEFAULT_ACCOUNT_ID}:ro-tracker-dev-*"}
    for name, found in (("ro-tracker-dev-alarms", 0), ("ro-tracker-alarms", 1)):
        topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}, "Id": None}
        assert len(list(role_reaches([statement], {"Topic": topic}))) == found


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # SAM's transform reports that it has no feature toggles
    role = read("infra/deploy-role.yaml")
    print(f"CloudFormation's role has {len(actions_of(statements(role)))} actions for {len(types())} types. It goes without these:")
    for reason, unused in UNUSED.items():
        print(f"  {reason}: {', '.join(unused)}")
    print("It has these beside:", *(f"  {action}: {reason}" for action, reason in BESIDES.items()), sep="\n")
    print(f"`sam deploy` calls {', '.join(sorted(calls_of_sam()))}. GitHub's role has these beside:")
    print(*(f"  {action}: {reason}" for action, reason in BESIDES_CALLS.items()), sep="\n")
    found = [problem for check in MUTATIONS for problem in check(role)]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(bool(found))
