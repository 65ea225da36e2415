"""What Schemathesis cannot know from the description."""

import itertools

import schemathesis

attempts = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Where it follows links, each request is an attempt of its own: else it repeats one, and takes the answer of the first,
    # whose order it has deleted since, for a promise that the order is there.
    if case.meta is None or case.meta.phase.name.value != "stateful":
        return
    for name, value in (case.headers or {}).items():
        if name.lower() == "idempotency-key" and isinstance(value, str) and value.strip() and len(value) < 240:
            case.headers[name] = f"{next(attempts)} {value}"


@schemathesis.hook
def filter_case(context, case):
    # The emulator keeps bodies as text and answers 500 by itself to one that is not UTF-8.
    if isinstance(case.body, bytes):
        try:
            case.body.decode()
        except UnicodeDecodeError:
            return False
    # Its examples of edges leave a list of tags empty, whose pattern and length say that it is not.
    if any(value == "" for name, value in (case.headers or {}).items() if name.lower() in ("if-match", "if-none-match")):
        return False
    # White space around a name does not count, so one may be longer than JSON Schema can say.
    values = [*(case.path_parameters or {}).values(), *(case.query or {}).values()]
    return all(value == value.strip() for value in values if isinstance(value, str))


@schemathesis.hook
def map_query(context, query):
    # A period must not end before it begins, which is about two parameters at once.
    bounds = [query.get(name) for name in ("startDate", "endDate")] if query else []
    if bounds and all(isinstance(bound, str) for bound in bounds):
        query["startDate"], query["endDate"] = sorted(bounds)
    return query


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # Of a stream, Schemathesis takes the schema for that of one event, in its own form; it is that of the text.
    return failure.title != "SSE event violates schema"
