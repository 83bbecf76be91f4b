"""boto3 at Cloud Storage with HMAC keys, given to it as MosaicML Streaming gives them: ENDPOINT BUCKET, and a line of JSON."""

import hashlib
import json
import os
import sys

import boto3

endpoint, bucket = sys.argv[1:]
gcs = boto3.session.Session().client(
    "s3",
    region_name="auto",
    endpoint_url=endpoint,
    aws_access_key_id=os.environ["GCS_KEY"],
    aws_secret_access_key=os.environ["GCS_SECRET"],
)
body = gcs.get_object(Bucket=bucket, Key="mine/in.bin")["Body"].read()
gcs.put_object(Bucket=bucket, Key="mine/out.bin", Body=body)
print(json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "key": os.environ["GCS_KEY"]}))
