"""The fake Alipan refuses whoever does not sign in; what it grants is seen in tests/clients, by the real client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes import certificates
from tests.fakes.alipan import APP, SHA1, FakeAlipan

REFERER = {"Referer": "https://www.aliyundrive.com/"}


class Client:
    """What it takes to be served, step by step."""

    def __init__(self, fake: FakeAlipan, authority: Path) -> None:
        self.fields: dict[str, str] = {"x-device-id": "device-1"}
        self._url = fake.url
        self._authority = str(authority)

    def post(self, path: str, **members: Any) -> tuple[int, dict[str, Any]]:
        """One call of the API."""
        url = f"{self._url}/{path}"
        with requests.post(url, json=members, headers=self.fields, verify=self._authority, timeout=10) as reply:
            return reply.status_code, reply.json()

    def sign_in(self) -> None:
        """A token, and a session that its device signs."""
        self.fields["authorization"] = f"Bearer {self.post('token/refresh', refresh_token='good')[1]['access_token']}"
        key = ec.generate_private_key(ec.SECP256K1())
        public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()[2:]
        r, s = decode_dss_signature(key.sign(f"{APP}:device-1:user-1:0".encode(), ec.ECDSA(SHA1)))
        self.fields["x-signature"] = f"{r:064x}{s:064x}00"
        assert self.post("users/v1/users/device/create_session", pubKey=public)[0] == 200

    def get(self, link: str, fields: dict[str, str]) -> requests.Response:
        """The content behind a link, at this server."""
        parts = urlsplit(link)
        return requests.get(
            f"{self._url}{parts.path}?{parts.query}", headers=fields, verify=self._authority, timeout=10
        )


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAlipan]:
    """An account with one file."""
    with FakeAlipan(certificates.write(tmp_path).context()) as found:
        found.refresh_tokens.add("good")
        found.files["/data/in.bin"] = b"0123456789"
        yield found


@pytest.fixture
def client(fake: FakeAlipan, tmp_path: Path) -> Client:
    """Somebody who trusts it."""
    return Client(fake, tmp_path / "localhost.pem")


class TestSignIn:
    def test_a_refresh_token_that_is_not_known_is_refused(self, client: Client):
        """By Alipan's word."""
        assert client.post("token/refresh", refresh_token="bad") == (
            400,
            {"code": "InvalidParameter.RefreshToken", "message": "InvalidParameter.RefreshToken"},
        )

    def test_one_that_is_good_once_is_refused_the_next_time(self, fake: FakeAlipan, client: Client):
        """The one that came instead is good."""
        fake.once = True
        younger = client.post("token/refresh", refresh_token="good")[1]["refresh_token"]

        assert client.post("token/refresh", refresh_token="good")[0] == 400
        assert client.post("token/refresh", refresh_token=younger)[0] == 200

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({}, "InvalidParameterMissing.RefreshToken"),
            ({"refresh_token": "good", "grant_type": "password"}, "InvalidParameter.GrantType"),
            ({"refresh_token": "good", "scope": "all"}, "InvalidParameter.GrantType"),
        ],
    )
    def test_a_refresh_is_asked_for_as_it_should(self, client: Client, members: dict[str, str], code: str):
        """Or refused."""
        status, answer = client.post("token/refresh", **members)

        assert (status, answer["code"]) == (400, code)

    def test_a_form_is_no_json(self, fake: FakeAlipan, tmp_path: Path):
        """Whatever stands in it."""
        url, body = f"{fake.url}/token/refresh", b'{"refresh_token": "good"}'
        fields = {"Content-Type": "application/x-www-form-urlencoded"}
        with requests.post(url, body, headers=fields, verify=str(tmp_path / "localhost.pem"), timeout=10) as reply:
            assert reply.status_code == 400

    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"authorization": "Bearer bad"}, "AccessTokenInvalid"),
            ({"authorization": ""}, "AccessTokenInvalid"),
            ({"x-device-id": "device-2"}, "UserDeviceIllegality"),
            ({"x-signature": "00"}, "DeviceSessionSignatureInvalid"),
        ],
    )
    def test_a_call_needs_all_three(self, client: Client, changed: dict[str, str], code: str):
        """Token, device and the session's signature; with them the file is described."""
        client.sign_in()
        assert client.post("v2/file/get_by_path", file_path="/data/in.bin")[1]["size"] == 10

        client.fields |= changed

        assert client.post("v2/file/get_by_path", file_path="/data/in.bin")[1]["code"] == code

    def test_a_session_is_signed_by_the_key_that_it_names(self, client: Client):
        """Another key's signature opens none."""
        client.sign_in()
        other = ec.generate_private_key(ec.SECP256K1()).public_key()
        public = other.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()[2:]

        status, answer = client.post("users/v1/users/device/create_session", pubKey=public)

        assert (status, answer["code"]) == (400, "DeviceSessionSignatureInvalid")

    def test_a_token_ends(self, fake: FakeAlipan, client: Client):
        """After what it was issued for."""
        fake._lifetime = 0
        client.fields["authorization"] = (
            f"Bearer {client.post('token/refresh', refresh_token='good')[1]['access_token']}"
        )

        assert client.post("v2/file/get_by_path", file_path="/data/in.bin")[1]["code"] == "AccessTokenInvalid"


class TestLinks:
    def test_one_is_good_as_it_was_given_and_from_alipans_own_page(self, client: Client):
        """Nothing of it can be changed."""
        client.sign_in()
        link = client.post("v2/file/get_by_path", file_path="/data/in.bin")[1]["url"]

        assert client.get(link, REFERER).content == b"0123456789"
        assert client.get(link, {}).status_code == 403
        assert client.get(link.replace("x-oss-expires=1", "x-oss-expires=2"), REFERER).status_code == 403
        assert client.get(link[:-1] + ("0" if link[-1] != "0" else "1"), REFERER).status_code == 403
