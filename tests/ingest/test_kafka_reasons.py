"""Why a Kafka source cannot connect, where TLS has to do with it: which file, and which side does not speak it."""

from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors

from ingest.sources.kafka import KafkaSourceSettings
from ingest.sources.kafka.reasons import why


def settings(**said: Any) -> KafkaSourceSettings:
    return KafkaSourceSettings.model_validate({"client_id": "c", "topics": ["t"], **said})


@pytest.mark.parametrize(
    ("said", "last_words", "end"),
    [
        ({"tls": {}}, 'Unable connect to "k:1": ', 'Unable connect to "k:1" (does this port speak TLS?)'),
        ({"tls": {}}, "[SSL: WRONG_VERSION_NUMBER] wrong", "wrong (does this port speak TLS?)"),
        ({}, 'Unable connect to "k:1": Connection at k:1 closed', "closed (does this port want `tls`?)"),
        ({}, 'Unable connect to "k:1": refused', "refused"),
        ({"tls": {}}, "certificate verify failed", "verify failed"),
    ],
)
def test_a_port_that_speaks_tls_where_we_do_not_or_the_other_way_round_is_asked_about(
    said: dict[str, Any], last_words: str, end: str
) -> None:
    assert why(errors.KafkaConnectionError("Unable"), settings(**said), last_words).endswith(end)


def test_a_certificate_that_cannot_be_used_is_told_by_setting_and_file(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name, words in (("gone.pem", "cannot be read: No such file or directory"), ("empty.pem", "cannot be used: ")):
        said = settings(tls={"ca": str(tmp_path / name)})
        with pytest.raises(OSError, match=r"tls\.ca") as found:
            said.security()
        told = why(found.value, said, "")
        assert told.startswith(f"a file of the settings cannot be used: tls.ca: {tmp_path / name} {words}")
