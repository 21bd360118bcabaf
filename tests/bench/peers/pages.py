"""The server that every peer reads: so many nested records in pages of 100, made before the first request.

`python -m tests.bench.peers.pages 10000` prints its port and serves until its input ends. It speaks the open relay log
interface; a peer that knows nothing of it follows `next` and takes `records`.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.bench.bench_mapping import record

PAGE = 100


def page(start: int, count: int) -> bytes:
    """Return one page as bytes: `records`, `next`, `total`, `complete`."""
    stop = min(start + PAGE, count)
    records = [{"id": f"r{number}", "version": "1", "body": one(number)} for number in range(start, stop)]
    last = stop == count
    answer = {"records": records, "next": None if last else str(stop), "total": count, "complete": last}
    return json.dumps(answer).encode()


def one(number: int) -> dict[str, object]:
    """Return a record of 45 leaves with an id of its own."""
    tree = record()
    logg = tree["logg"]
    assert isinstance(logg, dict)
    logg["id"] = f"r{number}"
    return tree


def main() -> None:
    """Serve until standard input ends."""
    count = int(sys.argv[1])
    pages = {str(start): page(start, count) for start in range(0, count, PAGE)}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer

        def do_GET(self) -> None:
            body = pages[parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0]]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
