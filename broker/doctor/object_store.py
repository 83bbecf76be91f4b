"""Rust's object_store, which obstore, polars and delta-rs have inside, for S3 and for Google. Pure.

It reads no `~/.aws`, takes the container endpoint only with a token *file*, and knows no AWS_EC2_METADATA_DISABLED. For
Google it looks for the ADC file below $HOME alone. polars adds a look into `~/.aws/credentials` of its own, which no
variable moves.
"""

from broker.doctor.aws_steps import FULL_URI, container_with_file, instance_whatever_is_said
from broker.doctor.chain import Chain, Found, Step, variable
from broker.doctor.facts import Facts
from broker.doctor.google_steps import metadata_host, named_file

HIDE = "`credbroker exec --private-home` hides it: no variable does"
_KEYS = ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY")


def instance_without_file(facts: Facts) -> Found | None:
    """Where it ends that has the endpoint without the token's file."""
    found = instance_whatever_is_said(facts)
    if found is None and FULL_URI in facts.environ:
        return Found(f"{FULL_URI} is not used: it takes it only with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    return found


def polars_keys(facts: Facts) -> Found | None:
    """The first keys of any profile of the file below $HOME."""
    file = facts.aws_file(facts.under_home(".aws/credentials"))
    if not any("aws_access_key_id" in profile.keys for profile in file.profiles):
        return None
    return Found(f"{file.path} has static keys", HIDE)


def service_account(facts: Facts) -> Found | None:
    """Any of the variables that name a key."""
    return next((found for name in _KEYS if (found := variable(name)(facts))), None)


def home_adc(facts: Facts) -> Found | None:
    """The ADC file below $HOME, whatever CLOUDSDK_CONFIG says."""
    return Found(f"{facts.home_adc} is there", HIDE) if facts.home_adc in facts.files else None


_ENVIRONMENT = Step("environment", variable("AWS_ACCESS_KEY_ID"))
_REST: Chain = (
    Step("web identity", variable("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")),
    Step("container", container_with_file),
    Step("instance metadata", instance_without_file),
)
AWS: Chain = (_ENVIRONMENT, *_REST)
POLARS_AWS: Chain = (_ENVIRONMENT, Step("~/.aws/credentials", polars_keys), *_REST)
GOOGLE: Chain = (
    Step("service account", service_account),
    Step("named file", named_file),
    Step("ADC file", home_adc),
    Step("metadata server", metadata_host("GCE_METADATA_HOST", "GCE_METADATA_ROOT")),
)
