"""google-auth's own metadata client, its HTTP transport replaced by the dialect."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.auth import compute_engine, exceptions

from broker.dialects import gce_metadata
from broker.errors import BrokerError, NotReady, Refused
from broker.model import Facts, Want
from broker.wire import Reply
from tests.dialects.leases import EMAIL, REQUEST_ID, SCOPES, a_lease, a_request, access_token

Credentials: Any = compute_engine.Credentials  # google-auth has no types
metadata: Any = compute_engine._metadata


class Server:
    """A `google.auth.transport.Request` that asks the dialect, one lease behind it, or one error."""

    def __init__(self, facts: Facts, error: BrokerError | None = None) -> None:
        self.lease = a_lease(access_token(*SCOPES), facts)
        self.error = error
        self.asked: list[str] = []

    def __call__(self, url: str, method: str = "GET", headers: Any = None, **_: Any) -> Any:
        parts = urlsplit(url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self.asked.append(f"{method} {target}")
        reply = self.answer(target, dict(headers or {}))
        names = {"content-type": reply.content_type} | {name.lower(): value for name, value in reply.headers}
        return SimpleNamespace(status=reply.status, headers=names, data=reply.body)

    def answer(self, target: str, headers: dict[str, str]) -> Reply:
        """What the server would make of it."""
        request = a_request(target, **headers)
        try:
            if self.error is not None:
                raise self.error
            want = gce_metadata.parse(request)
        except BrokerError as error:
            return gce_metadata.refuse(error, REQUEST_ID)
        if isinstance(want, Want):
            return gce_metadata.render(request, self.lease, 1800.0)
        return want or gce_metadata.refuse(Refused(404, "NotFound", "no such path"), REQUEST_ID)


@pytest.fixture(autouse=True)
def _plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker's environment has it."""
    monkeypatch.setenv("GCE_METADATA_MTLS_MODE", "none")
    monkeypatch.setattr("time.sleep", lambda _: None)


class TestGoogleAuth:
    def test_it_finds_the_server(self):
        """By the root's header."""
        assert metadata.ping(Server(Facts()), retry_count=1)

    def test_it_gets_and_renews_a_token(self):
        """The second refresh looks the account up by its e-mail."""
        server = Server(Facts(email=EMAIL))
        credentials = Credentials()
        credentials.refresh(server)
        credentials.refresh(server)

        assert (credentials.token, credentials.service_account_email) == ("ya29.token", EMAIL)
        assert credentials.valid
        assert [target for target in server.asked if "recursive" in target] == [
            "GET /computeMetadata/v1/instance/service-accounts/default/?recursive=true",
            f"GET /computeMetadata/v1/instance/service-accounts/{EMAIL}/?recursive=true",
        ]

    def test_it_renews_a_token_of_an_account_that_is_not_known(self):
        """User credentials have no service account; `default` is asked for again."""
        server = Server(Facts())
        credentials = Credentials()
        credentials.refresh(server)
        credentials.refresh(server)

        assert (credentials.token, credentials.service_account_email) == ("ya29.token", "default")

    def test_it_reads_project_and_universe(self):
        """Text, as it is."""
        server = Server(Facts(project="my-project"))

        assert metadata.get_project_id(server) == "my-project"
        assert metadata.get_universe_domain(server) == "googleapis.com"

    def test_it_tries_a_transient_failure_again_and_shows_our_advice(self):
        """503 is what it retries; a person sees our words."""
        server = Server(Facts(), NotReady("nothing is minted yet", retry_after=1.0))

        with pytest.raises(exceptions.GoogleAuthError, match="nothing is minted yet"):
            Credentials().refresh(server)

        assert len(server.asked) > 2

    def test_it_gives_up_at_once_where_nothing_is_granted(self):
        """403 is final."""
        server = Server(Facts(), Refused(403, "AccessDenied", "not granted"))

        with pytest.raises(exceptions.GoogleAuthError, match="not granted"):
            Credentials().refresh(server)

        assert len(server.asked) == 1
