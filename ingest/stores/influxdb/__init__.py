"""The InfluxDB store.

`names` says how readings lie there, `line_protocol` writes them down, `connection` tells what an answer means, `writing`
finds what was refused, `reading` and `late_rows` ask, `store` is the whole.
"""

from ingest.stores.influxdb.settings import InfluxdbStoreSettings
from ingest.stores.influxdb.store import InfluxdbStore

__all__ = ["InfluxdbStore", "InfluxdbStoreSettings"]
