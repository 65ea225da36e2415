"""CloudFormation, as far as moto imitates it inside of this process; `stack.py` uses it.

Before a resource is created its properties are resolved and checked by the schema of its type, whether moto has the
type or not. The stand-ins below are for what moto lacks.
"""

import collections
import contextlib
import graphlib
import io
import itertools
import json
import re
import sys
import zipfile
from unittest import mock

import boto3
import jsonschema
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from moto import mock_aws
from moto.awslambda.utils import get_backend
from moto.cloudformation import cloudformation_backends, parsing
from moto.cloudformation.models import Stack
from moto.core import DEFAULT_ACCOUNT_ID

from checks import ROOT, refusals, transformed

REGION = "us-east-1"


class Refused(Exception):
    """CloudFormation would refuse the template, a parameter or a resource."""


def complete(template, given):
    """The value of every parameter, checked as CloudFormation does it before it creates anything."""
    parameters = template["Parameters"]
    values = {name: str(parameter["Default"]) for name, parameter in parameters.items() if "Default" in parameter} | given
    for name in values.keys() ^ parameters.keys():
        raise Refused(f"the parameter {name} has no value, or the template does not have it")
    for name, parameter in parameters.items():
        value = values[name]
        allowed = [str(one) for one in parameter.get("AllowedValues", [value])]
        if value not in allowed or not re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value):
            raise Refused(f"the parameter {name} may not be {value}")
        size = float(value) if parameter["Type"] == "Number" else 0
        in_range = parameter.get("MinValue", size) <= size <= parameter.get("MaxValue", size)
        if len(value) < parameter.get("MinLength", 0) or not in_range:
            raise Refused(f"the parameter {name} may not be {value}")
    for said in refusals(template, values):
        raise Refused(said)
    return values


def resolved(kind, properties):
    """The properties as the service gets them: secrets are in their place, and the schema of the type accepts them."""
    text = json.dumps(properties, default=identity)
    for reference, secret, key in set(re.findall(r"(\{\{resolve:secretsmanager:([^:]+):SecretString:([^}]+)\}\})", text)):
        value = json.loads(boto3.client("secretsmanager", REGION).get_secret_value(SecretId=secret)["SecretString"])
        if key not in value:
            raise Refused(f"{kind}: the secret {secret} has no {key}")
        text = text.replace(reference, value[key])
    left = re.search(r"\$\{[\w:.]+\}|\"Fn::\w+\"|\{\{resolve[^}]*", text)
    if left:
        raise Refused(f"{kind}: {left[0]} is left")
    properties = json.loads(text, object_hook=without_null)
    for error in VALIDATOR(schema_of(kind)).iter_errors(properties):
        raise Refused(f"{kind}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
    return properties


def identity(resource):
    """moto does not know the physical id of layers and deployments."""
    return resource.arn if hasattr(resource, "arn") else resource.id


def schema_of(kind):
    """The schema that CloudFormation publishes for a type; cfn-lint brings those of the day of its release."""
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema


def without_null(value):
    """moto leaves null in a list in the place of AWS::NoValue."""
    return {key: [one for one in inner if one is not None] if isinstance(inner, list) else inner for key, inner in value.items()}


# CloudFormation converts between text, numbers and booleans.
VALIDATOR = jsonschema.validators.extend(
    jsonschema.Draft7Validator,
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine_many(
        {
            "string": lambda _, value: isinstance(value, str | int | float),
            "integer": lambda _, value: re.fullmatch(r"-?\d+", str(value)) is not None,
            "number": lambda _, value: re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None,
            "boolean": lambda _, value: str(value).lower() in ("true", "false"),
        }
    ),
)


class Noted(dict):
    """Properties that note which of them moto reads."""

    def __init__(self, properties):
        super().__init__(properties)
        self.read = set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        return self[key] if key in self else default

    def __iter__(self):
        self.read.update(self.keys())
        return super().__iter__()

    def items(self):
        return [(key, self[key]) for key in self]


# Stand-ins for what moto lacks.


class Accepted:
    """A resource of a type that moto does not know, so that other resources can refer to it."""

    def __init__(self, name, kind, properties):
        self.physical_resource_id, self.kind = name, kind
        self.create(properties)

    @classmethod
    def create_from_cloudformation_json(cls, name, resource, account_id, region_name, **_):
        return cls(name, resource["Type"], resource["Properties"])

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, cloudformation_json, **_):
        original_resource.update(cloudformation_json["Properties"])
        return original_resource

    def create(self, properties):
        pass

    def update(self, properties):
        pass

    def delete(self, *_):
        pass

    def is_created(self):
        return True

    @classmethod
    def has_cfn_attr(cls, attribute):
        return True  # get_cfn_attribute finds out

    def get_cfn_attribute(self, attribute):
        if f"/properties/{attribute.replace('.', '/')}" not in schema_of(self.kind).get("readOnlyProperties", []):
            raise Refused(f"{self.kind} has no attribute {attribute}")
        return f"arn:aws:service:{REGION}:{DEFAULT_ACCOUNT_ID}:{self.physical_resource_id}" if attribute == "Arn" else attribute


class RestApi(Accepted):
    """moto creates an API without its body, and a deployment then fails because the API has no methods."""

    def create(self, properties):
        self.client = boto3.client("apigateway", REGION)
        self.physical_resource_id = self.client.create_rest_api(name=properties["Name"])["id"]
        self.update(properties)

    def update(self, properties):
        self.client.put_rest_api(restApiId=self.physical_resource_id, mode="overwrite", body=json.dumps(properties["Body"]))

    def delete(self, *_):
        self.client.delete_rest_api(restApiId=self.physical_resource_id)


class Version(Accepted):
    """moto publishes a version once, and gives it no attributes. CloudFormation publishes another one for another description."""

    def create(self, properties):
        published = boto3.client("lambda", REGION).publish_version(**properties)
        self.physical_resource_id, self.number, self.properties = published["FunctionArn"], published["Version"], properties

    def update(self, properties):
        if properties != self.properties:
            self.create(properties)

    def get_cfn_attribute(self, attribute):
        return {"Version": self.number}[attribute]


class Alias(Accepted):
    """moto has aliases, but creates none in a stack."""

    def create(self, properties):
        self.physical_resource_id = boto3.client("lambda", REGION).create_alias(**properties)["AliasArn"]

    def update(self, properties):
        boto3.client("lambda", REGION).update_alias(**properties)


class Custom(Accepted):
    """moto would run the function in a container. Code in the template runs here; a package is not run and returns no data."""

    def create(self, properties):
        function = get_backend(DEFAULT_ACCOUNT_ID, REGION).get_function(properties["ServiceToken"])
        package = zipfile.ZipFile(io.BytesIO(function.code_bytes))
        self.data = {}
        if "index.py" in package.namelist():
            response = mock.Mock(SUCCESS="SUCCESS")
            with mock.patch.dict(sys.modules, {"cfnresponse": response}):
                exec(package.read("index.py"), module := {})
                module["handler"]({"RequestType": "Create", "ResourceProperties": properties}, None)
            _, _, status, self.data, *_ = response.send.call_args.args
            if status != "SUCCESS":
                raise Refused(f"{self.kind} is {status}")

    update = create

    def get_cfn_attribute(self, attribute):
        if attribute not in self.data:
            raise Refused(f"{self.kind} has no attribute {attribute}")
        return self.data[attribute]


def output(stack, attribute):
    """moto creates nested stacks, but does not hand on their outputs."""
    values = {one["OutputKey"]: one["OutputValue"] for one in stack.outputs or []}
    if attribute.removeprefix("Outputs.") not in values:
        raise Refused(f"{stack.name} has no {attribute}")
    return values[attribute.removeprefix("Outputs.")]


REFERENCE = re.compile(r'"Ref": "(\w+)"|"Fn::GetAtt": \["(\w+)"|\$\{(\w+)|"DependsOn": (".*?"|\[.*?\])')


def changes(resources, template, parameters=None):
    """moto updates only the resources that name a changed parameter, in any order. Those that refer to them follow here."""
    found = original_changes(resources, template, parameters)
    changed = {*found["Modify"], *found["Add"]}
    texts = {name: json.dumps(resource) for name, resource in template["Resources"].items()}
    graph = {name: texts.keys() & re.findall(r"\w+", str(REFERENCE.findall(text))) for name, text in texts.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    for name in order:
        if graph[name] & changed:
            changed.add(name)
    return found | {"Modify": [name for name in order if name in changed], "Add": []}


original_changes = parsing.ResourceMap.build_resource_diff
STAND_INS = {"AWS::ApiGateway::RestApi": RestApi, "AWS::Lambda::Alias": Alias, "AWS::Lambda::Version": Version}


def class_of(kind):
    if kind.startswith("Custom::"):
        return Custom
    return STAND_INS.get(kind) or parsing.get_model_map().get(kind, Accepted)


@contextlib.contextmanager
def account():
    """An empty account, and the properties of all that is created in it, by type."""
    given = collections.defaultdict(list)

    def parse(resource, resources):
        kind = resource["Type"]
        properties = Noted(resolved(kind, parsing.clean_json(resource.get("Properties", {}), resources)))
        given[kind].append(properties)
        return class_of(kind), {"Type": kind, "Properties": properties}, kind

    def update(name, resource, resources, **where):
        new = name not in resources._parsed_resources
        known = resources[name]
        if new or known is None:
            return known
        # moto forgets a resource that it cannot update.
        updated = original_update(name, resource, resources, **where) or known
        given[resource["Type"]].pop()
        return updated

    original_update = parsing.parse_and_update_resource
    with (
        mock_aws(config={"lambda": {"use_docker": False}}),
        mock.patch.object(parsing, "resource_class_from_type", class_of),
        mock.patch.object(parsing, "parse_resource", parse),
        mock.patch.object(parsing, "parse_and_update_resource", update),
        mock.patch.object(parsing.ResourceMap, "build_resource_diff", changes),
        mock.patch.object(Stack, "get_cfn_attribute", output, create=True),
    ):
        archive = io.BytesIO()
        zipfile.ZipFile(archive, "w").close()
        files = {f"{name}.zip": archive.getvalue() for name in ("code", "other", "ca")}
        files["observability.yaml"] = (ROOT / "infra/observability.yaml").read_bytes()
        boto3.client("s3", REGION).create_bucket(Bucket="bucket")
        for key, content in files.items():
            boto3.client("s3", REGION).put_object(Bucket="bucket", Key=key, Body=content)
        yield given


def skipped(given):
    """The types that moto does not have, and the properties that it did not read."""
    for kind, resources in given.items():
        if class_of(kind) is Accepted:
            yield kind
        else:
            unread = set().union(*map(dict.keys, resources)).difference(*(properties.read for properties in resources))
            yield from (f"{kind} {name}" for name in unread)


class Deployed:
    """A stack, which exists."""

    def __init__(self, name, template, given):
        self.name, self.client = name, boto3.client("cloudformation", REGION)
        self.client.create_stack(StackName=name, Capabilities=["CAPABILITY_NAMED_IAM"], **arguments(template, given))
        self.stack = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].get_stack(name)
        self.expect("CREATE_COMPLETE")
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in self.stack.outputs}

    def expect(self, status):
        if self.stack.status != status:
            raise Refused(f"{self.name} is {self.stack.status} instead of {status}")

    def resources(self):
        """Every resource that there is, in the nested stack too: its type, its properties, its physical id."""
        found = {}
        for stack in cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values():
            if stack is self.stack or stack.name.startswith(f"{self.name}-Observability-"):
                resources = stack.resource_map
                for name, resource in existing(resources).items():
                    properties = json.dumps(parsing.clean_json(resource.get("Properties", {}), resources), default=identity)
                    physical_id = getattr(resources[name], "physical_resource_id", None)
                    properties = json.loads(properties, object_hook=without_null)
                    found[name] = {"Type": resource["Type"], "Properties": properties, "Id": physical_id}
        return found

    def update(self, template, given, package, authorities):
        """Updates the stack, and returns what is new or different, and what is gone."""
        before = self.resources()
        new = arguments(template, given, package, authorities)
        self.client.update_stack(StackName=self.name, Capabilities=["CAPABILITY_NAMED_IAM"], **new)
        self.expect("UPDATE_COMPLETE")
        after = self.resources()
        return {name for name in after if after[name] != before.get(name)}, before.keys() - after.keys()

    def delete(self):
        """Deletes the stack, and returns what remains of it, as the template has it."""
        self.client.delete_stack(StackName=self.name)
        self.expect("DELETE_COMPLETE")
        return existing(self.stack.resource_map)


def existing(resources):
    """The resources of a template that exist; the others depend on a condition, or are deleted."""
    return {name: one for name, one in resources._resource_json_map.items() if resources._parsed_resources.get(name)}


SECONDS = itertools.count()


def arguments(template, given, package="code", authorities="ca"):
    """A template as CloudFormation gets it, after SAM's transform with these parameters."""
    values = complete(template, given)
    if "Transform" in template:
        # SAM names a deployment of the gateway by the second, and here many stacks are updated in one.
        with mock.patch("samtranslator.model.apigateway.time", mock.Mock(time=lambda: next(SECONDS))):
            template = transformed(template, code=package, ca=authorities, parameters=dict(values))
    # moto compares numbers with text, which are then different, and keeps a resource only for Retain.
    conditions = json.loads(re.sub(r'"(-?\d+)"', r"\1", json.dumps(template.get("Conditions", {}))))
    text = json.dumps({**template, "Conditions": conditions}).replace('"RetainExceptOnCreate"', '"Retain"')
    return {"TemplateBody": text, "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]}
