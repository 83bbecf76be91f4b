"""What is known of a worker's environment: names, paths and kinds. Frozen values; of files, never a secret's value."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from broker.worker_env.outer import WORKER_TOKEN_FILE

ADC_NAME = "application_default_credentials.json"


class Profile(msgspec.Struct, frozen=True):
    """One section of an AWS file: its name without `profile `, and which keys it sets."""

    name: str
    keys: frozenset[str]


class AwsFile(msgspec.Struct, frozen=True):
    """`~/.aws/config`, `~/.aws/credentials` or another in their format; `broken` where no SDK can read it."""

    path: str
    profiles: tuple[Profile, ...] = ()
    broken: bool = False

    def keys(self, name: str) -> frozenset[str]:
        """Which keys a profile sets there."""
        return frozenset().union(*(one.keys for one in self.profiles if one.name == name))


class Remote(msgspec.Struct, frozen=True):
    """One remote of rclone's configuration: which keys it sets, and whether it asks for the environment's identity."""

    name: str
    kind: str
    env_auth: bool
    keys: frozenset[str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's environment as its clients find it.

    `planes` are the addresses of the broker that may be trusted, as HOST:PORT; `files` every file that was looked for
    and is there; `reachable` the instance metadata addresses that answer this uid; `lease_variables` the variables
    that hold the lease which the broker serves now.
    """

    environ: Mapping[str, str]
    home: str = "/nonexistent"
    planes: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    aws_files: tuple[AwsFile, ...] = ()
    remotes: tuple[Remote, ...] = ()
    reachable: frozenset[str] = frozenset()
    distributions: frozenset[str] = frozenset()
    commands: frozenset[str] = frozenset()
    lease_variables: frozenset[str] = frozenset()

    def value(self, name: str) -> str:
        """A variable; empty as good as absent."""
        return self.environ.get(name, "")

    def under_home(self, *parts: str) -> str:
        """A path below the home folder."""
        return str(PurePosixPath(self.home, *parts))

    def expanded(self, path: str) -> str:
        """A path as a shell would write it out: `~` is the home folder."""
        return self.under_home(path[2:]) if path.startswith("~/") else path

    @property
    def config_path(self) -> str:
        """Where AWS SDKs look for their configuration."""
        return self.expanded(self.value("AWS_CONFIG_FILE") or "~/.aws/config")

    @property
    def credentials_path(self) -> str:
        """Where AWS SDKs look for static keys."""
        return self.expanded(self.value("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")

    @property
    def gcloud_folder(self) -> str:
        """The folder of gcloud, where google-auth looks for the ADC file too."""
        return self.expanded(self.value("CLOUDSDK_CONFIG") or "~/.config/gcloud")

    @property
    def home_adc(self) -> str:
        """The ADC file of those who know no variable for it."""
        return self.under_home(".config/gcloud", ADC_NAME)

    @property
    def azure_profile(self) -> str:
        """What `az login` leaves."""
        return f"{self.expanded(self.value('AZURE_CONFIG_DIR') or '~/.azure')}/azureProfile.json"

    @property
    def databricks_path(self) -> str:
        """Where Databricks' SDK looks for profiles."""
        return self.expanded(self.value("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg")

    @property
    def worker_folder(self) -> str | None:
        """Where the broker lays this worker's files."""
        token_file = self.value(WORKER_TOKEN_FILE)
        return str(PurePosixPath(token_file).parent) if token_file else None

    def aws_file(self, path: str) -> AwsFile:
        """What was found at a path; an empty file where there is none."""
        return next((one for one in self.aws_files if one.path == path), AwsFile(path))
