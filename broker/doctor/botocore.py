"""botocore and what stands on it: boto3, the AWS CLI, s3fs and aiobotocore, polars where boto3 is beside it. Pure.

The order is that of `botocore.credentials.create_credential_resolver`.
"""

from broker.doctor.aws_steps import FULL_URI, TOKEN_FILE, container, in_config, instance, keys_in, profile_name
from broker.doctor.chain import Chain, Found, Step, unset, variable
from broker.doctor.facts import Facts

_OLD = ("/etc/boto.cfg", "~/.boto")


def no_such_profile(facts: Facts) -> Found | None:
    """A profile that is named and not there: ProfileNotFound, before any provider is asked."""
    name = profile_name(facts)
    files = (facts.aws_file(facts.config_path), facts.aws_file(facts.credentials_path))
    if name == "default" or any(one.name == name for file in files for one in file.profiles):
        return None
    return Found(
        f"AWS_PROFILE names {name}, which neither file has: it fails", unset("AWS_PROFILE AWS_DEFAULT_PROFILE")
    )


def unreadable(facts: Facts) -> Found | None:
    """A file that the SDK cannot parse: it fails whatever comes after."""
    for path in (facts.config_path, facts.credentials_path):
        if facts.aws_file(path).broken:
            return Found(f"{path} cannot be parsed: it fails")
    return None


def web_identity(facts: Facts) -> Found | None:
    """Of the environment, else of the profile."""
    names = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
    return variable(*names)(facts) or in_config("web_identity_token_file", "role_arn")(facts)


def sso(facts: Facts) -> Found | None:
    """A session by name, or the older keys in the profile itself."""
    return in_config("sso_session")(facts) or in_config("sso_start_url")(facts)


def old_boto(facts: Facts) -> Found | None:
    """The files of boto 2, before the container."""
    named = facts.value("BOTO_CONFIG")
    for path in [named] if named else _OLD:
        if "aws_access_key_id" in facts.aws_file(facts.expanded(path)).keys("Credentials"):
            return Found(f"{facts.expanded(path)} has static keys")
    return None


def empty_token_file(facts: Facts) -> Found | None:
    """The variable of the token's file, set to nothing: botocore opens it all the same (seen), the others do not."""
    if FULL_URI not in facts.environ or facts.environ.get(TOKEN_FILE) != "":
        return None
    return Found(f"{TOKEN_FILE} is set to nothing: it fails", unset(TOKEN_FILE))


CHAIN: Chain = (
    Step("error", unreadable),
    Step("error", no_such_profile),  # even before keys in the environment (seen)
    Step("env", variable("AWS_ACCESS_KEY_ID")),
    Step("assume-role", in_config("role_arn", "source_profile")),
    Step("assume-role", in_config("role_arn", "credential_source")),
    Step("assume-role-with-web-identity", web_identity),
    Step("sso", sso),
    Step("shared-credentials-file", keys_in(lambda facts: facts.credentials_path)),
    Step("login", in_config("login_session")),
    Step("custom-process", in_config("credential_process")),
    Step("config-file", keys_in(lambda facts: facts.config_path)),
    Step("ec2-credentials-file", variable("AWS_CREDENTIAL_FILE")),
    Step("boto-config", old_boto),
    Step("error", empty_token_file),
    Step("container-role", container),
    Step("iam-role", instance),
)
