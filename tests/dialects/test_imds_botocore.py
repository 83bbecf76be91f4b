"""botocore's own IMDS client, its HTTP session replaced by the dialect: what it reads, and what it makes of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import botocore.utils
import pytest
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher

from broker.dialects import imds
from broker.errors import Refused
from broker.head import parse
from broker.model import Facts, Want
from broker.secret import Secret
from broker.wire import Reply
from tests.dialects.leases import EXPIRES_AT, REQUEST_ID, a_lease, keys

ENDPOINT = "http://127.0.0.1:9911"
TOKEN = "cbi_text"
FACTS = Facts(account="123456789012", region="eu-west-1")
EXPIRES = datetime.fromtimestamp(int(EXPIRES_AT), UTC)


class Instance:
    """Answers botocore as the worker plane would; `roles` is how the list is rendered."""

    def __init__(self, *names: str, roles: Callable[[tuple[str, ...]], Reply] = imds.roles) -> None:
        self.names = names
        self.expires_at = EXPIRES_AT
        self.asked: list[str] = []
        self._roles = roles

    def send(self, request: Any) -> Any:
        """One request, as botocore has prepared it."""
        url = urlsplit(request.url)
        self.asked.append(f"{request.method} {url.path}")
        fields = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        reply = self._answer(f"{request.method} {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n{fields}\r\n".encode())
        return SimpleNamespace(status_code=reply.status, content=reply.body, text=reply.body.decode(), url=request.url)

    def _answer(self, head: bytes) -> Reply:
        request = parse(head)
        assert request.method == "PUT" or request.fields[imds.TOKEN_FIELD] == TOKEN
        try:
            wish = imds.parse(request)
        except Refused as refused:
            return imds.refuse(refused, REQUEST_ID)
        match wish:
            case imds.NewToken(ttl):
                return imds.token(Secret(TOKEN), ttl)
            case imds.RoleList():
                return self._roles(self.names)
            case Want(name=name) if name is None or name in self.names:
                return imds.render(request, a_lease(keys(), FACTS, self.expires_at), 1800.0)
        return imds.refuse(Refused(404, "NotFound", "no such path"), REQUEST_ID)


def at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that botocore sees."""
    monkeypatch.setattr(botocore.utils, "get_current_datetime", lambda: moment.replace(tzinfo=None))


def fetched(instance: Instance) -> dict[str, Any]:
    """What botocore takes home."""
    found: dict[str, Any] = asking(InstanceMetadataFetcher, instance).retrieve_iam_role_credentials()
    return found


def asking(kind: Any, instance: Instance) -> Any:
    """One of botocore's fetchers. Any: its stubs know no session that could be replaced."""
    fetcher = kind(base_url=ENDPOINT, env={})
    fetcher._session = instance
    return fetcher


class TestCredentials:
    def test_it_reads_the_lease(self, monkeypatch: pytest.MonkeyPatch):
        """A PUT and two GETs, and every field."""
        at(EXPIRES - timedelta(hours=1), monkeypatch)
        instance = Instance("train")

        assert fetched(instance) == {
            "role_name": "train",
            "access_key": "ASIAEXAMPLE",
            "secret_key": "secret/key+",
            "token": "session",
            "expiry_time": "2026-09-21T14:13:20Z",
        }
        assert instance.asked == [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/train",
        ]

    def test_its_provider_loads_from_it(self):
        """As the last of the chain."""
        instance = Instance("train")
        instance.expires_at = 4_000_000_000.0
        credentials: Any = InstanceMetadataProvider(asking(InstanceMetadataFetcher, instance)).load()

        assert credentials.method == "iam-role"
        assert credentials.access_key == "ASIAEXAMPLE"
        assert credentials._expiry_time == datetime.fromtimestamp(4_000_000_000, UTC)

    def test_a_second_name_in_the_list_would_break_it(self, monkeypatch: pytest.MonkeyPatch):
        """It takes the whole text for one name, less the line end (seen on the wire too): only the first is listed."""
        at(EXPIRES - timedelta(hours=1), monkeypatch)
        both = Instance("train", "other", roles=lambda names: Reply(200, "\n".join(names).encode(), "text/plain"))

        assert fetched(both) == {}
        assert both.asked[-1] == "GET /latest/meta-data/iam/security-credentials/trainother"
        assert fetched(Instance("train", "other"))["role_name"] == "train"

    def test_without_a_role_it_finds_nothing_and_raises_nothing(self):
        """Its chain goes on."""
        assert fetched(Instance()) == {}


class TestExpiry:
    def test_with_over_20_minutes_left_the_expiry_is_ours(self, monkeypatch: pytest.MonkeyPatch):
        """A lease of 45 min or more is refreshed before that."""
        at(EXPIRES - timedelta(minutes=20, seconds=1), monkeypatch)

        assert fetched(Instance("train"))["expiry_time"] == "2026-09-21T14:13:20Z"

    def test_with_under_12_it_is_put_off_past_the_truth(self, monkeypatch: pytest.MonkeyPatch):
        """It takes that for an outage of EC2. The pages say so: over IMDS, let credentials live 45 min or more."""
        at(EXPIRES - timedelta(minutes=11, seconds=59), monkeypatch)

        assert fetched(Instance("train"))["expiry_time"] > "2026-09-21T14:13:20Z"


class TestRegion:
    def test_it_is_cut_from_the_zone(self):
        """`defaults_mode = auto` asks for it."""
        assert asking(InstanceMetadataRegionFetcher, Instance("train")).retrieve_region() == "eu-west-1"
