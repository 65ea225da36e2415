"""Compares chats through the service with chats that go straight to Anthropic, by the real Python client.

Each request is sent to a stand-in for Anthropic: once straight, and once through `POST /api/ai/chat`, by a transport that changes the
address. The stand-in must receive the same body both times, apart from the default temperature, and the client must make equal
objects of both answers. Also, the fields in the description of the body must be those of the package.

    anthropic_client.py URL PORT    URL is the service, which must have ANTHROPIC_BASE_URL=http://127.0.0.1:PORT and AI_BETAS
"""

import json
import sys
import threading
import typing
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import httpx2
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params

MODEL = "claude-sonnet-4-20250514"
BETAS = ["files-api-2025-04-14", "mcp-client-2025-11-20"]

# Parameters of the package that are headers.
HEADERS = {"betas", "user_profile_id", "workspace_id"}

# Fields of the API that the package has no more.
FORMER = {"output_format", "temperature", "top_k", "top_p"}

# The fields of the service. `maxTokens` and `systemPrompt` are `max_tokens` and `system`.
OURS = {"contextRoCount", "conversationId", "maxTokens", "systemPrompt", "userId"}

USER = {"role": "user", "content": "What is overdue?"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "name": "find_orders",
    "description": "Finds repair orders \u2708",
    "input_schema": {"type": "object", "properties": {"cost": {"type": "number", "minimum": 0.5}}, "required": []},
    "cache_control": {"type": "ephemeral"},
}

# Arguments of `messages.create`, by what they show.
REQUESTS = {
    "plain": {},
    "tools and tool_choice": {
        "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        "tool_choice": {"type": "tool", "name": "find_orders", "disable_parallel_tool_use": True},
    },
    "the result of a tool": {
        "tools": [TOOL],
        "messages": [
            USER,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "find_orders", "input": {"cost": 1.5}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "RO38472", "is_error": False}]},
        ],
    },
    "thinking": {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    "cached system blocks": {
        "system": [
            {"type": "text", "text": "You know repair orders.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "Be brief."},
        ]
    },
    "a system text": {"system": "Be brief \u2708"},
    "an image and a document": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "RO38472"}, "citations": {"enabled": True}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ]
    },
    "the beginning of an answer": {"messages": [USER, {"role": "assistant", "content": "The best answer is ("}]},
    "stop sequences and metadata": {"stop_sequences": ["END", "\n\n"], "metadata": {"user_id": "u-1"}, "service_tier": "auto"},
    "sampling": {"extra_body": {"temperature": 1, "top_k": 5}},
    "top_p": {"extra_body": {"top_p": 0.25}},
    "a format": {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}}},
    "a former format": {"extra_body": {"output_format": {"type": "json_schema", "schema": {"type": "object"}}}},
    "null and the filling of the cache": {"max_tokens": 0, "container": None, "inference_geo": None},
}
BETA_REQUESTS = {
    "betas": {
        "betas": BETAS,
        "mcp_servers": [{"type": "url", "name": "erp", "url": "https://erp.example/mcp"}],
        "tools": [{"type": "mcp_toolset", "mcp_server_name": "erp"}],
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}]},
        "messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}, {"type": "text", "text": "Hi"}]}],
        "container": {"id": "c-1", "skills": [{"type": "anthropic", "skill_id": "xlsx", "version": "latest"}]},
    },
    "a beta": {"betas": BETAS[:1], "speed": "fast", "fallbacks": [{"model": MODEL}]},
}

ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [
        {"type": "thinking", "thinking": "Hm \u2026", "signature": "c2ln"},
        {
            "type": "text",
            "text": "RO38472 is overdue.",
            "citations": [
                {"type": "char_location", "cited_text": "RO38472", "document_index": 0, "document_title": None, "start_char_index": 0, "end_char_index": 7}
            ],
        },
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "RO38472"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "tool_use", "id": "toolu_1", "name": "find_orders", "input": {"cost": 1.5, "of": ["a", None]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 245, "output_tokens": 156, "cache_read_input_tokens": 100, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}},
}


def events():
    """The events of the same answer."""
    yield {"type": "message_start", "message": {**ANSWER, "content": [], "stop_reason": None, "usage": {**ANSWER["usage"], "output_tokens": 1}}}
    yield {"type": "ping"}
    for index, block in enumerate(ANSWER["content"]):
        begun, deltas = dict(block), []
        if block["type"] == "thinking":
            begun |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}, {"type": "signature_delta", "signature": block["signature"]}]
        elif block["type"] == "text":
            begun |= {"text": "", "citations": None}
            deltas = [{"type": "text_delta", "text": part} for part in (block["text"][:5], block["text"][5:])]
            deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
        elif "input" in block:
            begun["input"] = {}
            whole = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", whole[:7], whole[7:])]
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 156}}
    yield {"type": "message_stop"}


class StandIn(BaseHTTPRequestHandler):
    """Answers every request alike, and records its body and its betas."""

    received = []
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer("text/plain", b"")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.received.append((body, self.headers["anthropic-beta"]))
        if body.get("stream"):
            text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events())
            self.answer("text/event-stream", text.encode())
        else:
            self.answer("application/json", json.dumps(ANSWER).encode())

    def answer(self, content_type, body):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class ThroughTheService(httpx2.BaseTransport):
    """Sends the client's requests to the service instead, and gives the client the answers in the form that it knows.

    The service wraps a whole message, and its streams have no names of events, which the client needs, and end with `[DONE]`.
    """

    def __init__(self, url):
        self.url, self.users, self.transport = httpx2.URL(url), 0, httpx2.HTTPTransport()

    def handle_request(self, request):
        # A user of its own, because of the rate limit.
        self.users += 1
        headers = {name: value for name, value in request.headers.items() if name != "host"} | {"x-user-id": f"user-{self.users}"}
        response = self.transport.handle_request(httpx2.Request("POST", self.url, headers=headers, content=request.read()))
        body = response.read()
        if response.status_code == 200 and response.headers["content-type"] == "text/event-stream":
            data = [event.removeprefix("data: ") for event in body.decode().split("\n\n") if event]
            assert data.pop() == "[DONE]", body
            body = "".join(f"event: {json.loads(event)['type']}\ndata: {event}\n\n" for event in data).encode()
        elif response.status_code == 200:
            body = json.dumps(json.loads(body)["response"]).encode()
        return httpx2.Response(response.status_code, headers={"content-type": response.headers["content-type"]}, content=body)


def ask(client, arguments, streams, beta):
    """Sends a request and returns what the client makes of the answer, and what the stand-in received."""
    messages = client.beta.messages if beta else client.messages
    arguments = {"model": MODEL, "max_tokens": 1000, "messages": [USER], **arguments}
    if streams:
        with messages.stream(**arguments) as stream:
            answer = [event.to_dict() for event in stream], stream.get_final_message().to_dict()
    else:
        answer = messages.create(**arguments).to_dict()
    return answer, StandIn.received.pop()


def with_default_temperature(body):
    others = [body.get(name) for name in ("temperature", "thinking", "top_k", "top_p")]
    return body if any(other is not None for other in others) else {**body, "temperature": 0.2}


def check_fields():
    described = json.loads((Path(__file__).parents[2] / "infra/openapi.json").read_text())
    described = set(described["components"]["schemas"]["ChatRequest"]["properties"])
    parameters = set()
    for module in (message_create_params, beta_message_create_params):
        for kind in (module.MessageCreateParamsNonStreaming, module.MessageCreateParamsStreaming):
            parameters |= set(typing.get_type_hints(kind))
    expected = parameters - HEADERS | FORMER | OURS
    assert described == expected, f"the description differs from anthropic {anthropic.__version__}: {described ^ expected}"


def main(url, port):
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)
    check_fields()
    stand_in = ThreadingHTTPServer(("127.0.0.1", int(port)), StandIn)
    threading.Thread(target=stand_in.serve_forever, daemon=True).start()
    options = {"api_key": "sk-test", "max_retries": 0}
    straight = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", **options)
    through = anthropic.Anthropic(http_client=httpx2.Client(transport=ThroughTheService(f"{url}/api/ai/chat")), **options)
    failures = count = 0
    for beta, requests in ((False, REQUESTS), (True, REQUESTS | BETA_REQUESTS)):
        for name, arguments in requests.items():
            for streams in (False, True):
                count += 1
                case = f"{name} ({'beta, ' if beta else ''}{'streamed' if streams else 'whole'})"
                answer, (body, betas) = ask(straight, arguments, streams, beta)
                try:
                    answer_through, (body_through, betas_through) = ask(through, arguments, streams, beta)
                except anthropic.APIStatusError as error:
                    answer_through, body_through, betas_through = error.body, None, None
                for what, expected, found in (
                    ("body", with_default_temperature(body), body_through),
                    ("betas", betas, betas_through),
                    ("answer", answer, answer_through),
                ):
                    if expected != found:
                        failures += 1
                        print(f"{case}: another {what}\n  straight: {json.dumps(expected)}\n  through:  {json.dumps(found)}")
    stand_in.shutdown()
    assert failures == 0, f"{failures} differences in {count} requests"
    print(f"anthropic {anthropic.__version__}: {count} requests and their answers are the same through the service.")


main(*sys.argv[1:])
