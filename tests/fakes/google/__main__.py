"""The fake Google as a process: prints one line of JSON with its URLs and files, then serves until it is ended."""

import argparse
import signal
import threading
from pathlib import Path

import msgspec

from tests.fakes.google import FakeGoogle, files

WORKER = "worker@my-project.iam.gserviceaccount.com"
TRAIN = "train@my-project.iam.gserviceaccount.com"


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lifetime", type=int, default=3600, help="seconds that issued tokens live")
    parser.add_argument("--folder", type=Path, help="where key and ADC files are written")
    options = parser.parse_args()
    ended = threading.Event()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signalled, lambda *_: ended.set())
    with FakeGoogle(options.port, options.lifetime) as google:
        print(msgspec.json.encode(introduction(google, options.folder)).decode(), flush=True)
        ended.wait()


def introduction(google: FakeGoogle, folder: Path | None) -> dict[str, str]:
    """Two accounts, of which the first may act as the second; its key file where a folder is given."""
    worker = google.registry.service_account(WORKER)
    google.registry.service_account(TRAIN)
    google.registry.allow(WORKER, TRAIN)
    said = {
        "url": google.url,
        "token_uri": f"{google.url}/token",
        "tokeninfo": f"{google.url}/tokeninfo",
        "iam_endpoint": google.url,
        "service_account": WORKER,
        "impersonated": TRAIN,
    }
    if folder is not None:
        key = files.service_account(google, worker)
        said["key_file"] = str(files.write(folder / "service-account.json", key))
        said["impersonated_file"] = str(
            files.write(folder / "impersonated.json", files.impersonated(google, key, TRAIN))
        )
    return said


if __name__ == "__main__":
    main()
