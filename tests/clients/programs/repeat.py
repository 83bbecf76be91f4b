"""What every program here shares: where the store is, once or for a while, and one line of JSON at the end.

    PROGRAM ENDPOINT BUCKET FOLDER [--for SECONDS --every SECONDS]

(with `-` for ENDPOINT the client finds the store by itself) reads FOLDER/in.bin, writes the same bytes to FOLDER/out.bin, and says what it saw. Nothing is caught: a program that
meets an error ends with it.
"""

import argparse
import hashlib
import json
import os
import time


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint", type=lambda text: None if text == "-" else text)
    parser.add_argument("bucket")
    parser.add_argument("folder")
    parser.add_argument("--for", dest="seconds", type=float, default=0)
    parser.add_argument("--every", type=float, default=1)
    return parser.parse_args()


def repeat(options, copy, identity=lambda: None):
    """`copy()` moves the bytes and gives them, `identity()` says under which name where the client knows it."""
    ends = time.monotonic() + options.seconds
    operations, identities = 0, []
    while True:
        digest = hashlib.sha256(copy()).hexdigest()
        operations += 1
        name = identity()
        if name and name not in identities:
            identities.append(name)
        if time.monotonic() + options.every >= ends:
            break
        time.sleep(options.every)
    print(json.dumps({"sha256": digest, "operations": operations, "identities": identities, "pid": os.getpid()}))


def tail(token):
    """A name for a token that does not tell it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]
