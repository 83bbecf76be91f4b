"""google-auth alone: the default credentials, and the storage API by hand."""

import google.auth
from google.auth.transport.requests import AuthorizedSession
from repeat import options, repeat, tail

asked = options()
credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
session = AuthorizedSession(credentials)


def copy():
    source = session.get(f"{asked.endpoint}/storage/v1/b/{asked.bucket}/o/{asked.folder}%2Fin.bin?alt=media")
    source.raise_for_status()
    session.post(
        f"{asked.endpoint}/upload/storage/v1/b/{asked.bucket}/o",
        params={"uploadType": "media", "name": f"{asked.folder}/out.bin"},
        data=source.content,
    ).raise_for_status()
    return source.content


repeat(asked, copy, lambda: tail(credentials.token))
