import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from tests.fakes.google import CLOUD_PLATFORM, IAM, FakeGoogle, Fault, NotAccepted, files, jwt
from tests.fakes.google.oauth import AUDIENCES, JWT_BEARER
from tests.fakes.google.registry import key_of
from tests.fakes.google.sts import ACCESS_TOKEN, EXCHANGE

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")

TREE = Path(__file__).resolve().parents[2]
WORKER = "worker@my-project.iam.gserviceaccount.com"
TRAIN = "train@my-project.iam.gserviceaccount.com"


def claims(**more: object) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": WORKER, "aud": AUDIENCES[0], "iat": now, "exp": now + 3600, "scope": CLOUD_PLATFORM} | more


def post(url: str, **fields: object) -> tuple[int, dict[str, Any]]:
    with requests.post(url, data=fields, timeout=10) as reply:
        return reply.status_code, reply.json()


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def worker(google: FakeGoogle) -> FakeGoogle:
    google.registry.service_account(WORKER)
    return google


class TestRegistry:
    def test_a_token_is_good_while_it_lives_and_for_its_scopes(self, google: FakeGoogle):
        """What another fake asks before it shows an object."""
        read = "https://www.googleapis.com/auth/devstorage.read_only"
        token = google.registry.issue(WORKER, (read,), 80).token

        assert google.registry.check(token) == WORKER
        assert google.registry.check(token, read, "other") == WORKER
        with pytest.raises(NotAccepted, match="scopes") as caught:
            google.registry.check(token, "https://www.googleapis.com/auth/devstorage.read_write")
        assert caught.value.status == 403

        google.ahead = 81.0
        with pytest.raises(NotAccepted, match="expired") as caught:
            google.registry.check(token, read)
        assert caught.value.status == 401

    def test_cloud_platform_opens_everything(self, google: FakeGoogle):
        """As it does at Google."""
        token = google.registry.issue(WORKER, (CLOUD_PLATFORM,)).token

        assert google.registry.check(token, "https://www.googleapis.com/auth/devstorage.read_write") == WORKER

    def test_a_deleted_account_takes_its_tokens_along(self, worker: FakeGoogle):
        """So that a test can pull the rug."""
        token = worker.registry.issue(WORKER, (CLOUD_PLATFORM,)).token
        worker.registry.delete(WORKER)

        with pytest.raises(NotAccepted):
            worker.registry.check(token)


class TestToken:
    def exchange(self, google: FakeGoogle, assertion: str) -> tuple[int, dict[str, Any]]:
        return post(f"{google.url}/token", grant_type=JWT_BEARER, assertion=assertion)

    def test_a_good_assertion_is_a_token(self, worker: FakeGoogle):
        """The base case of everything below."""
        status, answer = self.exchange(
            worker, jwt.sign(key_of(WORKER), claims(), worker.registry.accounts[WORKER].key_id)
        )

        assert status == 200
        assert worker.registry.check(answer["access_token"], CLOUD_PLATFORM) == WORKER

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "nobody@my-project.iam.gserviceaccount.com"},
            {"aud": "https://elsewhere.example/token"},
            {"exp": 0},
            {"exp": int(time.time()) + 7200},
            {"iat": int(time.time()) + 900, "exp": int(time.time()) + 1000},
            {"iat": None},
            {"exp": "later"},
        ],
    )
    def test_a_wrong_claim_is_refused(self, worker: FakeGoogle, changes: dict[str, Any]):
        """One wrong claim at a time."""
        key_id = worker.registry.accounts[WORKER].key_id
        status, answer = self.exchange(worker, jwt.sign(key_of(WORKER), claims(**changes), key_id))

        assert (status, answer["error"]) == (400, "invalid_grant")

    def test_another_key_is_refused(self, worker: FakeGoogle):
        """The signature is verified, not only looked at; so is which key it claims."""
        key_id = worker.registry.accounts[WORKER].key_id

        assert self.exchange(worker, jwt.sign(key_of(TRAIN), claims(), key_id))[0] == 400
        assert self.exchange(worker, jwt.sign(key_of(WORKER), claims(), "another"))[0] == 400

    @pytest.mark.parametrize("assertion", ["", "a.b.c", "e30.e30.", "nonsense"])
    def test_nonsense_is_refused(self, worker: FakeGoogle, assertion: str):
        """And does not end the fake."""
        assert self.exchange(worker, assertion)[1]["error"] == "invalid_grant"

    def test_an_unsigned_assertion_is_refused(self, worker: FakeGoogle):
        """The oldest trick with such tokens."""
        header, body = (jwt.encoded(msgspec.json.encode(part)) for part in ({"alg": "none"}, claims()))

        assert self.exchange(worker, f"{header}.{body}.")[0] == 400

    def test_a_scope_is_needed(self, worker: FakeGoogle):
        """A token for nothing would hide a mistake."""
        key_id = worker.registry.accounts[WORKER].key_id

        assert self.exchange(worker, jwt.sign(key_of(WORKER), claims(scope=""), key_id))[1]["error"] == "invalid_scope"

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"client_id": "other"}, "invalid_client"),
            ({"client_secret": "wrong"}, "invalid_client"),
            ({"refresh_token": "stolen"}, "invalid_grant"),
            ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
            ({"grant_type": "password"}, "unsupported_grant_type"),
        ],
    )
    def test_a_refresh_is_verified(self, google: FakeGoogle, changes: dict[str, str], error: str):
        """Client, secret, token and consent."""
        user = google.registry.user()
        fields = {
            "grant_type": "refresh_token",
            "client_id": user.client_id,
            "client_secret": user.client_secret,
            "refresh_token": user.refresh_token,
        }

        assert post(f"{google.url}/token", **fields)[0] == 200
        assert post(f"{google.url}/token", **(fields | changes))[1]["error"] == error


class TestSts:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"grant_type": "refresh_token"}, "invalid_request"),
            ({"requested_token_type": "jwt"}, "invalid_request"),
            ({"audience": "//iam.googleapis.com/other"}, "invalid_request"),
            ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
            ({"scope": ""}, "invalid_request"),
            ({"subject_token": "forged"}, "invalid_grant"),
        ],
    )
    def test_an_exchange_is_verified(self, google: FakeGoogle, changes: dict[str, str], error: str):
        """Every parameter that the real one looks at."""
        pool = google.registry.pool({"subject": "principal://job"})
        fields = {
            "grant_type": EXCHANGE,
            "requested_token_type": ACCESS_TOKEN,
            "audience": pool.audience,
            "subject_token_type": pool.subject_token_type,
            "subject_token": "subject",
            "scope": CLOUD_PLATFORM,
        }

        status, answer = post(f"{google.url}/v1/token", **fields)
        assert status == 200
        assert google.registry.check(answer["access_token"]) == "principal://job"
        assert post(f"{google.url}/v1/token", **(fields | changes))[1]["error"] == error


class TestIamCredentials:
    def call(self, google: FakeGoogle, token: str, verb: str = "generateAccessToken", **body: Any) -> tuple[int, str]:
        url = f"{google.url}/v1/projects/-/serviceAccounts/{TRAIN}:{verb}"
        with requests.post(url, json=body, headers=bearing(token), timeout=10) as reply:
            return reply.status_code, reply.json().get("error", {}).get("status", "")

    @pytest.fixture
    def token(self, worker: FakeGoogle) -> str:
        worker.registry.service_account(TRAIN)
        worker.registry.allow(WORKER, TRAIN)
        return worker.registry.issue(WORKER, (IAM,)).token

    def test_each_thing_is_verified(self, google: FakeGoogle, token: str):
        """Bearer, its scope, the role, the scopes asked for, the lifetime, and unknown names."""
        scope = [CLOUD_PLATFORM]
        unscoped = google.registry.issue(WORKER, ("openid",)).token
        stranger = google.registry.issue(TRAIN, (IAM,)).token

        assert self.call(google, token, scope=scope, lifetime="900s") == (200, "")
        assert self.call(google, "ya29.forged", scope=scope) == (401, "UNAUTHENTICATED")
        assert self.call(google, unscoped, scope=scope) == (403, "PERMISSION_DENIED")
        assert self.call(google, stranger, scope=scope) == (403, "PERMISSION_DENIED")
        assert self.call(google, token, scope=[]) == (400, "INVALID_ARGUMENT")
        assert self.call(google, token, scope=scope, lifetime="3601s") == (400, "INVALID_ARGUMENT")
        assert self.call(google, token, scope=scope, lifetime="900") == (400, "INVALID_ARGUMENT")
        assert self.call(google, token, scope=scope, surprise=1) == (400, "INVALID_ARGUMENT")
        assert self.call(google, token, "generateIdToken", audience="") == (400, "INVALID_ARGUMENT")
        assert self.call(google, token, "generateIdToken", audience="https://a.example") == (200, "")

    def test_short_lives_are_short_whatever_is_asked_for(self, google: FakeGoogle, token: str):
        """So that rotation can be seen within a test."""
        google.registry.lifetime = 80
        self.call(google, token, scope=[CLOUD_PLATFORM], lifetime="3600s")
        newest = max(google.registry._issued.values(), key=lambda issued: issued.principal == TRAIN)

        assert newest.expires_at - google.registry.clock() <= 80


class TestTokenInfo:
    def test_a_token_in_a_url_is_refused(self, google: FakeGoogle):
        """URLs end up in logs; this fake holds its clients to that."""
        token = google.registry.issue(WORKER, (CLOUD_PLATFORM,)).token
        with requests.get(f"{google.url}/tokeninfo", params={"access_token": token}, timeout=10) as reply:
            assert reply.status_code == 405

        assert post(f"{google.url}/tokeninfo", access_token=token)[1]["email"] == WORKER
        assert post(f"{google.url}/tokeninfo", access_token="ya29.forged")[0] == 400


class TestMetadata:
    def test_the_flavour_is_needed_but_at_the_root(self, worker: FakeGoogle):
        """As the real one has it: the header is what an SSRF cannot send."""
        worker.metadata.account = worker.registry.accounts[WORKER]
        url = f"{worker.url}/computeMetadata/v1/instance/service-accounts/default/token"
        flavour = {"Metadata-Flavor": "Google"}
        statuses = []
        for path, fields in (
            (worker.url, {}),
            (url, {}),
            (url, flavour),
            (url, flavour | {"X-Forwarded-For": "1.2.3.4"}),
        ):
            with requests.get(path, headers=fields, timeout=10) as reply:
                statuses.append(reply.status_code)

        assert statuses == [200, 403, 200, 403]


class TestFaults:
    def test_a_fault_holds_for_as_many_calls_as_told(self, google: FakeGoogle):
        """Then the endpoint heals by itself, or when it is told to."""
        url = f"{google.url}/oauth2/v3/certs"

        def statuses(count: int) -> list[int]:
            return [requests.get(url, timeout=10).status_code for _ in range(count)]

        google.fail("certs", Fault(status=503, times=2))
        assert statuses(3) == [503, 503, 200]

        google.fail("certs", Fault(status=500))
        assert statuses(2) == [500, 500]
        google.heal("certs")
        assert statuses(1) == [200]
        assert google.calls["certs"] == 6


class TestProcess:
    def test_it_says_where_it_is_and_ends_when_told(self, tmp_path: Path):
        """The demo starts it so."""
        command = [sys.executable, "-m", "tests.fakes.google", "--lifetime", "80", "--folder", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=TREE) as process:
            assert process.stdout is not None
            said = msgspec.json.decode(process.stdout.readline(), type=dict[str, str])
            key = msgspec.json.decode(Path(said["key_file"]).read_bytes(), type=dict[str, Any])
            with requests.get(f"{said['url']}/oauth2/v3/certs", timeout=10) as reply:
                assert reply.status_code == 200
            process.terminate()

            assert process.wait(10) == 0
        assert key["client_email"] == said["service_account"]
        assert key["token_uri"] == said["token_uri"]


class TestFiles:
    def test_a_file_is_private_from_the_start(self, google: FakeGoogle, tmp_path: Path):
        """As gcloud leaves them."""
        written = files.write(tmp_path / "adc.json", files.authorized_user(google.registry.user()))

        assert written.stat().st_mode & 0o777 == 0o600
