"""Redaction of credentials in addresses, logs and messages."""

import base64
import dataclasses
import logging
import os
import re
import urllib.parse

BLANK = "[key]"
SHORTEST = 8
"""Minimum length of a secret; blanking shorter ones would remove normal words."""

_NAMES = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)S?$", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk|pk)-[\w*.-]{4,}"  # as vendors quote them in their errors
    r"|\b(?:xai-|gsk_|hf_|gh[oprsu]_|github_pat_|AIza|AKIA)[\w*-]{12,}"
    r"|(?<=Bearer )\S+|(?<=bearer )\S{8,}|(?<=Basic )[\w+/=-]{4,}"
    r"|(?<=://)[^\s/@'\"]+(?=@)"
    r"|(?<=[?&])(?i:[\w-]*(?:key|token|secret|password|signature|sig|auth|code)=)[^&\s'\"]+"
)
_FIELD = re.compile(  # of headers, JSON and reprs
    r"(?i:\b((?:[\w-]{1,20}[_-])?(?:api[_-]?key|access[_-]?token|auth[_-]?token|secret|password)[\"']?\s?[:=,]\s?b?[\"']?))"
    r"(?=[^\s\"',}]*\d)[^\s\"',}]{8,}"
)
_remembered: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Address:
    """A server's address, with its secret parts separated.

    public: scheme, host, port and path: what may be written and shown
    query: names and values; servers take keys there
    authorization: the value of the header that user and password stand for
    """

    public: str
    query: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    authorization: str | None = dataclasses.field(default=None, repr=False)
    secrets: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises ValueError, in which nothing of the address is quoted but its public part."""
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError(_WRONG) from None  # the cause quotes what may be a password
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError(_WRONG)
        userinfo, at, place = parts.netloc.rpartition("@")
        # An address without secrets stays as it was given, to the letter: it is part of records and cache keys.
        public = url if not (at or parts.query or parts.fragment) else f"{parts.scheme}://{place}{parts.path}"
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        user, password = (urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
        encoded = base64.b64encode(f"{user}:{password}".encode("utf-8", "replace")).decode()
        secrets = [value for name, value in query.items() if "version" not in name]
        if at:
            secrets += [password or user, encoded, userinfo.rpartition(":")[2]]
        del port  # reading it was the check
        authorization = f"Basic {encoded}" if at else None
        return cls(public, query, authorization, tuple(secret for secret in secrets if len(secret) >= SHORTEST))


_WRONG = (
    "a server's address must be a URL such as http://127.0.0.1:8000/v1: http:// or https://, a host, and a port that "
    "is a number"
)


def public_url(url: str | None) -> str | None:
    """The part of a URL that may be written; the empty text where it is none."""
    try:
        return url and Address.of(url).public
    except ValueError:
        return ""


def remember(*secrets: str | None) -> None:
    """Have `redact` blank these out wherever they stand."""
    _remembered.update(secret for secret in secrets if secret and len(secret) >= SHORTEST)


def blank(text: str, secrets: frozenset[str]) -> str:
    """`text` without any of `secrets`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, BLANK)
    return text


def redact(text: str) -> str:
    """Blank out the keys that are known here and what looks like one: vendors quote keys in their error messages."""
    named = {value.strip() for name, value in os.environ.items() if _NAMES.search(name)}
    named = {value for value in named if len(value) >= SHORTEST}
    return _FIELD.sub(rf"\1{BLANK}", _SHAPES.sub(BLANK, blank(text, frozenset(named | _remembered))))


class _Redacting(logging.Filter):
    """Lets every record pass, with its keys blanked out."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


_redacting = _Redacting()


def redact_logs(*names: str) -> None:
    """Have what these loggers write redacted: HTTP clients log whole addresses, the query with them."""
    for name in names:
        logging.getLogger(name).addFilter(_redacting)  # once, however often it is asked for


def without_credentials(value: object) -> object:
    """A JSON value in which every address is its public part: records of older versions hold whole ones."""
    if isinstance(value, dict):
        return {name: without_credentials(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_credentials(item) for item in value]
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return public_url(value)
    return value
