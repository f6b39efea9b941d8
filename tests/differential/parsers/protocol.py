"""What the parsers in Python share: requests come on the standard input, and one byte for each request is the answer."""

import io
import json
import struct
import sys
from urllib.parse import unquote_to_bytes

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"


def is_grant(value):
    """Whether a value, or any part of it, is the grant for a server that ignores letter case and white space."""
    if isinstance(value, str):
        return value.strip().lower() == GRANT
    if isinstance(value, (list, tuple)):
        return any(is_grant(element) for element in value)
    if isinstance(value, dict):
        return any(is_grant(element) for element in value.values())
    return False


def json_has_grant(body):
    # An error is slow. The first byte of UTF-16 and of UTF-32 can be a NUL.
    if body.lstrip(b" \t\r\n\0\xef\xbb\xbf\xfe\xff")[:1] != b"{":
        return False
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and is_grant(value.get("grant_type"))


def split(request):
    """The method, the target, the headers and the body of a request."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    return method, target, [tuple(line.split(": ", 1)) for line in lines], body


def wsgi_environment(request):
    """A request as WSGI servers give it to a program (PEP 3333)."""
    method, target, headers, body = split(request)
    path, _, query = target.partition("?")
    environment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "as.example",
        "SERVER_NAME": "as.example",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environment[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    return environment, body


def answer(name, has_grant):
    """Answers every batch of requests, one request after the other, until the input ends."""
    answer_batches(name, lambda requests: map(has_grant, requests))


def answer_batches(name, have_grant):
    """Answers every batch of requests, until the input ends."""
    print(name, flush=True)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while count := source.read(4):
        requests = [source.read(*struct.unpack("<I", source.read(4))) for _ in range(*struct.unpack("<I", count))]
        sink.write(bytes(b"01"[bool(has_grant)] for has_grant in have_grant(requests)))
        sink.flush()
