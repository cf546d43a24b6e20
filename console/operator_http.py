"""The operator's port: metrics and health. It reads, and writes nothing.

/metrics        Prometheus text
/health/live    200 while the process answers
/health/ready   200 when every part is well, 503 otherwise; JSON with each part's word
"""

import json
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

JSON = "application/json; charset=utf-8"
SILENT_CLIENT_S = 10.0


class PartHealth(Protocol):
    """What a part says of itself."""

    @property
    def ok(self) -> bool: ...

    @property
    def why(self) -> str: ...


def application(registry: CollectorRegistry, health: Callable[[], Mapping[str, PartHealth]]) -> WSGIApplication:
    """The WSGI application. `health` is asked at every call of /health/ready and before /metrics is read."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        method = environ.get("REQUEST_METHOD")
        if method in {"GET", "HEAD"}:
            status, kind, body = page(environ.get("PATH_INFO", ""))
        else:
            status, kind, body = "405 Method Not Allowed", JSON, _dumped({"error": "this port only reads: GET, HEAD"})
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
        return [] if method == "HEAD" else [body]

    def page(path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            health()
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(registry)
        if path == "/health/live":
            return "200 OK", JSON, _dumped({"live": True})
        if path == "/health/ready":
            parts = health()
            ready = all(part.ok for part in parts.values())
            content = {"ready": ready, "parts": {name: {"ok": p.ok, "why": p.why} for name, p in parts.items()}}
            return "200 OK" if ready else "503 Service Unavailable", JSON, _dumped(content)
        return "404 Not Found", JSON, _dumped({"error": "try /metrics, /health/live or /health/ready"})

    return answer


class OperatorPort:
    """Serves the application on `host`:`port` (0: any free one) in threads of its own. Raises OSError."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, health: Callable[[], Mapping[str, PartHealth]]
    ) -> None:
        try:
            self._server = make_server(host, port, application(registry, health), _Server, _Request)
        except OSError as error:
            why = f"the operator's port {host}:{port} cannot be had: {error.strerror}; name another in [http]"
            raise OSError(error.errno, why) from error
        self._thread = Thread(target=self._server.serve_forever, args=(0.2,), name="http", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: a slow reader holds up nobody."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or said nothing is no news; mistakes of the application are told by wsgiref."""


class _Request(WSGIRequestHandler):
    timeout = SILENT_CLIENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is given by the library
        """A look at the health is no news."""


def _dumped(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
