"""What the settings refuse because it would go round, or stand in for a part of ours."""

from pathlib import Path

import pytest

from jianwei.settings import Settings, SettingsProblems, read_settings

LETTERS = "[dead_letters]\nenabled = true\n"
EVENTS = '[channels.events]\ntype = "kafka"\n'
OF_KAFKA = '[[sources]]\ntype = "kafka"\nname = "city"\n'


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / "jianwei.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsProblems) as found:
        settings_of(folder, text)
    return found.value.problems


@pytest.mark.parametrize(
    ("reads", "writes", "topic", "setting"),
    [
        ('pattern = "jianwei[.]"', LETTERS, "jianwei.dead-letters.v1", "dead_letters.topic"),
        ('pattern = "jianwei[.]"', EVENTS, "jianwei.alerts.v1", "channels.events.topic"),
        ('pattern = "jianwei[.](readings|alert-)"', EVENTS, "jianwei.alert-state.v1", "channels.events.state_topic"),
        ('topics = ["a", "b"]', LETTERS + 'topic = "b"', "b", "dead_letters.topic"),
        ('topics = ["a"]\nservers = ["other:9092"]', EVENTS + 'topic = "a"', "a", "channels.events.topic"),
    ],
)
def test_a_source_that_reads_what_we_write_is_refused(
    tmp_path: Path, reads: str, writes: str, topic: str, setting: str
) -> None:
    (problem,) = problems_of(tmp_path, f"{OF_KAFKA}{reads}\n{writes}")
    assert f"the source 'city' reads {topic}, which we write ourselves ({setting})" in problem
    assert "jianwei[.]readings[.]" in problem


@pytest.mark.parametrize(
    "said",
    [
        'pattern = "jianwei[.]readings[.]"\n' + LETTERS + EVENTS,
        'pattern = "jianwei[.]dead"\n' + EVENTS,  # letters are not published
        'pattern = "x|$"\n' + EVENTS + 'state_topic = ""\n',
    ],
)
def test_a_source_that_reads_beside_what_we_write_is_taken(tmp_path: Path, said: str) -> None:
    assert settings_of(tmp_path, OF_KAFKA + said).sources[0].name == "city"


def test_no_source_has_the_name_of_the_embedded_broker_s_while_there_is_one(tmp_path: Path) -> None:
    own = '[[sources]]\nname = "embedded"\n'
    assert settings_of(tmp_path, own).sources[0].name == "embedded"
    (problem,) = problems_of(tmp_path, own + "[broker]\nenabled = true\n")
    assert "a source has the name 'embedded', which is that of the embedded broker's own: give it another" in problem
