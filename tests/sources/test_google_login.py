from pathlib import Path
from typing import Any, Never

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AccessToken, AwsKeys, Facts
from broker.secret import Secret
from broker.sources import google_adc, google_login
from broker.sources.google_wire import Line
from tests.fakes.google import CLOUD_PLATFORM, FakeGoogle, Fault, files

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")

WORKER = "worker@my-project.iam.gserviceaccount.com"
KNOWN = Facts(email="known@p.example")


def found(folder: Path, members: dict[str, Any]) -> google_adc.Identity:
    return google_adc.search(str(files.write(folder / "adc.json", members)))


@pytest.fixture
def key(google: FakeGoogle, tmp_path: Path) -> google_adc.Identity:
    return found(tmp_path, files.service_account(google, google.registry.service_account(WORKER)))


class TestAccessToken:
    def test_a_refusal_is_final_and_asked_once(self, google: FakeGoogle, key: google_adc.Identity):
        """The account was deleted: Google says invalid_grant."""
        google.registry.delete(WORKER)

        with pytest.raises(Denied) as caught:
            google_login.access_token(key, (CLOUD_PLATFORM,), Facts())

        assert caught.value.code == "InvalidGrant"
        assert google.calls["token"] == 1

    def test_a_clock_that_is_behind_is_named(self, google: FakeGoogle, key: google_adc.Identity):
        """An assertion that has expired by Google's clock: the key is good."""
        google.ahead = 7200.0

        with pytest.raises(IdentityMissing) as caught:
            google_login.access_token(key, (CLOUD_PLATFORM,), Facts())

        assert caught.value.code == "ClockSkewed"
        assert "120 min behind" in caught.value.advice

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault(status=500), Unreachable),
            (Fault(status=503, body=b'{"error": "internal_failure"}'), Unreachable),
            (Fault(status=400, body=b'{"error": "temporarily_unavailable"}'), Unreachable),
            (Fault(status=429), Throttled),
            (Fault(status=302, fields=(("Location", "/elsewhere"),)), Malformed),
            (Fault(status=404, body=b"<html>not here</html>"), Malformed),
            (Fault(status=200), Malformed),
            (Fault(status=200, body=b"[]"), Malformed),
            (Fault(status=200, body=b'"text"'), Malformed),
            (Fault(status=200, body=b"<html>hotel</html>"), Malformed),
            (Fault(status=200, body=b'{"access_token": "ya29.canary"}'), Malformed),
            (Fault(status=200, body=b'{"access_token": 7, "expires_in": 3600}'), Malformed),
            (Fault(status=200, body=b'{"access_token": "ya29.canary", "expires_in": "soon"}'), Malformed),
            (Fault(status=200, body=b'{"access_token": "ya29.canary", "expires_in": {}}'), Malformed),
            (Fault(status=200, body=b'{"access_token": "ya29.canary", "expires_in": 1e300}'), Malformed),
            (Fault(status=200, body=b'{"access_token": "ya29.canary", "expires_in": 29}'), Malformed),
            (Fault(status=200, body=b"\xff\xfe"), Malformed),
        ],
    )
    def test_every_fault_is_one_of_our_errors_after_one_attempt(
        self, google: FakeGoogle, key: google_adc.Identity, fault: Fault, kind: type[MintError]
    ):
        """google-auth crashes on some of these and retries others; nothing that was sent gets into the words."""
        google.fail("token", fault)

        with pytest.raises(kind) as caught:
            google_login.access_token(key, (CLOUD_PLATFORM,), Facts())

        assert type(caught.value) is kind
        assert google.calls["token"] == 1
        assert "canary" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    def test_a_file_that_lacks_a_secret_is_not_whole(self, tmp_path: Path):
        """google-auth finds that out when it loads it."""
        lacking = found(tmp_path, {"type": "authorized_user", "client_id": "i"})

        with pytest.raises(IdentityMissing, match="not a whole authorized_user file"):
            google_login.access_token(lacking, (CLOUD_PLATFORM,), Facts())

    @pytest.mark.parametrize(
        "pem", [None, "", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    )
    def test_a_key_that_is_none_is_not_whole(self, google: FakeGoogle, tmp_path: Path, pem: str | None):
        """Whatever cryptography makes of it."""
        account = google.registry.service_account(WORKER)
        broken = found(tmp_path, files.service_account(google, account, private_key=pem))

        with pytest.raises(IdentityMissing, match="not a whole service_account file"):
            google_login.access_token(broken, (CLOUD_PLATFORM,), Facts())
        with pytest.raises(IdentityMissing, match="not a whole service_account file"):
            google_login.id_token(broken, "https://a.example", Facts())

    def test_another_universe_is_refused(self, google: FakeGoogle, tmp_path: Path):
        """There google-auth signs tokens by itself, which nothing upstream has seen."""
        account = google.registry.service_account(WORKER)
        elsewhere = found(tmp_path, files.service_account(google, account, universe_domain="cloud.example"))

        with pytest.raises(Denied, match=r"googleapis\.com"):
            google_login.access_token(elsewhere, (CLOUD_PLATFORM,), Facts())

    def test_an_instance_that_ignores_scopes_is_not_believed_to_honour_them(self, node: FakeGoogle):
        """The lease says what its token can do, as the metadata server describes it."""
        node.metadata.account = node.registry.service_account(WORKER)
        node.metadata.scopes = ("https://www.googleapis.com/auth/devstorage.read_only",)

        value = google_login.access_token(google_adc.search(None), (CLOUD_PLATFORM,), Facts()).value

        assert isinstance(value, AccessToken)
        assert value.scopes == node.metadata.scopes

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"scopes": []}', b'{"email": 7}'])
    def test_an_instance_that_describes_itself_badly_is_malformed(self, node: FakeGoogle, body: bytes):
        """Whose token it is is part of the lease."""
        node.metadata.account = node.registry.service_account(WORKER)
        identity = google_adc.search(None)
        node.fail("metadata", Fault(status=200, body=body, fields=(("Content-Type", "application/json"),)))

        with pytest.raises(Malformed):
            google_login.access_token(identity, (CLOUD_PLATFORM,), Facts())

    def test_an_instance_that_describes_its_scopes_badly_is_malformed(self, node: FakeGoogle):
        """google-auth does not look at them, and its token is good: what it may do would be a guess."""
        node.metadata.account = node.registry.service_account(WORKER)
        identity = google_adc.search(None)
        body = b'{"email": "worker@p.example", "scopes": 7}'
        node.fail("metadata", Fault(status=200, body=body, fields=(("Content-Type", "application/json"),), times=1))

        with pytest.raises(Malformed):
            google_login.access_token(identity, (CLOUD_PLATFORM,), Facts())

    def test_an_instance_without_a_service_account_says_so(self, node: FakeGoogle):
        """A person can attach one at any time."""
        node.metadata.account = node.registry.service_account(WORKER)
        identity = google_adc.search(None)
        node.metadata.account = None

        with pytest.raises(IdentityMissing) as caught:
            google_login.access_token(identity, (CLOUD_PLATFORM,), Facts())

        assert caught.value.code == "NoServiceAccount"

    @pytest.mark.parametrize(("status", "kind"), [(503, Unreachable), (429, Throttled), (403, Denied)])
    def test_a_failing_metadata_server_is_asked_once(self, node: FakeGoogle, status: int, kind: type[MintError]):
        """google-auth would try five times, about 15 s."""
        node.metadata.account = node.registry.service_account(WORKER)
        identity = google_adc.search(None)
        before = node.calls["metadata"]
        node.fail("metadata", Fault(status=status))

        with pytest.raises(kind):
            google_login.access_token(identity, (CLOUD_PLATFORM,), Facts())

        assert node.calls["metadata"] == before + 1


class TestIdToken:
    @pytest.mark.parametrize("kind", ["authorized_user", "external_account", "external_account_authorized_user"])
    def test_google_gives_none_to_people_and_pools(self, kind: str):
        """Refused before anything is asked, with what to use instead."""
        identity = google_adc.Identity(type=kind, place="~/adc.json", text=Secret("{}"))

        with pytest.raises(Denied, match="gcp-impersonate") as caught:
            google_login.id_token(identity, "https://a.example", Facts())

        assert caught.value.code == "NoIdTokens"

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b'{"id_token": 7}', b'{"id_token": "a.b.c"}', b'{"access_token": "x"}']
    )
    def test_a_bad_answer_is_malformed(self, google: FakeGoogle, key: google_adc.Identity, body: bytes):
        """Also where google-auth decodes it first."""
        google.fail("token", Fault(status=200, body=body))

        with pytest.raises(Malformed):
            google_login.id_token(key, "https://a.example", Facts())


class TestAsked:
    def test_google_says_whose_a_token_is(self, google: FakeGoogle):
        """One POST, so that the token stands in no URL."""
        value = AccessToken(Secret(google.registry.issue(WORKER, (CLOUD_PLATFORM,)).token))

        assert google_login.asked(value, Facts(project="p"), google.url + "/token") == Facts(email=WORKER, project="p")
        assert google.seen[-1].method == "POST"
        assert google.seen[-1].target == "/tokeninfo"

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=400, body=b'{"error": "invalid_token"}'),
            Fault(status=503),
            Fault(status=200, body=b"<html>"),
            Fault(status=200, body=b'{"scope": "x"}'),
            Fault(status=200, body=b'{"email": 7}'),
        ],
    )
    def test_what_is_known_stays_where_google_does_not_say(self, google: FakeGoogle, fault: Fault):
        """A token without an e-mail scope, of a pool, or an endpoint that has no tokeninfo."""
        google.fail("tokeninfo", fault)

        assert google_login.asked(AccessToken(Secret("ya29.x")), KNOWN, google.url) == KNOWN

    def test_nothing_is_asked_about_what_is_no_access_token(self, google: FakeGoogle):
        """An AWS key is none of Google's business."""
        keys = AwsKeys("AKIA", Secret("s"), Secret(""))

        assert google_login.asked(keys, KNOWN, google.url) == KNOWN
        assert google.calls["tokeninfo"] == 0

    @pytest.mark.parametrize(
        ("where", "asked"),
        [
            (None, "https://oauth2.googleapis.com/tokeninfo"),
            ("https://iamcredentials.googleapis.com", "https://oauth2.googleapis.com/tokeninfo"),
            ("https://oauth2.googleapis.com/token", "https://oauth2.googleapis.com/tokeninfo"),
            ("http://127.0.0.1:7/token", "http://127.0.0.1:7/tokeninfo"),
        ],
    )
    def test_tokeninfo_is_googles_unless_something_stands_in_for_google(
        self, monkeypatch: pytest.MonkeyPatch, where: str | None, asked: str
    ):
        """A token goes to no host that does not see it anyway."""
        urls: list[str] = []

        def call(_: Line, url: str, *__: object) -> Never:
            urls.append(url)
            raise Unreachable("not in a test")

        monkeypatch.setattr(Line, "__call__", call)
        google_login.asked(AccessToken(Secret("ya29.x")), KNOWN, where)

        assert urls == [asked]
