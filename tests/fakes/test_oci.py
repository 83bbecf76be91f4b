"""The fake of Oracle's cloud refuses what the real one refuses, whoever signs: the SDK's signer is the witness."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from oci.signer import Signer

from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, BUCKET, JOBS, NAMESPACE, STRANGER, TENANCY, FakeOci
from tests.fakes.oci_signature import fingerprint


def pem(name: str) -> str:
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_of(name).private_bytes(serialization.Encoding.PEM, *form).decode()


def signed(user: str = BROKER, key: str | None = None, tenancy: str = TENANCY) -> Any:
    """The SDK's signer for a user, or for another's key under his name."""
    print_ = fingerprint(key_of(key or user).public_key())
    return Signer(tenancy, user, print_, private_key_file_location=None, private_key_content=pem(key or user))


@pytest.fixture
def fake() -> FakeOci:
    return FakeOci()


@pytest.fixture
def url(fake: FakeOci) -> Iterator[str]:
    with fake.serve() as served:
        yield served.url


class TestSignatures:
    def test_the_sdk_s_own_is_accepted(self, fake: FakeOci, url: str):
        """Of a request without and with a body."""
        assert requests.get(f"{url}/n/", auth=signed(), timeout=5).json() == NAMESPACE
        made = requests.post(
            f"{url}/20160918/users/{JOBS}/customerSecretKeys/", json={"displayName": "x"}, auth=signed(), timeout=5
        )
        assert (made.status_code, fake.refused) == (200, [])

    @pytest.mark.parametrize(
        ("auth", "why"),
        [
            (None, "no signature of version 1"),
            (signed(tenancy="ocid1.tenancy.oc1..other"), "unknown keyId"),
            (signed(key=STRANGER), "unknown keyId"),
        ],
    )
    def test_another_s_is_not(self, fake: FakeOci, url: str, auth: Any, why: str):
        """401, without a word of why."""
        refused = requests.get(f"{url}/n/", auth=auth, timeout=5)

        assert (refused.status_code, refused.json()["code"], fake.refused) == (401, "NotAuthenticated", [why])

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [("host", "elsewhere.example", "another signature"), ("date", "Sat, 01 Jan 2000 00:00:00 GMT", "a date of an")],
    )
    def test_a_field_that_was_changed_breaks_it(self, fake: FakeOci, url: str, field: str, value: str, why: str):
        """As on the way."""
        request = requests.Request("GET", f"{url}/n/", auth=signed()).prepare()
        request.headers[field] = value

        assert requests.Session().send(request, timeout=5).status_code == 401
        assert fake.refused[0].startswith(why)

    def test_a_body_that_was_changed_breaks_it(self, fake: FakeOci, url: str):
        """Its digest is signed."""
        where = f"{url}/20160918/users/{JOBS}/customerSecretKeys/"
        request = requests.Request("POST", where, json={"displayName": "x"}, auth=signed()).prepare()
        request.body = b'{"displayName": "y"}'

        assert requests.Session().send(request, timeout=5).status_code == 401
        assert fake.refused == ["another body"]

    def test_clocks_may_be_five_minutes_apart(self, fake: FakeOci, url: str):
        """And no more."""
        statuses = []
        for fake.skew in (290.0, 310.0, -290.0, -310.0):
            statuses.append(requests.get(f"{url}/n/", auth=signed(), timeout=5).status_code)

        assert statuses == [200, 401, 200, 401]


class TestIdentity:
    def test_a_stranger_sees_nobody_s_keys(self, url: str):
        """The services say that they are not there."""
        refused = requests.get(f"{url}/20160918/users/{JOBS}/apiKeys/", auth=signed(STRANGER), timeout=5)

        assert (refused.status_code, refused.json()["code"]) == (404, "NotAuthorizedOrNotFound")

    def test_a_user_has_two_secret_keys_at_most_and_a_secret_is_told_once(self, url: str):
        """As Oracle's limits say."""
        where = f"{url}/20160918/users/{JOBS}/customerSecretKeys/"
        made = [requests.post(where, json={"displayName": "x"}, auth=signed(), timeout=5) for _ in range(3)]

        assert [one.status_code for one in made] == [200, 200, 400]
        assert "key" in made[0].json()
        assert not any("key" in one for one in requests.get(where, auth=signed(), timeout=5).json())

    def test_a_deleted_api_key_signs_nothing_any_more(self, fake: FakeOci, url: str):
        """At once."""
        fake.upload(JOBS, key_of(JOBS).public_key())
        before = requests.get(f"{url}/n/", auth=signed(JOBS), timeout=5)
        name = fingerprint(key_of(JOBS).public_key())
        requests.delete(f"{url}/20160918/users/{JOBS}/apiKeys/{name}", auth=signed(), timeout=5)

        assert (before.status_code, requests.get(f"{url}/n/", auth=signed(JOBS), timeout=5).status_code) == (200, 401)


class TestStorage:
    def test_a_bucket_is_there_and_another_is_not(self, url: str):
        """As uploaders ask before they begin; nobody is told without a signature."""
        where = [(BUCKET, signed()), ("other", signed()), (BUCKET, None)]
        asked = [requests.head(f"{url}/n/{NAMESPACE}/b/{name}", auth=by, timeout=5) for name, by in where]

        assert [one.status_code for one in asked] == [200, 404, 401]

    def test_objects_are_listed_by_prefix(self, fake: FakeOci, url: str):
        """In the order of their names."""
        fake.objects |= {"mine/b": b"", "mine/a": b"", "theirs/a": b""}
        where = f"{url}/n/{NAMESPACE}/b/{BUCKET}/o"
        listed = requests.get(where, params={"prefix": "mine/"}, auth=signed(), timeout=5).json()

        assert listed["objects"] == [{"name": "mine/a"}, {"name": "mine/b"}]


class TestSubjects:
    def test_ids_are_never_used_twice(self, fake: FakeOci):
        """What was deleted is not mistaken for what was made."""
        made = [fake.upload(JOBS, key_of(JOBS).public_key())["id"] for _ in range(3)]

        assert all(one != other for one, other in itertools.combinations(made, 2))
        assert fake.now == pytest.approx(time.time(), abs=1)
