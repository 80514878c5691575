"""Downloads: verified by SHA-256, limited in size, and resumed after an interruption."""

import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.files import sha256, sync_folder

Progress = Callable[[int, int | None], None]
"""Called with the bytes there so far (those of an earlier try included) and the size of the whole, where it is known."""

CHUNK = 1 << 18  # bytes read at a time, so also how often `progress` is called


LONGEST_REASON = 300
"""Characters of a reason that are shown."""


class DownloadError(RuntimeError):
    """A download failed. The message says why, and how to get the file manually."""


def download(
    url: str,
    path: Path,
    *,
    digest: str,
    size_limit: int,
    progress: Progress | None = None,
    timeout: float = 30.0,
) -> Path:
    """Bring `url` to `path`, unless a file with this SHA-256 is there already, and give `path` back.

    Proxy settings (`https_proxy` …) are honoured and redirects followed, never from https to plain http. What came so
    far is kept in a hidden `.NAME.part` beside `path`: a broken transfer goes on there, within this call as long as
    each try brings something, and in the next call. Two processes that want the same file take turns.

    Args:
        digest: the SHA-256 of the file, 64 hexadecimal digits; a file that differs is never put in place.
        size_limit: the most bytes to accept, so that a wrong address cannot fill the disk.
        timeout: seconds without a single byte after which the connection counts as broken.

    Raises:
        DownloadError: the address cannot be reached, answers with an error, breaks off, sends too much or another file.
        ValueError: the address is not http(s), or `digest` is no SHA-256.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"a download's address begins with https:// or http://, not {url!r}")
    digest = digest.lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ValueError(f"a SHA-256 is 64 hexadecimal digits, not {digest!r}")
    if path.is_file() and sha256(path) == digest:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with _open_locked(part) as file:
            try:
                if path.is_file() and sha256(path) == digest:  # another process brought it while we waited
                    part.unlink()
                    return path
                _fetch(url, file, digest, size_limit, progress or (lambda received, total: None), timeout)
                os.fsync(file.fileno())
                part.replace(path)
                sync_folder(path.parent)
            except (_Refused, OSError, http.client.HTTPException) as error:
                if isinstance(error, _Refused) or _size(file) == 0:
                    part.unlink(missing_ok=True)
                raise
    except (_Refused, OSError, http.client.HTTPException) as error:
        raise DownloadError(
            f"cannot download {url}: {reason(error)}.\n"
            f"Try again, or copy the file manually to {path} (its SHA-256 must be {digest})."
        ) from error
    return path


class _Refused(Exception):
    """The received data is wrong; none of it is kept."""


class _Broken(OSError):
    """The transfer was interrupted; the received data is kept."""


def _fetch(url: str, file: BufferedRandom, digest: str, size_limit: int, progress: Progress, timeout: float) -> None:
    """Fill `file`, from where an earlier try left it, until it is the file that was asked for."""
    continued = _size(file) > 0
    while True:
        before = _size(file)
        try:
            _transfer(url, file, size_limit, progress, timeout)
        except (OSError, http.client.HTTPException):
            if _size(file) <= before:
                raise
            continue
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == digest:
            return
        if not continued:
            raise _Refused(f"its SHA-256 is {found}: the file there is another one, or was damaged on its way")
        continued = False  # the piece kept from an earlier call may be of another file: once more, from the start
        file.truncate(0)


def _transfer(url: str, file: BufferedRandom, size_limit: int, progress: Progress, timeout: float) -> None:
    """One connection: append what is missing, or start over where the server cannot continue."""
    start = _size(file)
    headers = {"User-Agent": "gpt_from_scratch", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = urllib.request.build_opener(_KeepHttps)
    try:
        response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # nothing is missing, or the piece is of another file: the digest tells
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0
            file.truncate(0)
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _Refused(f"it was asked for the bytes from {start} on and sent {response.headers['Content-Range']!r}")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdecimal() else None
        if total is not None and total > size_limit:
            raise _Refused(f"it is {total:,} bytes long; at most {size_limit:,} were expected")
        received = start
        progress(received, total)
        try:
            while chunk := response.read1(CHUNK):
                received += len(chunk)
                if received > size_limit:
                    raise _Refused(f"more than the {size_limit:,} bytes came that were expected at most")
                file.write(chunk)
                progress(received, total)
        finally:
            file.flush()
        if total is not None and received < total:
            raise _Broken(f"the connection broke after {received:,} of {total:,} bytes; the next try continues there")


class _KeepHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            raise _Refused(f"it redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_locked(part: Path) -> BufferedRandom:
    """`part`, open for appending and ours alone; opened anew where its last owner moved it into its place meanwhile.

    A link is not followed: what comes would be written into whatever file it leads to.
    """
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666), "a+b")
        if os.fstat(file.fileno()).st_nlink > 1:
            file.close()
            raise _Refused(f"{part} is another name of a file that lies elsewhere: remove it")
        fcntl.flock(file, fcntl.LOCK_EX)
        if part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
            return file
        file.close()


def _size(file: BufferedRandom) -> int:
    return os.fstat(file.fileno()).st_size


def reason(error: BaseException) -> str:
    """Why a transfer failed, in a few words: the innermost cause, where a library has put its own names around it."""
    while (cause := error.__cause__ or error.__context__) is not None and not isinstance(error, urllib.error.URLError):
        error = cause
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."
