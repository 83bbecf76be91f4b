"""What is held for a worker: settled before its command starts, then fetched."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from broker import control_api as api
from broker.cli import held
from broker.cli.firsts import Making
from broker.cli.held import fetched, left, plane_of, settle
from broker.control_client import PATIENCE
from broker.errors import BrokerError
from broker.model import Kind
from tests.cli.grants import DATA, JOBS, WORKER

CLIENT: object = None  # for what needs none


class Plane:
    """A worker plane that holds these leases, or answers with an error of this code; it remembers what was asked."""

    def __init__(self, **leases: dict[str, str] | str) -> None:
        self.asked: list[tuple[str, float]] = []
        self._leases = leases

    def lease(self, name: str, patience: float = PATIENCE) -> dict[str, str]:
        """As `WorkerPlane.lease`."""
        self.asked.append((name, patience))
        lease = self._leases[name]
        if isinstance(lease, str):
            raise BrokerError("upstream said no", code=lease)
        return lease


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plane]:
    """The plane of any worker from then on."""

    def hold(**leases: dict[str, str] | str) -> Plane:
        plane = Plane(**leases)
        monkeypatch.setattr(held, "plane_of", lambda _: plane)
        return plane

    return hold


class TestPlaneOf:
    def test_it_is_asked_as_the_worker(self):
        """By the token that stands in a header."""
        plane = plane_of(WORKER)

        assert (plane.host, plane.port, plane.token.open()) == ("127.0.0.1", 9911, "cbw_x")


class TestSettle:
    def test_the_first_of_each_kind_is_waited_for(self, holding: Callable[..., Plane]):
        """And no other: it may never be asked for."""
        plane = holding(train={}, data={})
        settle(CLIENT, WORKER, Making())  # type: ignore[arg-type]  # nothing needs a code

        assert plane.asked == [("train", PATIENCE), ("data", PATIENCE)]

    def test_what_cannot_be_minted_is_told_where_something_else_can(
        self, holding: Callable[..., Plane], capsys: pytest.CaptureFixture[str]
    ):
        """The command may not need it."""
        holding(train="AccessDenied", data={})
        settle(CLIENT, WORKER, Making())  # type: ignore[arg-type]  # likewise

        assert capsys.readouterr().err == "credbroker: warning: train: upstream said no\n"

    def test_nothing_at_all_is_an_error(self, holding: Callable[..., Plane], capsys: pytest.CaptureFixture[str]):
        """The last one is raised, those before it are told."""
        holding(train="AccessDenied", data="AccessDenied")
        with pytest.raises(BrokerError, match="data: upstream said no"):
            settle(CLIENT, WORKER, Making())  # type: ignore[arg-type]  # likewise

        assert capsys.readouterr().err == "credbroker: train: upstream said no\n"

    def test_a_code_is_asked_for_where_one_is_needed(
        self, holding: Callable[..., Plane], monkeypatch: pytest.MonkeyPatch
    ):
        """For the callers that the worker is, and for no other credential."""
        minted: list[tuple[object, ...]] = []
        monkeypatch.setattr(held, "mint", lambda *asked: minted.append(asked))
        holding(train="MfaRequired", data={})
        settle(CLIENT, msgspec.structs.replace(WORKER, caller="me+us"), Making())  # type: ignore[arg-type]  # likewise

        assert minted == [(CLIENT, "train", ("me", "us"))]

    def test_who_is_granted_nothing_is_told(self, holding: Callable[..., Plane], capsys: pytest.CaptureFixture[str]):
        """His command starts all the same."""
        holding()
        settle(CLIENT, WORKER, Making(without=frozenset({Kind.AWS, Kind.GOOGLE})))  # type: ignore[arg-type]  # likewise

        assert capsys.readouterr().err == "credbroker: warning: me is granted nothing that is wanted here\n"


class TestFetched:
    def test_googles_token_stands_in_the_environment(self, holding: Callable[..., Plane]):
        """AWS's keys never do: its SDKs ask for them."""
        plane = holding(data={"CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29", "expires_at": "later"})
        found = fetched(WORKER, Making(), settled=True)

        assert found.token is not None
        assert (found.token.open(), found.variables, plane.asked) == ("ya29", (), [("data", 0)])

    def test_variables_are_told_from_what_travels_with_them(self, holding: Callable[..., Plane]):
        """The plain ones are settings, and the expiry is no variable."""
        worker = granted(api.Granted(name="wandb", kind="env", first=False, settings=(("WANDB_MODE", "online"),)))
        holding(wandb={"WANDB_API_KEY": "k", "WANDB_MODE": "online", "expires_at": "later"})
        (grant,) = fetched(worker, Making(), settled=True).variables

        assert [(name, value.open()) for name, value in grant.values] == [("WANDB_API_KEY", "k")]
        assert (grant.name, grant.kind, grant.settings) == ("wandb", "env", (("WANDB_MODE", "online"),))

    def test_of_oracles_only_the_names_count(self, holding: Callable[..., Plane]):
        """They say which files there will be; the secrets go into those."""
        holding(jobs={"OCI_PRIVATE_KEY": "pem", "expires_at": "later"})

        assert "OCI_PRIVATE_KEY" in fetched(granted(JOBS), Making(), settled=True).oci

    def test_what_is_not_held_now_is_left_out(self, holding: Callable[..., Plane]):
        """`settle` has told it already."""
        holding(data="NotReady", jobs="NotReady", wandb="NotReady")
        worker = granted(DATA, JOBS, api.Granted(name="wandb", kind="env", first=True))

        assert fetched(worker, Making(), settled=True) == held.Fetched()

    def test_what_was_not_settled_is_waited_for_and_told(
        self, holding: Callable[..., Plane], capsys: pytest.CaptureFixture[str]
    ):
        """`env` makes its environment once: a key that takes a second must be in it, and one that cannot be is news."""
        plane = holding(data={"CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29"}, wandb="ReferenceAbsent")
        found = fetched(granted(DATA, api.Granted(name="wandb", kind="env", first=True)), Making(), settled=False)

        assert (found.token is not None, found.variables) == (True, ())
        assert plane.asked == [("data", PATIENCE), ("wandb", PATIENCE)]
        assert capsys.readouterr().err == "credbroker: warning: wandb: upstream said no\n"


class TestLeft:
    def test_it_counts_from_now(self):
        """The daemon gives the moment, not the span."""
        ends = datetime.now(UTC) + timedelta(minutes=30)

        assert left({"expires_at": ends.isoformat()}) == pytest.approx(1800, abs=5)


def granted(*these: api.Granted) -> api.Worker:
    """A worker that is granted these."""
    return msgspec.structs.replace(WORKER, granted=these)
