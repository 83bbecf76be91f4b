"""The fake Entra ID as the tests of this folder have it: one app, and files with what it proves itself by."""

import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from broker.model import Reference
from broker.sources.azure import Token
from tests.fakes import certificates
from tests.fakes.entra import TENANT, FakeEntra
from tests.fakes.entra_assertions import EXCHANGE, Federation
from tests.fakes.google import jwt

SECRET = "s3cret~value"
ISSUER, SUBJECT = "https://oidc.cluster.example", "system:serviceaccount:train:job"


class EntraWorld:
    """A tenant that knows one app."""

    def __init__(self, entra: FakeEntra, folder: Path) -> None:
        self.entra = entra
        self.app = entra.app(secrets={SECRET}, expired_secrets={"old"})
        self.cluster = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._folder = folder

    def written(self, text: str, name: str = "secret") -> Reference:
        """A private file of that content."""
        path = self._folder / name
        path.touch(0o600)
        path.write_text(text)
        return Reference(file=str(path))

    def token(self, **more: object) -> Token:
        """A spec of the app, which proves itself by nothing yet."""
        named = {"tenant_id": TENANT, "client_id": self.app.client_id, "authority": self.entra.url}
        return Token(**{**named, **more})  # type: ignore[arg-type]  # keys of a spec, as a file gives them

    def by_secret(self, secret: str = SECRET, **more: object) -> Token:
        """By a client secret."""
        return self.token(client_secret=self.written(secret), **more)

    def by_certificate(self, *, registered: bool = True) -> Token:
        """By a certificate of its own."""
        made = certificates.write(self._folder, "app")
        if registered:
            self.app.certificates.append(made.certificate.read_bytes())
        return self.token(certificate=self.written(made.certificate.read_text() + made.key.read_text(), "pem"))

    def by_federation(self, **claims: object) -> Token:
        """By a cluster's token, which the app trusts."""
        self.app.federations.append(Federation(ISSUER, SUBJECT, self.cluster.public_key()))
        now = int(time.time())
        whole = {"iss": ISSUER, "sub": SUBJECT, "aud": EXCHANGE, "iat": now, "nbf": now, "exp": now + 600, **claims}
        return self.token(federated_token_file=self.written(jwt.sign(self.cluster, whole), "projected").file)
