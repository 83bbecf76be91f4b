"""A port that answers as it is told, and remembers what it was asked."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"
AWS = {"AccessKeyId": "ASIA", "AccountId": "123456789012", "Expiration": "2126-01-01T00:00:00Z"}
SHOWN = ("Authorization", "Metadata-Flavor", "X-IDENTITY-HEADER", "X-Databricks-Host")
ANSWERS: Mapping[str, str] = {
    "/": "",
    "/aws/train": json.dumps(AWS),
    f"/w/cbp_x{ACCOUNT}/token": json.dumps({"access_token": "ya29.x", "expires_in": 1800}),
    f"/w/cbp_x{ACCOUNT}/email": "data@p.iam.gserviceaccount.com",
}


class Answering:
    """Where it is, and each request with the headers that matter."""

    def __init__(self, plane: str) -> None:
        self.plane = plane
        self.asked: list[tuple[str, str | None]] = []

    def environment(self, token_file: str) -> dict[str, str]:
        """A worker's."""
        return {
            "CREDBROKER_WORKER": f"http://{self.plane}",
            "CREDBROKER_WORKER_TOKEN_FILE": token_file,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{self.plane}/aws/train",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token_file,
            "GCE_METADATA_HOST": f"{self.plane}/w/cbp_x",
        }


@contextlib.contextmanager
def answering(answers: Mapping[str, str] = ANSWERS, status: int = 200) -> Iterator[Answering]:
    """A server of this process; what is not in `answers` is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = next((self.headers[name] for name in SHOWN if self.headers[name]), None)
            found.asked.append((self.path, shown))
            body = answers.get(self.path)
            self.send_response(404 if body is None else status)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Answering(f"127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
