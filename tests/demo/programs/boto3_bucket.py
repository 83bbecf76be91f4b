"""An ordinary program: makes a bucket, writes to it, reads from it."""

import sys

import boto3

endpoint = sys.argv[1]
who = boto3.client("sts", endpoint_url=endpoint).get_caller_identity()
print("  I am", who["Arn"])
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="demo", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_object(Bucket="demo", Key="hello", Body=b"hello from a bucket")
print("  the bucket says:", s3.get_object(Bucket="demo", Key="hello")["Body"].read().decode())
