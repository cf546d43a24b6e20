"""`jianwei run`: the service, until it is told to stop."""

import signal
from threading import Event

from jianwei.clock import wall_ns
from jianwei.runtime import Runtime
from jianwei.site import EMPTY_REGISTER, read_site
from jianwei.telemetry import Telemetry, open_log
from jianwei.terminal import CONFIG, ConfigOption, out


def run(config: ConfigOption = CONFIG) -> None:
    """Run the service: take messages, keep them, judge them, tell people. Ends cleanly on SIGTERM and Ctrl-C.

    Log lines go to standard error as JSON. Example:

        jianwei run -c /etc/jianwei/jianwei.toml
    """
    site = read_site(config)
    settings = site.settings
    log = open_log(settings.log.level, json_lines=settings.log.json_lines)
    if not site.stations:
        log.warning(EMPTY_REGISTER)
    told_to_stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_stop.set())
    with Runtime(settings, site.catalogue, site.filed, Telemetry(log), wall_ns, out) as runtime:
        log.info(
            "running",
            instance=settings.instance,
            data_dir=str(settings.data_dir),
            stations=len(site.stations),
            sources=[source.name for source in runtime.sources],
            channels=list(settings.channels),
            broker_port=runtime.broker.port if runtime.broker else None,
            http_port=runtime.port.port if runtime.port else None,
        )
        told_to_stop.wait()
        log.info("stopping")
    log.info("stopped")
