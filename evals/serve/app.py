"""The routes: OpenAI's endpoints, vLLM's for tokens, by which lm-eval uses a server's own tokenizer, and those of the page."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gpt_from_scratch.evals.scoring.completion import token_bytes
from gpt_from_scratch.evals.serve import parameters as parse
from gpt_from_scratch.evals.serve.answers import (
    ChatForm,
    CompletionForm,
    Form,
    ServedAnswer,
    check_tokens,
    encode,
    event,
    text_tokens,
)
from gpt_from_scratch.evals.serve.attention import Look
from gpt_from_scratch.evals.serve.errors import Json, RequestError, too_slow
from gpt_from_scratch.evals.serve.fields import RequestFields, parse_object
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.page_files import page_routes
from gpt_from_scratch.evals.serve.protection import Guard
from gpt_from_scratch.evals.serve.worker import Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.tokenizer.chat.template import template_of

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class Server:
    """The endpoints of one checkpoint."""

    def __init__(self, checkpoint: OpenedModel, worker: Worker, limits: ServerLimits) -> None:
        """Raises ValueError where the tokenizer has no end-of-text token, without which no text ends."""
        self.checkpoint, self.worker, self.limits = checkpoint, worker, limits
        tokenizer = checkpoint.tokenizer
        self._longest_token = max(len(token_bytes(tokenizer, token)) for token in range(tokenizer.n_vocab))
        self._end_of_text = tokenizer.decode([tokenizer.eot_token])

    def app(self, *, token: str | None = None, hosts: tuple[str, ...] = LOOPBACK_NAMES) -> Starlette:
        """The ASGI application. Without a token it answers to `hosts` only."""
        routes = [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.model),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
            Route("/tokenizer_info", self.tokenizer_info),
            Route("/tokenize", self.tokenize, methods=["POST"]),
            Route("/detokenize", self.detokenize, methods=["POST"]),
            Route("/attention", self.attention, methods=["POST"]),
            *page_routes(),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, token=token, hosts=hosts, head_bytes=self.limits.head_bytes)],
            exception_handlers={
                RequestError: _as_response,
                ClientDisconnect: _nobody_left,
                404: _not_found,
                405: _not_found,
            },
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.worker.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.worker.close)

    async def health(self, request: Request) -> Response:
        alive = self.worker.alive
        state = {"status": "ok" if alive else "generation has failed", "active": self.worker.active}
        return Json(state, 200 if alive else 503)

    def _card(self) -> dict[str, Any]:
        return {
            "id": self.checkpoint.name,
            "object": "model",
            "created": 0,
            "owned_by": "gpt_from_scratch",
            "max_model_len": self.checkpoint.context,
            "n_layer": self.checkpoint.model.config.n_layer,
            "n_head": self.checkpoint.model.config.n_head,
            "max_attention_tokens": min(self.limits.attention_tokens, self.checkpoint.context),
        }

    async def models(self, request: Request) -> Response:
        return Json({"object": "list", "data": [self._card()]})

    async def model(self, request: Request) -> Response:
        parse.check_model(request.path_params["name"], self.checkpoint.name)
        return Json(self._card())

    async def completions(self, request: Request) -> Response:
        return await self._generate(request, parse.completion, CompletionForm())

    async def chat_completions(self, request: Request) -> Response:
        return await self._generate(request, parse.chat, ChatForm())

    async def _generate(
        self, request: Request, read: Callable[[dict[str, Any], str, ServerLimits], parse.Parameters], form: Form
    ) -> Response:
        parameters = read(await self._body(request), self.checkpoint.name, self.limits)
        prompts = await asyncio.to_thread(encode, self.checkpoint, parameters, self._longest_token)
        answer = ServedAnswer(self.worker, self.checkpoint, parameters, prompts, form, _client(request))
        return Watched(answer, self.limits.request_seconds)

    async def attention(self, request: Request) -> Response:
        """One head's attention on a list of tokens."""
        look = Look.of(await self._body(request), self.worker, self.checkpoint, self.limits, _client(request))
        return Watched(look, self.limits.request_seconds)

    async def tokenizer_info(self, request: Request) -> Response:
        end = self._end_of_text
        return Json(
            {
                "eos_token": end,
                "bos_token": end,
                "pad_token": end,
                "chat_template": template_of(self.checkpoint.tokenizer),
            }
        )

    async def tokenize(self, request: Request) -> Response:
        """Text to tokens. The end-of-text token's own name, alone, is that token; within a text it is text."""
        fields = RequestFields(await self._body(request))
        text = fields.text("prompt")
        fields.ignored("model", "add_special_tokens", "return_token_strs")
        fields.done()
        tokenizer = self.checkpoint.tokenizer
        if text == self._end_of_text:
            tokens = [tokenizer.eot_token]
        else:
            tokens = await asyncio.to_thread(text_tokens, tokenizer, text)
        return Json({"tokens": tokens, "count": len(tokens), "max_model_len": self.checkpoint.context})

    async def detokenize(self, request: Request) -> Response:
        fields = RequestFields(await self._body(request))
        tokens = fields.take("tokens")
        fields.ignored("model")
        fields.done()
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise RequestError("tokens must be a list of integers", param="tokens")
        check_tokens(tokens, self.checkpoint, "tokens")
        return Json({"prompt": self.checkpoint.tokenizer.decode(tokens)})

    async def _body(self, request: Request) -> dict[str, Any]:
        """The request's JSON, within its bounds of size and time."""
        most = self.limits.body_bytes
        too_large = RequestError(f"a request may have {most} bytes", status=413, code="request_too_large")
        announced = request.headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdecimal()):
            raise RequestError(f"Content-Length must be a number of bytes, it is {announced[:100]!r}")
        if len(announced) > 18 or int(announced) > most:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise too_slow("sending the request", self.limits.body_seconds) from None
        return await asyncio.to_thread(parse_object, bytes(body), self.limits.depth)


class Watched(Response):
    """Sends an answer as it is made; stops when the client is gone, or when it takes too long."""

    def __init__(self, answer: ServedAnswer | Look, seconds: float) -> None:
        super().__init__()
        self._answer, self._seconds = answer, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        work = asyncio.create_task(self._send(scope, receive, tracked))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({work, gone}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return
            error = work.exception() if work.done() else too_slow("the request", self._seconds)
        except asyncio.CancelledError:  # by uvicorn alone, whose patience with a server that ends is over
            error = RequestError("the server is ending", status=503, kind="server_error")
        finally:
            await _cancel(work, gone)
        if error is None:
            return
        if not isinstance(error, RequestError):
            raise error
        if started:  # the status is out: the error is an event, and the missing [DONE] shows that this is no end
            await send({"type": "http.response.body", "body": event(error.as_dict()), "more_body": False})
        else:
            await error.as_response()(scope, receive, send)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(self._answer, Look) or not self._answer.parameters.stream:
            response = Response(await self._answer.whole(), media_type=Json.media_type)
            await response(scope, receive, send)
            return
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        async with contextlib.aclosing(self._answer.events()) as events:
            first = await anext(events)  # so that a refusal still has its own status
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for part in events:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _client(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _as_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error.as_response()


async def _nobody_left(request: Request, error: Exception) -> Response:
    """The client went before its request was whole: nobody reads this."""
    return RequestError("the request ended before its body did").as_response()


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    missing = RequestError(f"there is no {request.method} {request.url.path[:200]} here", status=status)
    missing.headers = getattr(error, "headers", None) or {}
    return missing.as_response()
