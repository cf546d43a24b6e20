"""What differs from station to station, and which station an MN is.

The profile of a station says what its logger does otherwise than the standard. Nothing of it is guessed: a station of
which nothing is said is read as the standard says.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

from ingest.hj212.crc import CrcName
from rules.readings import FLAG_LETTERS, EquipmentFlag

Edition = Literal["2005", "2017", "2025", "surface_water"]
Encoding = Literal["utf-8", "gbk"]
Flags = Mapping[str, EquipmentFlag]

AIR_STATION = "22"
EQUIPMENT = re.compile(r"SB\d{1,4}", re.ASCII)  # pumps and fans of a treatment plant, by number
# 2005 has P, power failure, and no B; air stations of that time send digits.
FLAGS_2005: Flags = {**FLAG_LETTERS, "P": EquipmentFlag.STOPPED}
AIR_DIGITS: Flags = {
    "0": EquipmentFlag.CALIBRATION,
    "1": EquipmentFlag.UNKNOWN,  # because of the weather
    "2": EquipmentFlag.UNKNOWN,  # abnormal, and nobody says how
    "3": EquipmentFlag.NORMAL,
}


@dataclass(frozen=True, slots=True)
class Profile:
    """How one station speaks.

    `station` is its id in the register, "" where it has no entry: then its MN in capitals is its id. `checks` are taken
    beside that of the standard. `key` is that of SM4. `flags` replace the letters of the standard. `codes` are its own
    names of parameters. `factors` say how many of our units one of the wire's is. Of `converted` parameters the value
    is the one converted to the reference oxygen content.
    """

    station: str = ""
    edition: Edition | None = None
    password: str | None = field(default=None, repr=False)
    checks: tuple[CrcName, ...] = ()
    key: bytes | None = field(default=None, repr=False)
    encoding: Encoding = "utf-8"
    flags: Flags | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, Fraction] = field(default_factory=dict)
    converted: Collection[str] = frozenset()

    def flags_of(self, edition: Edition, st: str) -> Flags:
        """What the flags of a frame mean."""
        if self.flags is not None:
            return self.flags
        letters = FLAGS_2005 if edition == "2005" else FLAG_LETTERS
        return {**letters, **AIR_DIGITS} if st == AIR_STATION else letters


PLAIN = Profile()


class Stations:
    """Profiles by MN, whose letters count the same large and small; and which codes there are.

    `codes`: those of 2005 to today's. `known`: all of the catalogue, in which x stands for a digit; none: all are.
    """

    def __init__(
        self,
        profiles: Mapping[str, Profile] | None = None,
        codes: Mapping[str, str] | None = None,
        known: Collection[str] = (),
    ) -> None:
        self._profiles = {mn.upper(): profile for mn, profile in (profiles or {}).items()}
        self._codes = dict(codes or {})
        self._known = frozenset(known)

    def profile(self, mn: str) -> Profile:
        return self._profiles.get(mn.upper(), PLAIN)

    def code(self, sent: str, profile: Profile) -> str:
        """The code under which a parameter is kept, whatever the edition in which it was sent."""
        named = profile.codes.get(sent, sent)
        return self._codes.get(named, named)

    def knows(self, code: str) -> bool:
        names = (code, f"{code[:-1]}x", f"{code[:-2]}xx")
        return not self._known or EQUIPMENT.fullmatch(code) is not None or not self._known.isdisjoint(names)

    @staticmethod
    def id_of(mn: str, profile: Profile) -> str:
        return profile.station or mn.upper()
