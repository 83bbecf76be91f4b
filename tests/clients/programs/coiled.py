"""As Coiled's users do: credentials made of the access token in the environment. It lives as long as that lease."""

import os

from google.cloud import storage
from google.oauth2.credentials import Credentials
from repeat import options, repeat, tail

asked = options()
token = os.environ["CLOUDSDK_AUTH_ACCESS_TOKEN"]
client = storage.Client(credentials=Credentials(token), client_options={"api_endpoint": asked.endpoint})
bucket = client.bucket(asked.bucket)


def copy():
    body = bucket.blob(f"{asked.folder}/in.bin").download_as_bytes()
    bucket.blob(f"{asked.folder}/out.bin").upload_from_string(body)
    return body


repeat(asked, copy, lambda: tail(token))
