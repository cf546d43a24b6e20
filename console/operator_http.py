"""The operator's port: metrics and health. It reads, and writes nothing.

/metrics        Prometheus text
/health/live    200 while the process answers
/health/ready   200 when every part is well, 503 otherwise; JSON with each part's word
"""

import json
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any, Protocol
from wsgiref.simple_server import WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, _SilentHandler

JSON = [("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store")]


class PartHealth(Protocol):
    """What a part says of itself."""

    @property
    def ok(self) -> bool: ...

    @property
    def why(self) -> str: ...


def application(registry: CollectorRegistry, health: Callable[[], Mapping[str, PartHealth]]) -> Any:
    """The WSGI application. `health` is asked at every call of /health/ready and before /metrics is read."""
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _reply(start, "405 Method Not Allowed", {"error": "this port only reads"})
        if path == "/metrics":
            health()
            return metrics(environ, start)  # type: ignore[no-any-return]  # the library types its application as Any
        if path == "/health/live":
            return _reply(start, "200 OK", {"live": True})
        if path == "/health/ready":
            parts = health()
            ready = all(part.ok for part in parts.values())
            content = {"ready": ready, "parts": {name: {"ok": p.ok, "why": p.why} for name, p in parts.items()}}
            return _reply(start, "200 OK" if ready else "503 Service Unavailable", content)
        return _reply(start, "404 Not Found", {"error": "try /metrics, /health/live or /health/ready"})

    return answer


class OperatorPort:
    """Serves the application on `host`:`port` (0: any free one) in threads of its own."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, health: Callable[[], Mapping[str, PartHealth]]
    ) -> None:
        self._server: WSGIServer = make_server(
            host, port, application(registry, health), ThreadingWSGIServer, handler_class=_SilentHandler
        )
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


def _reply(start: StartResponse, status: str, content: Mapping[str, Any]) -> Iterable[bytes]:
    start(status, JSON)
    return [json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"]
