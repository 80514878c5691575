"""Credentials are never written or shown: a canary in each place that takes one is looked for everywhere."""

import base64
import json
import logging
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.protocol.credentials import Address, public_url, redact, without_credentials
from gpt_from_scratch.evals.protocol.messages import GetTextRequest, Message
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

CANARY = "canary-71f3c0de"
TEXT = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.0, max_tokens=9)


def with_canaries(url: str) -> str:
    scheme, rest = url.split("://")
    return f"{scheme}://user:{CANARY}-password@{rest}?api-key={CANARY}-query#{CANARY}-fragment"


def everything(folder: Path) -> str:
    return "".join(
        f"{path}\n{path.read_bytes().decode('utf-8', 'replace')}" for path in folder.rglob("*") if path.is_file()
    )


def echoed(server: Any) -> dict[str, Any]:
    """A server that tells all it was sent, in an error: some do."""
    told = f"key {CANARY}-environment, {CANARY}-password, {CANARY}-query, Bearer {CANARY}, sk-{CANARY}"
    told += f", {with_canaries(server.url)}"
    return {"status": 401, "error": {"message": told}}


@pytest.mark.parametrize("reply", ["right", "told in an error", "told in an answer", "no server", "moved"])
def test_the_command_leaves_none(server: Any, tmp_path: Path, reply: str) -> None:
    url = with_canaries(f"{server.url}/v1")
    if reply == "told in an error":
        server.script(*[echoed(server)] * 3)
    if reply == "told in an answer":
        server.script({"text": f"{CANARY}-password and {CANARY}-query"})
    if reply == "moved":
        server.script(*[{"status": 307, "headers": {"location": with_canaries(server.url)}}] * 3)
    if reply == "no server":
        url = with_canaries("http://127.0.0.1:9/v1")
    environment = {
        **os.environ,
        "OPENAI_API_KEY": f"{CANARY}-environment",
        "OPENAI_BASE_URL": with_canaries(server.url),
    }
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "gpt_from_scratch.evals", "arithmetic", "--model", "m", "--base-url", url]
    command += ["--num-problems", "3", "--max-retries", "0", "--out", str(folder), "--cache", str(folder / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == (0 if reply in ("right", "told in an answer") else 1), done.stderr
    assert "Traceback" not in done.stderr and (folder / "record.jsonl").exists()
    for secret in (CANARY, urllib.parse.quote(CANARY), base64.b64encode(f"user:{CANARY}-password".encode()).decode()):
        assert secret not in everything(folder) + done.stdout + done.stderr
    assert f'"base_url": "{public_url(url)}"' in (folder / "record.jsonl").read_text()
    if reply == "right":
        sent = base64.b64decode(server.log[0]["authorization"].removeprefix("Basic ")).decode()
        assert (
            sent == f"user:{CANARY}-password"
            and server.log[0]["path"] == f"/v1/chat/completions?api-key={CANARY}-query"
        )


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_nor_does_a_log_that_is_switched_on(server: Any, vendor: str, caplog: pytest.LogCaptureFixture) -> None:
    kind = {"openai": OpenAIProvider, "anthropic": AnthropicProvider}[vendor]
    told = f"not {CANARY}-given, nor {CANARY}-password; Bearer {CANARY}"
    server.script({"status": 401, "error": {"message": told}})
    with caplog.at_level(logging.DEBUG):
        provider = kind(base_url=with_canaries(f"{server.url}/v1"), api_key=f"{CANARY}-given")
        with pytest.raises(ProviderError) as caught:
            provider.execute("m", TEXT)
    assert f"api-key={CANARY}-query" in server.log[0]["path"] and "127.0.0.1" in caplog.text
    assert CANARY not in str(caught.value) + caplog.text
    assert CANARY not in repr(provider) + json.dumps(provider.fingerprint())


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_keys_follow_no_redirect(server: Any, openai_url: str, anthropic_url: str, vendor: str) -> None:
    for status in (301, 302, 303, 307, 308):
        server.script({"status": status, "headers": {"location": f"{server.url}/elsewhere"}})
        provider, model = (OpenAIProvider(), "gpt-4o") if vendor == "openai" else (AnthropicProvider(), "claude-opus-5")
        with pytest.raises(ProviderError, match="has moved to .*/elsewhere: give its address as base_url") as caught:
            provider.execute(model, TEXT)
        assert len(server.log) == 1 and not caught.value.retryable


@pytest.mark.parametrize(
    "odd",
    [
        *(
            "",
            "x",
            "localhost:8000",
            "ftp://host/v1",
            "http://",
            "http://:8000",
            "file:///etc/passwd",
            "http://[::1/v1",
        ),
        *(
            f"http://user:{CANARY}@host:port/v1",
            f"http://user:{CANARY}@:1",
            f"http://{CANARY}@[::1/v1",
            f"//u:{CANARY}@host",
        ),
        f"http://user:{CANARY}@host:99999/v1",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_quoted(odd: str) -> None:
    for kind in (OpenAIProvider, AnthropicProvider):
        with pytest.raises(ValueError, match="address must be a URL such as") as caught:
            kind(base_url=odd)
        assert CANARY not in str(caught.value) and caught.value.__cause__ is None


@given(
    user=st.text(min_size=1),
    password=st.text(min_size=8),
    query=st.text(min_size=8),
    path=st.sampled_from(["", "/", "/v1", "/a/b"]),
)
def test_what_may_be_shown_holds_nothing_else(user: str, password: str, query: str, path: str) -> None:
    user, password, query = (
        urllib.parse.quote(f"{CANARY}{part}", safe="", errors="replace") for part in (user, password, query)
    )
    url = f"https://{user}:{password}@host:8000{path}?key={query}#{query}"
    address = Address.of(url)
    assert address.public == public_url(url) == f"https://host:8000{path}" and CANARY not in repr(address)
    assert without_credentials({"a": [url, "text", 5]}) == {"a": [address.public, "text", 5]}
    assert CANARY not in redact(f"Cannot reach {url}, says {url!r}")


FORMS = """x-api-key: @|'x-api-key': '@'|{"api_key": "@"}|API_KEY=@|b'api-key', b'@'|authorization: bearer @
password: @|hf_@|ghp_@|AIza@|xai-@"""


@pytest.mark.parametrize("form", re.split(r"[|\n]", FORMS))
def test_a_key_that_is_not_known_here_is_known_by_its_form(form: str) -> None:
    for around in ("{}", "401 for {} here", "[{}, 'x': 1]"):
        text = redact(around.format(form.replace("@", "aB3dEfGh1jKlMnOp")))
        assert "aB3dEfGh1jKlMnOp" not in text and redact(text) == text


@pytest.mark.parametrize(
    "words", ["api_key: required", "set api_key=... first", "Basic", "a token: 512 of 1024", "hf_hub"]
)
def test_words_about_keys_stay(words: str) -> None:
    assert redact(words) == words


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://host", "http://[::1]:8000/v1/", "HTTP://Host/V1"])
def test_an_address_without_secrets_stays_to_the_letter(url: str) -> None:
    assert public_url(url) == url and OpenAIProvider(base_url=url).fingerprint()["base_url"] == url


def test_a_record_of_an_older_version_is_gone_on_with(server: Any, tmp_path: Path) -> None:
    """It holds the whole address; the message about another run does not."""
    record, url = tmp_path / "run.jsonl", with_canaries(f"{server.url}/v1")
    samples = [QA(id="q", body="x", ideal_answers=["x"])]
    options: dict[str, Any] = {"model": "m", "resume_path": record, "progress": False}
    run_samples(samples, OpenAIProvider(base_url=url), **options)
    header, *rows = record.read_text().splitlines(keepends=True)
    record.write_text(header.replace(f"{server.url}/v1", url) + "".join(rows))
    assert CANARY in record.read_text()
    run_samples(samples, OpenAIProvider(base_url=url), **options)
    assert len(server.log) == 1
    with pytest.raises(ValueError, match="is the record of another run") as caught:
        run_samples(samples, OpenAIProvider(base_url=with_canaries("http://other/v1")), **options)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("odd", ["\n", "\r\n", " ", "\x00", "ä", "\ud800"])
def test_a_key_that_no_header_holds_is_refused_without_being_quoted(
    odd: str, server: Any, openai_url: str, anthropic_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, name in ((OpenAIProvider, "OPENAI_API_KEY"), (AnthropicProvider, "ANTHROPIC_API_KEY")):
        provider = kind(base_url=server.url, api_key=f"{CANARY}{odd}")
        if odd not in ("\x00", "\ud800"):  # these no environment holds
            monkeypatch.setenv(name, f"{CANARY}{odd}")
            with pytest.raises(ValueError, match=f"{name} is no key") as caught:
                kind().execute("claude-opus-5", TEXT)
            assert CANARY not in str(caught.value)
        with pytest.raises(ValueError, match="api_key is no key") as caught:
            provider.execute("m", TEXT)
        assert CANARY not in str(caught.value)
    assert server.log == []


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_what_names_the_vendors_account_is_sent_to_no_other_server(
    server: Any, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, path = {"openai": (OpenAIProvider, "/v1"), "anthropic": (AnthropicProvider, "")}[vendor]
    for name in ("API_KEY", "AUTH_TOKEN", "ORG_ID", "PROJECT_ID", "ADMIN_KEY"):
        monkeypatch.setenv(f"{vendor.upper()}_{name}", f"{CANARY}-{name}")
    for more in ("odd", f"Authorization: Bearer {CANARY}", f"AUTHORIZATION: {CANARY}", f"x-api-key: {CANARY}"):
        monkeypatch.setenv(f"{vendor.upper()}_CUSTOM_HEADERS", f"x-gateway: {CANARY}\n{more}")
        server.script()
        kind(base_url=f"{server.url}{path}").execute("claude-m", TEXT)
        kind(base_url=f"{server.url}{path}", api_key="their-own-key").execute("claude-m", TEXT)
        assert CANARY not in json.dumps(server.log)
        assert server.log[1]["authorization"] == "Bearer their-own-key"
    monkeypatch.setenv(f"{vendor.upper()}_BASE_URL", f"{server.url}{path}")  # whose headers these are
    kind().execute("claude-opus-5", TEXT)
    assert server.log[2]["headers"]["x-gateway"] == CANARY
