"""An ordinary program that runs on: reads an object over and over, and says when the key it signs with is another one."""

import sys
import time

import boto3

endpoint, seconds = sys.argv[1], float(sys.argv[2])
session = boto3.Session()
s3 = session.client("s3", endpoint_url=endpoint)
began, reads, key = time.monotonic(), 0, None
while time.monotonic() - began < seconds:
    s3.get_object(Bucket="data", Key="demo/in.bin")["Body"].read()
    reads += 1
    now = session.get_credentials().get_frozen_credentials().access_key
    if now != key:
        print(f"  {time.monotonic() - began:4.0f} s  read {reads}: now signing with {now}", flush=True)
        key = now
    time.sleep(0.25)
print(f"  {reads} reads, no error")
