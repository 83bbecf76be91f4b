"""The fake Google and the fake Google Cloud Storage in one process, over one registry of tokens.

    python -m tests.fakes.google_cloud --lifetime 75 --folder DIR

prints one line of JSON with the addresses and the files; see `steered` for what it then obeys.
"""

import argparse
from pathlib import Path

from tests.fakes.gcs import FakeGcs
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.objects import Buckets
from tests.fakes.steered import obey
from tests.fakes.tally import by_folder

BUCKET = "data"


class GoogleCloud:
    """A running Google with a store of one bucket."""

    def __init__(self, google: FakeGoogle, folder: Path) -> None:
        self.buckets = Buckets(BUCKET)
        self._google = google
        self._folder = folder
        self._gcs = FakeGcs(google.registry, self.buckets)
        self._served = self._gcs.serve()

    def introduction(self) -> dict[str, object]:
        """Where everything is."""
        return {**introduction(self._google, self._folder), "gcs": self._served.url, "bucket": BUCKET}

    def tally(self) -> dict[str, object]:
        """Identities are tails of tokens."""
        return {
            "answered": by_folder(self._gcs.answered),
            "refused": dict(self._gcs.refused),
            "minted": self._google.calls["token"] + self._google.calls["generateAccessToken"],
        }

    def stop(self) -> None:
        """No token is issued any more; those that live are still good at the store."""
        self._google.__exit__()

    def start(self) -> None:
        """It is issued again."""
        self._google.come_back()


def main() -> None:
    """Serve until the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lifetime", type=int, default=3600, help="seconds that tokens live")
    parser.add_argument("--folder", type=Path, required=True, help="where key files are written")
    options = parser.parse_args()
    obey(GoogleCloud(FakeGoogle(lifetime=options.lifetime).__enter__(), options.folder))


if __name__ == "__main__":
    main()
