"""Makes buckets that are missing, by the official client."""

from collections.abc import Iterable

from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from ingest.stores.influxdb.connection import Unavailable, shortened
from ingest.stores.influxdb.settings import InfluxdbStoreSettings


def make_missing(settings: InfluxdbStoreSettings, names: Iterable[str]) -> list[str]:
    """The buckets that were made; they keep readings for ever. Raises Unavailable where it cannot be done."""
    try:
        with InfluxDBClient(
            url=settings.url,
            token=settings.secret(),
            org=settings.org,
            timeout=int(settings.timeout_s * 1_000),
            ssl_ca_cert=None if settings.ca is None else str(settings.ca),
        ) as client:
            buckets = client.buckets_api()
            missing = [name for name in sorted(set(names)) if buckets.find_bucket_by_name(name) is None]
            for name in missing:
                buckets.create_bucket(bucket_name=name, org=settings.org)
            return missing
    except ApiException as error:
        raise Unavailable(
            f"it cannot be made: {error.status} {shortened(str(error.message or error.reason))}"
        ) from error
    except (InfluxDBError, HTTPError, OSError, ValueError) as error:
        raise Unavailable(f"it cannot be made: {shortened(str(error))}") from error
