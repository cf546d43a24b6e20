"""What a site can set: one TOML file and the environment (JIANWEI_…), validated whole.

Each part's own settings live beside the part; here they are only put together. Nothing here opens a connection.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from paho.mqtt.client import topic_matches_sub
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from alerts.channels import ChannelSettings
from alerts.channels.file import FileChannelSettings
from alerts.channels.kafka import KafkaChannelSettings
from alerts.kafka import KafkaConnection, Topic
from alerts.routing import Route
from ingest.formats import FormatName
from ingest.sources import SourceSettings
from ingest.sources.hj212_tcp import Hj212TcpSourceSettings
from ingest.sources.kafka import KafkaSourceSettings
from ingest.stores import StoreSettings
from ingest.stores.sqlite import SqliteStoreSettings
from jianwei.complaints import Place, complaints
from jianwei.request_settings import RequestSettings

HJ212_TOPICS = "jianwei/hj212/#"  # under which frames of loggers are kept
PREFIX, BETWEEN = "JIANWEI_", "__"
CLIENTS = {"mqtt", "kafka"}  # sources that have a name at a broker
EMBEDDED = "embedded"  # the source that reads from the embedded broker


class SettingsProblems(Exception):
    """Every problem of the settings, a line each: where, what, and where possible what to do."""

    def __init__(self, path: Path | None, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path or 'environment'}: {problem}" for problem in problems))
        self.problems = problems


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSettings(_Part):
    """The embedded MQTT broker. Port 0: any free one."""

    enabled: bool = False
    port: int = Field(default=1883, ge=0, lt=65_536)


class FormatRoute(_Part):
    """Messages whose topic matches the MQTT filter are read in this format; the first that matches wins."""

    topic: str = "jianwei/v1/#"
    format: FormatName = "json_v1"

    @field_validator("topic")
    @classmethod
    def _of_messages(cls, topic: str) -> str:
        if topic.startswith("$share/"):
            raise ValueError("a message's topic does not begin with `$share/GROUP/`: say only what follows that")
        return topic


class JournalSettings(_Part):
    """`retention_days` None: nothing is ever dropped. `sync`: a commit also survives a power failure."""

    tick_s: float = Field(default=5.0, gt=0, le=3_600)
    sync: bool = True
    retention_days: int | None = Field(default=None, ge=1)


class WorkerSettings(_Part):
    snapshot_every_s: float = Field(default=60.0, gt=0)
    most_messages: int = Field(default=4_000, ge=1)  # judged in one step


class DeadLetterSettings(KafkaConnection):
    """With `enabled`, messages in quarantine are published to `topic` as well; quarantine keeps them either way."""

    enabled: bool = False
    topic: Topic = "jianwei.dead-letters.v1"


class HttpSettings(_Part):
    """The operator's port: /metrics and /health. `enabled` false: none."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=8642, ge=0, lt=65_536)


class LogSettings(_Part):
    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = True


class HealthSettings(_Part):
    """`silent_s`: data stopped flowing when nothing came for so long (0: not judged). `least_free_mb`: room on the disk."""

    silent_s: float = Field(default=900.0, ge=0)
    least_free_mb: int = Field(default=200, ge=0)


def _named(content: Any) -> Any:
    """A source without a type is of MQTT; one without a client id gets one that stays the same: a session depends on it."""
    if not isinstance(content, dict):
        return content
    kind = content.get("type", "mqtt")
    own = {"client_id": f"jianwei-{content.get('name', kind)}"} if kind in CLIENTS else {}
    return {"type": kind, **own, **content}


class Settings(BaseSettings):
    """All of it. Relative paths begin at the folder of the settings file, a file channel's at the data folder."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=BETWEEN,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
        nested_model_default_partial_update=True,
    )

    instance: str = Field(default="main", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    data_dir: Path = Path("data")
    stations: list[Path] = []
    broker: BrokerSettings = BrokerSettings()
    sources: list[Annotated[SourceSettings, BeforeValidator(_named)]] = []
    formats: list[FormatRoute] = [FormatRoute(), FormatRoute(topic=HJ212_TOPICS, format="hj212")]
    journal: JournalSettings = JournalSettings()
    worker: WorkerSettings = WorkerSettings()
    # Made when asked for: what is said of another store must not be laid over a default one.
    store: StoreSettings = Field(default_factory=SqliteStoreSettings)
    channels: dict[str, ChannelSettings] = {}
    routes: list[Route] = []
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    requests: RequestSettings = RequestSettings()
    http: HttpSettings = HttpSettings()
    health: HealthSettings = HealthSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        unknown = sorted({route.channel for route in self.routes} - self.channels.keys())
        if unknown:
            raise ValueError(
                f"routes name channels that are not there: {', '.join(unknown)}; add [channels.{unknown[0]}]"
            )
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError("two sources have the same name; give each [[sources]] a name of its own")
        if self.broker.enabled and EMBEDDED in names:
            raise ValueError(
                f"a source has the name {EMBEDDED!r}, which is that of the embedded broker's own: give it another, or take "
                "[broker] enabled out"
            )
        return self

    @model_validator(mode="after")
    def _frames_of_loggers_are_read(self) -> Self:
        """What a logger is answered for must not go to quarantine for want of a line in the settings."""
        ports = [source.name for source in self.sources if isinstance(source, Hj212TcpSourceSettings)]
        anybody = HJ212_TOPICS.replace("#", "0")
        read_as = next((route.format for route in self.formats if topic_matches_sub(route.topic, anybody)), None)
        if ports and read_as != "hj212":
            raise ValueError(
                f"the source {ports[0]!r} takes frames of HJ 212, and no [[formats]] reads them: add, before any that takes "
                f'more, [[formats]] topic = "{HJ212_TOPICS}" format = "hj212"'
            )
        return self

    @model_validator(mode="after")
    def _no_source_reads_what_we_write(self) -> Self:
        """A dead letter that is read again is a dead letter again, for ever."""
        for source in self.sources:
            for setting, topic in self._topics_of_ours():
                if isinstance(source, KafkaSourceSettings) and source.takes(topic):
                    raise ValueError(
                        f"the source {source.name!r} reads {topic}, which we write ourselves ({setting}): the same would go "
                        "round for ever; leave it out of topics, let pattern say more, such as jianwei[.]readings[.], or "
                        f"mend {setting}"
                    )
        return self

    def _topics_of_ours(self) -> Iterator[tuple[str, str]]:
        """Topics of Kafka with the settings that name them; whichever the servers, a cluster has many addresses."""
        if self.dead_letters.enabled:
            yield "dead_letters.topic", self.dead_letters.topic
        for name, channel in self.channels.items():
            if isinstance(channel, KafkaChannelSettings):
                yield f"channels.{name}.topic", channel.topic
                if channel.state_topic:
                    yield f"channels.{name}.state_topic", channel.state_topic

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def read_settings(path: Path | None) -> Settings:
    """The settings of a TOML file (None: of the environment alone). Raises SettingsProblems with all of them."""
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsProblems(
                path, [f"cannot be read: {error.strerror}; name yours with -c, or let `jianwei init` write a sample"]
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsProblems(path, [f"is no TOML: {error}"]) from error
    problems = [
        f"{name}: there is no such setting; a part and its setting are joined by {BETWEEN}, as in JIANWEI_STORE__SYNC"
        for name in _unknown_variables()
    ]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        problems += complaints(error, _variable_for, Settings)
        raise SettingsProblems(path, problems) from error
    except SettingsError as error:  # a variable that should hold a list or a table, and does not
        what = str(error).partition(" from source")[0]
        problems.append(f"{what}: say lists and tables as JSON, or in the settings file")
        raise SettingsProblems(path, problems) from None  # the cause quotes what was said
    if problems:
        raise SettingsProblems(path, problems)
    return _at_home(settings, path.parent if path is not None else Path())


def _unknown_variables() -> list[str]:
    """Variables that look like ours, and would be passed over."""
    return sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).split(BETWEEN)[0].lower() not in Settings.model_fields
    )


def _variable_for(place: Place) -> str:
    """`JIANWEI_STORE__SYNC: ` when it was said there, which goes before the file."""
    names = [PREFIX + BETWEEN.join(map(str, place[:end])).upper() for end in range(len(place), 0, -1)]
    said = next((name for name in names if name in os.environ), None)
    return f"{said}: " if said else ""


def _at_home(said: Settings, home: Path) -> Settings:
    return said.model_copy(update={name: _moved(getattr(said, name), home) for name in Settings.model_fields})


def _moved(said: Any, home: Path) -> Any:
    """Relative paths begin at the folder of the settings file; but for those of file channels, see `runtime.placed`."""
    if isinstance(said, Path):
        return home / said
    if isinstance(said, BaseModel) and not isinstance(said, FileChannelSettings):
        fields = type(said).model_fields
        return said.model_copy(update={name: _moved(getattr(said, name), home) for name in fields})
    if isinstance(said, dict):
        return {name: _moved(part, home) for name, part in said.items()}
    if isinstance(said, list | tuple):
        return type(said)(_moved(part, home) for part in said)
    return said
