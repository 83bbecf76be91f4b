"""rclone: the AWS SDK for Go and Go's oauth2, which it asks only for remotes with `env_auth = true`. Pure.

Go's ADC search knows no CLOUDSDK_CONFIG. Read in their sources.
"""

from collections.abc import Callable

from broker.doctor.aws_cpp import profile_keys
from broker.doctor.aws_steps import container, in_config, instance
from broker.doctor.botocore import sso, web_identity
from broker.doctor.chain import Chain, Found, Step, variable
from broker.doctor.facts import Facts
from broker.doctor.google_steps import metadata_host, named_file
from broker.doctor.object_store import home_adc

S3, GCS = "s3", "google cloud storage"
_OWN = {
    S3: frozenset({"access_key_id", "secret_access_key"}),
    GCS: frozenset({"token", "service_account_file", "service_account_credentials", "access_token"}),
}


def own_keys(kind: str) -> Callable[[Facts], Found | None]:
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


AWS: Chain = (
    Step("remote", own_keys(S3)),
    Step("environment", variable("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    Step("web identity", web_identity),
    Step("profile", profile_keys),
    Step("sso", sso),
    Step("process", in_config("credential_process")),
    Step("container", container),
    Step("instance metadata", instance),
)
GOOGLE: Chain = (
    Step("remote", own_keys(GCS)),
    Step("named file", named_file),
    Step("ADC file", home_adc),
    Step("metadata server", metadata_host("GCE_METADATA_HOST")),
)
