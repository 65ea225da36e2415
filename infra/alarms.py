"""Which failures ring which alarms, and after how many minutes, with few requests and with many.

The alarms are those of the templates. The metrics are those that the functions write when a test makes them fail
(tests/data/failures.json, from tests/suite/failures.rs), and those that Lambda and the gateway count, as AWS documents them.

`python infra/alarms.py` prints a table. `pytest infra/alarms.py` tests that each failure rings the alarm that is meant for it,
that nothing rings without one, and that alarms that could not ring are found.
"""

import copy
import functools
import json
import logging
import random

import pytest

import cloudwatch
from checks import ROOT, alarms, deploy, filled_in, of_type, read
from cloudwatch import Alarm, Metrics, poisson, record

CASES = json.loads((ROOT / "tests/data/failures.json").read_text())
FINE = {case for case in CASES if case.startswith("fine: ")}

# The requests of clients: the case in the file, how many an hour at a hundred orders a day, how many a minute at a million requests.
# The former are fewer than those with which infra/README.md computes costs, because few requests are the harder case.
REQUESTS = {
    "orders": ("fine: orders", 45, 400),
    "a long list": ("fine: orders", 3, 25),
    "a new order": ("fine: a new order", 12.5, 50),
    "no order": ("fine: an order that is not there", 2, 20),
    "a cold start": ("fine: a cold start", 4, 2),
    "a lost connection": ("fine: a lost connection that is replaced", 0.3, 1),
    "stock": ("fine: the stock", 12.5, 160),
    "models": ("fine: models", 2, 10),
    "a chat": ("fine: a chat", 3, 25),
    "a chat too many": ("fine: a chat too many", 0.3, 1),
    "conversations": ("fine: conversations", 1, 5),
}
# What the scheduled check asks, every five minutes.
CHECK = ["orders", "orders", "stock", "models", "conversations"]

# The failures that no test can make, because AWS counts them. A request that is not invoked does not reach its function.
LATE = {"Duration Function=ro-tracker-prod-ros": 6000}
DEAR = {key: value * (1000 if "Tokens" in key else 1) for key, value in CASES["fine: a chat"]["metrics"].items()}
CASES |= {
    "the function runs into its timeout": {"function": "ros", "status": 504, "ends": True, "metrics": {}},
    "Lambda refuses invocations": {"function": "inventory", "status": 500, "throttled": True, "metrics": {}},
    "the gateway may not invoke ros": {"function": "ros", "status": 500, "uninvoked": True, "metrics": {}},
    "the gateway may not invoke ai-logs": {"function": "ai-logs", "status": 500, "uninvoked": True, "metrics": {}},
    "the gateway refuses requests": {"function": "ros", "status": 429, "uninvoked": True, "refused": True, "metrics": {}},
    "answers take six seconds": CASES["fine: orders"] | {"metrics": CASES["fine: orders"]["metrics"] | LATE},
    "chats are a thousand times as long": CASES["fine: a chat"] | {"metrics": DEAR},
    "nothing answers": {"function": None, "unanswered": True},
    "the check does not run": {"function": None, "unchecked": True},
}

# The alarms that are meant for a failure. Others may ring, too.
DATABASE = ["ServerErrors", "DatabaseUnavailable", "ScheduledCheck"]
EXPECTED = {
    "the database is gone, for ros": DATABASE,
    "the database is gone, for inventory": DATABASE,
    "the database is gone, for ai-logs": ["ServerErrors", "ScheduledCheck"],
    "the database is gone, for the log of the assistant": ["JournalFailures"],
    "the password of the database is wrong": DATABASE,
    "the database accepts connections and says nothing": [*DATABASE, "DatabasePoolWait"],
    "the database takes no changes": ["ServerErrors", "DatabaseUnavailable"],
    "a table stays locked": [*DATABASE, "Latency"],
    "a table is missing": DATABASE,
    "a handler panics": ["ServerErrors", "ScheduledCheck"],
    "a list breaks off": ["BrokenAnswers"],
    "the authentication is not configured": ["ServerErrors", "ScheduledCheck"],
    "an instance cannot start": ["FunctionErrors", "GatewayErrors", "ScheduledCheck"],
    "Anthropic is overloaded": ["UpstreamErrors"],
    "Anthropic is gone": ["UpstreamErrors"],
    "Anthropic does not answer in time": ["UpstreamErrors"],
    "Anthropic rejects the key": ["UpstreamMisconfigured"],
    "an answer of Anthropic breaks off": ["UpstreamErrors"],
    "the log of the assistant is missing": ["JournalFailures"],
    "DynamoDB is gone": ["RateLimitStore"],
    "DynamoDB is gone, and chats go on": ["RateLimitStore"],
    "the function runs into its timeout": ["FunctionErrors", "GatewayErrors", "ScheduledCheck"],
    "Lambda refuses invocations": ["Throttles", "GatewayErrors", "ScheduledCheck"],
    "the gateway may not invoke ros": ["GatewayErrors", "ScheduledCheck"],
    "the gateway may not invoke ai-logs": ["ScheduledCheck"],
    "the gateway refuses requests": ["StageThrottles"],
    "answers take six seconds": ["Latency"],
    "chats are a thousand times as long": ["TokenSpend"],
    "nothing answers": ["ScheduledCheck"],
    "the check does not run": ["ScheduledCheck"],
}
# Failures of some requests only; the others are of all requests of a function, or of all chats.
ONLY = {"the database takes no changes": ["a new order"], "a list breaks off": ["a long list"]}


def fails(request, failure):
    """Whether requests of this kind fail. Failures of `ai` are those of chats."""
    case, function = CASES[REQUESTS[request][0]], CASES[failure]["function"]
    if failure in ONLY or function == "ai":
        return request in ONLY.get(failure, ["a chat"])
    return "unanswered" in CASES[failure] or function == case["function"]


def traffic(many, minutes, failure=None, share=1.0, begin=0, seed=1):
    """The metrics of some hours. From `begin` on, a share of the requests that the failure is about fail; with 0, one does."""
    metrics, chance, once = Metrics(), random.Random(seed), share == 0
    for minute in range(minutes):
        working = many or minute % 1440 < 480  # eight hours a day
        check = minute % 5 == 2
        check_fails = False
        for request, (case, per_hour, per_minute) in REQUESTS.items():
            mean = (per_minute if many else per_hour / 60) * working
            count = max(0, round(chance.gauss(mean, mean**0.5))) if mean > 20 else poisson(chance, mean)
            asked = CHECK.count(request) if check else 0
            failed = 0
            if failure and minute >= begin and fails(request, failure):
                happen = [chance.random() < share for _ in range(asked)]
                failed = min(1, count + asked) if once else sum(happen) + round(count * share + chance.uniform(-0.5, 0.5))
                failed = min(failed, count + asked)
                check_fails |= any(happen) and CASES[failure].get("status", 500) >= 400 and failure not in FINE
                begin = minutes if once and failed else begin
            record(metrics, minute, CASES[case], count + asked - failed)
            record(metrics, minute, CASES[failure] if failed else CASES[case], failed)
        if check and not (failure and minute >= begin and "unchecked" in CASES[failure]):
            metrics.add(minute, "AWS/Lambda", "Errors", {"FunctionName": "ro-tracker-prod-probe"}, int(check_fails))
    return metrics


@functools.cache
def templates():
    """The alarms of both templates, and the parameters of prod."""
    nested = {name: alarm["Properties"] for name, alarm in alarms(read("infra/observability.yaml")).items()}
    versions = {name: alarm["Properties"] for name, alarm in of_type(deploy(read()), "AWS::CloudWatch::Alarm").items()}
    return nested | versions, filled_in("prod") | {"Environment": "production"}


def rings(metrics, minutes, many=False, only=None, changed=None, begin=30):
    """The minute from `begin` on in which each alarm first rings."""
    properties, parameters = templates()
    # Somebody with a million requests a day allows more.
    parameters = parameters | {"SpendPerHour": 100 if many else parameters["SpendPerHour"]}
    properties = properties | (changed or {})
    found = {}
    for name in only or properties:
        alarm = Alarm(properties[name], parameters)
        for minute in range(begin, minutes + 1):
            if alarm.evaluate(metrics, minute):
                found[name] = minute
                break
    return found


BEGIN = 60
HOURS = {1.0: 1, 0.5: 5}


@functools.cache
def failing(failure, many, share):
    minutes = BEGIN + 60 * HOURS[share]
    return traffic(many, minutes, failure, share, BEGIN), minutes


def problems(failure, many, share, only=None, changed=None):
    metrics, minutes = failing(failure, many, share)
    expected = only or EXPECTED[failure]
    found = rings(metrics, minutes, many, expected, changed)
    for name in expected:
        if name not in found:
            yield f"{failure}: {name} does not ring"
        elif found[name] <= BEGIN:
            yield f"{failure}: {name} rings before"


BOTH = pytest.mark.parametrize("many", [False, True], ids=["few", "many"])


@BOTH
@pytest.mark.parametrize("share", HOURS, ids=["always", "half"])
@pytest.mark.parametrize("failure", EXPECTED)
def test_failure_rings_its_alarms(failure, share, many):
    assert list(problems(failure, many, share)) == []


@BOTH
@pytest.mark.parametrize("failure", [failure for failure in EXPECTED if CASES[failure]["function"]])
def test_single_failure_rings_nothing(failure, many):
    metrics = traffic(many, 180, failure, 0, BEGIN)
    mailed = {name for name, alarm in templates()[0].items() if "AlarmActions" in alarm}
    # One wrong key is wrong for good, and one chat can be a thousand times as long.
    assert rings(metrics, 180, many).keys() & mailed <= {"UpstreamMisconfigured", "TokenSpend"}


@BOTH
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_rings_in_a_day_without_failures(many, seed):
    assert rings(traffic(many, 1440, seed=seed), 1440, many) == {}


@BOTH
@pytest.mark.parametrize("case", sorted(FINE))
def test_nothing_rings_if_all_requests_are_like_this(case, many):
    """Wrong paths, users who chat too often, lost connections, and cold starts, as after a deployment."""
    assert rings(traffic(many, 180, case, 1.0, BEGIN), 180, many) == {}


@pytest.mark.parametrize("failure", ["a handler panics", "an instance cannot start", "the database is gone, for inventory"])
def test_a_hundred_requests_a_day_are_enough_without_the_check(failure):
    """A function that always fails, with a request each five minutes or so."""
    for seed in range(20):
        metrics, chance = Metrics(), random.Random(seed)
        for minute in sorted(chance.sample(range(480), 100)):
            record(metrics, minute, CASES[failure], 1)
        for name in set(EXPECTED[failure]) - {"ScheduledCheck"}:
            assert rings(metrics, 60, only=[name], begin=1), (name, seed)


def test_one_of_ten_thousand_rings_nothing():
    metrics = Metrics()
    for minute in range(100):
        record(metrics, minute, CASES["fine: orders"], 99 if minute == 50 else 100)
    record(metrics, 50, CASES["a handler panics"], 1)
    assert rings(metrics, 100, only=["ServerErrors", "GatewayErrors"]) == {}


@pytest.mark.parametrize("failure", ["the database is gone, for ai-logs", "nothing answers"])
def test_failures_ring_at_night(failure):
    """Only the check asks then."""
    found = rings(traffic(False, 660, failure, 1.0, 600), 660, only=EXPECTED[failure])
    assert found.keys() == set(EXPECTED[failure]) and all(600 < minute <= 615 for minute in found.values())


def test_a_gateway_that_counts_a_minute_later_rings_nothing():
    metrics = traffic(True, 180, "the database is gone, for ros", 1.0, BEGIN)
    for metric, minutes in metrics.stored.items():
        if metric[0] == "AWS/ApiGateway":
            metrics.stored[metric] = {minute + 1: values for minute, values in minutes.items()}
    assert rings(metrics, 180, True, ["GatewayErrors"]) == {}


@pytest.mark.parametrize("further", [0, 5])
def test_it_does_not_matter_how_far_cloudwatch_looks_back(further, monkeypatch):
    monkeypatch.setattr(cloudwatch, "FURTHER", further)
    for failure in ("the check does not run", "nothing answers", "Anthropic rejects the key"):
        assert list(problems(failure, False, 1.0)) == []
    assert rings(traffic(False, 720), 720) == {}


def test_every_case_and_every_alarm_is_expected():
    assert CASES.keys() - FINE == EXPECTED.keys()
    mailed = {name for name, alarm in templates()[0].items() if "AlarmActions" in alarm}
    assert set().union(*EXPECTED.values()) == mailed


def changes(name, properties):
    """The alarm, changed so that it cannot ring, or not with few requests."""
    yield "threshold", properties | {"Threshold": 10**9}
    elsewhere = copy.deepcopy(properties)
    stats = [query["MetricStat"]["Metric"] for query in elsewhere.get("Metrics", []) if "MetricStat" in query]
    for metric in stats or [elsewhere]:
        metric["Dimensions"][0]["Value"] = "other"
    if name != "ScheduledCheck":  # which rings when there are no data
        yield "dimension", elsewhere
    if properties["EvaluationPeriods"] == 12:
        yield "points", properties | {"DatapointsToAlarm": 12}
    if name == "ScheduledCheck":
        yield "missing", properties | {"TreatMissingData": "notBreaching"}


CHANGES = [
    pytest.param(name, changed, id=f"{name}-{what}")
    for name, alarm in templates()[0].items()
    if "AlarmActions" in alarm
    for what, changed in changes(name, alarm)
]


@pytest.mark.parametrize(("name", "changed"), CHANGES)
def test_alarm_that_cannot_ring_is_found(name, changed):
    meant = [failure for failure in EXPECTED if name in EXPECTED[failure]]
    assert any(list(problems(failure, False, 1.0, [name], {name: changed})) for failure in meant)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print("| failure | few, always | few, half | many, always | many, half |\n|---|---|---|---|---|")
    for failure in EXPECTED:
        cells = []
        for many in (False, True):
            for share in HOURS:
                found = rings(*failing(failure, many, share), many)
                mailed = [f"{name} {found[name] - BEGIN}" for name in found if "AlarmActions" in templates()[0][name]]
                cells.append(", ".join(sorted(mailed, key=lambda one: int(one.split(" ")[1]))))
        print(f"| {failure} | {' | '.join(cells)} |")
