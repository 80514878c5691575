"""The routes: OpenAI's endpoints, and vLLM's for tokens, by which lm-eval uses a server's own tokenizer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gpt_from_scratch.evals.lm.checkpoint import Checkpoint
from gpt_from_scratch.evals.serve import parameters as parse
from gpt_from_scratch.evals.serve.answers import Answer, ChatForm, CompletionForm, Form, encode, event
from gpt_from_scratch.evals.serve.errors import RequestError, too_slow
from gpt_from_scratch.evals.serve.fields import Fields, parse_object
from gpt_from_scratch.evals.serve.guard import Guard
from gpt_from_scratch.evals.serve.limits import Limits
from gpt_from_scratch.evals.serve.worker import Worker

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


class Server:
    """The endpoints of one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, worker: Worker, limits: Limits) -> None:
        self.checkpoint, self.worker, self.limits = checkpoint, worker, limits

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
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, token=token, hosts=hosts)],
            exception_handlers={RequestError: _as_response, 404: _not_found, 405: _not_found},
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
        return JSONResponse(state, 200 if alive else 503)

    def _card(self) -> dict[str, Any]:
        return {
            "id": self.checkpoint.name,
            "object": "model",
            "created": 0,
            "owned_by": "gpt_from_scratch",
            "max_model_len": self.checkpoint.context,
        }

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def model(self, request: Request) -> Response:
        parse.check_model(request.path_params["name"], self.checkpoint.name)
        return JSONResponse(self._card())

    async def completions(self, request: Request) -> Response:
        return await self._generate(request, parse.completion, CompletionForm())

    async def chat_completions(self, request: Request) -> Response:
        return await self._generate(request, parse.chat, ChatForm())

    async def _generate(
        self, request: Request, read: Callable[[dict[str, Any], str, Limits], parse.Parameters], form: Form
    ) -> Response:
        parameters = read(await self._body(request), self.checkpoint.name, self.limits)
        if len(parameters.prompts) * parameters.n > self.limits.queue:
            raise RequestError(f"prompts times n may be at most {self.limits.queue}", param="n")
        prompts = await asyncio.to_thread(encode, self.checkpoint, parameters)
        answer = Answer(self.worker, self.checkpoint, parameters, prompts, form)
        return Watched(answer, self.limits.request_seconds)

    async def tokenizer_info(self, request: Request) -> Response:
        tokenizer = self.checkpoint.tokenizer
        end = tokenizer.decode([tokenizer.eot_token])
        return JSONResponse({"eos_token": end, "bos_token": end, "pad_token": end, "chat_template": None})

    async def tokenize(self, request: Request) -> Response:
        """Text to tokens. The end-of-text token's own name, alone, is that token; within a text it is text."""
        fields = Fields(await self._body(request))
        text = fields.text("prompt")
        fields.ignored("model", "add_special_tokens", "return_token_strs")
        fields.done()
        tokenizer = self.checkpoint.tokenizer
        if text == tokenizer.decode([tokenizer.eot_token]):
            tokens = [tokenizer.eot_token]
        else:
            try:
                tokens = await asyncio.to_thread(tokenizer.encode_ordinary, text)
            except ValueError as error:
                raise RequestError(f"the prompt cannot be encoded: {error}", param="prompt") from error
        return JSONResponse({"tokens": tokens, "count": len(tokens), "max_model_len": self.checkpoint.context})

    async def detokenize(self, request: Request) -> Response:
        fields = Fields(await self._body(request))
        tokens = fields.take("tokens")
        fields.ignored("model")
        fields.done()
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise RequestError("tokens must be a list of integers", param="tokens")
        try:
            return JSONResponse({"prompt": self.checkpoint.tokenizer.decode(tokens)})
        except ValueError as error:
            raise RequestError(str(error), param="tokens") from error

    async def _body(self, request: Request) -> dict[str, Any]:
        """The request's JSON, within its bounds of size and time."""
        most = self.limits.body_bytes
        too_large = RequestError(f"a request may have {most} bytes", status=413, code="request_too_large")
        if int(request.headers.get("content-length", "0")) > most:
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
        return parse_object(bytes(body))


class Watched(Response):
    """Sends an answer as it is made; stops when the client is gone, or when it takes too long."""

    def __init__(self, answer: Answer, seconds: float) -> None:
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
        finally:
            await _cancel(work, gone)
        if error is None:
            return
        if not isinstance(error, RequestError):
            raise error
        if started:  # the status is out: the error is an event, and the missing [DONE] shows that this is no end
            await send({"type": "http.response.body", "body": event(error.as_dict()), "more_body": False})
        else:
            await (await _as_response(None, error))(scope, receive, send)

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._answer.parameters.stream:
            response = JSONResponse(await self._answer.whole())
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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _as_response(request: Request | None, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return JSONResponse(error.as_dict(), error.status, error.headers)


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    missing = RequestError(f"there is no {request.method} {request.url.path[:200]} here", status=status)
    return JSONResponse(missing.as_dict(), status, getattr(error, "headers", None))
