"""The one table of sources. A new cloud is one file beside this one and its lines here.

Specs are plain data and may be imported anywhere. Mint functions import their cloud SDK inside themselves and run only
in a minter process.
"""

from broker.sources import (
    alipan,
    aws,
    azure,
    azure_sas,
    backblaze_b2,
    cloudflare_r2,
    coreweave,
    databricks,
    gcs_hmac,
    google,
    oci_api_key,
    oci_secret_key,
    oci_session,
    private_env,
    s3_static,
)
from broker.sources.source import Source

_FAMILIES = (
    aws,
    google,
    s3_static,
    cloudflare_r2,
    coreweave,
    backblaze_b2,
    azure,
    azure_sas,
    databricks,
    gcs_hmac,
    oci_session,
    oci_api_key,
    oci_secret_key,
    alipan,
    private_env,
)

TABLE: dict[str, Source] = {source.name: source for family in _FAMILIES for source in family.SOURCES}

__all__ = ["TABLE", "Source"]
