"""Dead letters go to a topic of Kafka, by the same producer as alerts."""

from collections.abc import Sequence

from alerts.channel import DeliveryFailed
from alerts.kafka import Producer, Record
from ingest.dead_letters import DeadLetter, LetterBoxUnavailable, LetterRefused
from jianwei.settings import DeadLetterSettings


class KafkaLetterBox:
    """Connects when there is something to put."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        self._topic = settings.topic
        self._producer = Producer("dead_letters", settings)

    def put(self, name: str, letters: Sequence[DeadLetter]) -> None:
        """Returns when all replicas in sync have them. Raises LetterBoxUnavailable, LetterRefused."""
        records = [Record(self._topic, letter.key, letter.value, letter.headers) for letter in letters]
        try:
            self._producer.send(name, records)
        except DeliveryFailed as failed:
            if failed.retry_after_s is None:
                raise LetterRefused(failed.error) from failed
            raise LetterBoxUnavailable(failed.error) from failed

    def close(self) -> None:
        self._producer.close()
