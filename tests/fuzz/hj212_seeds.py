"""Inputs to begin with: every frame of the vectors, as it stands and as a data segment, and what answers requests."""

import json
from pathlib import Path

from ingest.hj212.times import MILLISECOND_NS, written_qn
from tests.fuzz.hj212_trial import SEALED, SEGMENTS
from tests.ingest.hj212_speaking import MN, NOW_NS

VECTORS = Path(__file__).parents[1] / "ingest" / "hj212_vectors.jsonl"
QNS = [written_qn(NOW_NS + number * MILLISECOND_NS).encode() for number in range(3)]
HEAD = b"ST=32;CN=%b;PW=123456;MN=" + MN.encode() + b";Flag=%d;"
# Words that a change may put in.
WORDS = [
    *b"## ##0100 CP=&& && ; , = // =// //; {0x QN= ST= CN= PW= Flag=9; Flag=3;PNUM=2;PNO=1; RF=1;".split(),
    *b"DataTime=20260512080000; w01018-Rtd=1.5,w01018-Flag=N; -Rtd= -Avg= -Flag= -ZsAvg= -Info= -EFlag=".split(),
    *b"-SampleTime=20260512080000 w01018 a21026 w00000 S01 011 SB1-RS 2011 2051 2061 2031 3020 9015".split(),
    *b"9011 9012 9013 QnRtn=1 ExeRtn=1 ExeRtn=100 SystemTime=20260512080000 1e308 NaN - . +".split(),
    *(b"\r\n", b"\0", b"\xff", b"\xd6\xd0", b"\xe4\xb8\xad", b"9" * 24, b"9" * 25, b"MN=" + MN.encode()),
    *(b"QN=" + qn + b";" for qn in QNS),
]
# What looks like a plain number and is none, or is not kept as it stands.
SAID = (
    *(b"w01018-EFlag=5", b"w01018-SampleTime=20260512080000", b"i12001-Info=5", b"w01018-Rtd=41.7", b"w01018-Flag=D"),
    *(
        b"w00000-Rtd=5",
        b"a21026-ZsRtd=5",
        b"S01-Rtd=5",
        b"011-Rtd=5",
        b"w01018-Flag=",
        b"w01018-Flag=#",
        b"a21026-Flag=D",
    ),
)


def seeds() -> list[bytes]:
    """Each begins with what it is; see `hj212_trial`."""
    frames = [json.loads(line)["frame"].encode("latin-1") for line in VECTORS.read_text("utf-8").strip().split("\n")]
    segments = [frame[6:-6] for frame in frames if frame.startswith(b"##") and frame.endswith(b"\r\n")]
    upload = (
        b"QN=20260512080500123;" + HEAD + b"CP=&&DataTime=20260512080000;w01018-Rtd=41.7,w01018-Flag=N;a21026-Rtd=1&&"
    )
    answers = [
        HEAD % (cn, 4) + b"CP=&&%b&&" % said
        for cn, said in ((b"9011", b"QnRtn=1"), (b"9012", b"ExeRtn=1"), (b"9013", b""))
    ]
    talk = b"\0".join([upload % (b"2061", 5), *[b"QN=%b;" % qn + said for qn in QNS for said in answers]])
    packets = [upload.replace(b"CP=", b"PNUM=2;PNO=%d;CP=") % (b"2061", 3, number) for number in (2, 1)]
    found = [(which, frame) for which in (0, 3) for frame in [*frames, b"".join(frames[:9])]]
    found += [(which | SEGMENTS, segment) for which in range(4) for segment in [*segments, talk]]
    found += [(2 | SEALED, segment) for segment in segments if b"CP=&&" in segment]
    found += [
        (which | SEGMENTS, upload.replace(b"a21026-Rtd=1", said) % (b"2011", 5)) for which in range(4) for said in SAID
    ]
    found += [(SEGMENTS, b"\0".join(packets).replace(b"DataTime=20260512080000;", b"", 1))]
    # Read in pieces, or three times by the format.
    return [bytes((what, turn, number & 255)) + rest for number, (what, rest) in enumerate(found) for turn in (1, 2)]
