"""HJ 212, the language of China's station data loggers, without I/O: bytes in, frames out, and answers as bytes.

Editions 2005, 2017 and 2025, and the surface-water variant. What each module holds: `crc` the check, `framing` frames
out of a stream, `segment` one frame read field by field, `splits` packets put together again, `answers` what we say
back, `series` where a value belongs, `profiles` what differs from station to station.
"""
