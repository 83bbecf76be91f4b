"""An ordinary program: builds its credentials from the environment."""

import os
import sys

from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

endpoint, bucket, name = sys.argv[1:]
session = AuthorizedSession(Credentials(os.environ["CLOUDSDK_AUTH_ACCESS_TOKEN"]))
answer = session.get(f"{endpoint}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}?alt=media")
answer.raise_for_status()
print(f"  the object has {len(answer.content)} bytes")
