"""Checks of the templates that cfn-lint cannot express. Each is tested with templates that it must reject.

`pytest infra/checks.py` needs neither AWS nor credentials, only a region's name in AWS_DEFAULT_REGION.
`python infra/checks.py` prints the transformed template for cfn-lint, which does not look into SAM resources.
"""

import copy
import json
import pathlib
import re
import tomllib

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTIONS = {"RosFunction": "ros", "InventoryFunction": "inventory", "AiFunction": "ai", "AiLogsFunction": "ai-logs"}

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
}

# The only role that may have a policy of AWS, since those are full of wildcards.
AWS_POLICIES = {
    "ApiGatewayRole": "service-role/AmazonAPIGatewayPushToCloudWatchLogs",  # one role for all APIs of an account
}

# The calls that crates/ai/src/limiter/store.rs makes.
TABLE_ACTIONS = {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}

SECRET_VARIABLES = {
    "DB_USER": "{{resolve:secretsmanager:ro-tracker/${Stage}/database:SecretString:username}}",
    "DB_PASSWORD": "{{resolve:secretsmanager:ro-tracker/${Stage}/database:SecretString:password}}",
    "ANTHROPIC_API_KEY": "{{resolve:secretsmanager:ro-tracker/${Stage}/anthropic:SecretString:apiKey}}",
    "PROXY_SECRET": "ProxySecret",  # a parameter that is never shown
}

# Variables that our own code does not read.
FOREIGN_VARIABLES = {
    "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH",  # read by lambda_http
    "SECRETS_REVISION",  # not read; when it changes, CloudFormation reads the secrets again
}

# Metrics of AWS for the dashboard and the alarms, with their dimensions.
AWS_METRICS = {
    "AWS/Lambda": ({"FunctionName"}, {"ConcurrentExecutions", "Errors", "Throttles"}),
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


def transformed(template, parameters=None):
    """The template that CloudFormation gets: `sam deploy` uploads the code, and SAM transforms the template."""
    template = copy.deepcopy(template)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
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
    match = re.search(r"functions/\$\{(\w+)\.Arn\}", uri)
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
    if set(functions) != set(FUNCTIONS):
        yield f"the functions are {sorted(functions)}"
    architecture = {"AllowedValues": ["arm64", "x86_64"], "Default": "arm64"}
    yield from differences("Architecture", template["Parameters"]["Architecture"], architecture)
    integration_timeouts = {}
    for _, _, integration in operations(resources):
        timeouts = integration_timeouts.setdefault(function_of(integration), set())
        timeouts.add(integration.get("timeoutInMillis"))
    for name, function in functions.items():
        properties = function["Properties"]
        metadata = template["Resources"][name].get("Metadata", {})
        build = {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": FUNCTIONS.get(name)}}
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
        if name == "AiFunction":
            expected |= {action: [{"Fn::GetAtt": ["RateLimitTable", "Arn"]}] for action in TABLE_ACTIONS}
        if allowed != expected:
            yield f"{name} may do {allowed}, not {expected}"
    for holder, document in policies(resources):
        text = json.dumps(document)
        if holder != "AiRole" and ("dynamodb:" in text or "RateLimitTable" in text):
            yield f"{holder} may use the table"


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
        seen.append(json.dumps(group))
    if len(set(seen)) != len(seen):
        yield "functions share a log group"
    for name, stage in of_type(resources, "AWS::ApiGateway::Stage").items():
        destination = stage["Properties"].get("AccessLogSetting", {}).get("DestinationArn", {})
        if destination.get("Fn::GetAtt", [None])[0] not in groups:
            yield f"{name} has no access log in a log group of the template"


def nothing_secret_in_plain_text(template, resources):
    looks_secret = re.compile(r"password|secret|api_?key|token|credential", re.IGNORECASE)
    for name in template["Parameters"]:
        if looks_secret.search(name) and name not in {"SecretsRevision", SECRET_VARIABLES["PROXY_SECRET"]}:
            yield f"the parameter {name} holds a secret"
    secret = template["Parameters"].get(SECRET_VARIABLES["PROXY_SECRET"], {})
    if secret.get("NoEcho") is not True or secret.get("Default") != "":
        yield f"the parameter of the proxy's secret is shown, or has a value: {secret}"
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        for variable, value in function["Properties"]["Environment"]["Variables"].items():
            if not (looks_secret.search(variable) or variable in SECRET_VARIABLES) or variable == "SECRETS_REVISION":
                continue
            reference = {"Ref" if variable == "PROXY_SECRET" else "Fn::Sub": SECRET_VARIABLES.get(variable)}
            if name == "AiFunction" and variable.startswith("DB_"):
                reference = {"Fn::If": ["LogsConversations", reference, NO_VALUE]}
            if value != reference:
                yield f"{name} gets {variable} as {value}"
            if variable == "ANTHROPIC_API_KEY" and name != "AiFunction":
                yield f"{name} gets Anthropic's key"
    allowed = re.compile(r"^/(Ros|Inventory|Ai|AiLogs)Function/Properties/Environment/Variables/")
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


def table_is_protected(template, resources):
    tables = of_type(resources, "AWS::DynamoDB::Table")
    if set(tables) != {"RateLimitTable"}:
        yield f"the tables are {sorted(tables)}"
    for name, table in tables.items():
        yield from differences(name, table, {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})
        expected = {
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        }
        yield from differences(name, table["Properties"], expected)


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
    for name, function in of_type(resources, "AWS::Lambda::Function").items():
        variables = function["Properties"]["Environment"]["Variables"]
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
    sources = {
        "AiRateLimit": (limiter, r"DEFAULT_LIMIT: u32 = (\d+);"),
        "AiRateWindowSeconds": (limiter, r"DEFAULT_WINDOW_SECONDS: u32 = (\d+);"),
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


def stages_are_configured(template, resources):
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    required = {name for name, parameter in template["Parameters"].items() if "Default" not in parameter}
    for environment, stage in (("default", "dev"), ("prod", "prod")):
        pairs = (pair.split("=", 1) for pair in config[environment]["deploy"]["parameters"]["parameter_overrides"])
        overrides = dict(pairs)
        if overrides.get("Stage") != stage:
            yield f"{environment} deploys the stage {overrides.get('Stage')}"
        for name in overrides.keys() - template["Parameters"].keys():
            yield f"{environment} sets {name}, which the template does not have"
        for name in required - overrides.keys():
            yield f"{environment} does not set {name}"
        for name, value in overrides.items():
            values = [str(value) for value in template["Parameters"].get(name, {}).get("AllowedValues", [value])]
            if value not in values:
                yield f"{environment} sets {name} to {value}"


def observability_is_included(template, resources):
    stack = template["Resources"].get("Observability", {}).get("Properties", {})
    if stack.get("TemplateURL") != "infra/observability.yaml":
        yield f"the dashboard and the alarms are in {stack.get('TemplateURL')}"
    given, wanted = stack.get("Parameters", {}), read("infra/observability.yaml")["Parameters"]
    for name in given.keys() ^ wanted.keys():
        yield f"{name} is a parameter of only one of the two stacks"
    for name, value in given.items():
        if value != {"Ref": name}:
            yield f"{name} is {value}"
    for api in of_type(resources, "AWS::ApiGateway::RestApi").values():
        if api["Properties"].get("Name") != {"Fn::Sub": "ro-tracker-${Stage}"}:
            yield "the dashboard expects another name of the gateway"
    names = {json.dumps(f["Properties"]["FunctionName"]) for f in of_type(resources, "AWS::Lambda::Function").values()}
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


# Checks of infra/observability.yaml; each takes that template.


def alarms(observability):
    return of_type(observability["Resources"], "AWS::CloudWatch::Alarm")


def dashboard(observability):
    return json.loads(observability["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])


def widgets(observability, kind):
    return [widget["properties"] for widget in dashboard(observability)["widgets"] if widget["type"] == kind]


def metrics(observability):
    """Every use of a metric: the alarm or widget, the namespace, the name and the dimensions."""
    for name, alarm in alarms(observability).items():
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
    headings = re.findall(r"^### (.+)$", page.partition("\n## Alarms\n")[2].partition("\n## ")[0], re.MULTILINE)
    for heading in set(headings) - seen:
        yield f"infra/README.md explains {heading}, which is not an alarm"


def alarms_are_well_defined(observability):
    for name, alarm in alarms(observability).items():
        properties = alarm["Properties"]
        # Without it, an alarm has insufficient data whenever there are no requests.
        if properties.get("TreatMissingData") not in ("notBreaching", "breaching", "ignore"):
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
    shown = [arn for widget in widgets(observability, "alarm") for arn in widget["alarms"]]
    if sorted(shown) != sorted(f"${{{name}.Arn}}" for name in alarms(observability)):
        yield f"the dashboard shows the alarms {shown}"
    if not widgets(observability, "text"):
        yield "the dashboard has no text"


def metrics_exist(observability):
    """For metrics of our functions, only the function is checked; tests/suite/dashboard.rs compares the names."""
    made = {}
    for log_filter in of_type(observability["Resources"], "AWS::Logs::MetricFilter").values():
        for made_metric in log_filter["Properties"]["MetricTransformations"]:
            key = made_metric["MetricNamespace"], made_metric["MetricName"]
            made[key] = {dimension["Key"] for dimension in made_metric.get("Dimensions", [])}
    functions = {f"ro-tracker-${{Stage}}-{name}" for name in FUNCTIONS.values()}
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
        "log-group:*": "DescribeLogGroups lists",
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
TABLE = "Resources RateLimitTable"
LOG_STATEMENT = "Resources RosRole Properties Policies 0 PolicyDocument Statement 0"
API = "Resources Api Properties"
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
        ("Parameters ProxySecret NoEcho", GONE),
        ("Parameters ProxySecret Default", "0123456789abcdef0123456789abcdef"),
        (f"{FUNCTION} Environment Variables PROXY_SECRET", "0123456789abcdef0123456789abcdef"),
    ],
    table_is_protected: [
        (f"{TABLE} DeletionPolicy", "Delete"),
        (f"{TABLE} UpdateReplacePolicy", GONE),
        (f"{TABLE} Properties TimeToLiveSpecification", GONE),
        (f"{TABLE} Properties DeletionProtectionEnabled", False),
        (f"{TABLE} Properties PointInTimeRecoverySpecification", GONE),
    ],
    stage_is_throttled_logged_and_traced: [
        (f"{API} EndpointConfiguration Type", "EDGE"),
        (f"{API} MethodSettings", GONE),
        (f"{API} AccessLogSetting Format", "$context.requestId"),
        (f"{API} TracingEnabled", False),
    ],
    gateway_errors_look_like_ours: [
        (f"{API} GatewayResponses DEFAULT_5XX", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Allow-Origin", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Allow-Origin", "method.request.header.Origin"),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Cache-Control", GONE),
        (f"{API} GatewayResponses DEFAULT_5XX ResponseParameters Headers Access-Control-Expose-Headers", GONE),
        (f"{API} GatewayResponses THROTTLED ResponseParameters Headers Access-Control-Expose-Headers", "'x-request-id'"),
        (f"{API} GatewayResponses THROTTLED ResponseTemplates application/json", '{"message":"no"}'),
    ],
    variables_are_those_the_code_reads: [
        (f"{FUNCTION} Environment Variables DB_HOSTS", "x"),
        ("Globals Function Environment Variables AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", GONE),
    ],
    defaults_are_those_of_the_code: [
        ("Parameters AiRateLimit Default", 30),
        ("Parameters AnthropicTotalTimeoutSeconds Default", 890),
    ],
    sam_local_sets_all_variables: [
        (f"{AI} Environment Variables AWS_ENDPOINT_URL_DYNAMODB", GONE),
        (f"{AI} Environment Variables AI_NEW", "x"),
    ],
    stages_are_configured: [
        ("Parameters DbNameInventory Default", GONE),
        ("Parameters FrontendUrl", GONE),
    ],
    observability_is_included: [
        ("Resources Observability", GONE),
        ("Resources Observability Properties Parameters SpendPerHour", GONE),
        (f"{API} Name", "other"),
        (f"{AI} FunctionName", "assistant"),
        (f"{API} AccessLogSetting Format", '{"requestId":"$context.requestId","errorType":"$context.error.responseType"}'),
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
SINGLE = "Resources UpstreamErrors Properties"
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
        (f"{ALARM} DatapointsToAlarm", 4),
        (f"{ALARM} Metrics 0 Expression", "SUM([errors_ros, errors_all])"),
        (f"{ALARM} Metrics 1 ReturnData", True),
    ],
    dashboard_is_valid: [
        (BODY, "{"),
        (BODY, body_with('"x": 6,', '"x": 20,')),
        (BODY, body_with('"x": 6,', '"x": 5,')),
        (BODY, body_with('"${Latency.Arn}",', "")),
        (BODY, body_with("FILL(output, 0)", "FILL(outputs, 0)")),
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
        (f"{MAKER} 2 PolicyDocument Statement 0 Condition", GONE),
        (f"{MAKER} 2 PolicyDocument Statement 3 Condition", GONE),
        (f"{MAKER} 2 PolicyDocument Statement 1 Action 0", "iam:DeleteRolePermissionsBoundary"),
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
        place.pop(last, None)
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


if __name__ == "__main__":
    print(json.dumps(transformed(read()), indent=2))
