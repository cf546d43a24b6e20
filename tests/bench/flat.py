"""The load in the form that Telegraf's plain JSON parser reads without being told much: one flat object a message.

{"station":"LD-00001","kind":"realtime","ts":1762088400000,"w01018":35.2,…}; arguments are those of simulators.load.
"""

from simulators import load
from simulators.load import VALUES


class FlatLoad(load.Load):
    def payload(self, number: int) -> bytes:
        turn, place = divmod(number, self.plan.stations)
        rows = self._rows[place % len(self._rows)]
        values, _, rest = rows[turn % len(rows)].removeprefix(VALUES + b"{").partition(b"}")
        flags = b',"flagged":true' if rest != b"}" else b""
        return b'%b"ts":%d,%b%b}' % (self._starts[place], self._measured_ns(turn) // 1_000_000, values, flags)


if __name__ == "__main__":
    load.main(FlatLoad)
