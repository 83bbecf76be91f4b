"""Files that follow a lease while a command runs: what is asked for, what is written, and when to look again."""

from pathlib import Path
from typing import Any

import pytest

from broker.cli.kept_fresh import OciFiles, TokenFile
from broker.errors import NotReady

LATER = "2099-01-01T00:00:00Z"


class Plane:
    """A worker plane that gives these in turn, the last one for ever; None is a refusal."""

    def __init__(self, *leases: dict[str, str] | None) -> None:
        self._leases = list(leases)

    def lease(self, _name: str, _patience: float) -> dict[str, str]:
        """As `WorkerPlane.lease`."""
        lease = self._leases.pop(0) if len(self._leases) > 1 else self._leases[0]
        if lease is None:
            raise NotReady("nothing is held")
        return lease


def plane(*leases: dict[str, str] | None) -> Any:
    return Plane(*leases)


def session(text: str) -> dict[str, str]:
    """A lease as `/env/NAME` gives it."""
    parts = ("OCI_RESOURCE_PRINCIPAL_RPST", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM")
    return dict.fromkeys(parts, text) | {"expires_at": LATER}


class TestTokenFile:
    def test_it_follows_the_lease(self, tmp_path: Path):
        """And is looked after again within a minute."""
        leases = [{"CLOUDSDK_AUTH_ACCESS_TOKEN": text, "expires_at": LATER} for text in ("one", "two")]
        file = TokenFile(plane(*leases), "data", tmp_path / "token")

        assert (file.refresh(), (tmp_path / "token").read_text()) == (60.0, "one")
        assert (file.refresh(), (tmp_path / "token").read_text()) == (60.0, "two")

    def test_without_a_lease_it_stays_and_is_looked_after_soon(self, tmp_path: Path):
        """The daemon keeps trying."""
        assert TokenFile(plane(None), "data", tmp_path / "token").refresh() == 1.0
        assert not (tmp_path / "token").exists()


class TestOciFiles:
    def test_they_follow_the_lease_together(self, tmp_path: Path):
        """Through one link."""
        files = OciFiles(plane(session("one"), session("two")), "oracle", str(tmp_path / "oci"))
        seen = []
        for _ in range(2):
            assert files.refresh() == 60.0
            seen.append({path.read_text() for path in (tmp_path / "oci" / "current").iterdir()})

        assert seen == [{"one"}, {"two"}]

    @pytest.mark.parametrize("lease", [session("one"), None])
    def test_the_same_lease_or_none_moves_nothing(self, tmp_path: Path, lease: dict[str, str] | None):
        """A reader between two looks finds what he found."""
        files = OciFiles(plane(session("one"), lease), "oracle", str(tmp_path / "oci"))
        files.refresh()
        before = (tmp_path / "oci" / "current").readlink()
        files.refresh()

        assert (tmp_path / "oci" / "current").readlink() == before
