"""The site's Kafka: `deploy/kafka/server.properties` with ports and paths replaced, one node."""

import base64
import os
import shlex
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.services import obtain
from tests.services.program import HOST, Program, accepts, free_port, laid_over

DEPLOY = Path(__file__).parents[2] / "deploy" / "kafka"
FORMAT_TIMEOUT_S = 60.0
TOPICS_TIMEOUT_S = 120.0
MEMORY = ("-Xms256m", "-Xmx512m")


class Kafka(Program):
    """`address` is its bootstrap server. Topics are not made by using them; `make_topics` makes those of the site."""

    name: ClassVar[str] = "kafka"
    start_timeout_s: ClassVar[float] = 90.0

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None, outlives: bool = False) -> None:
        super().__init__(folder, settings=settings, outlives=outlives)
        self.port = free_port()
        self.controller_port = free_port()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def command(self) -> list[str]:
        data = self.folder / "data"
        replaced = {
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(data),
        }
        file = self.folder / "server.properties"
        text = laid_over((DEPLOY / "server.properties").read_text(), {**replaced, **self.settings}, between="=")
        file.write_text(text)
        if not (data / "meta.properties").exists():
            self._format(file)
        return java(*MEMORY, "kafka.Kafka", str(file))

    def make_topics(self) -> None:
        """As the site's script does, with Kafka's own tool; it takes a second or two each."""
        tool = self.folder / "kafka-topics.sh"
        tool.write_text(f'#!/bin/sh\nexec {shlex.join(java("org.apache.kafka.tools.TopicCommand"))} "$@"\n')
        tool.chmod(0o755)
        environment = os.environ | {"KAFKA_TOPICS": str(tool)}
        command = [str(DEPLOY / "topics.sh"), self.address]
        subprocess.run(command, env=environment, timeout=TOPICS_TIMEOUT_S, check=True, capture_output=True)

    def is_ready(self) -> bool:
        return accepts(self.port) and "Kafka Server started" in self.said()

    def _format(self, file: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        command = java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file))
        with self.log.open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, timeout=FORMAT_TIMEOUT_S, check=True)


def java(*arguments: str) -> list[str]:
    log = "-Dorg.slf4j.simpleLogger.showDateTime=true"
    return ["java", "-cp", f"{obtain.kafka()}/*", log, *arguments]
