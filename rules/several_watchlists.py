"""Several watchlists as one, the first before the others."""

from collections.abc import Callable, Collection, Iterable, Sequence

from rules.checks import CHECKS
from rules.readings import Kind, SeriesKey
from rules.watches import Watch, Watchlist


class SeveralWatchlists:
    """A Watchlist. Of two rules with one name on one subject that of the earlier list watches.

    A watch that its check cannot keep (a flat line where the feed's interval is not known) is left out, and told in
    `left_out` by rule. `checks`: the check of every rule that watches something, so far.
    """

    def __init__(self, *watchlists: Watchlist) -> None:
        self._watchlists = watchlists
        self.left_out: dict[str, str] = {}
        self.checks: dict[str, str] = {}

    def of_series(self, key: SeriesKey) -> Sequence[Watch]:
        return self._kept(lambda watchlist: watchlist.of_series(key))

    def of_feed(self, station: str, kind: Kind) -> Sequence[Watch]:
        return self._kept(lambda watchlist: watchlist.of_feed(station, kind))

    def of_station(self, station: str) -> Sequence[Watch]:
        return self._kept(lambda watchlist: watchlist.of_station(station))

    def feeds(self) -> Collection[tuple[str, Kind]]:
        return list(dict.fromkeys(feed for watchlist in self._watchlists for feed in watchlist.feeds()))

    def _kept(self, ask: Callable[[Watchlist], Iterable[Watch]]) -> Sequence[Watch]:
        kept: dict[str, Watch] = {}
        for watchlist in self._watchlists:
            for watch in ask(watchlist):
                if watch.rule in kept:
                    continue
                try:
                    CHECKS[watch.check].points(watch.thresholds, watch)
                except ValueError as error:
                    self.left_out[watch.rule] = str(error)
                else:
                    kept[watch.rule] = watch
                    self.checks[watch.rule] = watch.check
        return list(kept.values())
