"""A strict fake Google for tests and the demo: it verifies what the real one verifies and refuses as the real one does.

    with FakeGoogle(lifetime=80) as google:
        account = google.registry.service_account("train@my-project.iam.gserviceaccount.com")
        files.write(path, files.service_account(google, account))
        ...
        google.registry.check(token, scope)  # the principal, or NotAccepted

As a process: `python -m tests.fakes.google --port 0 --lifetime 3600 --folder DIR`.
"""

from tests.fakes.google import files, jwt
from tests.fakes.google.registry import CLOUD_PLATFORM, IAM, Issued, NotAccepted, Registry, ServiceAccount, User
from tests.fakes.google.server import FakeGoogle
from tests.fakes.google.wire import Fault

__all__ = [
    "CLOUD_PLATFORM",
    "IAM",
    "FakeGoogle",
    "Fault",
    "Issued",
    "NotAccepted",
    "Registry",
    "ServiceAccount",
    "User",
    "files",
    "jwt",
]
