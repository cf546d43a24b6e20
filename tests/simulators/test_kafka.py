"""The address of a Kafka; what is said to a real one is tested in tests/services."""

import pytest

from simulators.targets import open_target


@pytest.mark.parametrize(
    "where",
    [
        "kafka://",
        "kafka://host/topic",
        "kafka://host:x/topic",
        "kafka://host:9092",
        "kafka://host:9092/",
        "kafka://host:9092/a/b",
        "kafka://user:secret@host:9092/topic",
        "kafka://host:9092,other/topic",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_quoted(where: str) -> None:
    with pytest.raises(ValueError, match=r"not of the form kafka://host:port") as error:
        open_target(where)
    assert "secret" not in str(error.value)
