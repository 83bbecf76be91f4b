"""boto3, as everybody uses it."""

import boto3
from repeat import options, repeat

asked = options()
session = boto3.Session()
s3 = session.client("s3", endpoint_url=asked.endpoint)


def copy():
    body = s3.get_object(Bucket=asked.bucket, Key=f"{asked.folder}/in.bin")["Body"].read()
    s3.put_object(Bucket=asked.bucket, Key=f"{asked.folder}/out.bin", Body=body)
    listed = s3.list_objects_v2(Bucket=asked.bucket, Prefix=f"{asked.folder}/")
    assert f"{asked.folder}/out.bin" in [entry["Key"] for entry in listed["Contents"]]
    return body


repeat(asked, copy, lambda: session.get_credentials().get_frozen_credentials().access_key)
