"""Coverage-guided fuzzing of HJ 212: python -m tests.fuzz.guided RUNS [CORPUS].

What reaches code that nothing reached before is changed further, and kept in the folder CORPUS where one is named. Ends
at the first input for which something does not hold, and leaves it in a file `crash-...`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ingest.hj212", "ingest.formats.hj212"]):
    from tests.fuzz.hj212_trial import Trial

from tests.fuzz.hj212_seeds import WORDS, seeds

LONGEST = 800
A_TRIAL = 100_000  # inputs that one object reads
RULES = [f"-max_len={LONGEST}", "-timeout=5", "-rss_limit_mb=512", "-print_final_stats=1", "-verbosity=0"]


def main(runs: str, folder: Path, corpus: Path) -> None:
    """`folder` is for what need not be kept."""
    started, words = folder / "seeds", folder / "words"
    started.mkdir()
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (started / str(number)).write_bytes(seed)
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS))
    trial, taken = Trial(), 0

    def take(said: bytes) -> None:
        nonlocal trial, taken
        taken += 1
        if taken % A_TRIAL == 0:
            trial = Trial()
        trial.take(said)

    atheris.Setup([sys.argv[0], f"-runs={runs}", f"-dict={words}", *RULES, str(corpus), str(started)], take)
    atheris.Fuzz()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as chosen:
        main(sys.argv[1], Path(chosen), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(chosen) / "corpus")
