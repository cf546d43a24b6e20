"""From frames of HJ 212 to columns, beside the same readings as json_v1."""

from ingest.batching import BatchBuilder
from ingest.formats.hj212 import Hj212
from rules.readings import SECOND_NS
from simulators.hj212 import Logger, Upload, framed
from tests.bench.decode import Decode, Places, decode_us, ours
from tests.bench.messages import PLAN, READINGS, STATIONS, messages
from tests.bench.table import Aim, Effort, Row

MOST_TIMES_JSON = 2.0
MN = "A1B2C3D4E5F60718293A"


def frames(count: int) -> list[tuple[str, bytes]]:
    """Real-time uploads of 2017 with a flag a reading, some 430 bytes each; one of each station in turn."""
    sent = []
    for number in range(count):
        station, turn = number % STATIONS, number // STATIONS
        at_ns = PLAN.start_ns + turn * SECOND_NS
        items = [
            (f"w{21_000 + column}", {"Rtd": f"{(number * 7 + column * 13) % 9_973 / 100:.2f}", "Flag": "N"})
            for column in range(READINGS)
        ]
        logger = Logger(f"{MN}{station:04X}")
        sent.append((f"jianwei/hj212/{logger.mn}", framed(logger, Upload("2011", at_ns, at_ns, items))))
    return sent


def theirs() -> Decode:
    hj212 = Hj212()

    def decode(topic: str, payload: bytes, columns: BatchBuilder) -> None:
        assert not hj212.decode(topic, payload, columns)

    return decode


def rows(effort: Effort) -> list[Row]:
    count = effort.of(20_000, 4_000)
    said, sent = frames(count), messages(count)
    codec, codec_columns, json_v1, json_columns = theirs(), BatchBuilder(Places()), ours(), BatchBuilder(Places())
    for _ in range(2):  # every layout is met, and met again
        decode_us(codec, codec_columns, said[:STATIONS])
    decode_us(json_v1, json_columns, sent[:STATIONS])
    mine, other = effort.medians(
        lambda: decode_us(codec, codec_columns, said), lambda: decode_us(json_v1, json_columns, sent), repeats=5
    )
    aim = Aim("ratio", 1 / MOST_TIMES_JSON, most=False)
    return [Row("decode hj212 into columns", mine, "us a frame", "the same ten readings as json_v1", other, aim)]
