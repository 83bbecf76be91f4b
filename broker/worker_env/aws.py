"""What makes AWS SDKs in a worker use the broker and nothing else. Pure."""

import shlex

import msgspec

from broker.worker_env.environment import Environment, Plane, Text
from broker.worker_env.profile import DEFAULT, Block, Settings

NOWHERE = "/dev/null"

UNSET = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ACCESS_KEY",  # Go and Java v1 read these where the two above are absent
    "AWS_SECRET_KEY",
    "AWS_CREDENTIAL_FILE",  # botocore's chain: before the container provider
    "AWS_METADATA_ENDPOINT",  # object_store's name for the instance metadata endpoint
)


class AwsGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker may have of AWS.

    `name` is the credential that plain SDKs get, None the first that is granted; `region` its region if it states
    one; `profiles` every granted credential with its region; `settings` what is kept of the user's own profile.
    """

    name: str | None = None
    region: str | None = None
    profiles: tuple[tuple[str, str | None], ...] = ()
    settings: Settings = Settings()


def aws_environment(plane: Plane, grant: AwsGrant) -> Environment:
    """The AWS part of a worker's environment."""
    config = f"{plane.folder}/aws-config"
    path = "/aws" if grant.name is None else f"/aws/{grant.name}"
    region = grant.region or grant.settings.value("region")
    variables: list[tuple[str, Text]] = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{plane.address}{path}"),
        # Clients know the one or the other; object_store uses the URI only with the file.
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", plane.token_file),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", plane.authorization),
        # A [default] in ~/.aws silently beats the container provider; so does botocore's old ~/.boto.
        ("AWS_CONFIG_FILE", config),
        ("AWS_SHARED_CREDENTIALS_FILE", NOWHERE),
        ("BOTO_CONFIG", NOWHERE),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    if region:  # else SDKs would ask the instance's metadata for it
        variables += [("AWS_REGION", region), ("AWS_DEFAULT_REGION", region)]
    return Environment(set=tuple(variables), unset=UNSET, files=((config, config_text(plane, grant)),))


def config_text(plane: Plane, grant: AwsGrant) -> str:
    """The generated `~/.aws/config`: no profile inherits from [default], so each has the settings again."""
    sections = [_profile(DEFAULT, grant.settings, grant.region)]
    for name, region in grant.profiles:
        if name != DEFAULT:  # [profile default] is [default], which is what the URI opens
            process = shlex.join((*plane.program, "get", name, "--format", "credential-process"))
            sections.append(_profile(f"profile {name}", grant.settings, region, f"credential_process = {process}"))
    if services := grant.settings.services:
        sections.append(_lines(f"services {grant.settings.value('services')}", (), services))
    return "\n".join(sections)


def _profile(header: str, settings: Settings, region: str | None, *more: str) -> str:
    values = dict(settings.values) | ({"region": region} if region else {})
    return _lines(header, tuple(values.items()), settings.blocks, *more)


def _lines(header: str, values: Block, blocks: tuple[tuple[str, Block], ...], *more: str) -> str:
    lines = [f"[{header}]", *(f"{key} = {value}" for key, value in values), *more]
    for name, block in blocks:
        lines += [f"{name} =", *(f"    {key} = {value}" for key, value in block)]
    return "\n".join(lines) + "\n"
