"""How a simulated data logger speaks HJ 212, in any edition.

Written from the standards alone, with a check of its own, so that the reader on the other side has a witness.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from rules.readings import Kind
from simulators.samples import Sample

Edition = Literal["2005", "2017", "2025", "surface_water"]
Fields = Mapping[str, str]  # by suffix, such as Rtd or Flag
Check = Literal["standard", "lower", "unpadded", "modbus"]
EPOCH, BEIJING = datetime(1970, 1, 1, tzinfo=UTC), timedelta(hours=8)
VERSION: Mapping[Edition, int] = {"2005": 0, "2017": 1, "2025": 2, "surface_water": 2}
COMMAND: Mapping[Kind, str] = {Kind.REALTIME: "2011", Kind.MINUTE: "2051", Kind.HOUR: "2061", Kind.DAY: "2031"}
MOST_DATA = 1024
MODBUS_START = 0xFFFF


@dataclass(frozen=True, slots=True)
class Logger:
    """A data logger. `codes`: what it calls a parameter, where that is not today's code.

    Of `converted` parameters it says the value at the reference oxygen content. `check`: how it writes its check; some
    write it in small letters, without leading zeros, or take MODBUS for it.
    """

    mn: str
    st: str = "32"
    edition: Edition = "2017"
    password: str = "123456"  # noqa: S105  # every example of the standard has it
    answers: bool = True  # it wants one
    flagged: bool = True  # it says N, too
    encoding: str = "utf-8"
    codes: Mapping[str, str] | None = None
    key: bytes | None = None  # of SM4
    converted: Collection[str] = ()
    check: Check = "standard"
    most_data: int = MOST_DATA  # bytes of data in a frame, before it splits them


@dataclass(frozen=True, slots=True)
class Upload:
    """What is said. `items`: fields by parameter; `measured_ns` becomes DataTime, `sent_ns` the QN.

    `qn`: that of the request to which it is the answer.
    """

    cn: str
    sent_ns: int
    measured_ns: int | None = None
    items: Sequence[tuple[str, Fields]] = ()
    params: Sequence[tuple[str, str]] = ()
    again: bool = False  # 2025: sent once more
    qn: str = ""


def check(data: bytes) -> int:
    """The check of HJ 212, bit by bit as the standard tells it."""
    register = MODBUS_START
    for byte in data:
        register = _eight_shifts((register >> 8) ^ byte)
    return register


def modbus(data: bytes) -> int:
    """The check that some loggers take for it."""
    register = MODBUS_START
    for byte in data:
        register = _eight_shifts(register ^ byte)
    return register


def _eight_shifts(register: int) -> int:
    for _ in range(8):
        fell = register & 1
        register >>= 1
        if fell:
            register ^= 0xA001
    return register


def beijing(time_ns: int, *, milliseconds: bool = False) -> str:
    """YYYYMMDDhhmmss in Beijing."""
    local = EPOCH + timedelta(microseconds=time_ns // 1000) + BEIJING
    return local.strftime("%Y%m%d%H%M%S") + (f"{local.microsecond // 1000:03}" if milliseconds else "")


def wire(data: bytes, *, proof: int | None = None, clear: bytes | None = None, form: str = "04X") -> bytes:
    """A frame around a data segment; `proof` stands in for its check, `clear` is what is checked instead of it."""
    said = check(clear or data) if proof is None else proof
    return b"##" + str(len(data)).zfill(4).encode() + data + f"{said:{form}}".encode() + b"\r\n"


def framed(logger: Logger, upload: Upload) -> bytes:
    """The upload in one frame, however long it is."""
    return _sent(logger, _segment(logger, upload, upload.items, None))


def packets(logger: Logger, upload: Upload) -> list[bytes]:
    """The upload in as many frames as the standard asks for: whole items, DataTime in each."""
    alone = _segment(logger, upload, upload.items, None)
    if len(alone) <= logger.most_data:
        return [_sent(logger, alone)]
    groups: list[list[tuple[str, Fields]]] = [[]]
    for item in upload.items:
        longer = _segment(logger, upload, [*groups[-1], item], (99, 99))
        if len(longer) > logger.most_data and groups[-1]:
            groups.append([])
        groups[-1].append(item)
    return [
        _sent(logger, _segment(logger, upload, group, (number, len(groups)))) for number, group in enumerate(groups, 1)
    ]


def spoken(logger: Logger, sample: Sample, decimals: Mapping[str, int]) -> list[bytes]:
    """A sample as frames."""
    return packets(
        logger,
        Upload(COMMAND[sample.kind], sample.sent_ns, sample.measured_ns, items_of(logger, sample, decimals)),
    )


def items_of(logger: Logger, sample: Sample, decimals: Mapping[str, int]) -> list[tuple[str, Fields]]:
    """The fields of each parameter. A missing value is sent as its flag alone, B where it has none."""
    suffix = "Rtd" if sample.kind == Kind.REALTIME else "Avg"
    items: list[tuple[str, Fields]] = []
    for parameter, value in sample.values.items():
        flag = sample.flags.get(parameter, "N" if value is not None else "B")
        name = f"Zs{suffix}" if parameter in logger.converted else suffix
        fields = {} if value is None else {name: f"{value:.{decimals[parameter]}f}"}
        if logger.flagged or flag != "N":
            fields["Flag"] = flag
        items.append((parameter, fields))
    return items


def _segment(
    logger: Logger, upload: Upload, items: Sequence[tuple[str, Fields]], packet: tuple[int, int] | None
) -> bytes:
    # Packets of 2005 share one QN, later ones have each their own.
    later_ns = (packet[0] - 1) * 1_000_000 if packet and logger.edition != "2005" else 0
    qn = upload.qn or beijing(upload.sent_ns + later_ns, milliseconds=True)
    flag = VERSION[logger.edition] << 2 | bool(packet) << 1 | logger.answers
    numbers = f"PNUM={packet[1]};PNO={packet[0]};" if packet else ""
    head = (
        f"QN={qn};ST={logger.st};CN={upload.cn};"
        f"PW={logger.password};MN={logger.mn};Flag={flag};{numbers}{'RF=1;' if upload.again else ''}"
    )
    said = [f"{name}={text}" for name, text in upload.params]
    if upload.measured_ns is not None:
        said.insert(0, f"DataTime={beijing(upload.measured_ns)}")
    names = logger.codes or {}
    for code, fields in items:
        said.append(",".join(f"{names.get(code, code)}-{suffix}={text}" for suffix, text in fields.items()))
    return (head + "CP=&&" + ";".join(said) + "&&").encode(logger.encoding)


def _sent(logger: Logger, data: bytes) -> bytes:
    """The frame; with a key its data are encrypted, and the check stays that of the clear ones."""
    proof = modbus(data) if logger.check == "modbus" else None
    form = {"lower": "04x", "unpadded": "X"}.get(logger.check, "04X")
    if logger.key is None:
        return wire(data, proof=proof, form=form)
    start = data.index(b"CP=&&") + len(b"CP=&&")
    blocks = data[start:-2]
    whole = len(blocks) // 16 * 16
    sealed = Cipher(SM4(logger.key), modes.ECB()).encryptor().update(blocks[:whole])  # noqa: S305  # the standard's way
    return wire(data[:start] + sealed + blocks[whole:] + b"&&", proof=proof, clear=data, form=form)
