"""rclone: the AWS SDK for Go and Go's oauth2, which it asks only for remotes with `env_auth = true`. Pure.

Go's ADC search knows no CLOUDSDK_CONFIG, and its AWS chain takes FULL_URI before RELATIVE_URI: read in aws-sdk-go-v2
(config/resolve_credentials.go) and golang/oauth2 (google/default.go). Not proven with rclone itself.
"""

import msgspec

from broker.doctor.aws_cpp import profile_keys
from broker.doctor.aws_steps import FULL_URI, RELATIVE_URI, container, in_config, instance
from broker.doctor.botocore import sso
from broker.doctor.chain import Chain, Finds, Found, Step, variable
from broker.doctor.facts import Facts
from broker.doctor.google_steps import metadata_host, named_file
from broker.doctor.object_store import home_adc

S3, GCS = "s3", "google cloud storage"
_OWN = {
    S3: frozenset({"access_key_id", "secret_access_key"}),
    GCS: frozenset({"token", "service_account_file", "service_account_credentials", "access_token"}),
}


def own_keys(kind: str) -> Finds:
    """A remote that has an identity of its own."""

    def finds(facts: Facts) -> Found | None:
        for remote in facts.remotes:
            if remote.kind == kind and not remote.env_auth and _OWN[kind] & remote.keys:
                keys = ", ".join(sorted(_OWN[kind] & remote.keys))
                return Found(
                    f"the remote {remote.name} has its own {keys}", f"in {remote.name}: env_auth = true, alone"
                )
        return None

    return finds


def full_uri_first(facts: Facts) -> Found | None:
    """The container endpoint: here RELATIVE_URI counts only where there is no FULL_URI."""
    if not facts.value(FULL_URI):
        return container(facts)
    alone = {name: value for name, value in facts.environ.items() if name != RELATIVE_URI}
    return container(msgspec.structs.replace(facts, environ=alone))


AWS: Chain = (
    Step("remote", own_keys(S3)),
    Step("environment", variable("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    Step("web identity", variable("AWS_WEB_IDENTITY_TOKEN_FILE")),
    Step("profile", in_config("role_arn")),
    Step("profile", profile_keys),
    Step("sso", sso),
    Step("process", in_config("credential_process")),
    Step("container", full_uri_first),
    Step("instance metadata", instance),
)
GOOGLE: Chain = (
    Step("remote", own_keys(GCS)),
    Step("named file", named_file),
    Step("ADC file", home_adc),
    Step("metadata server", metadata_host("GCE_METADATA_HOST")),
)
