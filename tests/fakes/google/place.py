"""A fake Google with three service accounts, a folder for identities, and Google's view of what came out."""

from pathlib import Path
from typing import Any

from broker.model import AccessToken, IdToken, Minted
from tests.fakes.google import files, jwt
from tests.fakes.google.registry import Issued
from tests.fakes.google.server import FakeGoogle

WORKER = "worker@my-project.iam.gserviceaccount.com"
TRAIN = "train@my-project.iam.gserviceaccount.com"
LAST = "last@other-project.iam.gserviceaccount.com"
POOLED = "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p1/subject/job"


class Place:
    """Writes one identity file at a time, `adc.json`."""

    def __init__(self, google: FakeGoogle, folder: Path) -> None:
        self.google = google
        self.folder = folder
        self.registry = google.registry
        for email in (WORKER, TRAIN, LAST):
            google.registry.service_account(email)

    def write(self, members: dict[str, Any]) -> str:
        """The identity file's path."""
        return str(files.write(self.folder / "adc.json", members))

    def key(self, **more: object) -> dict[str, Any]:
        """A key of the worker."""
        return files.service_account(self.google, self.registry.service_account(WORKER), **more)

    def pooled(self, where: dict[str, Any], **more: object) -> dict[str, Any]:
        """An external account whose subject token is "subject"."""
        return files.external(self.google, self.registry.pool({"subject": POOLED}), where, **more)

    def issued(self, minted: Minted) -> Issued:
        """Google's own record of a minted token."""
        assert isinstance(minted.value, AccessToken)
        return self.registry.look_up(minted.value.token.open())

    def claims(self, minted: Minted) -> dict[str, Any]:
        """What an ID token says, once Google's signature on it is verified."""
        assert isinstance(minted.value, IdToken)
        return jwt.verify(minted.value.token.open(), self.google.oauth.key.public_key())
