"""PHP: php-cgi reads the query, the body and the cookies of each request. This file speaks FastCGI with php-cgi."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

from protocol import answer_batches, split

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
# The number of requests that are sent before the first answer is read. They fit into the buffer of a socket.
AHEAD = 50


def record(kind, content):
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def encoded(name, value):
    lengths = [struct.pack(">I", len(text) | 1 << 31) if len(text) > 127 else bytes([len(text)]) for text in (name, value)]
    return b"".join(lengths) + name + value


def message(request):
    method, target, headers, body = split(request)
    variables = {
        "SCRIPT_FILENAME": os.path.join(HERE, "parser.php"),
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "QUERY_STRING": target.partition("?")[2],
        "CONTENT_LENGTH": str(len(body)),
        "REDIRECT_STATUS": "200",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        variables[key if key == "CONTENT_TYPE" else "HTTP_" + key] = value
    params = b"".join(encoded(name.encode(), value.encode("latin-1")) for name, value in variables.items())
    # 1 is the role of a responder, and the flag that keeps the connection.
    parts = [record(BEGIN, struct.pack(">HB5x", 1, 1)), record(PARAMS, params), record(PARAMS, b"")]
    if body:
        parts.append(record(STDIN, body))
    return b"".join(parts) + record(STDIN, b"")


def outcome(stream):
    output = b""
    while True:
        header = stream.read(8)
        if len(header) < 8:
            raise ConnectionResetError
        _, kind, _, length, padding = struct.unpack(">BBHHBx", header)
        content = stream.read(length + padding)[:length]
        if kind == STDOUT:
            output += content
        elif kind == END:
            return output.endswith(b"\n1")


def connect(path):
    for _ in range(100):
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            return connection
        except OSError:
            time.sleep(0.05)
    sys.exit("php-cgi does not listen")


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "socket")
    options = ["-d", "display_errors=0", "-d", "log_errors=0"]
    environment = {**os.environ, "PHP_FCGI_MAX_REQUESTS": "0", "PHP_FCGI_CHILDREN": "0"}
    version = subprocess.run([sys.argv[1], "-v"], capture_output=True, text=True, env=environment).stdout.split("\n")[0]
    server = subprocess.Popen([sys.argv[1], "-b", path, *options], env=environment)
    try:
        connection = connect(path)
        stream = connection.makefile("rb")

        def have_grant(requests):
            global connection, stream
            outcomes = []
            while len(outcomes) < len(requests):
                answered = len(outcomes)
                try:
                    ahead = requests[answered : answered + AHEAD]
                    connection.sendall(b"".join(map(message, ahead)))
                    for _ in ahead:
                        outcomes.append(outcome(stream))
                except (BrokenPipeError, ConnectionResetError):
                    # PHP ends a connection after a request whose body PHP did not read to its end.
                    connection = connect(path)
                    stream = connection.makefile("rb")
                    if len(outcomes) == answered:
                        connection.sendall(message(requests[answered]))
                        outcomes.append(outcome(stream))
            return outcomes

        answer_batches(version.split(" (")[0], have_grant)
    finally:
        server.kill()
