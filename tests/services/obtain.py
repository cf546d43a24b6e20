"""The programs of others that the tests in this folder run: found, or built once and kept.

`python -m tests.services obtain` has them all. What is built lies in $XDG_CACHE_HOME/jianwei (~/.cache/jianwei), a folder
for every definition in `programs/`: another version is another folder. It is made beside and renamed when it is whole,
so a build that was interrupted leaves nothing half.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

DEFINITIONS = Path(__file__).parent / "programs"
BUILD_TIMEOUT_S = 1_800.0
TELEGRAF = "github.com/influxdata/telegraf/cmd/telegraf@v1.39.3"
TELEGRAF_PARTS = [
    "inputs.mqtt_consumer",
    "inputs.kafka_consumer",
    "outputs.influxdb_v2",
    "outputs.file",
    "parsers.json_v2",
    "parsers.json",
    "parsers.influx",
    "serializers.influx",
]
# What a build needs, and how to have it.
TOOLS = {
    "java": "a Java runtime of 17 or newer: apt-get install default-jre-headless",
    "mvn": "Maven: apt-get install maven",
    "go": "Go of 1.25.10 or newer: the distribution's golang package, or the archive that the Go project offers",
    "cargo": "Rust with cargo, which builds InfluxDB's query language: apt-get install cargo, or rustup",
    "cc": "a C compiler: apt-get install gcc",
    "pkg-config": "pkg-config: apt-get install pkg-config",
}


class NotObtained(Exception):
    """A program is not there and cannot be made; the text says what is missing and how to get it."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jianwei"


def mosquitto() -> Path:
    """The broker of the distribution; installed when we may."""
    if (found := _on_path("mosquitto")) is not None:
        return found
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NotObtained(
            "mosquitto is not installed: apt-get install mosquitto as root, or your system's package of it"
        )
    with _told("mosquitto: installing the distribution's package"):
        # The package would start it as a service where there is an init system; the tests start their own.
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update", "-qq"], Path("/"), environment)
        _run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "mosquitto"], Path("/"), environment)
    if (found := _on_path("mosquitto")) is None:
        raise NotObtained("the package mosquitto was installed, and there is no program mosquitto")
    return found


def kafka() -> Path:
    """The folder of Kafka's jars; `java` runs them."""
    _need("kafka", "java")

    def build(folder: Path) -> None:
        _need("kafka", "mvn")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
        _run(["mvn", "-q", "-B", *goal], _copy_of("kafka", folder), {})

    return _kept("kafka", build)


def influxdb() -> Path:
    """The program influxd."""

    def build(folder: Path) -> None:
        _need("influxdb", "go", "cargo", "cc", "pkg-config")
        source = _copy_of("influxdb", folder)
        helper = folder / "pkg-config"  # InfluxDB's own: it builds the Rust part when the linker asks for it
        _run(["go", "build", "-o", str(helper), "github.com/influxdata/pkg-config"], source, {})
        environment = {"PKG_CONFIG": str(helper), **_rust()}
        program = "github.com/influxdata/influxdb/v2/cmd/influxd"
        command = ["go", "build", "-tags", "sqlite_foreign_keys,sqlite_json", "-ldflags", "-s -w"]
        _run([*command, "-o", str(folder / "influxd"), program], source, environment)
        helper.unlink()

    return _kept("influxdb", build) / "influxd"


def telegraf() -> Path:
    """The program telegraf with the parts that the benchmark compares with; nothing else asks for it."""

    def build(folder: Path) -> None:
        _need("telegraf", "go")
        tags = ",".join(["custom", *TELEGRAF_PARTS])
        _run(["go", "install", "-tags", tags, TELEGRAF], folder, {"GOBIN": str(folder)})

    return _kept("telegraf", build) / "telegraf"


PROGRAMS: dict[str, Callable[[], Path]] = {
    "mosquitto": mosquitto,
    "kafka": kafka,
    "influxdb": influxdb,
    "telegraf": telegraf,
}
SERVICES = ("mosquitto", "kafka", "influxdb")


def obtain(names: tuple[str, ...] = SERVICES) -> None:
    """Each of them, told one after the other. Raises NotObtained with a line for each that cannot be had."""
    missing = []
    for name in names:
        try:
            _tell(f"{name}: {PROGRAMS[name]()}")
        except NotObtained as error:
            missing.append(str(error))
    if missing:
        raise NotObtained("\n".join(missing))


def _kept(name: str, build: Callable[[Path], None]) -> Path:
    """The folder that `build` filled, now or at an earlier time. Two at once: one builds, the other waits."""
    kept = cache() / f"{name}-{_fingerprint(name)}"
    if kept.is_dir():
        return kept
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            with _told(f"{name}: building it, once"), TemporaryDirectory(prefix=f".{name}-", dir=cache()) as made:
                folder = Path(made) / "made"
                folder.mkdir()
                build(folder)
                folder.rename(kept)
    return kept


def _fingerprint(name: str) -> str:
    """Of all that says what is built."""
    seen = hashlib.sha256()
    for file in sorted((DEFINITIONS / name).glob("*")):
        seen.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    if name == "telegraf":
        seen.update(" ".join([TELEGRAF, *TELEGRAF_PARTS]).encode())
    return seen.hexdigest()[:12]


def _copy_of(name: str, folder: Path) -> Path:
    """The definition where tools may write beside it, and gone after the build."""
    return Path(shutil.copytree(DEFINITIONS / name, folder.parent / "definition"))


def _rust() -> dict[str, str]:
    """InfluxDB's Rust part names a toolchain of its own, which rustup would go and look for: we say to take what is there."""
    if shutil.which("rustup") is None or "RUSTUP_TOOLCHAIN" in os.environ:
        return {}
    said = subprocess.run(["rustup", "show", "active-toolchain"], capture_output=True, text=True, cwd="/", check=False)
    words = said.stdout.split()
    if said.returncode != 0 or not words:
        raise NotObtained("influxdb: rustup has no toolchain: rustup default stable")
    return {"RUSTUP_TOOLCHAIN": words[0]}


def _need(name: str, *tools: str) -> None:
    missing = [TOOLS[tool] for tool in tools if shutil.which(tool) is None]
    if missing:
        raise NotObtained(f"{name} needs what is not there: " + "; ".join(missing))


def _on_path(program: str) -> Path | None:
    """Also where distributions put what only root runs."""
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))
    return Path(found) if found else None


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Silent; when it fails, the end of what it said is told."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotObtained(f"`{' '.join(command)}` did not end in {BUILD_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise NotObtained(f"`{' '.join(command)}` failed:\n{done.stdout.decode(errors='replace')[-3_000:]}")


@contextmanager
def _told(what: str) -> Iterator[None]:
    _tell(f"{what} ...")
    start_s = time.monotonic()
    yield
    _tell(f"{what}: done in {time.monotonic() - start_s:.0f} s")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # the command's voice
