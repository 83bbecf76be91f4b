#!/bin/sh
# The AWS CLI as a command: ENDPOINT BUCKET FOLDER, and one line of JSON as the other programs print it.
set -e
file=$(mktemp)
trap 'rm -f "$file"' EXIT
aws --endpoint-url "$1" s3 cp --quiet "s3://$2/$3/in.bin" "$file"
aws --endpoint-url "$1" s3 cp --quiet "$file" "s3://$2/$3/out.bin"
aws --endpoint-url "$1" s3 ls "s3://$2/$3/" >&2
printf '{"sha256": "%s", "operations": 1, "identities": []}\n' "$(sha256sum <"$file" | cut -d ' ' -f 1)"
