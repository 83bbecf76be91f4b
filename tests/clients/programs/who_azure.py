"""Whose token azure-identity, or adlfs by it, gets: the client's id, by the token's own claims."""

import base64
import json
import sys

SCOPE = "https://storage.azure.com/.default"

if sys.argv[1] == "adlfs":
    import adlfs

    credential = adlfs.AzureBlobFileSystem(account_name="devstoreaccount1").sync_credential
else:
    from azure.identity import DefaultAzureCredential

    credential = DefaultAzureCredential(process_timeout=2)
claims = credential.get_token(SCOPE).token.split(".")[1]
print(json.loads(base64.urlsafe_b64decode(claims + "=="))["appid"])
