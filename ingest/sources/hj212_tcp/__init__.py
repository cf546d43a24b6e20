"""The port for data loggers of HJ 212: `line` is one connection, `port` all of them, `source` lives long.

`speakers` says who may speak, `refusals` tells who may not, `inbox` counts what is not durable, `clocks` watches clocks.
"""

from ingest.sources.hj212_tcp.settings import Hj212TcpSourceSettings
from ingest.sources.hj212_tcp.source import Hj212TcpSource

__all__ = ["Hj212TcpSource", "Hj212TcpSourceSettings"]
