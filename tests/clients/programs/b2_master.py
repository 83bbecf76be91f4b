"""b2sdk with a key that makes keys: API ID KEY BUCKET-ID, and a line of JSON. Makes one, lists it, deletes it."""

import json
import sys

from b2sdk.v3 import B2Api, InMemoryAccountInfo

url, id_, secret, bucket = sys.argv[1:]
b2 = B2Api(InMemoryAccountInfo())
b2.authorize_account(id_, secret, realm=url)
made = b2.create_key(["readFiles"], "one", valid_duration_seconds=600, bucket_ids=[bucket], name_prefix="mine/")
(listed,) = [key for key in b2.list_keys() if key.id_ == made.id_]
b2.delete_key_by_id(made.id_)
left = [key.id_ for key in b2.list_keys()]
print(json.dumps({"listed": listed.key_name, "ends": listed.expiration_timestamp_millis, "left": left}))
