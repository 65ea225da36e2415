"""Checks of the templates that cfn-lint cannot express. Each is tested with templates that it must reject.

`pytest infra/checks.py` needs neither AWS nor credentials, only a region's name in AWS_DEFAULT_REGION.
`python infra/checks.py` prints the transformed template for cfn-lint, which does not look into SAM resources.
"""

import copy
import functools
import inspect
import io
import json
import pathlib
import re
import sys
import tomllib
from unittest import mock

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from click.testing import CliRunner
from samcli.commands.deploy import command as sam_deploy
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTIONS = {"RosFunction": "ros", "InventoryFunction": "inventory", "AiFunction": "ai", "AiLogsFunction": "ai-logs"}

# All functions in Rust.
BINARIES = {**FUNCTIONS, "MigrateFunction": "migrate", "ProbeFunction": "probe"}

# The functions in Python that a deployment calls.
HELPERS = {"RevisionFunction", "CheckFunction"}

# Actions that may be allowed on every resource, and why no resource can be named.
WILDCARDS = {
    "xray:PutTraceSegments": "X-Ray has no resources",
    "xray:PutTelemetryRecords": "X-Ray has no resources",
    "ec2:AssignPrivateIpAddresses": "Lambda requires it on all resources to attach a function to a VPC",
    "ec2:CreateNetworkInterface": "as above",
    "ec2:DeleteNetworkInterface": "as above",
    "ec2:DescribeNetworkInterfaces": "not limited to a resource in EC2",
    "ec2:DescribeSubnets": "not limited to a resource in EC2",
    "ec2:UnassignPrivateIpAddresses": "as above",
    "ec2:DescribeSecurityGroups": "not limited to a resource in EC2",
    "ec2:DescribeVpcs": "not limited to a resource in EC2",
    "cloudfront:CreateDistribution": "CloudFront generates the id",
    "codedeploy:StopDeployment": "not limited to a resource in CodeDeploy",
    "logs:DescribeIndexPolicies": "not limited to a log group",
    "logs:DescribeLogGroups": "not limited to a log group",
    "logs:DescribeResourcePolicies": "not limited to a log group",
    "logs:DeleteQueryDefinition": "saved queries are no resources",
    "logs:DescribeQueryDefinitions": "as above",
    "logs:PutQueryDefinition": "as above",
    "route53:ListHostedZones": "not limited to a zone",
    "cloudwatch:DescribeAlarms": "CloudWatch checks it on all alarms",
    "codedeploy:PutLifecycleEventHookExecutionStatus": "the groups of the stack's own application",
}

# A permission for all versions of one function.
VERSIONS = re.compile(r"\$\{(\w+)\.Arn\}:\*")

# The only role that may have a policy of AWS, since those are full of wildcards.
AWS_POLICIES = {
    "ApiGatewayRole": "service-role/AmazonAPIGatewayPushToCloudWatchLogs",  # one role for all APIs of an account
}

# The calls that crates/ai/src/limiter/store.rs makes. Its transactions have updates only.
TABLE_ACTIONS = {"dynamodb:UpdateItem", "dynamodb:GetItem", "dynamodb:DeleteItem"}

MIGRATOR = "{{resolve:secretsmanager:ro-tracker/${Stage}/migrator:SecretString:%s}}"

SECRET_VARIABLES = {
    "DB_USER": "{{resolve:secretsmanager:ro-tracker/${Stage}/database:SecretString:username}}",
    "DB_PASSWORD": "{{resolve:secretsmanager:ro-tracker/${Stage}/database:SecretString:password}}",
    "ANTHROPIC_API_KEY": "{{resolve:secretsmanager:ro-tracker/${Stage}/anthropic:SecretString:apiKey}}",
    "PROXY_SECRET": "{{resolve:secretsmanager:ro-tracker/${Stage}/proxy:SecretString:accepted}}",
    "PROBE_CLIENT_ID": "{{resolve:secretsmanager:ro-tracker/${Stage}/probe:SecretString:clientId}}",
    "PROBE_CLIENT_SECRET": "{{resolve:secretsmanager:ro-tracker/${Stage}/probe:SecretString:clientSecret}}",
    "PROBE_PROXY_SECRET": "{{resolve:secretsmanager:ro-tracker/${Stage}/proxy:SecretString:sent}}",
}

# The conditions under which a secret is there. Without one, the variable is empty.
OPTIONAL_SECRETS = {
    "PROXY_SECRET": "HasProxySecret",
    "PROBE_CLIENT_ID": "HasProbeToken",
    "PROBE_CLIENT_SECRET": "HasProbeToken",
    "PROBE_PROXY_SECRET": "HasProxySecret",
}

# Parameters and variables whose names only look like a secret's: the text that makes CloudFormation read the secrets again,
# the number of tokens that an answer may use, and where the scheduled check gets its token.
NO_SECRETS = {"SecretsRevision", "AiTokensPerDay", "AI_TOKENS_PER_DAY"} | {
    "ProbeTokenUrl",
    "ProbeTokenParameters",
    "PROBE_TOKEN_URL",
    "PROBE_TOKEN_PARAMETERS",
}

# Variables that our own code does not read.
FOREIGN_VARIABLES = {
    "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH",  # read by lambda_http
    "CONFIGURATION_REVISION",  # not read; when it changes, CloudFormation reads the secrets again
}

# Metrics of AWS for the dashboard and the alarms, with their dimensions.
AWS_METRICS = {
    "AWS/Lambda": ({"FunctionName"}, {"ConcurrentExecutions", "Errors", "Invocations", "Throttles"}),
    "AWS/ApiGateway": ({"ApiName", "Stage"}, {"4XXError", "5XXError", "Count", "IntegrationLatency", "Latency"}),
    "AWS/DynamoDB": (
        {"TableName"},
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"},
    ),
}
AWS_METRICS_BY_OPERATION = {"AWS/DynamoDB": {"SuccessfulRequestLatency", "ThrottledRequests"}}

NO_VALUE = {"Ref": "AWS::NoValue"}


def read(file="template.yaml"):
    return yaml_parse((ROOT / file).read_text())


class NoManagedPolicies:
    def load(self):
        return {}


def transformed(template, code="code", ca="ca", parameters=None):
    """The template that CloudFormation gets: `sam deploy` uploads the code, and SAM transforms the template."""
    template = copy.deepcopy(template)
    template["Globals"]["Function"]["CodeUri"] = f"s3://bucket/{code}.zip"
    if "DatabaseCa" in template["Resources"]:
        template["Resources"]["DatabaseCa"]["Properties"]["ContentUri"] = f"s3://bucket/{ca}.zip"
    if "Observability" in template["Resources"]:
        url = "https://bucket.s3.amazonaws.com/observability.yaml"
        template["Resources"]["Observability"]["Properties"]["TemplateURL"] = url
    return transform(template, parameters or {}, NoManagedPolicies())


def deploy(template):
    """The resources that CloudFormation creates."""
    return transformed(template)["Resources"]


def of_type(resources, kind):
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def listed(value):
    return value if isinstance(value, list) else [value]


def strings(value, path=""):
    """Every string below `value`, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{path}/{index}")


def differences(name, properties, expected):
    for key, value in expected.items():
        if properties.get(key) != value:
            yield f"{name}: {key} is {properties.get(key)}, not {value}"


def operations(resources):
    """Every path, method and integration."""
    for api in of_type(resources, "AWS::ApiGateway::RestApi").values():
        for path, methods in api["Properties"]["Body"]["paths"].items():
            for method, operation in methods.items():
                yield path, method, operation.get("x-amazon-apigateway-integration", {})


def function_of(integration):
    uri = json.dumps(integration.get("uri"))
    match = re.search(r"functions/\$\{(\w+)Aliaslive\}/", uri)
    return match and match.group(1)


def policies(resources):
    """Every policy document, with the name of its resource."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                yield name, policy["PolicyDocument"]
        elif resource["Type"].startswith("AWS::IAM::") and "PolicyDocument" in properties:
            yield name, properties["PolicyDocument"]


# Each check takes the template and its transformed resources, and yields a sentence for each error.


def every_method_streams(template, resources):
    seen = 0
    for path, method, integration in operations(resources):
        seen += 1
        uri = json.dumps(integration.get("uri"))
        if integration.get("type") != "aws_proxy":
            yield f"{method} {path} has no Lambda proxy integration"
        if integration.get("responseTransferMode") != "STREAM":
            yield f"{method} {path} is buffered"
        if "path/2021-11-15/functions/" not in uri or "/response-streaming-invocations" not in uri:
            yield f"{method} {path} invokes its function without streaming"
    if seen == 0:
        yield "there is no method"
    for name in of_type(resources, "AWS::ApiGateway::Method"):
        yield f"{name} is outside of the API's body, so that its streaming is not checked"


def routes_are_those_of_cargo(template, resources):
    metadata = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["metadata"]
    routes = metadata["lambda"]["watch"]["router"]
    # The documentation page is for developers and is not deployed.
    routes = {path: function for path, function in routes.items() if function != "docs"}
    expected = {re.sub(r"\{\*(\w+)\}", r"{\1+}", path): function for path, function in routes.items()}
    actual = {}
    for path, method, integration in operations(resources):
        # All methods, OPTIONS too, go to the functions, which handle CORS and 405.
        if method != "x-amazon-apigateway-any-method":
            yield f"{path} has a route for {method} alone"
        actual[path] = FUNCTIONS.get(function_of(integration))
    for path in sorted(expected.keys() | actual.keys()):
        if expected.get(path) != actual.get(path):
            yield f"{path} goes to {actual.get(path)}, but to {expected.get(path)} under `cargo lambda watch`"


def functions_are_built_and_sized(template, resources):
    functions = of_type(resources, "AWS::Lambda::Function")
    if set(functions) != BINARIES.keys() | HELPERS:
        yield f"the functions are {sorted(functions)}"
    for name in functions.keys() & HELPERS:
        expected = {"Runtime": "python3.13", "Handler": "index.handler", "Architectures": [{"Ref": "Architecture"}]}
        yield from differences(name, functions[name]["Properties"], expected)
    architecture = {"AllowedValues": ["arm64", "x86_64"], "Default": "arm64"}
    yield from differences("Architecture", template["Parameters"]["Architecture"], architecture)
    integration_timeouts = {}
    for _, _, integration in operations(resources):
        timeouts = integration_timeouts.setdefault(function_of(integration), set())
        timeouts.add(integration.get("timeoutInMillis"))
    for name in functions.keys() & BINARIES.keys():
        properties = functions[name]["Properties"]
        metadata = template["Resources"][name].get("Metadata", {})
        build = {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": BINARIES[name]}}
        yield from differences(name, metadata, build)
        expected = {
            "Architectures": [{"Ref": "Architecture"}],
            "Handler": "bootstrap",
            "Runtime": "provided.al2023",
            "TracingConfig": {"Mode": "Active"},
        }
        yield from differences(name, properties, expected)
        if not str(properties.get("MemorySize", {}).get("Ref", "")).endswith("MemorySize"):
            yield f"{name} has memory that is not a parameter"
        if name not in FUNCTIONS:
            if name in integration_timeouts:
                yield f"the gateway can call {name}"
            yield from differences(name, properties, {"Timeout": {"MigrateFunction": 900, "ProbeFunction": 60}[name]})
            continue
        if "Fn::If" not in properties.get("ReservedConcurrentExecutions", {}):
            yield f"{name} has no parameter for its concurrency"
        timeout, most = properties.get("Timeout", 3), 900 if name == "AiFunction" else 29
        if not (10 <= timeout <= most) or (name == "AiFunction" and timeout != 900):
            yield f"{name} may run for {timeout} s"
        for gateway in integration_timeouts.get(name, {None}):
            if gateway is None or not timeout * 1000 <= gateway <= most * 1000:
                yield f"the gateway waits {gateway} ms for {name}, which may run for {timeout} s"


def no_avoidable_wildcard(template, resources):
    for name, document in policies(resources):
        for statement in listed(document["Statement"]):
            if "NotAction" in statement or "NotResource" in statement:
                yield f"{name} has NotAction or NotResource"
            actions = set(listed(statement.get("Action", [])))
            for action in actions:
                if "*" in action:
                    yield f"{name} has the wildcard action {action}"
            if statement["Effect"] != "Allow":
                continue
            for _, resource in strings(statement.get("Resource", "*")):
                if actions == {"lambda:InvokeFunction"} and VERSIONS.fullmatch(resource):
                    continue
                if "*" in resource and not actions <= WILDCARDS.keys():
                    yield f"{name} allows {sorted(actions - WILDCARDS.keys())} on {resource}"
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for _, policy in strings(role["Properties"].get("ManagedPolicyArns", [])):
            if policy.startswith("arn:") and not policy.endswith(":aws:policy/" + AWS_POLICIES.get(name, "none")):
                yield f"{name} has the policy {policy} of AWS"


def one_role_per_function(template, resources):
    roles = [json.dumps(f["Properties"]["Role"]) for f in of_type(resources, "AWS::Lambda::Function").values()]
    if len(set(roles)) != len(roles):
        yield "functions share a role"
    extra = {
        "AiFunction": {action: [{"Fn::GetAtt": ["RateLimitTable", "Arn"]}] for action in TABLE_ACTIONS},
        "CheckFunction": {
            "lambda:InvokeFunction": [[{"Fn::Sub": f"${{{name}.Arn}}:*"} for name in FUNCTIONS]],
            "codedeploy:PutLifecycleEventHookExecutionStatus": [
                {
                    "Fn::Sub": "arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}"
                    ":deploymentgroup:${ServerlessDeploymentApplication}/*"
                }
            ],
        },
    }
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        role = function["Properties"]["Role"].get("Fn::GetAtt", [None])[0]
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        allowed = {}
        for holder, document in policies(resources):
            if holder != role:
                continue
            for statement in listed(document["Statement"]):
                for action in listed(statement["Action"]):
                    allowed.setdefault(action, []).append(statement["Resource"])
        expected = {action: [{"Fn::GetAtt": [group, "Arn"]}] for action in ("logs:CreateLogStream", "logs:PutLogEvents")}
        expected |= extra.get(name, {})
        if allowed != expected:
            yield f"{name} may do {allowed}, not {expected}"
    for holder, document in policies(resources):
        text = json.dumps(document)
        if holder != "AiRole" and ("dynamodb:" in text or "RateLimitTable" in text):
            yield f"{holder} may use the table"


def functions_may_use_what_they_have(template, resources):
    """The policies that all functions in Rust share: for traces, the VPC and the key."""
    policies_of_all = [
        {"Ref": "TracePolicy"},
        {"Fn::If": ["InVpc", {"Ref": "VpcPolicy"}, NO_VALUE]},
        {"Fn::If": ["HasKey", {"Ref": "KeyPolicy"}, NO_VALUE]},
    ]
    for name in BINARIES:
        role = resources[name]["Properties"]["Role"].get("Fn::GetAtt", [None])[0]
        yield from differences(role, resources[role]["Properties"], {"ManagedPolicyArns": policies_of_all})


def every_function_has_a_log_group(template, resources):
    groups = of_type(resources, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if not group["Properties"].get("RetentionInDays"):
            yield f"{name} has no retention time"
    seen = []
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        group = function["Properties"].get("LoggingConfig", {}).get("LogGroup", {})
        if not isinstance(group, dict) or group.get("Ref") not in groups:
            yield f"{name} logs to {group}, which is not in the template"
        if name not in HELPERS:
            seen.append(json.dumps(group))
    if len(set(seen)) != len(seen):
        yield "functions share a log group"
    for name, stage in of_type(resources, "AWS::ApiGateway::Stage").items():
        destination = stage["Properties"].get("AccessLogSetting", {}).get("DestinationArn", {})
        if destination.get("Fn::GetAtt", [None])[0] not in groups:
            yield f"{name} has no access log in a log group of the template"


def nothing_secret_in_plain_text(template, resources):
    looks_secret = re.compile(r"password|secret|api_?key|token|credential", re.IGNORECASE)
    for name, parameter in template["Parameters"].items():
        is_switch = parameter.get("AllowedValues") == ["true", "false"]
        if looks_secret.search(name) and name not in NO_SECRETS and not is_switch:
            yield f"the parameter {name} holds a secret"
    for name in BINARIES:
        variables = resources[name]["Properties"]["Environment"]["Variables"]
        for variable, value in variables.items():
            if not (looks_secret.search(variable) or variable in SECRET_VARIABLES) or variable in NO_SECRETS:
                continue
            reference = {"Fn::Sub": SECRET_VARIABLES.get(variable)}
            if variable in OPTIONAL_SECRETS:
                reference = {"Fn::If": [OPTIONAL_SECRETS[variable], reference, ""]}
            elif name == "MigrateFunction":
                reference = {"Fn::Sub": MIGRATOR % {"DB_USER": "username", "DB_PASSWORD": "password"}.get(variable)}
            elif name == "AiFunction" and variable.startswith("DB_"):
                reference = {"Fn::If": ["LogsConversations", reference, NO_VALUE]}
            if value != reference:
                yield f"{name} gets {variable} as {value}"
            if variable == "ANTHROPIC_API_KEY" and name != "AiFunction":
                yield f"{name} gets Anthropic's key"
    allowed = re.compile(
        r"^/(Ros|Inventory|Ai|AiLogs|Migrate|Probe)Function/Properties/Environment/Variables/"
        r"|^/Distribution/Properties/DistributionConfig/Origins/1/OriginCustomHeaders/"
    )
    for path, value in strings(resources):
        if "{{resolve:" in value and not allowed.match(path):
            yield f"a secret is written to {path}"
    texts = list(strings(template)) + list(strings(tomllib.loads((ROOT / "samconfig.toml").read_text())))
    known = re.compile(r"sk-ant-|\bA(KI|SI)A[0-9A-Z]{16}\b|PRIVATE KEY|mysql://[^@\s]*:[^@\s]*@|(?i:password|api_?key)=")
    for path, value in texts:
        if known.search(value):
            yield f"{path} holds a secret"
    for path, value in strings(template.get("Outputs", {})):
        if "{{resolve:" in value:
            yield f"the output {path} shows a secret"


def table_is_temporary(template, resources):
    """The table only counts requests and tokens. If creating a stack failed, a kept table would stop the next attempt."""
    tables = of_type(resources, "AWS::DynamoDB::Table")
    if set(tables) != {"RateLimitTable"}:
        yield f"the tables are {sorted(tables)}"
    for name, table in tables.items():
        yield from differences(name, table, {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"})
        expected = {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        }
        yield from differences(name, table["Properties"], expected)
        if table["Properties"].get("DeletionProtectionEnabled"):
            yield f"{name} stays when the stack is deleted"
    for name, resource in resources.items():
        if resource.get("DeletionPolicy") == "Retain" and not re.search(r"Version\w{10}$", name):
            yield f"{name} stays if creating the stack fails: use RetainExceptOnCreate"


def stage_is_throttled_logged_and_traced(template, resources):
    for name, api in of_type(resources, "AWS::ApiGateway::RestApi").items():
        if api["Properties"].get("EndpointConfiguration", {}).get("Types") != ["REGIONAL"]:
            yield f"{name} is not regional"
    stages = of_type(resources, "AWS::ApiGateway::Stage")
    if len(stages) != 1:
        yield f"the stages are {sorted(stages)}"
    for name, stage in stages.items():
        properties = stage["Properties"]
        yield from differences(name, properties, {"StageName": {"Ref": "Stage"}, "TracingEnabled": True})
        [settings] = properties.get("MethodSettings") or [{}]
        scope = settings.get("ResourcePath"), settings.get("HttpMethod")
        if settings.get("MetricsEnabled") is not False:
            yield f"{name} pays for metrics of each method"
        if scope != ("/*", "*") or not {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= settings.keys():
            yield f"{name} is not throttled"
        try:
            line = json.loads(properties.get("AccessLogSetting", {}).get("Format", ""))
        except ValueError:
            yield f"the access log of {name} is not JSON"
        else:
            if not {"requestId", "status", "method", "path", "latencyMs"} <= line.keys():
                yield f"the access log of {name} has only the fields {sorted(line)}"


def gateway_errors_look_like_ours(template, resources):
    if template["Resources"]["Api"]["Properties"].get("AlwaysDeploy") is not True:
        yield "a new FrontendUrl does not reach the responses of the gateway"
    source = (ROOT / "crates/core/src/http/cors.rs").read_text()
    listed_in_code = re.search(r"RESPONSE_HEADERS: \[&str; \d+\] = \[(.*?)\];", source, re.S).group(1)
    exposed = "'" + ",".join(re.findall(r'"([^"]+)"', listed_in_code)) + "'"
    for api in of_type(resources, "AWS::ApiGateway::RestApi").values():
        responses = api["Properties"]["Body"].get("x-amazon-apigateway-gateway-responses", {})
        for kind in ("DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "MISSING_AUTHENTICATION_TOKEN"):
            if kind not in responses:
                yield f"{kind} has no response of ours"
        for kind, response in responses.items():
            parameters = {key.lower(): value for key, value in response.get("responseParameters", {}).items()}
            for header in (
                "access-control-allow-origin",
                "access-control-allow-credentials",
                "cache-control",
                "content-security-policy",
                "cross-origin-resource-policy",
                "referrer-policy",
                "strict-transport-security",
                "vary",
                "x-content-type-options",
                "x-frame-options",
                "x-request-id",
            ):
                if f"gatewayresponse.header.{header}" not in parameters:
                    yield f"{kind} has no {header}"
            if parameters.get("gatewayresponse.header.access-control-expose-headers") != exposed:
                yield f"{kind} does not let scripts read the headers of the functions: {exposed}"
            if "method.request" in json.dumps(response):
                yield f"{kind} allows any origin"
            body = response.get("responseTemplates", {}).get("application/json", "")
            try:
                error = json.loads(body.replace("$context.error.messageString", '"…"'))
            except ValueError:
                yield f"{kind} is not JSON"
            else:
                if set(error) != {"error", "message"}:
                    yield f"{kind} does not have the members of our errors"


def variables_are_those_the_code_reads(template, resources):
    # A test in tests/suite/variables.rs compares .env.example with the code.
    example = (ROOT / ".env.example").read_text()
    known = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    for name in BINARIES:
        variables = resources[name]["Properties"]["Environment"]["Variables"]
        for variable in variables.keys() - FOREIGN_VARIABLES:
            if variable not in known:
                yield f"{name} gets {variable}, which is not in .env.example"
        if variables.get("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH") != "true":
            yield f"{name} gets paths that begin with the stage"
        if variables.get("APP_ENV") != {"Fn::If": ["IsProduction", "production", "development"]}:
            yield f"{name} runs as {variables.get('APP_ENV')}"


def defaults_are_those_of_the_code(template, resources):
    limiter = (ROOT / "crates/ai/src/limiter/config.rs").read_text()
    anthropic = (ROOT / "crates/ai/src/anthropic/mod.rs").read_text()
    auth = (ROOT / "crates/core/src/auth/config.rs").read_text()
    sources = {
        "AuthRolesClaim": (auth, r'ROLES_CLAIM: &str = "(\w+)";'),
        "AiRateLimit": (limiter, r"DEFAULT_LIMIT: u32 = (\d+);"),
        "AiRateWindowSeconds": (limiter, r"DEFAULT_WINDOW_SECONDS: u32 = (\d+);"),
        "AiTokensPerDay": (limiter, r'"AI_TOKENS_PER_DAY", (\d+),'),
        "AnthropicBaseUrl": (anthropic, r'"ANTHROPIC_BASE_URL"\)\.unwrap_or\("([^"]+)"\)'),
        "AnthropicVersion": (anthropic, r'"ANTHROPIC_VERSION"\)\.unwrap_or\("([^"]+)"\)'),
        "AnthropicConnectTimeoutSeconds": (anthropic, r"connect: Duration::from_secs\((\d+)\)"),
        "AnthropicFirstByteTimeoutSeconds": (anthropic, r"first_byte: Duration::from_secs\((\d+)\)"),
        "AnthropicIdleTimeoutSeconds": (anthropic, r"between_events: Duration::from_secs\((\d+)\)"),
        "AnthropicTotalTimeoutSeconds": (anthropic, r"total: Duration::from_secs\((\d+)\)"),
    }
    for parameter, (source, pattern) in sources.items():
        found = re.search(pattern, source)
        default = template["Parameters"][parameter].get("Default")
        if found is None or found.group(1) != str(default):
            yield f"{parameter} has the default {default}, but {found and found.group(1)} in the code"


def sam_local_sets_all_variables(template, resources):
    source = (ROOT / "crates/cli/src/sam_local.rs").read_text()
    told = set(re.findall(r'"(\w+)"', re.search(r"VARIABLES: &\[&str\] = &\[(.*?)\];", source, re.S).group(1)))
    functions = {**of_type(template["Resources"], "AWS::Serverless::Function"), "all": template["Globals"]["Function"]}
    given = set()
    for name, function in functions.items():
        variables = function.get("Properties", function)["Environment"]["Variables"]
        given |= variables.keys()
        for variable in variables.keys() - FOREIGN_VARIABLES - told:
            yield f"{name} gets {variable}, which `cargo dev --sam-local` does not set"
    for variable in told - given:
        yield f"`cargo dev --sam-local` sets {variable}, which no function has in the template"


@functools.cache
def parameters_of(environment, config="samconfig.toml"):
    """The parameters that `sam deploy` passes on, which SAM itself reads from samconfig.toml."""
    with mock.patch.object(sam_deploy, "do_cli") as deployment:
        files = ["--config-file", str(ROOT / config), "--template", str(ROOT / "template.yaml")]
        arguments = ["--config-env", environment, *files]
        CliRunner().invoke(sam_deploy.cli, arguments, catch_exceptions=False)
    return deployment.call_args.args[PARAMETER_OVERRIDES]


# The position of this argument of `do_cli`.
PARAMETER_OVERRIDES = list(inspect.signature(sam_deploy.do_cli).parameters).index("parameter_overrides")

STAGES = {"default": "dev", "prod": "prod"}

# One plausible value for each line to fill in.
FILLED_IN = {
    "DbHost": "mysql-1-genthrust.a.aivencloud.com",
    "DbPort": "12345",
    "FrontendUrl": "https://dashboard.genthrust.com, https://www.genthrust.com",
    "AuthIssuer": "https://login.microsoftonline.com/12345678-1234-1234-1234-123456789012/v2.0",
    "AuthAudience": "12345678-1234-1234-1234-123456789012",
    "AlarmEmail": "it@genthrust.com",
}


def stages_are_configured(template, resources):
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    text = (ROOT / "samconfig.toml").read_text()
    page = (ROOT / "infra/README.md").read_text()
    for environment, stage in STAGES.items():
        section = config[environment]["deploy"]["parameters"]
        written, overrides = section["parameter_overrides"], parameters_of(environment)
        if overrides != written:
            yield f"{environment}: SAM reads {overrides}"
        if overrides.get("Stage") != stage:
            yield f"{environment} deploys the stage {overrides.get('Stage')}"
        for name in overrides.keys() ^ template["Parameters"].keys():
            yield f"{name} is in only one of the template and {environment}, so CloudFormation would keep an old value"
        for name, value in overrides.items():
            parameter = template["Parameters"].get(name, {})
            if value not in [str(value) for value in parameter.get("AllowedValues", [value])]:
                yield f"{environment} sets {name} to {value}"
            if not re.search(parameter.get("AllowedPattern", ""), value):
                yield f"{environment} sets {name} to {value}, which its pattern does not allow"
        if not {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"} <= set(section["capabilities"].split()):
            yield f"{environment} may not create the nested stack"
        _, _, lines = text.partition(f"\n[{environment}.deploy.parameters]\n")
        count = lines.partition("\n[prod.build")[0].count("# FILL IN")
        if not re.search(rf"marked `FILL IN` in `samconfig\.toml`:[^.]* {count} for `{stage}`", page):
            yield f"{environment} has {count} lines to fill in, and infra/README.md names another number"


def evaluate(value, parameters):
    """The value of an intrinsic function in a rule."""
    if isinstance(value, list):
        return [evaluate(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    [(function, arguments)] = value.items()
    if function == "Ref":
        return parameters[arguments]
    arguments = evaluate(arguments, parameters)
    return {
        "Fn::Equals": lambda one, other: one == other,
        "Fn::Not": lambda one: not one,
        "Fn::And": lambda *all_of: all(all_of),
        "Fn::Contains": lambda values, one: one in values,
    }[function](*arguments)


def refusals(template, parameters):
    """What CloudFormation says before it creates anything."""
    for rule in template.get("Rules", {}).values():
        if evaluate(rule.get("RuleCondition", True), parameters):
            for assertion in rule["Assertions"]:
                if not evaluate(assertion["Assert"], parameters):
                    yield assertion["AssertDescription"]


def filled_in(environment):
    """The parameters of a stage after an operator has filled in the marked lines."""
    overrides = parameters_of(environment)
    text = (ROOT / "samconfig.toml").read_text()
    section = text.partition(f"\n[{environment}.deploy.parameters.parameter_overrides]\n")[2].partition("\n[")[0]
    marked = re.findall(r"^(\w+) = .* # FILL IN$", section, re.MULTILINE)
    return {**overrides, **{name: FILLED_IN[name] for name in marked}}


def stages_are_filled_in(template, resources):
    """Each marked line is refused as long as it has the value that samconfig.toml comes with, and nothing else is."""
    for environment in STAGES:
        shipped, whole = parameters_of(environment), filled_in(environment)
        for said in refusals(template, whole):
            yield f"{environment}, filled in, is refused: {said}"
        for name in whole:
            # Many servers have this port.
            if whole[name] != shipped[name] and name != "DbPort":
                if not any(name in said for said in refusals(template, {**whole, name: shipped[name]})):
                    yield f"{environment} accepts {name} as {shipped[name]}"


def stages_are_guarded(template, resources):
    # The legacy dashboard, whose requests have the secret of a CDN instead of a token.
    legacy = {"AuthIssuer": "", "AuthAudience": "", "LegacyDashboard": "true", "ProxySecret": "true"}
    refused = [
        ("prod", {"DbSslMode": "REQUIRED"}),
        ("prod", {"DbSslMode": "VERIFY_CA"}),
        ("prod", {"AuthMode": "none", "AuthIssuer": ""}),
        ("default", {"AuthMode": "none"}),
        ("default", {"AuthAudience": ""}),
        ("prod", {"AlarmEmail": ""}),
        ("prod", {"DbName": "ro_tracker_dev"}),
        ("prod", {"DbNameInventory": "genthrust_inventory_dev"}),
        ("default", {"DbName": "ro_tracker_prod"}),
        ("default", {"DbNameInventory": "genthrust_inventory"}),
        ("prod", {"DomainName": "api.genthrust.com"}),
        ("prod", {"DashboardDomain": "ro.genthrust.com"}),
        ("prod", {"DashboardOrigin": "genthrust.netlify.app"} | legacy),
        ("prod", {"AuthIssuer": ""}),
        ("default", legacy | {"ProxySecret": "false"}),
        ("default", legacy | {"LegacyDashboard": "false"}),
        ("default", legacy | {"AuthMode": "none"}),
    ]
    accepted = [
        ("default", legacy),
        ("default", {"AuthMode": "none", "AuthIssuer": ""}),
        ("default", {"DbSslMode": "DISABLED"}),
        ("prod", {"DomainName": "api.genthrust.com", "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}),
        ("prod", {"DashboardOrigin": "genthrust.netlify.app"}),
        ("prod", {"DashboardOrigin": "genthrust.netlify.app", "DashboardWebAclArn": "arn:aws:wafv2:1"} | legacy),
    ]
    whole = {environment: filled_in(environment) for environment in STAGES}
    for environment, change in refused:
        if not list(refusals(template, whole[environment] | change)):
            yield f"{environment} accepts {change}"
    for environment, change in accepted:
        for said in refusals(template, whole[environment] | change):
            yield f"{environment} refuses {change}: {said}"


def observability_is_included(template, resources):
    stack = template["Resources"].get("Observability", {}).get("Properties", {})
    if stack.get("TemplateURL") != "infra/observability.yaml":
        yield f"the dashboard and the alarms are in {stack.get('TemplateURL')}"
    given, wanted = stack.get("Parameters", {}), read("infra/observability.yaml")["Parameters"]
    for name in given.keys() ^ wanted.keys():
        yield f"{name} is a parameter of only one of the two stacks"
    for name, value in given.items():
        topic = {"Fn::If": ["HasEmail", {"Ref": "AlarmTopic"}, ""]}
        special = {"AlarmTopicArn": topic, "Environment": {"Fn::If": ["IsProduction", "production", "development"]}}
        if value != special.get(name, {"Ref": name}):
            yield f"{name} is {value}"
    expected = {"Subscription": [{"Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}]}
    yield from differences("AlarmTopic", resources["AlarmTopic"]["Properties"], expected)
    for api in of_type(resources, "AWS::ApiGateway::RestApi").values():
        if api["Properties"].get("Name") != {"Fn::Sub": "ro-tracker-${Stage}"}:
            yield "the dashboard expects another name of the gateway"
    names = {json.dumps(resources[name]["Properties"]["FunctionName"]) for name in FUNCTIONS}
    if names != {json.dumps({"Fn::Sub": f"ro-tracker-${{Stage}}-{name}"}) for name in FUNCTIONS.values()}:
        yield "the dashboard expects other names of the functions"
    # The metric filter reads these fields.
    for stage in of_type(resources, "AWS::ApiGateway::Stage").values():
        line = stage["Properties"].get("AccessLogSetting", {}).get("Format", "")
        for field in ('"stage":"$context.stage"', '"errorType":"$context.error.responseType"'):
            if field not in line:
                yield f"the access log lacks {field}"


def roles_can_be_bounded(template, resources):
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, NO_VALUE]}
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        if role["Properties"].get("PermissionsBoundary") != boundary:
            yield f"{name} has no boundary, without which the deployment may not create it"
        if "RoleName" in role["Properties"]:
            yield f"{name} has a name of its own instead of one with the prefix of the stack"


def migrations_run_first(template, resources):
    migrations = resources["Migrations"]["Properties"]
    if migrations.get("ServiceToken") != {"Fn::GetAtt": ["MigrateFunction", "Arn"]}:
        yield f"the migrations are run by {migrations.get('ServiceToken')}"
    if not resources["MigrateFunction"]["Properties"]["Timeout"] < int(migrations.get("ServiceTimeout", 0)) <= 3600:
        yield f"CloudFormation waits {migrations.get('ServiceTimeout')} s for the migrations"
    versions = [name for name in of_type(resources, "AWS::Lambda::Version") if name.startswith("MigrateFunction")]
    if [migrations.get("Version", {}).get("Ref")] != versions or migrations.get("Revision") != REVISION:
        yield "the migrations do not run when their package or a parameter changes"
    for name in FUNCTIONS:
        if "Migrations" not in listed(resources[name].get("DependsOn", [])):
            yield f"{name} gets new code before the migrations have run"


REVISION = {"Fn::GetAtt": ["Configuration", "Revision"]}


def parameters_reach_the_versions(template, resources):
    """A change that made no new version would reach no request: SAM sees packages and the template, but no values."""
    configuration = resources["Configuration"]["Properties"]
    covered = {value for path, value in strings(configuration.get("Values", [])) if path.endswith("/Ref") or "Fn::Join" in path}
    for name in template["Parameters"].keys() - covered:
        yield f"a new {name} makes no new versions"
    authorities = list(of_type(resources, "AWS::Lambda::LayerVersion"))
    if [configuration.get("DatabaseCa", {}).get("Ref")] != authorities:
        yield "new authorities make no new versions"
    for name in BINARIES:
        if template["Resources"][name]["Properties"].get("AutoPublishAliasAllProperties") is not True:
            yield f"{name} gets no new version when the template changes"
        if resources[name]["Properties"]["Environment"]["Variables"].get("CONFIGURATION_REVISION") != REVISION:
            yield f"{name} is the same after a parameter has changed, so Lambda makes no new version"
    versions = of_type(resources, "AWS::Lambda::Version")
    if len(versions) != len(BINARIES):
        yield f"the versions are {sorted(versions)}"
    for name, version in versions.items():
        if version["Properties"].get("Description") != REVISION:
            yield f"{name} stays when a parameter changes"
        yield from differences(name, version, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
    for changed in ({"code": "other"}, {"ca": "other"}):
        again = of_type(transformed(template, **changed)["Resources"], "AWS::Lambda::Version")
        for name in versions.keys() & again.keys():
            yield f"{name} stays when {changed} changes"


# The heading in infra/README.md about the alarms that CodeDeploy watches.
VERSION_ALARM = "Deployment taken back"


def deployments_take_themselves_back(template, resources):
    versions = {re.sub(r"Version\w{10}$", "", name): name for name in of_type(resources, "AWS::Lambda::Version")}
    for name, function in FUNCTIONS.items():
        policy = resources[f"{name}Aliaslive"].get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate")
        if policy is None:
            yield f"all requests move to a new version of {name} at once"
            continue
        if policy.get("BeforeAllowTrafficHook") != {"Ref": "CheckFunction"}:
            yield f"a new version of {name} gets requests unchecked"
        group = resources[policy["DeploymentGroupName"]["Ref"]]["Properties"]
        alarm = name.removesuffix("Function") + "VersionErrors"
        if group["AlarmConfiguration"] != {"Enabled": True, "Alarms": [{"Name": {"Ref": alarm}}]}:
            yield f"the deployment of {name} watches {group['AlarmConfiguration']}"
        if group["ServiceRoleArn"] != {"Fn::GetAtt": ["TrafficRole", "Arn"]}:
            yield f"the role of SAM, which has no boundary, moves the requests of {name}"
        properties = resources[alarm]["Properties"]
        if f'See "{VERSION_ALARM}" in infra/README.md.' not in properties["AlarmDescription"]:
            yield f"{alarm} is not explained"
        version = {"Fn::GetAtt": [versions[name], "Version"]}
        watched = []
        for query in properties["Metrics"]:
            if "MetricStat" in query:
                metric = query["MetricStat"]["Metric"]
                watched.append((metric["Namespace"], {item["Name"]: item["Value"] for item in metric["Dimensions"]}))
        qualified = {"Fn::Sub": f"ro-tracker-${{Stage}}-{function}:live"}
        function = {"Fn::Sub": f"ro-tracker-${{Stage}}-{function}"}
        if watched != [
            ("RoTracker", {"Function": function, "Version": version}),
            ("AWS/Lambda", {"FunctionName": function, "Resource": qualified, "ExecutedVersion": version}),
        ]:
            yield f"{alarm} counts {watched}"
    variables = resources["CheckFunction"]["Properties"]["Environment"]["Variables"]
    reserved = [{"Ref": name.removesuffix("Function") + "Concurrency"} for name in FUNCTIONS]
    yield from differences("CheckFunction", variables, {"CONCURRENCY": {"Fn::Join": [",", reserved]}})
    asked = variables["VERSIONS"]
    if asked != {"Fn::Join": [",", [{"Ref": versions[name]} for name in FUNCTIONS]]}:
        yield f"the check asks {asked}"
    hooks = [
        statement["Resource"]
        for holder, document in policies(resources)
        for statement in document["Statement"]
        if holder == "TrafficRole" and statement["Action"] == "lambda:InvokeFunction"
    ]
    if hooks != [{"Fn::GetAtt": ["CheckFunction", "Arn"]}]:
        yield f"CodeDeploy may invoke {hooks}"


def authorities_are_in_the_layer(template, resources):
    yield from differences("DatabaseCa", template["Resources"]["DatabaseCa"]["Properties"], {"ContentUri": "infra/database-ca"})
    if [path.name for path in (ROOT / "infra/database-ca").iterdir()] != ["ca.pem"]:
        yield "infra/database-ca has other files than ca.pem"
    if "PRIVATE KEY" in (ROOT / "infra/database-ca/ca.pem").read_text():
        yield "infra/database-ca/ca.pem has a private key"
    [layer] = of_type(resources, "AWS::Lambda::LayerVersion")
    for name in BINARIES:
        properties = resources[name]["Properties"]
        yield from differences(name, properties, {"Layers": [{"Ref": layer}]})
        file = {"Fn::If": ["VerifiesServer", "/opt/ca.pem", ""]}
        yield from differences(name, properties["Environment"]["Variables"], {"DB_SSL_CA": file})


def environment_fits(template, resources):
    """Lambda allows 4 KB for names and values. An eighth is left for longer values than these."""
    parameters = filled_in("prod")

    def size(value):
        if value == NO_VALUE:
            return 0
        if not isinstance(value, dict):
            return len(str(value))
        [(function, argument)] = value.items()
        if function == "Ref":
            return len(parameters.get(argument, "x" * 80))
        if function == "Fn::If":
            return max(size(argument[1]), size(argument[2]))
        # A secret (Anthropic's keys have 108 characters), or an attribute.
        return 128

    for name in BINARIES:
        variables = resources[name]["Properties"]["Environment"]["Variables"]
        total = sum(len(variable) + size(value) for variable, value in variables.items())
        if total > 3584:
            yield f"the variables of {name} have {total} bytes"


def variables_can_be_encrypted(template, resources):
    for name in BINARIES:
        properties = resources[name]["Properties"]
        yield from differences(name, properties, {"KmsKeyArn": {"Fn::If": ["HasKey", {"Ref": "KmsKeyArn"}, NO_VALUE]}})
        role = resources[properties["Role"]["Fn::GetAtt"][0]]
        if {"Fn::If": ["HasKey", {"Ref": "KeyPolicy"}, NO_VALUE]} not in role["Properties"]["ManagedPolicyArns"]:
            yield f"{name} cannot decrypt its variables"


def domain_is_optional(template, resources):
    conditions = {"ApiDomain": "HasDomain", "ApiDomainMapping": "HasDomain", "ApiDomainRecord": "EntersDomain"}
    for name, condition in conditions.items():
        yield from differences(name, resources[name], {"Condition": condition})
    expected = {"EndpointConfiguration": {"Types": ["REGIONAL"]}, "SecurityPolicy": "TLS_1_2"}
    yield from differences("ApiDomain", resources["ApiDomain"]["Properties"], expected)
    # The gateway wants the path without its slash, and none for the whole domain.
    path = {"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "BasePath"}]}]}
    expected = {"BasePath": {"Fn::If": ["HasBasePath", path, NO_VALUE]}, "Stage": {"Ref": "ApiStage"}}
    yield from differences("ApiDomainMapping", resources["ApiDomainMapping"]["Properties"], expected)
    pattern = template["Parameters"]["BasePath"]["AllowedPattern"]
    for value, allowed in {"": True, "/ro": True, "ro": False, "/ro/": False, "/a/b": False, "/api": False, "/apis": True}.items():
        if bool(re.search(pattern, value)) != allowed:
            yield f"BasePath {'refuses' if allowed else 'accepts'} {value}"


def distribution_streams(template, resources):
    if resources["Distribution"].get("Condition") != "HasDistribution":
        yield "the distribution is not optional"
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    if config.get("WebACLId") != {"Fn::If": ["HasWebAcl", {"Ref": "DashboardWebAclArn"}, NO_VALUE]}:
        yield "the distribution is open to everybody"
    if "${Configuration.Revision}" not in config["Comment"]["Fn::Sub"]:
        yield "the distribution does not get a new secret"
    if sorted(resources["Distribution"].get("DependsOn", [])) != sorted(f"{name}Aliaslive" for name in FUNCTIONS):
        yield "the distribution sends a new secret before the functions accept it"
    behaviors = {behavior["PathPattern"]: behavior for behavior in config["CacheBehaviors"]}
    if behaviors.keys() != {"/api/*", "/.netlify/functions/*"}:
        yield f"the API has the paths {sorted(behaviors)}"
    for path, behavior in behaviors.items():
        expected = {
            "TargetOriginId": "api",
            "Compress": False,
            "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",  # CachingDisabled
            "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",  # AllViewerExceptHostHeader
        }
        yield from differences(path, behavior, expected)
    for origin in config["Origins"]:
        header = "X-Proxy-Secret" in json.dumps(origin)
        if header != (origin["Id"] == "api"):
            yield f"the origin {origin['Id']} {'gets' if header else 'does not get'} the secret"


def scheduled_check_asks_every_function(template, resources):
    rule = resources["ProbeFunctionEveryFiveMinutes"]["Properties"]
    expected = {"ScheduleExpression": "rate(5 minutes)", "State": {"Fn::If": ["HasProbe", "ENABLED", "DISABLED"]}}
    yield from differences("the schedule", rule, expected)
    if [target["Arn"] for target in rule["Targets"]] != [{"Ref": "ProbeFunctionAliaslive"}]:
        yield f"the schedule calls {rule['Targets']}"
    # A repetition would count one failure twice.
    once = resources.get("ProbeFunctionEventInvokeConfig", {}).get("Properties", {})
    yield from differences("the check", once, {"MaximumRetryAttempts": 0, "Qualifier": "live"})
    variables = resources["ProbeFunction"]["Properties"]["Environment"]["Variables"]
    yield from differences("ProbeFunction", variables, {"PROBE_URL": template["Outputs"]["ApiUrl"]["Value"]})
    source = (ROOT / "crates/probe/src/lib.rs").read_text()
    paths = set(re.findall(r'"(/(?:api/|health)[^"?]*)', source))
    asked = {
        FUNCTIONS.get(function_of(integration))
        for path, _, integration in operations(resources)
        if any(re.fullmatch(re.sub(r"\{\w+\+\}", ".+", path), asked) for asked in paths) and path != "/{unknown+}"
    }
    if asked != set(FUNCTIONS.values()) or "/health" not in paths:
        yield f"the check asks only {sorted(asked)}"


def budget_is_of_the_month(template, resources):
    conditions = template["Conditions"]["HasBudget"]["Fn::And"]
    if resources["Budget"].get("Condition") != "HasBudget" or {"Condition": "HasEmail"} not in conditions:
        yield "the budget is not optional, or has no address"
    properties = resources["Budget"]["Properties"]
    expected = {"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": {"Amount": {"Ref": "MonthlyBudget"}, "Unit": "USD"}}
    yield from differences("Budget", properties["Budget"], expected)
    told = {}
    for one in properties["NotificationsWithSubscribers"]:
        told[one["Notification"]["NotificationType"]] = one["Notification"]["Threshold"]
        if one["Subscribers"] != [{"SubscriptionType": "EMAIL", "Address": {"Ref": "AlarmEmail"}}]:
            yield f"the budget tells {one['Subscribers']}"
    if told != {"FORECASTED": 80, "ACTUAL": 100}:
        yield f"the budget rings at {told}"
    # CloudFormation makes a new budget for another address before it deletes the old one.
    if "${AlarmEmail}" not in properties["Budget"]["BudgetName"]["Fn::Sub"]:
        yield "the budget would keep its name for another address"


def web_acl_guards_the_gateway(template, resources):
    for name in ("ApiAcl", "ApiAclAssociation"):
        yield from differences(name, resources[name], {"Condition": "HasApiWebAcl"})
    acl, association = (resources[name]["Properties"] for name in ("ApiAcl", "ApiAclAssociation"))
    yield from differences("ApiAcl", acl, {"Scope": "REGIONAL", "DefaultAction": {"Allow": {}}})
    limits = [rule["Statement"]["RateBasedStatement"] for rule in acl["Rules"] if "RateBasedStatement" in rule["Statement"]]
    if limits != [{"Limit": {"Ref": "RequestsPerAddress"}, "EvaluationWindowSec": 300, "AggregateKeyType": "IP"}]:
        yield f"the web ACL limits addresses by {limits}"
    # Chats are larger than what WAF reads of a body, and have texts that look like attacks.
    text = json.dumps(acl["Rules"])
    if "ManagedRuleGroupStatement" in text or '"Body"' in text or "JsonBody" in text:
        yield "the web ACL looks into bodies, and would refuse chats"
    if association["WebACLArn"] != {"Fn::GetAtt": ["ApiAcl", "Arn"]}:
        yield f"the gateway gets {association['WebACLArn']}"
    if association["ResourceArn"] != {"Fn::Sub": [STAGE_ARN, {"Name": {"Ref": "ApiStage"}}]}:
        yield f"the web ACL is for {association['ResourceArn']}, which may not be there yet"


STAGE_ARN = "arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${Api}/stages/${Name}"


# Checks of infra/observability.yaml; each takes that template.


def alarms(observability):
    return of_type(observability["Resources"], "AWS::CloudWatch::Alarm")


def dashboard(observability):
    return json.loads(observability["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])


def widgets(observability, kind):
    return [widget["properties"] for widget in dashboard(observability)["widgets"] if widget["type"] == kind]


def metrics(observability, of_alarms=True):
    """Every use of a metric: the alarm or widget, the namespace, the name and the dimensions."""
    for name, alarm in alarms(observability).items() if of_alarms else ():
        properties = alarm["Properties"]
        stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
        for metric in [properties] if "MetricName" in properties else stats:
            dimensions = {dimension["Name"]: dimension["Value"]["Fn::Sub"] for dimension in metric["Dimensions"]}
            yield name, metric["Namespace"], metric["MetricName"], dimensions
    for widget in widgets(observability, "metric"):
        for metric in widget["metrics"]:
            words = [word for word in metric if isinstance(word, str)]
            if words:
                yield widget["title"], words[0], words[1], dict(zip(words[2::2], words[3::2], strict=True))


def alarms_are_sent_and_explained(observability):
    page = (ROOT / "infra/README.md").read_text()
    seen = set()
    sections = page.partition("\n## Alarms\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    for section in sections:
        heading, _, text = section.partition("\n")
        for part in ("**First:**", "**When it is wrong:**"):
            if part not in text:
                yield f"{heading} has no part {part}"
    for name, alarm in alarms(observability).items():
        properties = alarm["Properties"]
        named = re.search(r'^(.{40,}) See "([^"]+)" in infra/README\.md\.$', properties.get("AlarmDescription", ""))
        if named is None:
            yield f"{name} has no description that points to infra/README.md"
        elif f"\n### {named[2]}\n" not in page:
            yield f"{name} is not explained in infra/README.md"
        else:
            seen.add(named[2])
        to = {"Fn::If": ["HasTopic", [{"Ref": "AlarmTopicArn"}], NO_VALUE]}
        if properties.get("AlarmActions") != to or properties.get("OKActions") != to:
            yield f"{name} is not sent to the topic"
        if properties.get("AlarmName") != {"Fn::Sub": f"ro-tracker-${{Stage}}-{name}"}:
            yield f"{name} is called {properties.get('AlarmName')}"
    if len(seen) != len(alarms(observability)):
        yield "alarms share an explanation"
    for heading in {section.partition("\n")[0] for section in sections} - seen - {VERSION_ALARM}:
        yield f"infra/README.md explains {heading}, which is not an alarm"


def alarms_are_well_defined(observability):
    for name, alarm in alarms(observability).items():
        properties = alarm["Properties"]
        # Without it, an alarm has insufficient data whenever there are no requests.
        # Nobody runs the scheduled check where it is turned off.
        optional = {"Fn::If": ["IsChecked", "breaching", "notBreaching"]}
        if properties.get("TreatMissingData") not in ("notBreaching", "ignore", optional):
            yield f"{name} does not set TreatMissingData"
        points, periods = properties.get("DatapointsToAlarm"), properties.get("EvaluationPeriods")
        if points is None or points > periods:
            yield f"{name} needs {points} of {periods} periods"
        queries = properties.get("Metrics", [])
        if sum("MetricStat" in query for query in queries) > 10:
            yield f"{name} has more metrics than CloudWatch allows"
        if queries and sum(query.get("ReturnData", True) for query in queries) != 1:
            yield f"{name} does not return exactly one result"
        for query in queries:
            expression = query.get("Expression", "")
            expression = expression["Fn::Sub"] if isinstance(expression, dict) else expression
            yield from unknown_ids(name, expression, {query["Id"] for query in queries})


def unknown_ids(who, expression, ids):
    words = re.sub(r"\$\{\w+\}|'[^']*'", "", expression)
    for word in set(re.findall(r"\b[a-z]\w*", words)) - ids:
        yield f"{who} uses {word}, which is not an id of its metrics"


def dashboard_is_valid(observability):
    try:
        body = dashboard(observability)
    except ValueError as error:
        yield f"the dashboard is not JSON: {error}"
        return
    cells = {}
    for index, widget in enumerate(body["widgets"]):
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        if x + width > 24:
            yield f"widget {index} is wider than the dashboard"
        for cell in ((column, line) for column in range(x, x + width) for line in range(y, y + height)):
            if cells.setdefault(cell, index) != index:
                yield f"widget {index} covers widget {cells[cell]}"
                break
    for widget in widgets(observability, "metric"):
        options = [word for metric in widget["metrics"] for word in metric if isinstance(word, dict)]
        ids = {option["id"] for option in options if "id" in option}
        for option in options:
            yield from unknown_ids(widget["title"], option.get("expression", ""), ids)
        if widget.get("region") != "${AWS::Region}":
            yield f"{widget['title']} shows another region"
    source = (ROOT / "crates/core/src/metrics/mod.rs").read_text()
    numbers = set(re.findall(r"^    (\w+): (?:COUNT|MILLISECONDS), \w+;", source, re.MULTILINE))
    fields = numbers | set(re.findall(r'const \w+: &str = "(\w+)";', source))
    asked = set()
    for widget in widgets(observability, "log"):
        groups = re.findall(r"SOURCE '/ro-tracker/\$\{Stage\}/([\w-]+)'", widget["query"])
        if not groups or not set(groups) <= set(FUNCTIONS.values()):
            yield f"{widget['title']} reads the logs of {groups}"
        if widget.get("region") != "${AWS::Region}":
            yield f"{widget['title']} shows another region"
        words = set(re.findall(r"\b[A-Z][a-z]\w*", re.sub(r"SOURCE '[^']*'", "", widget["query"])))
        asked |= words
        for word in words - fields:
            yield f"{widget['title']} asks for {word}, which no log line has"
    in_log_only = set(re.findall(r"^    (\w+): \w+, IN_LOG_ONLY;", source, re.MULTILINE))
    for number in in_log_only - asked:
        yield f"the dashboard does not show {number}"
    # AWS charges nothing for three dashboards of an account, if each has at most 50 metrics.
    shown = {json.dumps(words[1:]) for words in metrics(observability, of_alarms=False)} | {
        option["expression"].split("', '")[0]
        for widget in widgets(observability, "metric")
        for metric in widget["metrics"]
        for option in metric
        if isinstance(option, dict) and "SEARCH(" in option.get("expression", "")
    }
    if len(shown) > 50:
        yield f"the dashboard has {len(shown)} metrics"
    shown = [arn for widget in widgets(observability, "alarm") for arn in widget["alarms"]]
    if sorted(shown) != sorted(f"${{{name}.Arn}}" for name in alarms(observability)):
        yield f"the dashboard shows the alarms {shown}"
    if not widgets(observability, "text"):
        yield "the dashboard has no text"


def queries_read_the_logs(observability):
    """Saved queries name log groups that exist, and fields that a line has; and the page says when to run them."""
    page = (ROOT / "infra/README.md").read_text()
    source = (ROOT / "crates/core/src/metrics/mod.rs").read_text()
    ours = set(re.findall(r"^    (\w+): (?:COUNT|MILLISECONDS), \w+;", source, re.MULTILINE))
    ours |= set(re.findall(r'const \w+: &str = "(\w+)";', source))
    ours |= {"http.status", "outcome", "request.id", "level", "message", "error", "fault", "hint"}
    access = set(re.findall(r'"(\w+)":"\$context', read()["Resources"]["Api"]["Properties"]["AccessLogSetting"]["Format"]))
    words_of_the_language = {"filter", "stats", "count", "latest", "as", "by", "sort", "desc", "display", "limit", "or", "and"}
    for name, query in of_type(observability["Resources"], "AWS::Logs::QueryDefinition").items():
        properties = query["Properties"]
        groups = {group["Fn::Sub"].removeprefix("/ro-tracker/${Stage}/") for group in properties["LogGroupNames"]}
        if not (groups <= set(FUNCTIONS.values()) or groups == {"access"}):
            yield f"{name} reads {sorted(groups)}"
        text = re.sub(r'"[^"]*"|@timestamp', "", properties["QueryString"])
        made = set(re.findall(r"\bas (\w+)", text))
        for word in set(re.findall(r"[A-Za-z][\w.]*", text)) - made - words_of_the_language:
            if word not in (access if groups == {"access"} else ours):
                yield f"{name} asks for {word}, which no log line has"
        title = properties["Name"]["Fn::Sub"].removeprefix("ro-tracker-${Stage}/")
        if f'"{title}"' not in page:
            yield f"infra/README.md does not say when to run {title}"


def metrics_exist(observability):
    """For metrics of our functions, only the function is checked; tests/suite/dashboard.rs compares the names."""
    made = {}
    for log_filter in of_type(observability["Resources"], "AWS::Logs::MetricFilter").values():
        for made_metric in log_filter["Properties"]["MetricTransformations"]:
            key = made_metric["MetricNamespace"], made_metric["MetricName"]
            made[key] = {dimension["Key"] for dimension in made_metric.get("Dimensions", [])}
    functions = {f"ro-tracker-${{Stage}}-{name}" for name in [*FUNCTIONS.values(), "probe"]}
    for who, namespace, name, dimensions in metrics(observability):
        function = dimensions.get("Function", dimensions.get("FunctionName"))
        if function is not None and function not in functions:
            yield f"{who} names the function {function}"
        if namespace == "RoTracker":
            continue
        by, names = AWS_METRICS.get(namespace, (set(), set()))
        by_operation = AWS_METRICS_BY_OPERATION.get(namespace, set())
        known = (
            made.get((namespace, name)) == dimensions.keys()
            or (name in names and by == dimensions.keys())
            or (name in by_operation and by | {"Operation"} == dimensions.keys())
        )
        if not known:
            yield f"{who} names {namespace} {name} by {sorted(dimensions)}"
    for widget in widgets(observability, "metric"):
        for metric in widget["metrics"]:
            expression = metric[-1].get("expression", "") if isinstance(metric[-1], dict) else ""
            if "SEARCH(" not in expression:
                continue
            found = re.search(r"SEARCH\('\{RoTracker,Function(,\w+)+\} MetricName=.* Function=\"([^\"]+)\"'", expression)
            if found is None or found[2] not in functions:
                yield f"{widget['title']} searches {expression}"


# Checks of infra/deploy-role.yaml; each takes that template.


def only_our_repository_deploys(role):
    for name, resource in of_type(role["Resources"], "AWS::IAM::Role").items():
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if "Federated" not in statement["Principal"]:
                if statement["Principal"] != {"Service": "cloudformation.amazonaws.com"}:
                    yield f"{name} may be assumed by {statement['Principal']}"
                continue
            conditions = statement.get("Condition", {})
            equal = conditions.get("StringEquals", {})
            if set(conditions) != {"StringEquals"}:
                yield f"{name} compares by {sorted(conditions)}"
            if equal.get("token.actions.githubusercontent.com:aud") != "sts.amazonaws.com":
                yield f"{name} accepts tokens for another audience"
            subject = equal.get("token.actions.githubusercontent.com:sub", {}).get("Fn::Sub", [""])
            if subject[0] != "repo:${Repository}:environment:${Name}":
                yield f"{name} may be assumed by {subject}"


def deploys_nothing_but_the_stack(role):
    resources = role["Resources"]
    # Resources whose names AWS generates, and why each needs a wildcard.
    generated = {
        "::/restapis/*": "the gateway generates the id of an API",
        "::/tags/*": "as above",
        ":alarm:*": WILDCARDS["cloudwatch:DescribeAlarms"],
        ":deploymentconfig:CodeDeployDefault.*": "those of AWS",
        ":distribution/*": "CloudFront generates the id",
        "::/domainnames/${DomainName}/*": "what belongs to the stage's own domain",
        ":change/*": "Route 53 generates the id of a change",
    }
    for name, document in policies(resources):
        for statement in document["Statement"]:
            if "NotAction" in statement or "NotResource" in statement:
                yield f"{name} has NotAction or NotResource"
            actions = set(listed(statement["Action"]))
            if any("*" in action for action in actions):
                yield f"{name} has a wildcard among the actions {sorted(actions)}"
            if statement["Effect"] != "Allow":
                continue
            for _, resource in strings(statement["Resource"]):
                ours = "ro-tracker-${Stage}" in resource or "ro-tracker/${Stage}/" in resource
                if resource == "*" and name == "Boundary" and "Condition" in statement:
                    principals = statement["Condition"].get("ArnLike", {}).get("aws:PrincipalArn", {})
                    ours = "role/ro-tracker-${Stage}-ApiGatewayRole-*" in principals.get("Fn::Sub", "")
                if resource == "*" and actions <= WILDCARDS.keys():
                    continue
                if "*" in resource and not ours and not resource.endswith(tuple(generated)):
                    if not resource.endswith("stack/aws-sam-cli-managed-default/*"):
                        yield f"{name} allows {sorted(actions)} on {resource}"


def makes_no_role_beyond_the_boundary(role):
    grants = {"iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"}
    bounded = {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    for name, document in policies(role["Resources"]):
        for statement in document["Statement"]:
            actions = set(listed(statement["Action"]))
            if actions & grants and statement.get("Condition") != bounded:
                yield f"{name} may {sorted(actions & grants)} without the boundary"
            if "iam:DeleteRolePermissionsBoundary" in actions:
                yield f"{name} may remove the boundary"
            if "iam:PassRole" in actions and "iam:PassedToService" not in json.dumps(statement.get("Condition")):
                yield f"{name} may pass roles to any service"
            if name == "GitHubRole" and statement["Effect"] == "Allow":
                direct = {action for action in actions if action.split(":")[0] not in ("cloudformation", "s3")}
                if direct - {"iam:PassRole"}:
                    yield f"GitHub itself may {sorted(direct)}"
    # The boundary must allow everything that the roles of the service need.
    allowed = set()
    for name, document in policies(role["Resources"]):
        if name == "Boundary":
            for statement in document["Statement"]:
                allowed |= set(listed(statement["Action"]))
    for name, document in policies(deploy(read())):
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow" and not set(listed(statement["Action"])) <= allowed:
                yield f"the boundary keeps {name} from {sorted(set(listed(statement['Action'])) - allowed)}"


# Each of these breaks a template in one way, which the check must report: the path of a value, and its new value.
GONE = object()  # the value is removed
FUNCTION = "Resources RosFunction Properties"
AI = "Resources AiFunction Properties"
CHECK_STATEMENT = "Resources CheckRole Properties Policies 1 PolicyDocument Statement 0"
TABLE = "Resources RateLimitTable"
LOG_STATEMENT = "Resources RosRole Properties Policies 0 PolicyDocument Statement 0"
API = "Resources Api Properties"
DISTRIBUTION = "Resources Distribution Properties DistributionConfig"
MUTATIONS = {
    every_method_streams: [
        (f"{FUNCTION} Events ApiEach Properties ResponseTransferMode", GONE),
        (f"{AI} Events NetlifyEach Properties ResponseTransferMode", "BUFFERED"),
    ],
    routes_are_those_of_cargo: [
        (f"{FUNCTION} Events Unknown", GONE),
        (f"{AI} Events NetlifyAll", GONE),
        (f"{FUNCTION} Events Health Properties Method", "GET"),
        (f"{FUNCTION} Events Health Properties Path", "/healthy"),
    ],
    functions_are_built_and_sized: [
        (f"{FUNCTION} Timeout", 60),
        (f"{AI} Timeout", GONE),
        (f"{AI} Events ApiEach Properties TimeoutInMillis", GONE),
        (f"{FUNCTION} Architectures", ["arm64", "x86_64"]),
        ("Resources AiFunction Metadata BuildProperties Binary", "ros"),
        ("Globals Function Tracing", GONE),
        ("Resources MigrateFunction Metadata BuildProperties Binary", "ros"),
        ("Resources MigrateFunction Properties Timeout", 28),
        ("Resources MigrateFunction Properties Events", {"Migrate": {"Type": "Api", "Properties": {"Path": "/migrate", "RestApiId": {"Ref": "Api"}, "Method": "ANY"}}}),
        ("Resources CheckFunction Properties Runtime", "python3.8"),
    ],
    no_avoidable_wildcard: [
        (f"{LOG_STATEMENT} Resource", "*"),
        (f"{LOG_STATEMENT} Resource", {"Fn::Sub": "arn:aws:logs:${AWS::Region}:*:*"}),
        (f"{LOG_STATEMENT} Action", "logs:*"),
        ("Resources RosRole Properties ManagedPolicyArns 0", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ],
    one_role_per_function: [
        (f"{FUNCTION} Role", {"Fn::GetAtt": ["AiRole", "Arn"]}),
        (f"{LOG_STATEMENT} Resource", {"Fn::GetAtt": ["AiLogGroup", "Arn"]}),
        (f"{LOG_STATEMENT} Resource", {"Fn::GetAtt": ["RateLimitTable", "Arn"]}),
        ("Resources AiRole Properties Policies 1 PolicyDocument Statement 0 Action 0", "dynamodb:Scan"),
        (f"{CHECK_STATEMENT} Resource 0", {"Fn::Sub": "${MigrateFunction.Arn}:*"}),
        (f"{CHECK_STATEMENT} Action", "lambda:UpdateFunctionCode"),
    ],
    functions_may_use_what_they_have: [
        ("Resources RosRole Properties ManagedPolicyArns 1", GONE),
        ("Resources AiRole Properties ManagedPolicyArns", [{"Ref": "TracePolicy"}]),
    ],
    every_function_has_a_log_group: [
        (f"{FUNCTION} LoggingConfig", GONE),
        ("Resources AiLogGroup Properties RetentionInDays", GONE),
        (f"{API} AccessLogSetting", GONE),
    ],
    nothing_secret_in_plain_text: [
        ("Parameters DbPassword", {"Type": "String", "NoEcho": True}),
        (f"{FUNCTION} Environment Variables DB_PASSWORD", "hunter2"),
        (f"{FUNCTION} Environment Variables DB_PASSWORD", {"Ref": "DbHost"}),
        (f"{AI} Environment Variables ANTHROPIC_API_KEY", "sk-ant-1"),
        (f"{FUNCTION} Environment Variables ANTHROPIC_API_KEY", {"Fn::Sub": SECRET_VARIABLES["ANTHROPIC_API_KEY"]}),
        (f"{AI} Environment Variables DB_PASSWORD", {"Fn::Sub": SECRET_VARIABLES["DB_PASSWORD"]}),
        (f"{FUNCTION} Description", SECRET_VARIABLES["DB_PASSWORD"]),
        ("Parameters ProxySecret AllowedValues", GONE),
        (f"{FUNCTION} Environment Variables PROXY_SECRET", "0123456789abcdef0123456789abcdef"),
        ("Resources MigrateFunction Properties Environment Variables DB_USER", {"Fn::Sub": SECRET_VARIABLES["DB_USER"]}),
        (f"{FUNCTION} Environment Variables DB_USER", {"Fn::Sub": MIGRATOR % "username"}),
    ],
    table_is_temporary: [
        (f"{TABLE} DeletionPolicy", "Retain"),
        (f"{TABLE} UpdateReplacePolicy", GONE),
        (f"{TABLE} Properties TimeToLiveSpecification", GONE),
        (f"{TABLE} Properties DeletionProtectionEnabled", True),
        ("Resources ApiGatewayRole DeletionPolicy", "Retain"),
        ("Resources DatabaseCa Properties RetentionPolicy", GONE),
    ],
    stage_is_throttled_logged_and_traced: [
        (f"{API} EndpointConfiguration Type", "EDGE"),
        (f"{API} MethodSettings", GONE),
        (f"{API} AccessLogSetting Format", "$context.requestId"),
        (f"{API} TracingEnabled", False),
        (f"{API} MethodSettings 0 MetricsEnabled", True),
    ],
    gateway_errors_look_like_ours: [
        (f"{API} GatewayResponses DEFAULT_5XX", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Allow-Origin", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Allow-Origin", "method.request.header.Origin"),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Cache-Control", GONE),
        (f"{API} GatewayResponses DEFAULT_5XX ResponseParameters Headers Access-Control-Expose-Headers", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Expose-Headers", "'x-request-id'"),
        (f"{API} GatewayResponses THROTTLED ResponseTemplates application/json", '{"message":"no"}'),
        (f"{API} AlwaysDeploy", GONE),
    ],
    variables_are_those_the_code_reads: [
        (f"{FUNCTION} Environment Variables DB_HOSTS", "x"),
        ("Globals Function Environment Variables AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", GONE),
    ],
    defaults_are_those_of_the_code: [
        ("Parameters AiRateLimit Default", 30),
        ("Parameters AiTokensPerDay Default", 1000),
        ("Parameters AnthropicTotalTimeoutSeconds Default", 890),
    ],
    sam_local_sets_all_variables: [
        (f"{AI} Environment Variables AWS_ENDPOINT_URL_DYNAMODB", GONE),
        (f"{AI} Environment Variables AI_NEW", "x"),
    ],
    stages_are_configured: [
        ("Parameters New", {"Type": "String", "Default": ""}),
        ("Parameters FrontendUrl", GONE),
        ("Parameters TrafficShift AllowedValues", ["Canary10Percent5Minutes"]),
    ],
    stages_are_filled_in: [
        ("Rules PlaceholdersAreFilledIn Assertions 0 Assert", {"Fn::Equals": ["a", "a"]}),
        ("Rules PlaceholdersAreFilledIn Assertions 4", GONE),
    ],
    stages_are_guarded: [
        ("Rules ProductionIsGuarded", GONE),
        ("Rules ProductionIsGuarded Assertions 1", GONE),
        ("Rules DevelopmentIsApart RuleCondition", {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}),
        ("Rules TheDistributionIsClosed", GONE),
        ("Rules RequestsAreAuthenticated Assertions 0", GONE),
        ("Rules RequestsAreAuthenticated Assertions 1", GONE),
        ("Rules NoAuthenticationMeansNoSecret", GONE),
        ("Rules ADomainHasACertificate Assertions 0 Assert", {"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}),
    ],
    migrations_run_first: [
        (f"Resources RosFunction DependsOn", GONE),
        ("Resources Migrations Properties ServiceTimeout", "60"),
        ("Resources Migrations Properties Version", GONE),
        ("Resources Migrations Properties ServiceToken", {"Fn::GetAtt": ["RosFunction", "Arn"]}),
    ],
    parameters_reach_the_versions: [
        ("Resources Configuration Properties Values 7", GONE),
        ("Resources Configuration Properties DatabaseCa", GONE),
        (f"{FUNCTION} VersionDescription", GONE),
        (f"{FUNCTION} AutoPublishAliasAllProperties", GONE),
        ("Resources RosFunction UpdateReplacePolicy", GONE),
        ("Globals Function Environment Variables CONFIGURATION_REVISION", GONE),
    ],
    deployments_take_themselves_back: [
        (f"{FUNCTION} DeploymentPreference", GONE),
        (f"{FUNCTION} DeploymentPreference Hooks", GONE),
        (f"{FUNCTION} DeploymentPreference Role", GONE),
        (f"{FUNCTION} DeploymentPreference Alarms 0", {"Ref": "AiVersionErrors"}),
        ("Resources RosVersionErrors Properties Metrics 1 MetricStat Metric Dimensions 1", GONE),
        ("Resources RosVersionErrors Properties AlarmDescription", "Too many errors"),
        ("Resources CheckFunction Properties Environment Variables VERSIONS Fn::Join 1 3", GONE),
        ("Resources CheckFunction Properties Environment Variables CONCURRENCY Fn::Join 1 0", {"Ref": "AiConcurrency"}),
        ("Resources TrafficRole Properties Policies 0 PolicyDocument Statement 1 Resource", {"Fn::GetAtt": ["RosFunction", "Arn"]}),
    ],
    authorities_are_in_the_layer: [
        ("Globals Function Layers", GONE),
        ("Globals Function Environment Variables DB_SSL_CA", ""),
        ("Resources DatabaseCa Properties ContentUri", "infra"),
    ],
    environment_fits: [
        ("Globals Function Environment Variables RUST_LOG", "x" * 3000),
    ],
    variables_can_be_encrypted: [
        ("Globals Function KmsKeyArn", GONE),
        ("Resources RosRole Properties ManagedPolicyArns 2", GONE),
    ],
    domain_is_optional: [
        ("Resources ApiDomain Condition", GONE),
        ("Resources ApiDomain Properties SecurityPolicy", "TLS_1_0"),
        ("Resources ApiDomainMapping Properties BasePath", {"Ref": "BasePath"}),
        ("Parameters BasePath AllowedPattern", "^/.*$"),
    ],
    distribution_streams: [
        (f"{DISTRIBUTION} CacheBehaviors 0 Compress", True),
        (f"{DISTRIBUTION} CacheBehaviors 1 CachePolicyId", "658327ea-f89d-4fab-a63d-7e88639e58f6"),
        (f"{DISTRIBUTION} CacheBehaviors 1 OriginRequestPolicyId", GONE),
        (f"{DISTRIBUTION} CacheBehaviors 1", GONE),
        (f"{DISTRIBUTION} Origins 1 OriginCustomHeaders", GONE),
        (f"{DISTRIBUTION} Origins 0 OriginCustomHeaders", [{"HeaderName": "X-Proxy-Secret", "HeaderValue": "x"}]),
        (f"{DISTRIBUTION} WebACLId", GONE),
        (f"{DISTRIBUTION} Comment Fn::Sub", "RO Tracker"),
        ("Resources Distribution DependsOn 0", GONE),
        ("Resources Distribution Condition", GONE),
    ],
    observability_is_included: [
        ("Resources Observability", GONE),
        ("Resources Observability Properties Parameters SpendPerHour", GONE),
        ("Resources AlarmTopic Properties Subscription", GONE),
        (f"{API} Name", "other"),
        (f"{AI} FunctionName", "assistant"),
        (f"{API} AccessLogSetting Format", '{"requestId":"$context.requestId","errorType":"$context.error.responseType"}'),
    ],
    scheduled_check_asks_every_function: [
        ("Resources ProbeFunction Properties EventInvokeConfig", GONE),
        ("Resources ProbeFunction Properties Events EveryFiveMinutes Properties State", "ENABLED"),
        ("Resources ProbeFunction Properties Events EveryFiveMinutes Properties Schedule", "rate(1 day)"),
        ("Resources ProbeFunction Properties Environment Variables PROBE_URL", "https://example.com"),
        (f"{AI} Events ApiEach Properties Path", "/api/assistant/{rest+}"),
    ],
    budget_is_of_the_month: [
        ("Resources Budget Condition", GONE),
        ("Resources Budget Properties Budget TimeUnit", "ANNUALLY"),
        ("Resources Budget Properties Budget BudgetName Fn::Sub", "ro-tracker-${Stage}"),
        ("Resources Budget Properties NotificationsWithSubscribers 0", GONE),
        ("Resources Budget Properties NotificationsWithSubscribers 1 Subscribers", []),
    ],
    web_acl_guards_the_gateway: [
        ("Resources ApiAcl Condition", GONE),
        ("Resources ApiAcl Properties Rules 0", GONE),
        ("Resources ApiAcl Properties Rules 1 Statement OrStatement Statements 0 SizeConstraintStatement FieldToMatch", {"Body": {}}),
        ("Resources ApiAcl Properties Rules 1 Statement", {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}),
        ("Resources ApiAclAssociation Properties ResourceArn", {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}::/restapis/${Api}/stages/prod"}),
    ],
    roles_can_be_bounded: [
        ("Resources AiRole Properties PermissionsBoundary", GONE),
        ("Resources AiRole Properties RoleName", "assistant"),
    ],
}


def body_with(*change):
    """The dashboard's text with one thing in it replaced."""
    old, new = change
    text = read("infra/observability.yaml")["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert old in text
    return text.replace(old, new, 1)


ALARM = "Resources ServerErrors Properties"
SINGLE = "Resources UpstreamMisconfigured Properties"
MANY_METRICS = "".join(f'"RoTracker", "Number{number}"], [' for number in range(20)) + '"AWS/Lambda", "Errors"'
BODY = "Resources Dashboard Properties DashboardBody Fn::Sub"
OBSERVABILITY_MUTATIONS = {
    alarms_are_sent_and_explained: [
        (f"{ALARM} AlarmActions", GONE),
        (f"{ALARM} OKActions", []),
        (f"{ALARM} AlarmDescription", GONE),
        (f"{ALARM} AlarmDescription", 'Too many responses are 5xx errors. See "Nothing" in infra/README.md.'),
        (f"{ALARM} AlarmName", "alarm"),
        ("Resources Latency", GONE),
    ],
    alarms_are_well_defined: [
        (f"{ALARM} TreatMissingData", GONE),
        (f"{ALARM} TreatMissingData", "breaching"),
        (f"{ALARM} DatapointsToAlarm", 6),
        (f"{ALARM} Metrics 0 Expression", "SUM([errors, errors_all])"),
        (f"{ALARM} Metrics 1 ReturnData", True),
    ],
    dashboard_is_valid: [
        (BODY, "{"),
        (BODY, body_with('"x": 6,', '"x": 20,')),
        (BODY, body_with('"x": 6,', '"x": 5,')),
        (BODY, body_with('"${Latency.Arn}",', "")),
        (BODY, body_with("FILL(output, 0)", "FILL(outputs, 0)")),
        (BODY, body_with("/ro-tracker/${Stage}/inventory'", "/ro-tracker/${Stage}/stock'")),
        (BODY, body_with("pct(DatabaseTime, 50)", "pct(DatabaseWait, 50)")),
        (BODY, body_with('"AWS/Lambda", "Errors"', MANY_METRICS)),
        (BODY, body_with("filter ispresent(DatabaseRetries) | stats sum(DatabaseRetries)", "stats sum(DatabaseConnects)")),
    ],
    queries_read_the_logs: [
        ("Resources SlowChats Properties LogGroupNames 0 Fn::Sub", "/ro-tracker/${Stage}/assistant"),
        ("Resources SlowChats Properties QueryString", "filter UpstreamTime > 10000"),
        ("Resources BusiestAddresses Properties QueryString", "stats count(*) by address"),
        ("Resources SlowChats Properties Name Fn::Sub", "ro-tracker-${Stage}/Slow"),
    ],
    metrics_exist: [
        (BODY, body_with('"AWS/Lambda", "Throttles"', '"AWS/Lambda", "Throttled"')),
        (BODY, body_with('"RoTracker/Gateway", "Throttled"', '"RoTracker/Gateway", "Refused"')),
        (BODY, body_with('"Function", "ro-tracker-${Stage}-ros"', '"Function", "ros"')),
        (BODY, body_with('Function=\\"ro-tracker-${Stage}-ros', 'Function=\\"ros')),
        (f"{SINGLE} Dimensions 0 Value Fn::Sub", "ro-tracker-${Stage}-assistant"),
        (f"{SINGLE} Namespace", "AWS/Lambda"),
        ("Resources GatewayThrottles", GONE),
    ],
}

TRUST = "Resources GitHubRole Properties AssumeRolePolicyDocument Statement 0 Condition"
SUBJECT = "token.actions.githubusercontent.com:sub"
MAKER = "Resources CloudFormationRole Properties Policies"
HANDED = "Resources GitHubRole Properties Policies 0 PolicyDocument Statement"
ROLE_MUTATIONS = {
    only_our_repository_deploys: [
        (f"{TRUST} StringEquals token.actions.githubusercontent.com:sub", GONE),
        (f"{TRUST} StringEquals token.actions.githubusercontent.com:sub Fn::Sub 0", "repo:${Repository}:*"),
        (f"{TRUST} StringLike", {SUBJECT: "repo:*"}),
        (f"{TRUST} StringEquals token.actions.githubusercontent.com:aud", GONE),
    ],
    deploys_nothing_but_the_stack: [
        (f"{MAKER} 0 PolicyDocument Statement 0 Resource", "*"),
        (f"{MAKER} 0 PolicyDocument Statement 0 Action", "lambda:*"),
        (f"{MAKER} 0 PolicyDocument Statement 2 Resource Fn::Sub", "arn:aws:secretsmanager:*:*:secret:*"),
        ("Resources Boundary Properties PolicyDocument Statement 3 Condition", GONE),
    ],
    makes_no_role_beyond_the_boundary: [
        (f"{MAKER} 3 PolicyDocument Statement 0 Condition", GONE),
        (f"{MAKER} 3 PolicyDocument Statement 3 Condition", GONE),
        (f"{MAKER} 3 PolicyDocument Statement 1 Action 0", "iam:DeleteRolePermissionsBoundary"),
        (f"{HANDED} 0 Action 0", "lambda:UpdateFunctionCode"),
        ("Resources Boundary Properties PolicyDocument Statement 1 Action 0", "dynamodb:Query"),
    ],
}


@pytest.fixture(scope="session")
def deployed():
    template = read()
    return template, deploy(template)


@pytest.mark.parametrize("check", MUTATIONS, ids=lambda check: check.__name__)
def test_template(check, deployed):
    assert list(check(*deployed)) == []


@pytest.mark.parametrize("check", OBSERVABILITY_MUTATIONS, ids=lambda check: check.__name__)
def test_observability(check):
    assert list(check(read("infra/observability.yaml"))) == []


@pytest.mark.parametrize("check", ROLE_MUTATIONS, ids=lambda check: check.__name__)
def test_deploy_role(check):
    assert list(check(read("infra/deploy-role.yaml"))) == []


def each(mutations):
    """Every mutation as an argument of a test, named by its check and its path."""
    return [
        pytest.param(path, value, check, id=f"{check.__name__}-{path.replace(' ', '/')}")
        for check, changes in mutations.items()
        for path, value in changes
    ]


def mutated(file, path, value):
    template = read(file)
    place = template
    *parents, last = [int(step) if step.isdigit() else step for step in path.split()]
    for step in parents:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return template


@pytest.mark.parametrize(("path", "value", "check"), each(MUTATIONS))
def test_mutation_is_found(path, value, check):
    template = mutated("template.yaml", path, value)
    assert list(check(template, deploy(template)))


@pytest.mark.parametrize(("path", "value", "check"), each(OBSERVABILITY_MUTATIONS))
def test_mutation_of_observability_is_found(path, value, check):
    assert list(check(mutated("infra/observability.yaml", path, value)))


@pytest.mark.parametrize(("path", "value", "check"), each(ROLE_MUTATIONS))
def test_mutation_of_the_deploy_role_is_found(path, value, check):
    assert list(check(mutated("infra/deploy-role.yaml", path, value)))


# What SAM makes of values that its list of "Name=value" would cut.
AWKWARD = {
    "FrontendUrl": "https://a.example.com, https://b.example.com",
    "AiModels": '[{"id": "claude-sonnet-4-5", "maxTokens": 8192}, {"id": "it\'s"}]',
    "LogLevel": "info,sqlx=debug",
    "Certificate": "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n",
}


def config_with(tmp_path, as_table):
    quoted = {name: json.dumps(value) for name, value in ({"Stage": "dev", "DbHost": "x"} | AWKWARD).items()}
    if as_table:
        lines = "\n[default.deploy.parameters.parameter_overrides]\n" + "\n".join(f"{k} = {v}" for k, v in quoted.items())
    else:
        values = ({"Stage": "dev", "DbHost": "x"} | AWKWARD).items()
        lines = f"parameter_overrides = {json.dumps([f'{k}={v}' for k, v in values])}"
    path = tmp_path / "samconfig.toml"
    path.write_text(f'version = 0.1\n[default.deploy.parameters]\nstack_name = "x"\nresolve_s3 = true\n{lines}\n')
    return path


def test_sam_passes_values_of_a_table_whole(tmp_path):
    assert parameters_of("default", config_with(tmp_path, as_table=True)) == {"Stage": "dev", "DbHost": "x"} | AWKWARD


def test_sam_cuts_values_of_a_list(tmp_path):
    """Why samconfig.toml has tables."""
    cut = parameters_of("default", config_with(tmp_path, as_table=False))
    assert {name for name, value in AWKWARD.items() if cut.get(name) != value} == AWKWARD.keys() - {"LogLevel"}


def code_of(name, **modules):
    """The names that the inline code of a function defines."""
    names = {}
    with mock.patch.dict(sys.modules, modules):
        exec(read()["Resources"][name]["Properties"]["Code"]["ZipFile"], names)  # noqa: S102
    return names


VERSION = "arn:aws:lambda:us-east-1:123456789012:function:ro-tracker-dev-{}:7"
INVOCATION = {"DeploymentId": "d-ABCDEFGHI", "LifecycleEventHookExecutionId": "eyJ"}


def body(text):
    return StreamingBody(io.BytesIO(text), len(text))


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([{"Payload": b'{"ok": true, "checks": []}'}, {"Payload": b'{"ok": true, "checks": []}'}], "Succeeded"),
        ([{"Payload": b'{"ok": true}'}, {"Payload": b'{"ok": false}'}], "Failed"),
        ([{"Payload": b'{"errorMessage": "no"}', "FunctionError": "Unhandled"}, {"Payload": b'{"ok": true}'}], "Failed"),
        # An old function that does not know the event.
        ([{"Payload": b'{"statusCode": 404}'}, {"Payload": b'{"ok": true}'}], "Failed"),
        ([{"Payload": b"not JSON"}, {"Payload": b'{"ok": true}'}], "Failed"),
        ([{"Payload": b"[]"}, {"Payload": b'{"ok": true}'}], "Failed"),
        (["ResourceNotFoundException", {"Payload": b'{"ok": true}'}], "Failed"),
    ],
)
def test_check_tells_codedeploy_whether_all_versions_can_serve(answers, status, monkeypatch):
    versions = [VERSION.format("ros"), VERSION.format("ai")]
    monkeypatch.setenv("VERSIONS", ",".join([VERSION.format("stopped"), *versions]))
    monkeypatch.setenv("CONCURRENCY", "0,15,-1")
    session = boto3.Session("AKIA" + "0" * 16, "x", region_name="us-east-1")
    names = code_of("CheckFunction", boto3=session)
    with Stubber(names["functions"]) as functions, Stubber(names["codedeploy"]) as codedeploy:
        for version, answer in zip(versions, answers, strict=True):
            if isinstance(answer, str):
                functions.add_client_error("invoke", answer)
                continue
            answer = {**answer, "Payload": body(answer["Payload"])}
            functions.add_response("invoke", answer, {"FunctionName": version, "Payload": b'{"deploymentCheck": true}'})
        said = {"deploymentId": "d-ABCDEFGHI", "lifecycleEventHookExecutionId": "eyJ", "status": status}
        codedeploy.add_response("put_lifecycle_event_hook_execution_status", {}, said)
        names["handler"](INVOCATION, None)
        functions.assert_no_pending_responses()
        codedeploy.assert_no_pending_responses()


@pytest.mark.parametrize(("environment", "stage"), STAGES.items())
def test_bound_on_connections_is_that_of_the_parameters(environment, stage):
    """Two connections for each instance that works, and two for one that it may have replaced in the last ten minutes."""
    overrides = parameters_of(environment)
    instances = [int(overrides[name.removesuffix("Function") + "Concurrency"]) for name in FUNCTIONS]
    of_each = int(overrides["DbMaxConnections"])
    bound = sum(instances) * of_each * 2
    page = (ROOT / "infra/README.md").read_text()
    assert f"({' + '.join(map(str, instances))}) × {of_each} × 2 = {bound} for `{stage}`" in page
    assert re.search(rf"max_connections'` prints [^.]*\b{bound} of `{stage}`", page)
    text = (ROOT / "samconfig.toml").read_text()
    section = text.partition(f"\n[{environment}.deploy.parameters.parameter_overrides]\n")[2].partition("\n[")[0]
    assert f"{bound} connections at most" in section


@pytest.mark.parametrize("shift", read()["Parameters"]["TrafficShift"]["AllowedValues"])
def test_requests_move_as_the_parameter_says(shift):
    resources = transformed(read(), parameters={"TrafficShift": shift, "Stage": "prod"})["Resources"]
    for group in of_type(resources, "AWS::CodeDeploy::DeploymentGroup").values():
        name, values = group["Properties"]["DeploymentConfigName"]["Fn::Sub"]
        assert name.replace("${ConfigName}", values["ConfigName"]) == f"CodeDeployDefault.Lambda{shift}"


def test_revision_is_a_hash_of_the_parameters():
    sent = mock.Mock(SUCCESS="SUCCESS")
    handler = code_of("RevisionFunction", cfnresponse=sent)["handler"]

    def revision(**properties):
        handler({"RequestType": "Update", "ResourceProperties": {"ServiceToken": "arn", **properties}}, None)
        _, _, status, data, identity = sent.send.call_args.args
        assert (status, identity) == ("SUCCESS", "configuration")
        return data["Revision"]

    first = revision(Values=["a", "b"], DatabaseCa="ca:1")
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    assert revision(DatabaseCa="ca:1", Values=["a", "b"]) == first
    assert revision(Values=["a", "c"], DatabaseCa="ca:1") != first
    assert revision(Values=["a", "b"], DatabaseCa="ca:2") != first


if __name__ == "__main__":
    print(json.dumps(transformed(read()), indent=2))
