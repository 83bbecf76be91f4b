"""The AWS SDK for C++: pyarrow's S3FileSystem, and DuckDB's `credential_chain` secrets. Pure.

The order is that of its DefaultAWSCredentialsProviderChain. DuckDB without the aws extension knows the variables alone.
"""

from broker.doctor.aws_steps import container, in_config, instance, keys_in
from broker.doctor.botocore import sso
from broker.doctor.chain import Chain, Found, Step, variable
from broker.doctor.facts import Facts


def profile_keys(facts: Facts) -> Found | None:
    """Static keys in either file."""
    return keys_in(lambda found: found.credentials_path)(facts) or keys_in(lambda found: found.config_path)(facts)


def sso_login(facts: Facts) -> Found | None:
    """An SSO session that somebody logged in to: without a login this chain, unlike botocore's, goes on."""
    cache = facts.under_home(".aws/sso/cache/")
    return sso(facts) if any(path.startswith(f"{cache}/") for path in facts.files) else None


CHAIN: Chain = (
    Step("environment", variable("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    Step("profile", profile_keys),
    Step("process", in_config("credential_process")),
    Step("web identity", variable("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")),
    Step("sso", sso_login),
    Step("container", container),
    Step("instance metadata", instance),
)
