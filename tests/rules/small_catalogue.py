"""A catalogue small enough to be read whole, right as it stands; tests plant a defect in it and see what is told."""

from collections.abc import Mapping

from rules.index import Catalogue, CatalogueProblems
from rules.loading import load
from rules.register import load_stations

UNITS = """\
units:
  "mg/L": {zh: mg/L, en: mg/L, dimension: mass_concentration, factor: 1000}
  "ug/L": {zh: μg/L, en: μg/L, dimension: mass_concentration, factor: 1}
  "1": {zh: 无量纲, en: dimensionless, dimension: number, factor: 1}
  "degC": {zh: ℃, en: °C, dimension: celsius, factor: 1}
"""
PERIODS = """\
periods:
  "1h": {zh: 1小时平均, en: 1 h mean, judges: [hour]}
  "24h": {zh: 24小时平均, en: 24 h mean, judges: [day]}
  instant: {zh: 瞬时值, en: instant, judges: [realtime, minute, hour]}
"""
CONDITIONS = """\
conditions:
  river: {zh: 河流, en: river}
  lake_reservoir: {zh: 湖、库, en: lake or reservoir}
  warm: {zh: 水温较高, en: warm water}
"""
SOURCES = """\
sources:
  seen: "Read in the printed text."
"""
PARAMETERS = """\
parameters:
- {code: "w01001", zh: pH值, en: pH, unit: "1", format: "N2.2", media: [water], source: seen, multiple: false}
- {code: "w01009", zh: 溶解氧, en: Dissolved oxygen, unit: "mg/L", media: [water], source: seen, multiple: false}
- {code: "w21003", zh: 氨氮, en: Ammonia nitrogen, unit: "mg/L", media: [water], source: seen}
- {code: "w20115", zh: 镉, en: Cadmium, unit: "ug/L", media: [water], source: seen}
- {code: "w20143", zh: 溶解镉, en: Dissolved cadmium, unit: "ug/L", media: [water], source: seen}
"""
OLD = """\
family: River
standard: River 2000
edition: "2000"
title: {zh: 河流标准, en: River standard}
authority: general
medium: water
valid_from: 2000-01-01
valid_to: 2019-12-31
validity_mark: C
source: seen
classes:
  "I": {zh: "Ⅰ类", en: Class I}
  "II": {zh: "Ⅱ类", en: Class II}
limits:
- {id: A1, parameter: "w21003", class: "II", period: instant, op: "<=", value: 2.0, unit: "mg/L", clause: t1, mark: C}
"""
NEW = """\
family: River
standard: River 2020
edition: "2020"
title: {zh: 河流标准, en: River standard}
authority: general
medium: water
valid_from: 2020-01-01
validity_mark: C
source: seen
classes:
  "I": {zh: "Ⅰ类", en: Class I}
  "II": {zh: "Ⅱ类", en: Class II}
limits:
- {id: B1, parameter: "w21003", class: "II", period: instant, op: "<=", value: 1.0, unit: "mg/L", clause: t1, mark: C}
- {id: B2, parameter: "w21003", class: "I", period: instant, op: "<=", value: 0.5, unit: "mg/L", clause: t1, mark: C}
- {id: B3, parameter: "w01009", class: "II", period: instant, op: ">=", value: 5, unit: "mg/L", clause: t1, mark: C}
- {id: B4, parameter: "w01001", class: all, period: instant, op: between, value: [6, 9], unit: "1", clause: t1, mark: C}
- {id: B5, parameter: "w20115", also: ["w20143"], class: all, period: "24h", op: "<=", value: 0.005, unit: "mg/L", clause: t2, mark: R}
"""
TOWN = """\
family: Town
standard: Town rules
edition: "1"
title: {zh: 镇规, en: Town rules}
authority: local
medium: water
valid_from: null
validity_mark: R
source: seen
classes:
  "park": {zh: 公园, en: Park}
limits:
- {id: C1, parameter: "w21003", class: park, period: instant, op: "<=", value: 1.2, unit: "mg/L", clause: "3", mark: P, conditions: [warm]}
"""
STATION_TYPE = """\
station_type: brook
name: {zh: 溪流站, en: Brook}
systems: [1]
medium: water
standards:
  - {family: River, class: "II"}
  - {family: Town}
water_body: river
feeds:
  hour: {interval_s: 3600, parameters: ["w01001", "w21003"]}
"""
RULE = """\
rule: brook_over
edition: 1
name: {zh: 超标, en: Over}
why: One hour is enough.
family: exceedance
check: exceedance
station_types: [brook]
kinds: [hour]
escalate:
  - {ratio: 2.0, level: orange}
mark: P
source: chosen here
"""
CASES = """\
cases:
  - case: over the limit of its day
    station: {type: brook}
    start: 2026-05-01T00:00:00+08:00
    every: 1h
    series: {"w21003": "0.5 1.1 0.5"}
    expect:
      - {at: +1h, opens: yellow}
      - {at: +2h, clears: true}
"""
RANGE = """\
rule: brook_range
edition: 1
name: {zh: 超范围, en: Out of range}
why: No instrument can be right out there.
family: data_quality
check: gross_range
station_types: [brook]
parameters:
  "w01001": {fail: [0, 14], suspect: [5, 10]}
mark: P
source: chosen here
"""
RANGE_CASES = """\
cases:
  - case: nothing but water
    station: {type: brook}
    start: 2026-05-01T00:00:00+08:00
    every: 1h
    series: {"w01001": "7x3"}
    expect: []
"""
SMALL: Mapping[str, str] = {
    "units.yaml": UNITS,
    "periods.yaml": PERIODS,
    "conditions.yaml": CONDITIONS,
    "sources.yaml": SOURCES,
    "parameters/water.yaml": PARAMETERS,
    "standards/old.yaml": OLD,
    "standards/new.yaml": NEW,
    "standards/town.yaml": TOWN,
    "station_types/brook.yaml": STATION_TYPE,
    "rules/brook_over.yaml": RULE,
    "rules/brook_over.cases.yaml": CASES,
    "rules/brook_range.yaml": RANGE,
    "rules/brook_range.cases.yaml": RANGE_CASES,
}


def planted(path: str, old: str, new: str) -> dict[str, str]:
    """The small catalogue with one text changed in one place. The place must be there, once."""
    assert SMALL[path].count(old) == 1, f"{old!r} stands {SMALL[path].count(old)} times in {path}"
    return {**SMALL, path: SMALL[path].replace(old, new)}


def small(*changes: tuple[str, str, str]) -> Catalogue:
    """The small catalogue with these changes, which must leave it right."""
    texts = dict(SMALL)
    for path, old, new in changes:
        assert texts[path].count(old) == 1, f"{old!r} stands {texts[path].count(old)} times in {path}"
        texts[path] = texts[path].replace(old, new)
    return load(texts)


def problems_of(texts: Mapping[str, str]) -> list[str]:
    """What the loader says of these texts; nothing where they are right."""
    try:
        load(texts)
    except CatalogueProblems as found:
        return [str(problem) for problem in found.problems]
    return []


def register_problems(text: str, catalogue: Catalogue, name: str = "stations.yaml") -> list[str]:
    """What the register says of this text; nothing where it is right."""
    try:
        load_stations({name: text}, catalogue)
    except CatalogueProblems as found:
        return [str(problem) for problem in found.problems]
    return []
