"""Corrections for what the description cannot express."""

import itertools

import schemathesis

attempts = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    # JSON Schema cannot express a rule about two parameters. A status must have the class that is asked for.
    if case.meta is not None and case.meta.generation.mode.is_positive and "status" in (case.query or {}):
        case.query.pop("statusClass", None)
    # A cursor is valid only if the API gave it.
    if case.meta is not None and case.meta.generation.mode.is_positive:
        (case.query or {}).pop("cursor", None)
    # Only one table has bins.
    if case.path == "/api/inventory/export" and case.meta is not None and case.meta.generation.mode.is_positive:
        if "bin" in (case.query or {}):
            case.query["tableName"] = "bins_inventory"
    # When Schemathesis follows links, it sends the same Idempotency-Key several times. The saved response says that the order
    # exists, although Schemathesis has deleted it meanwhile. So each request gets a key of its own.
    if case.meta is None or case.meta.phase.name.value != "stateful":
        return
    for name, value in (case.headers or {}).items():
        if name.lower() == "idempotency-key" and isinstance(value, str) and value.strip() and len(value) < 240:
            case.headers[name] = f"{next(attempts)} {value}"


@schemathesis.hook
def filter_case(context, case):
    # Schemathesis sends an empty list of tags as a valid one, although the schema forbids it.
    if any(value == "" for name, value in (case.headers or {}).items() if name.lower() in ("if-match", "if-none-match")):
        return False
    # Blank query parameters and blank optional members of a body count as absent. The description says so in words only.
    members = case.body.values() if isinstance(case.body, dict) else []
    if any(isinstance(value, str) and not value.strip() for value in [*(case.query or {}).values(), *members]):
        return False
    # The service ignores white space around a name before it checks the length. JSON Schema cannot express that.
    values = [*(case.path_parameters or {}).values(), *(case.query or {}).values()]
    return all(value == value.strip() for value in values if isinstance(value, str))


@schemathesis.hook
def map_query(context, query):
    # A period must not end before it begins. JSON Schema cannot express a rule about two parameters.
    bounds = [query.get(name) for name in ("startDate", "endDate")] if query else []
    if bounds and all(isinstance(bound, str) for bound in bounds):
        query["startDate"], query["endDate"] = sorted(bounds)
    return query


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # The schema of a stream describes the whole text, but Schemathesis compares each event with it.
    return failure.title != "SSE event violates schema"
