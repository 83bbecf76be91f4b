"""An ordinary program: the default credentials of google-auth."""

import sys

import google.auth
from google.auth.transport.requests import AuthorizedSession

endpoint, bucket, name = sys.argv[1:]
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
session = AuthorizedSession(credentials)
answer = session.get(f"{endpoint}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}?alt=media")
answer.raise_for_status()
print(f"  I am {credentials.service_account_email} of project {project}; the object has {len(answer.content)} bytes")
