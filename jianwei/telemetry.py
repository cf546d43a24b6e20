"""The one place where a happening becomes a log line, a metric, or both."""

import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import singledispatchmethod
from itertools import product
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alerts import records as told
from ingest import records as done
from ingest.quarantine import CLASSES
from rules.readings import SECOND_NS, Family, Level, Transition

REFUSED = "refused by the store"
LATENCY_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
WORK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)


def open_log(level: str, *, json_lines: bool, stream: TextIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """A logger of our own, in JSON lines or for a person's eyes. Nothing global is configured."""
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False) if json_lines else structlog.dev.ConsoleRenderer()
    log: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
    )
    return log


@dataclass(frozen=True, slots=True)
class Meter:
    """One metric as docs/metrics.md tells it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


class Meters:
    """The metrics, by their names on /metrics; see docs/metrics.md. No label takes a value that a station chooses."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.told: list[Meter] = []
        self._of_sources()
        self._of_messages()
        self._begin_at_zero()

    def _of_sources(self) -> None:
        self.well = self._gauge("part_well", "1 while a part says it is well, 0 otherwise, as on /health/ready", "part")
        self.failures = self._counter("part_failures_total", "Errors that nobody expected", "part")
        self.connections = self._counter(
            "ingest_connections_total", "Connections to brokers, made and lost", "source", "result"
        )
        self.packet_age = self._gauge(
            "mqtt_last_packet_age_seconds", "Since anything was heard of the broker", "source"
        )
        self.loss = self._counter("ingest_possible_loss_total", "Times a broker forgot what it kept for us", "source")
        self.lag = self._gauge("kafka_consumer_lag", "Messages that wait in Kafka for this member", "source")
        self.loop_lag = self._gauge(
            "kafka_loop_lag_seconds", "The client's loop had no time for so long, at most", "source"
        )
        self.rebalances = self._counter("kafka_rebalances_total", "Times partitions were dealt anew", "source")
        self.loggers = self._counter(
            "logger_reports_total", "What was told of data loggers on their lines", "source", "what"
        )
        self.requests = self._counter(
            "logger_requests_total", "Requests to data loggers, by what became of them", "source", "state"
        )
        self.lines = self._gauge("logger_lines_open", "Connections of data loggers that are open", "source")
        self.lines_met = self._counter(
            "logger_lines_total", "Connections of data loggers, taken and ended", "source", "result"
        )
        self.frames = self._counter("logger_frames_total", "Frames of data loggers on their lines", "source", "result")
        self.answers = self._counter("logger_answers_total", "Answers to data loggers", "source")
        self.garbage = self._counter("logger_garbage_bytes_total", "Bytes on lines that were no frames", "source")

    def _of_messages(self) -> None:
        self.messages = self._counter("ingest_messages_total", "Messages, by what became of them", "result")
        self.rejected = self._counter("ingest_rejected_total", "Messages and values sent to quarantine", "reason")
        self.unacked = self._gauge("ingest_unacked", "Messages taken from sources and not yet durable")
        self.ack_lag = self._histogram(
            "ingest_ack_lag_seconds", "From receipt until durable, the oldest message of each commit", LATENCY_S
        )
        self.commit = self._histogram("journal_commit_seconds", "Time of one commit of the journal", WORK_S)
        self.refused = self._counter("journal_refused_total", "Times the journal took nothing")
        self.spool_bytes = self._gauge("spool_bytes", "Size of the journal")
        self.spool_entries = self._gauge("spool_entries", "Entries of the journal that are not yet stored")
        self.spool_oldest = self._gauge(
            "spool_oldest_seconds", "Age of the oldest entry of the journal that is not yet stored"
        )
        self.rule_eval = self._histogram("rule_eval_seconds", "Time to decode and judge one step", WORK_S)
        self.readings = self._counter("rule_readings_total", "Readings judged")
        self.watermark_delay = self._gauge(
            "watermark_delay_seconds", "Age of the newest message that was judged while others wait, 0 when none wait"
        )
        self.unwatched = self._counter("rule_unwatched_total", "Readings that no rule watches")
        self.late = self._counter("late_points_total", "Readings out of order, repeated, or changed", "action")
        self.store_write = self._histogram("store_write_seconds", "Time of one write to the store", WORK_S)
        self.store_points = self._counter("store_points_total", "Readings by what the store said", "result")
        self.store_busy = self._counter("store_busy_total", "Times the store took nothing")
        self.dead_letters = self._counter("dead_letters_total", "What nobody will try again by itself", "reason")
        self.letters = self._counter(
            "dead_letters_published_total", "Dead letters, by what the topic said to them", "result"
        )
        self.alerts_open = self._gauge("alerts_open", "Open episodes", "severity")
        self.transitions = self._counter("alert_transitions_total", "Changes of episodes", "what", "family")
        self.notify = self._counter("notify_attempts_total", "Attempts to tell somebody", "channel", "reason")
        self.event_to_alert = self._histogram(
            "event_to_alert_seconds", "From receipt of what made us find it to the receiver", LATENCY_S, "channel"
        )

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        self.told.append(Meter(name, "counter", labels, what))
        return Counter(name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        self.told.append(Meter(name, "gauge", labels, what))
        return Gauge(name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        self.told.append(Meter(name, "histogram", labels, what))
        return Histogram(name, what, labels, buckets=buckets, registry=self.registry)

    def _begin_at_zero(self) -> None:
        """A count that first appears as 1 would not look like an increase to who watches it."""
        known: list[tuple[Counter | Gauge, Iterable[tuple[str, ...]]]] = [
            (self.messages, [("journaled",), ("judged",)]),
            (self.rejected, [(word,) for word in {*CLASSES.values(), "other"}]),
            (self.late, [("late",), ("duplicate",), ("conflict",)]),
            (self.store_points, [("stored",), ("refused",)]),
            (self.dead_letters, [("notice",), (CLASSES[REFUSED],)]),
            (self.letters, [("published",), ("delayed",), ("refused",)]),
            (self.alerts_open, [(level.name.lower(),) for level in Level if level]),
            (self.transitions, product(("opened", "worsened", "cleared"), (f.name.lower() for f in Family))),
        ]
        for meter, labels in known:
            for values in labels:
                meter.labels(*values)


class Telemetry:
    """`emit` takes every record of every room. Any thread may call it."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self.log = log
        self.meters = Meters()
        self.newest_received_ns = 0  # of the messages that were judged since the start
        self._open: dict[str, Level] = {}
        self._listeners: list[Callable[[Transition], None]] = []

    def listen(self, listener: Callable[[Transition], None]) -> None:
        """Every new transition is also handed to `listener`, on the worker's thread."""
        self._listeners.append(listener)

    def emit(self, record: done.Record | told.Record) -> None:
        self._note(record)

    def opened(self, episodes: dict[str, Level]) -> None:
        """At a start: the episodes that the ledger knows as open."""
        self._open |= episodes
        self._count_open()

    @singledispatchmethod
    def _note(self, record: object) -> None:
        raise TypeError(f"no meaning is given to {type(record).__name__}")

    @_note.register
    def _(self, record: done.Connected) -> None:
        self.meters.connections.labels(record.source, "connected").inc()
        self.log.info("connected", source=record.source, session_present=record.session_present)

    @_note.register
    def _(self, record: done.ConnectionLost) -> None:
        self.meters.connections.labels(record.source, "lost").inc()
        self.log.warning(
            "connection lost", source=record.source, why=record.why, retry_in_s=round(record.retry_in_s, 3)
        )

    @_note.register
    def _(self, record: done.PossibleLoss) -> None:
        self.meters.loss.labels(record.source).inc()
        self.log.error("possible loss", source=record.source, why=record.why)

    @_note.register
    def _(self, record: done.Rebalanced) -> None:
        if not record.partitions:
            self.meters.rebalances.labels(record.source).inc()
        self.log.info("rebalanced", source=record.source, partitions=record.partitions, left=record.left)

    @_note.register
    def _(self, record: done.SourceLag) -> None:
        self.meters.lag.labels(record.source).set(record.messages)
        self.meters.loop_lag.labels(record.source).set(record.loop_lag_s)

    @_note.register
    def _(self, record: done.LoggerSeen) -> None:
        self.meters.loggers.labels(record.source, "seen" if record.connected else "gone").inc()
        self.log.debug(
            "logger connected" if record.connected else "logger gone",
            source=record.source,
            station=record.station,
            address=record.address,
        )

    @_note.register
    def _(self, record: done.LoggerRefused) -> None:
        self.meters.loggers.labels(record.source, "unknown" if record.is_unknown else "refused").inc()
        self.log.warning("logger refused", source=record.source, mn=record.mn, address=record.address, why=record.why)

    @_note.register
    def _(self, record: done.LoggerTwice) -> None:
        self.meters.loggers.labels(record.source, "twice").inc()
        self.log.warning(
            "two lines speak for one station",
            source=record.source,
            station=record.station,
            mn=record.mn,
            address=record.address,
            other=record.other,
        )

    @_note.register
    def _(self, record: done.LoggerClock) -> None:
        self.meters.loggers.labels(record.source, f"clock_{record.state}").inc()
        tell = self.log.info if record.state == "set" else self.log.warning
        tell(
            "clock of a station",
            source=record.source,
            station=record.station,
            mn=record.mn,
            said=record.said,
            offset_s=round(record.offset_ns / SECOND_NS, 3),
        )

    @_note.register
    def _(self, record: done.LinesServed) -> None:
        meters, source = self.meters, record.source
        meters.lines.labels(source).set(record.open)
        meters.lines_met.labels(source, "accepted").inc(record.accepted)
        for why, count in record.ended.items():
            meters.lines_met.labels(source, why).inc(count)
        meters.frames.labels(source, "taken").inc(record.frames)
        meters.frames.labels(source, "refused").inc(record.refused)
        meters.answers.labels(source).inc(record.answers)
        meters.garbage.labels(source).inc(record.garbage_bytes)

    @_note.register
    def _(self, record: done.RequestMoved) -> None:
        self.meters.requests.labels(record.source, record.state).inc()
        self.log.info(
            "request to a station", source=record.source, number=record.number, state=record.state, said=record.said
        )

    @_note.register
    def _(self, record: done.EntryWritten) -> None:
        self.meters.messages.labels("journaled").inc(record.messages)
        self.meters.commit.observe(record.took_s)
        if record.messages:
            self.meters.ack_lag.observe(record.lag_s)

    @_note.register
    def _(self, record: done.JournalRefused) -> None:
        self.meters.refused.inc()
        self.log.error("the journal takes nothing", why=record.why, retry_in_s=record.retry_in_s)

    @_note.register
    def _(self, record: done.BatchJudged) -> None:
        if record.again:
            return
        meters = self.meters
        self.newest_received_ns = max(self.newest_received_ns, record.newest_received_ns)
        meters.messages.labels("judged").inc(record.messages)
        meters.readings.inc(record.readings)
        meters.rule_eval.observe(record.took_s)
        meters.unwatched.inc(record.counts.unwatched)
        meters.late.labels("late").inc(record.counts.late)
        meters.late.labels("duplicate").inc(record.counts.duplicates)
        meters.late.labels("conflict").inc(record.counts.conflicts)

    @_note.register
    def _(self, record: done.TransitionsFound) -> None:
        for transition in record.transitions:
            self.meters.transitions.labels(transition.what, transition.family.name.lower()).inc()
            if transition.what == "cleared":
                self._open.pop(transition.episode, None)
            else:
                self._open[transition.episode] = transition.level
            self.log.info(
                "episode",
                what=transition.what,
                level=transition.level.name.lower(),
                rule=transition.rule,
                station=transition.station,
                parameter=transition.parameter,
                episode=transition.episode,
            )
            for listener in self._listeners:
                listener(transition)
        self._count_open()

    @_note.register
    def _(self, record: done.Quarantined) -> None:
        self.meters.rejected.labels(record.reason).inc(record.problems)
        self.log.warning("quarantined", problems=record.problems, reason=record.reason)

    @_note.register
    def _(self, record: done.RowsStored) -> None:
        self.meters.store_points.labels("stored").inc(record.rows)
        self.meters.store_write.observe(record.took_s)

    @_note.register
    def _(self, record: done.StoreBusy) -> None:
        self.meters.store_busy.inc()
        self.log.warning("the store is busy", why=record.why, retry_after_s=round(record.retry_after_s, 3))

    @_note.register
    def _(self, record: done.RowsRefused) -> None:
        self.meters.store_points.labels("refused").inc(record.rows)
        self.meters.dead_letters.labels(CLASSES[REFUSED]).inc(record.rows)
        self.log.error("rows refused", rows=record.rows, why=record.why)

    @_note.register
    def _(self, record: done.RegisterBound) -> None:
        self.log.info("register bound", version=record.version, stations=record.stations)

    @_note.register
    def _(self, record: done.CatchUp) -> None:
        self.log.info("store catch-up", from_entry=record.from_entry, to_entry=record.to_entry, done=record.done)

    @_note.register
    def _(self, record: done.DeadLettersPublished) -> None:
        self.meters.letters.labels("published").inc(record.letters)

    @_note.register
    def _(self, record: done.DeadLettersDelayed) -> None:
        self.meters.letters.labels("delayed").inc()
        self.log.warning("dead letters delayed", why=record.why, retry_in_s=round(record.retry_in_s, 3))

    @_note.register
    def _(self, record: done.DeadLetterRefused) -> None:
        self.meters.letters.labels("refused").inc()
        self.log.error("dead letter refused", why=record.why, payload_bytes=record.payload_bytes)

    @_note.register
    def _(self, record: done.PartFailed) -> None:
        self.meters.failures.labels(record.part.partition(":")[0]).inc()
        self.log.error("failed", part=record.part, error=record.error)

    @_note.register
    def _(self, record: told.NoticeSent) -> None:
        self.meters.notify.labels(record.channel, "sent").inc()
        self.meters.event_to_alert.labels(record.channel).observe((record.sent_ns - record.found_ns) / SECOND_NS)

    @_note.register
    def _(self, record: told.NoticeFailed) -> None:
        self.meters.notify.labels(record.channel, record.reason).inc()
        self.log.warning(
            "notice failed", channel=record.channel, error=record.error, retry_after_s=record.retry_after_s
        )

    @_note.register
    def _(self, record: told.NoticeDead) -> None:
        self.meters.notify.labels(record.channel, "dead").inc()
        self.meters.dead_letters.labels("notice").inc()
        self.log.error("notice given up", channel=record.channel, error=record.error, transition=record.transition)

    @_note.register
    def _(self, record: told.LedgerRefused) -> None:
        self.log.warning(
            "the ledger cannot be used", channel=record.channel, why=record.why, retry_in_s=record.retry_in_s
        )

    def _count_open(self) -> None:
        levels = list(self._open.values())
        for level in Level:
            if level:
                self.meters.alerts_open.labels(level.name.lower()).set(levels.count(level))
