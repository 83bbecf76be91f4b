"""What still shadows the broker in a worker's environment because no variable hides it. Looks, touches nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path

ADC = ".config/gcloud/application_default_credentials.json"


def warnings(environ: Mapping[str, str], home: str, exists: Callable[[Path], bool] = Path.exists) -> tuple[str, ...]:
    """One sentence for each, about the finished environment of a worker whose home folder is `home`.

    What the variables cover (`~/.aws`, `~/.boto`, gcloud's own folder) is none.
    """
    adc = Path(home, ADC)
    if "GCE_METADATA_HOST" not in environ or not exists(adc):
        return ()
    return (
        (
            f"{adc} is what Rust programs (object_store: polars, obstore, delta-rs) use for Google before they ask the"
            " broker, and no variable hides it; --private-home does"
        ),
    )
