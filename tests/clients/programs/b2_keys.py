"""b2sdk with whichever keys the environment's AWS provider gives: API BUCKET, and a line of JSON.

Says what it may do, whether it finds its bucket, and how Backblaze answers when it tries to make a key of its own.
"""

import json
import sys

import boto3
from b2sdk.v3 import B2Api, InMemoryAccountInfo
from b2sdk.v3.exception import B2Error

url, bucket = sys.argv[1:]
keys = boto3.Session().get_credentials().get_frozen_credentials()
b2 = B2Api(InMemoryAccountInfo())
b2.authorize_account(keys.access_key, keys.secret_key, realm=url)
allowed = b2.account_info.get_allowed()
try:
    b2.create_key(["writeKeys"], "more")
    refused = ""
except B2Error as error:
    refused = type(error).__name__
found = b2.get_bucket_by_name(bucket).name
print(json.dumps({"capabilities": sorted(allowed["capabilities"]), "bucket": found, "refused": refused}))
