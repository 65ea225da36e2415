"""Metrics and alarms as the CloudWatch User Guide documents them, as far as our alarms need it; `alarms.py` uses it.

Alarms are evaluated each minute, on windows that slide. `pytest infra/cloudwatch.py` compares missing data with the guide's examples.
"""

import ast
import math
import operator
import re

import pytest


# CloudWatch retrieves more periods than it evaluates, in case that some are missing: in the examples of the guide, so many.
FURTHER = 2


class Metrics:
    """What CloudWatch stores: for each metric and minute, how often each value occurred."""

    def __init__(self):
        self.stored = {}

    def add(self, minute, namespace, name, dimensions, value, count=1):
        minutes = self.stored.setdefault((namespace, name, frozenset(dimensions.items())), {})
        values = minutes.setdefault(minute, {})
        values[value] = values.get(value, 0) + count

    def statistic(self, metric, stat, period, end):
        """The datapoint of the period that ends with the minute `end`; None without data."""
        values = {}
        minutes = self.stored.get(metric, {})
        for minute in range(end - period // 60, end):
            for value, count in minutes.get(minute, {}).items():
                values[value] = values.get(value, 0) + count
        if not values:
            return None
        if stat == "SampleCount":
            return sum(values.values())
        if stat == "Sum":
            return sum(value * count for value, count in values.items())
        rank = math.ceil(float(stat.removeprefix("p")) / 100 * sum(values.values()))
        for value in sorted(values):
            rank -= values[value]
            if rank <= 0:
                return value


def record(metrics, minute, case, count):
    """Adds what our function, Lambda and the gateway count for requests that end like `case`."""
    if case.get("unanswered") or count == 0:
        return
    for key, value in case["metrics"].items():
        name, dimensions = key.split(" ")
        metrics.add(minute, "RoTracker", name, dict(pair.split("=") for pair in dimensions.split(",")), value, count)
    api, function = {"ApiName": "ro-tracker-prod", "Stage": "prod"}, f"ro-tracker-prod-{case['function']}"
    metrics.add(minute, "AWS/ApiGateway", "Count", api, 1, count)
    metrics.add(minute, "AWS/ApiGateway", "5XXError", api, int(case["status"] >= 500), count)
    if case.get("refused"):
        metrics.add(minute, "RoTracker/Gateway", "Throttled", {"Stage": "prod"}, 1, count)
    if case.get("throttled"):
        metrics.add(minute, "AWS/Lambda", "Throttles", {"FunctionName": function}, 1, count)
    elif not case.get("uninvoked"):
        version = {"FunctionName": function, "Resource": f"{function}:live", "ExecutedVersion": "1"}
        for dimensions in ({"FunctionName": function}, version):
            metrics.add(minute, "AWS/Lambda", "Errors", dimensions, int(case.get("ends", False)), count)
        metrics.add(minute, "AWS/Lambda", "Invocations", {"FunctionName": function}, 1, count)
        metrics.add(minute, "AWS/Lambda", "Throttles", {"FunctionName": function}, 0, count)


def poisson(chance, mean):
    count, left = -1, 1.0
    while left >= math.exp(-mean):
        count, left = count + 1, left * chance.random()
    return count


OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
COMPARISONS = {ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le}


def evaluate(node, values):
    """The value of an expression of metric math at one time; None where data are missing. Refuses what it does not know."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            sides = evaluate(left, values), evaluate(right, values)
            return None if None in sides else OPERATORS[type(op)](*sides)
        case ast.Compare(left, [op], [right]) if type(op) in COMPARISONS:
            sides = evaluate(left, values), evaluate(right, values)
            return None if None in sides else int(COMPARISONS[type(op)](*sides))
        case ast.Call(ast.Name(id="FILL"), [inner, ast.Constant(value=filler)]):
            value = evaluate(inner, values)
            return filler if value is None else value
        case ast.Call(ast.Name(id="IF"), [condition, first, second]):
            chosen = evaluate(condition, values)
            return None if chosen is None else evaluate(first if chosen else second, values)
        case ast.Call(ast.Name(id="SUM" | "MAX" as name), [ast.List(elements)]):
            items = [evaluate(element, values) for element in elements]
            if None in items:
                raise ValueError(f"{name} of missing data is not documented: use FILL")
            return {"SUM": sum, "MAX": max}[name](items)
    raise ValueError(f"metric math with {ast.unparse(node)}")


def text(value, parameters):
    """A value of a template after its references are resolved."""
    match value:
        case {"Fn::Sub": pattern}:
            return re.sub(r"\$\{(\w+)\}", lambda found: str(parameters[found[1]]), pattern)
        case {"Ref": name}:
            return parameters[name]
        case {"Fn::If": ["IsChecked", first, _]}:
            return first
        case {"Fn::GetAtt": [_, "Version"]}:
            return "1"
    return value


class Alarm:
    def __init__(self, properties, parameters):
        self.state, self.known = "OK", {}
        self.treatment = text(properties["TreatMissingData"], parameters)
        self.threshold = float(text(properties["Threshold"], parameters))
        self.periods, self.points = properties["EvaluationPeriods"], properties["DatapointsToAlarm"]
        if properties["ComparisonOperator"] != "GreaterThanOrEqualToThreshold":
            raise ValueError(properties["ComparisonOperator"])
        if self.treatment == "ignore" and self.periods > 1:
            raise ValueError("of several periods, CloudWatch ignores missing data only sometimes")
        statistic = properties.get("ExtendedStatistic", properties.get("Statistic"))
        single = {"Id": "result", "MetricStat": {"Metric": properties, "Period": properties.get("Period"), "Stat": statistic}}
        self.metrics = {}
        self.expression = ast.parse("result", mode="eval").body
        for query in properties.get("Metrics", [single]):
            if "Expression" in query:
                self.expression = ast.parse(str(text(query["Expression"], parameters)).strip(), mode="eval").body
                continue
            stat = query["MetricStat"]
            metric = stat["Metric"]
            dimensions = frozenset((one["Name"], text(one["Value"], parameters)) for one in metric["Dimensions"])
            self.metrics[query["Id"]] = (metric["Namespace"], metric["MetricName"], dimensions), stat["Stat"], stat["Period"]
        [self.period] = {period for _, _, period in self.metrics.values()}

    def breaches(self, metrics, end):
        """Whether the datapoint of the period that ends with the minute `end` is breaching; None if it is missing."""
        if end not in self.known:
            values = {name: metrics.statistic(*one, end) for name, one in self.metrics.items()}
            point = evaluate(self.expression, values)
            self.known[end] = None if point is None else point >= self.threshold
        return self.known[end]

    def evaluate(self, metrics, minute):
        """Whether the alarm is on after `minute`."""
        steps = range(self.periods + FURTHER - 1, -1, -1)
        points = [self.breaches(metrics, minute - step * self.period // 60) for step in steps]
        self.state = state(points, self.periods, self.points, self.treatment, self.state)
        return self.state == "ALARM"


def state(points, periods, needed, treatment, before):
    """The state of an alarm by the datapoints that CloudWatch has retrieved, oldest first: breaching, not breaching, or None.

    If there are enough real ones, the newest of them count, and what is missing between them does not matter.
    """
    real = [point for point in points if point is not None]
    missing = max(0, periods - len(real))
    if missing and treatment == "ignore":
        return before
    filled = real[-periods:] + [treatment == "breaching"] * missing
    return "ALARM" if sum(filled) >= needed else "OK"


# The examples of the User Guide: X is breaching, 0 is not, - is missing.
@pytest.mark.parametrize(
    ("points", "periods", "needed", "breaching", "good"),
    [
        ("0-X-X", 3, 3, "OK", "OK"),
        ("0----", 3, 3, "OK", "OK"),
        ("-----", 3, 3, "ALARM", "OK"),
        ("0XX-X", 3, 3, "ALARM", "ALARM"),
        ("--X--", 3, 3, "ALARM", "OK"),
        ("0-X-X", 3, 2, "ALARM", "ALARM"),
        ("00X0X", 3, 2, "ALARM", "ALARM"),
        ("0-X--", 3, 2, "ALARM", "OK"),
        ("----0", 3, 2, "ALARM", "OK"),
        ("---X-", 3, 2, "ALARM", "OK"),
    ],
)
def test_missing_data_are_treated_as_documented(points, periods, needed, breaching, good):
    known = [{"X": True, "0": False, "-": None}[point] for point in points]
    assert state(known, periods, needed, "breaching", "OK") == breaching
    assert state(known, periods, needed, "notBreaching", "OK") == good


@pytest.mark.parametrize("unknown", ["RATE(a)", "a ** 2", "SUM([a, b])", "FILL(a, REPEAT)", "a == 1"])
def test_unknown_metric_math_is_refused(unknown):
    with pytest.raises(ValueError):
        evaluate(ast.parse(unknown, mode="eval").body, {"a": 1, "b": None})
