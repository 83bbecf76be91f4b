#!/bin/sh
# rclone at whichever store its environment names: BUCKET FOLDER ELSEWHERE, and a line of JSON as boto3_store.py prints it.
set -e
export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Other
export RCLONE_CONFIG_STORE_ENV_AUTH=true RCLONE_CONFIG_STORE_ENDPOINT="$AWS_ENDPOINT_URL_S3"
export RCLONE_CONFIG_STORE_REGION="$AWS_REGION" RCLONE_CONFIG_STORE_NO_CHECK_BUCKET=true RCLONE_CONFIG_STORE_LIST_VERSION=2 RCLONE_RETRIES=1
file=$(mktemp)
trap 'rm -f "$file"' EXIT
rclone copyto "store:$1/$2/in.bin" "$file"
rclone copyto "$file" "store:$1/$2/out.bin"
rclone lsf "store:$1/$2/" | grep -q '^out.bin$'
refused=''
rclone cat "store:$1/$3/in.bin" >/dev/null 2>"$file.err" || refused=$(grep -o -m 1 'AccessDenied\|Forbidden' "$file.err" | head -n 1)
rm -f "$file.err"
printf '{"sha256": "%s", "refused": "%s"}\n' "$(sha256sum <"$file" | cut -d ' ' -f 1)" "$refused"
