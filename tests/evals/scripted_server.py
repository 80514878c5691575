"""A server that answers as OpenAI's and Anthropic's do, from a script. Run as a process of its own; prints its port.

POST /v1/chat/completions and /v1/messages take the next reply of the script, or else answer with the last message's
text. GET /_log tells what was asked. POST /_script sets {"replies": [...], "gate_after": n, "delay": s}; a reply is
{"status", "headers", "error"}, {"raw": text}, {"text", "usage", "choice"}, {"message"}, or {"wire": what to send, in base64,
"endless": what to send after it for ever, "pause": seconds in between, "open": whether the connection stays open}.
After `gate_after` replies every further one waits for POST /_open.
"""

import base64
import contextlib
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

lock = threading.Lock()
gate = threading.Event()
state: dict[str, Any] = {}
counter = itertools.count()


def reset(script: dict[str, Any]) -> None:
    with lock:
        gate.set() if script.get("gate_after") is None else gate.clear()
        state.clear()
        state.update(script, replies=list(script.get("replies", [])), log=[], in_flight=0, most_in_flight=0, begun=0)


def openai_text(text: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{next(counter)}",
        "object": "chat.completion",
        "created": 0,
        "model": f"{model}-served",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def anthropic_text(text: str, model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{next(counter)}",
        "type": "message",
        "role": "assistant",
        "model": f"{model}-served",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_bytes(self, data: bytes, reply: dict[str, Any]) -> None:
        """Whatever HTTP makes of it; the connection is closed after it, or stays open as long as the client likes."""
        self.close_connection = self.close_connection or not reply.get("open")
        with contextlib.suppress(OSError):  # the client has had enough
            self.wfile.write(data)
            while "endless" in reply:
                self.wfile.write(reply["endless"].encode())
                time.sleep(reply.get("pause", 0))

    def do_GET(self) -> None:
        with lock:
            self.send(200, {"log": state["log"], "most_in_flight": state["most_in_flight"]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/_script":
            reset(body)
            return self.send(200, {})
        if self.path == "/_open":
            gate.set()
            return self.send(200, {})
        entry = {
            "path": self.path,
            "body": body,
            "authorization": self.headers.get("authorization") or self.headers.get("x-api-key"),
            "headers": dict(self.headers.items()),
            "retry_count": self.headers.get("x-stainless-retry-count"),
            "answered": False,
        }
        with lock:
            state["log"].append(entry)
            state["in_flight"] += 1
            state["most_in_flight"] = max(state["most_in_flight"], state["in_flight"])
            reply = state["replies"].pop(0) if state["replies"] else None
            state["begun"] += 1
            held = state.get("gate_after") is not None and state["begun"] > state["gate_after"]
        try:
            if held:
                gate.wait(60)
            time.sleep(state.get("delay", 0))
            self.answer(entry, reply)
            entry["answered"] = True
        finally:
            with lock:
                state["in_flight"] -= 1

    def answer(self, entry: dict[str, Any], reply: dict[str, Any] | None) -> None:
        body = entry["body"]
        anthropic = entry["path"] == "/v1/messages"
        make = anthropic_text if anthropic else openai_text
        if reply is None:
            content = body["messages"][-1]["content"]
            return self.send(200, make(content if isinstance(content, str) else json.dumps(content), body["model"]))
        if "wire" in reply:
            return self.send_bytes(base64.b64decode(reply["wire"]), reply)
        if "raw" in reply:
            return self.send(200, reply["raw"])
        if "text" in reply:
            whole = make(reply["text"], body["model"])
            whole["usage"] = reply.get("usage", whole["usage"])
            if "choice" in reply:
                whole["choices"][0] |= reply["choice"]
            return self.send(200, whole)
        if "message" in reply:  # an OpenAI message or Anthropic content blocks
            whole = make("", body["model"])
            if anthropic:
                whole |= {"content": reply["message"], "stop_reason": "tool_use"}
            else:
                whole["choices"][0] |= {"message": reply["message"], "finish_reason": "tool_calls"}
            return self.send(200, whole)
        error = {"error": {"type": "scripted", "message": f"scripted {reply['status']}", **reply.get("error", {})}}
        return self.send(reply["status"], {"type": "error", **error}, reply.get("headers"))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    reset({})
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
