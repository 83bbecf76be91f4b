"""The fake storage account refuses what a real one refuses. What it takes, `sources/test_azure_sas` shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.fakes import certificates
from tests.fakes.blob_account import FakeAccount
from tests.fakes.entra import FakeEntra

VERSION = {"x-ms-version": "2026-02-06"}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAccount]:
    """One that trusts a tenant without apps."""
    made = certificates.write(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.certificate))
    with FakeEntra(made.context()) as entra, FakeAccount(entra, made.context()) as fake:
        yield fake


def code(account: FakeAccount, target: str, **fields: str) -> tuple[int, str]:
    """Its refusal."""
    with requests.get(account.url + target, headers=VERSION | fields, timeout=10) as reply:
        return reply.status_code, reply.text.partition("<Code>")[2].partition("</Code>")[0]


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "fields", "refusal"),
        [
            ("/data?restype=container&comp=list", {"x-ms-version": ""}, (400, "MissingRequiredHeader")),
            ("/?restype=service&comp=userdelegationkey", {}, (401, "InvalidAuthenticationInfo")),
            (
                "/?restype=service&comp=userdelegationkey",
                {"Authorization": "Bearer x"},
                (401, "InvalidAuthenticationInfo"),
            ),
            ("/data?restype=container&comp=list", {}, (403, "AuthenticationFailed")),
            (
                "/data?restype=container&comp=list&sp=rl&se=2099-01-01T00:00:00Z&sig=x",
                {},
                (403, "AuthenticationFailed"),
            ),
            ("/data?restype=container&comp=acl", {}, (400, "InvalidQueryParameterValue")),
        ],
    )
    def test_nothing_is_opened_by_what_it_did_not_sign(
        self, account: FakeAccount, target: str, fields: dict[str, str], refusal: tuple[int, str]
    ):
        """By Azure's words."""
        assert code(account, target, **fields) == refusal
