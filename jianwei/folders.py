"""Where the state of a service lies under its data folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The one folder that holds everything a service must not forget."""

    root: Path

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.sqlite"

    @property
    def ledger_url(self) -> str:
        return f"sqlite:///{self.ledger}"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine.sqlite"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    def session(self, source: str) -> Path:
        """Where a source remembers that its broker knew it."""
        return self.root / "sessions" / source

    @property
    def has_state(self) -> bool:
        return self.journal.is_dir()
