"""What still shadows the broker in a worker's environment because no variable hides it. Looks, touches nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

ADC = ".config/gcloud/application_default_credentials.json"
KEYS = ".aws/credentials"
ORACLE = ".oci/config"

# By file under home: the variable of the cloud that it concerns, and who reads it whatever the environment says (seen).
_READ = {
    ADC: ("GCE_METADATA_HOST", "Rust's object_store (polars, obstore, delta-rs) uses for Google"),
    KEYS: ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "polars uses for S3, unless boto3 is installed beside it,"),
    ORACLE: ("OCI_CONFIG_FILE", "Oracle's SDK (MosaicML Streaming too) reads"),
}


def warnings(environ: Mapping[str, str], home: str, exists: Callable[[Path], bool] = Path.exists) -> tuple[str, ...]:
    """One sentence for each, about the finished environment of a worker whose home folder is `home`.

    What the variables cover (`~/.aws/config`, `~/.boto`, gcloud's own folder) is none.
    """
    return tuple(
        f"{Path(home, file)} is what {who} before it asks the broker, and no variable hides it; --private-home does"
        for file, (variable, who) in _READ.items()
        if variable in environ and exists(Path(home, file))
    )
