"""boto3 at whichever store its environment names: BUCKET FOLDER ELSEWHERE, and a line of JSON.

Copies FOLDER/in.bin to FOLDER/out.bin, and says how the store answers to ELSEWHERE/in.bin.
"""

import hashlib
import json
import sys

import boto3
from botocore.exceptions import ClientError

bucket, folder, elsewhere = sys.argv[1:]
s3 = boto3.client("s3")
body = s3.get_object(Bucket=bucket, Key=f"{folder}/in.bin")["Body"].read()
s3.put_object(Bucket=bucket, Key=f"{folder}/out.bin", Body=body)
listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/")
assert f"{folder}/out.bin" in [entry["Key"] for entry in listed["Contents"]]
try:
    s3.get_object(Bucket=bucket, Key=f"{elsewhere}/in.bin")["Body"].read()
    refused = ""
except ClientError as error:
    refused = error.response["Error"]["Code"]
print(json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "refused": refused}))
