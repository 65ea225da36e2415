"""Lets requests go to the newest version that each function had at a time in the past, within seconds.

`python infra/go_back.py prod 2026-11-27T18:00Z` changes the alias `live` of each function, and nothing else: code, variables and
secrets of that time are in the versions, the databases stay as they are, and the next deployment goes ahead from here.

Lambda does not record which versions were live, and a deployment that failed leaves its versions, too. So they are asked first
whether they can serve. Where the last deployment before the time had failed, name a time before it.
`pytest infra/go_back.py` tests this file.
"""

import argparse
import datetime
import io
import json
import sys
import tomllib

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from checks import FUNCTIONS, ROOT, STAGES


def version_at(client, function, time):
    """The newest version that was published at `time` or before, when that was, and the live version."""
    alias = client.get_alias(FunctionName=function, Name="live")
    if alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        raise SystemExit(f"Requests to {function} are moving to a new version. Stop that deployment in CodeDeploy first.")
    published = []
    for page in client.get_paginator("list_versions_by_function").paginate(FunctionName=function):
        for version in page["Versions"]:
            published_at = datetime.datetime.fromisoformat(version["LastModified"])
            if version["Version"] != "$LATEST" and published_at <= time:
                published.append((int(version["Version"]), published_at))
    if not published:
        raise SystemExit(f"{function} has no version of that time. Nothing was changed.")
    version, published_at = max(published)
    return str(version), published_at, alias["FunctionVersion"]


CHECK = '{"deploymentCheck": true}'


def refuse_broken(client, function, version):
    answer = client.invoke(FunctionName=function, Qualifier=version, Payload=CHECK)
    report = json.load(answer["Payload"])
    if report.get("ok") is not True:
        raise SystemExit(f"Version {version} of {function} cannot serve: {json.dumps(report)}. Nothing was changed.")


def go_back(client, stage, time, unchecked=False):
    """Yields a line for each function."""
    functions = [f"ro-tracker-{stage}-{name}" for name in FUNCTIONS.values()]
    # All are looked up and asked before one is changed.
    versions = {function: version_at(client, function, time) for function in functions}
    for function, (version, _, live) in versions.items():
        if version != live and not unchecked:
            refuse_broken(client, function, version)
    for function, (version, published_at, live) in versions.items():
        if version == live:
            yield f"{function}: version {live} of {published_at:%Y-%m-%d %H:%M %Z} is live already"
        else:
            client.update_alias(FunctionName=function, Name="live", FunctionVersion=version)
            yield f"{function}: from version {live} to {version} of {published_at:%Y-%m-%d %H:%M %Z}"


def parsed(text):
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError("a time needs its zone, as in 2026-11-27T18:00Z")
    return time


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stage", choices=STAGES.values())
    parser.add_argument("time", type=parsed, help="such as 2026-11-27T18:00Z")
    parser.add_argument("--unchecked", action="store_true", help="do not ask the versions whether they can serve")
    options = parser.parse_args(arguments)
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    [environment] = [name for name, stage in STAGES.items() if stage == options.stage]
    client = boto3.client("lambda", config[environment]["deploy"]["parameters"]["region"])
    for line in go_back(client, options.stage, options.time, options.unchecked):
        print(line)


VERSIONS = {"$LATEST": "2026-11-28T09:30:00.000+0000", "7": "2026-11-20T10:00:00.000+0000", "8": "2026-11-28T09:30:00.000+0000"}
EVENING = parsed("2026-11-27T18:00Z")


def aws(versions_of, weights=None):
    """A client whose functions have these versions; the last one is live."""
    client = boto3.client("lambda", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    for name, versions in versions_of.items():
        function = f"ro-tracker-prod-{name}"
        alias = {"FunctionVersion": list(versions)[-1], "RoutingConfig": {"AdditionalVersionWeights": weights or {}}}
        stubber.add_response("get_alias", alias, {"FunctionName": function, "Name": "live"})
        if weights:
            break
        listed = [{"Version": version, "LastModified": time} for version, time in versions.items()]
        stubber.add_response("list_versions_by_function", {"Versions": listed}, {"FunctionName": function})
    stubber.activate()
    return client, stubber


def answers(stubber, name, report):
    """Version 7 of the function reports this when it is asked."""
    text = json.dumps(report).encode()
    asked = {"FunctionName": f"ro-tracker-prod-{name}", "Qualifier": "7", "Payload": CHECK}
    stubber.add_response("invoke", {"Payload": StreamingBody(io.BytesIO(text), len(text))}, asked)


def test_functions_go_back_to_their_versions_of_a_time():
    unchanged = {"$LATEST": VERSIONS["7"], "3": VERSIONS["7"]}
    client, stubber = aws({"ros": VERSIONS, "inventory": unchanged, "ai": VERSIONS, "ai-logs": VERSIONS})
    for name in ("ros", "ai", "ai-logs"):
        answers(stubber, name, {"ok": True})
    for name in ("ros", "ai", "ai-logs"):
        change = {"FunctionName": f"ro-tracker-prod-{name}", "Name": "live", "FunctionVersion": "7"}
        stubber.add_response("update_alias", {}, change)
    lines = list(go_back(client, "prod", EVENING))
    assert lines[0] == "ro-tracker-prod-ros: from version 8 to 7 of 2026-11-20 10:00 UTC"
    assert lines[1] == "ro-tracker-prod-inventory: version 3 of 2026-11-20 10:00 UTC is live already"
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("report", [{"ok": False, "checks": []}, {"errorMessage": "it does not start"}])
def test_versions_that_cannot_serve_get_no_requests(report):
    client, stubber = aws(dict.fromkeys(("ros", "inventory", "ai", "ai-logs"), VERSIONS))
    answers(stubber, "ros", {"ok": True})
    answers(stubber, "inventory", report)
    with pytest.raises(SystemExit, match="Version 7 of ro-tracker-prod-inventory cannot serve"):
        list(go_back(client, "prod", EVENING))
    stubber.assert_no_pending_responses()


def test_a_function_without_a_version_of_that_time_leaves_all_as_they_are():
    new = {"$LATEST": VERSIONS["8"], "1": VERSIONS["8"]}
    client, stubber = aws({"ros": VERSIONS, "inventory": VERSIONS, "ai": VERSIONS, "ai-logs": new})
    with pytest.raises(SystemExit, match="ai-logs has no version"):
        list(go_back(client, "prod", EVENING))
    stubber.assert_no_pending_responses()


def test_a_running_deployment_is_not_crossed():
    client, _ = aws({"ros": VERSIONS}, weights={"9": 0.1})
    with pytest.raises(SystemExit, match="are moving"):
        list(go_back(client, "prod", EVENING))


def test_a_time_needs_a_zone():
    with pytest.raises(SystemExit):
        main(["prod", "2026-11-27T18:00"])


if __name__ == "__main__":
    main(sys.argv[1:])
