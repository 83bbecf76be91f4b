"""The fake workspace refuses what a real one refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.fakes.databricks import FakeWorkspace
from tests.fakes.google import jwt

FORM = {"grant_type": "client_credentials", "scope": "all-apis"}
FILE = "/api/2.0/fs/files/Volumes/a.bin"


@pytest.fixture
def workspace() -> Iterator[FakeWorkspace]:
    """One that knows a service principal."""
    with FakeWorkspace() as fake:
        fake.principals["abc"] = "s3cret"
        yield fake


def ask(workspace: FakeWorkspace, who: tuple[str, str] = ("abc", "s3cret"), **changes: str) -> tuple[int, Any]:
    """A request for a token."""
    with requests.post(f"{workspace.url}/oidc/v1/token", data=FORM | changes, auth=who, timeout=10) as reply:
        return reply.status_code, reply.json()


class TestToken:
    def test_it_is_good_until_it_expires_or_its_principal_goes(self, workspace: FakeWorkspace):
        """The workspace knows its own."""
        token = ask(workspace)[1]["access_token"]
        assert workspace.check(token)["sub"] == "abc"

        workspace.ahead = 3601.0
        with pytest.raises(jwt.BadJwt):
            workspace.check(token)
        workspace.ahead = 0.0
        del workspace.principals["abc"]
        with pytest.raises(jwt.BadJwt):
            workspace.check(token)

    @pytest.mark.parametrize(
        ("who", "changes", "error"),
        [
            (("abc", "wrong"), {}, "invalid_client"),
            (("abc", ""), {}, "invalid_client"),
            (("other", "s3cret"), {}, "invalid_client"),
            (("abc", "s3cret"), {"scope": "sql"}, "invalid_scope"),
            (("abc", "s3cret"), {"grant_type": "password"}, "unsupported_grant_type"),
        ],
    )
    def test_a_wrong_request_is_refused(
        self, workspace: FakeWorkspace, who: tuple[str, str], changes: dict[str, str], error: str
    ):
        """By OAuth's words."""
        status, answer = ask(workspace, who, **changes)

        assert status in {400, 401}
        assert answer["error"] == error


class TestFiles:
    def test_a_token_opens_them(self, workspace: FakeWorkspace):
        """What was written is read."""
        fields = {"Authorization": f"Bearer {ask(workspace)[1]['access_token']}"}
        requests.put(workspace.url + FILE, data=b"x", headers=fields, timeout=10).close()

        with requests.get(workspace.url + FILE, headers=fields, timeout=10) as reply:
            assert (reply.status_code, reply.content) == (200, b"x")
        with requests.get(workspace.url + FILE + "x", headers=fields, timeout=10) as reply:
            assert reply.status_code == 404

    @pytest.mark.parametrize("fields", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}])
    def test_nothing_else_does(self, workspace: FakeWorkspace, fields: dict[str, str]):
        """And it is counted."""
        with requests.get(workspace.url + FILE, headers=fields, timeout=10) as reply:
            assert reply.status_code == 401
        assert workspace.refused[FILE] == 1
