"""What can be wrong with a frame, by name. A name is told with every frame or value it concerns, with its sentence."""

from collections.abc import Mapping

# The frame, or the bytes, are not taken.
REFUSALS: Mapping[str, str] = {
    "garbage": "bytes that belong to no frame",
    "bad_length": "after ## four digits are asked for",
    "too_long": "the length says more than is taken",
    "incomplete": "the frame was never finished",
    "empty_data_segment": "a frame without data",
    "crc_mismatch": "the check does not fit the data; the station sends it again",
    "encrypted_no_key": "encrypted with SM4, and there is no key of this station; register it with its logger's",
    "encrypted_other_key": "encrypted with SM4, and the key of this station does not open it; compare it with its logger's",
    "missing_cp": "there is no CP=&& in the data segment",
    "missing_cn": "there is no CN, so nobody knows what this is",
    "missing_mn": "there is no MN, so nobody knows who this is",
    "invalid_mn": "an MN is 1 to 32 letters, digits, _ and -",
    "foreign_mn": "the topic names another station than the frame",
    "wrong_password": "the password is not this station's",
    "unknown_cn": "no edition has this command",
    "missing_datatime": "data without DataTime",
    "invalid_datatime": "DataTime is no time of the years 2000 to 2099 in the form YYYYMMDDhhmmss",
    "future_datatime": "DataTime lies in the future; set the clock of the station",
    "duplicate_conflict": "said twice, and not the same",
}

# One value or token is not taken; the rest of the frame is.
FLAWS: Mapping[str, str] = {
    "duplicate_conflict": REFUSALS["duplicate_conflict"],
    "invalid_code": "this is neither a parameter with a suffix nor a field",
    "invalid_value": "this is no decimal number",
    "missing_value": "nothing stands after the sign of equality",
    "stray_token": "a word without a sign of equality; is a decimal comma sent?",
    "unknown_flag": "a data flag that the profile of the station does not know; the value is kept as not normal",
    "lost_packet": "packets of this group are missing, and this one has no DataTime of its own",
}

# The frame is taken as it is.
WARNINGS: Mapping[str, str] = {
    "length_mismatch": "the length is wrong; check and line end prove the data",
    "oversize": "longer than the 1024 characters of the standard",
    "tail_missing": "no CR LF after the check",
    "tail_cr": "CR without LF after the check",
    "crc_unpadded": "the check lacks its leading zeros",
    "crc_lower_case": "the check is in small letters",
    "crc_variant": "another check than that of the standard, which the profile of the station allows",
    "cp_unclosed": "CP does not end in &&",
    "nested_ampersands": "&& stands within CP",
    "separator": "a comma where a semicolon is asked for",
    "whitespace": "blanks around words",
    "field_order": "fields in another order than that of the standard",
    "unknown_field": "a field that no edition has",
    "mn_case": "small letters in MN",
    "missing_st": "there is no ST",
    "missing_qn": "an answer is wanted, and there is no QN to answer to",
    "invalid_qn": "QN is no time",
    "invalid_flag": "Flag is no number from 0 to 255",
    "split_bit_missing": "PNUM and PNO without their bit in Flag",
    "invalid_split": "PNUM and PNO do not fit together",
    "encoding_gbk": "text in GBK",
    "encoding_invalid": "text in no known encoding",
    "text_unclosed": "a text that // begins and nothing ends",
    "datatime_ms": "DataTime with milliseconds",
    "unaligned_period": "the time of a period does not lie on its grid",
    "unknown_code": "a parameter that the catalogue does not know; kept under its code, watched by no rule",
    "duplicate_frame": "came before; the answer was probably lost",
}


def sentence(name: str) -> str:
    """The name with what it means."""
    return f"{name}: {REFUSALS.get(name) or FLAWS.get(name) or WARNINGS[name]}"
