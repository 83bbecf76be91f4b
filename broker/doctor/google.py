"""Google's own clients: google-auth and gcsfs on it, google-cloud-cpp (pyarrow), gcloud. Pure.

Each looks for the ADC file in its own place and knows another variable for the metadata server.
"""

from broker.doctor.chain import Chain, Found, Step, authority, unset, variable
from broker.doctor.facts import Facts
from broker.doctor.google_steps import gcloud_adc, metadata_host, named_file
from broker.worker_env.google import TOKEN, TOKEN_FILE

_IP = "GCE_METADATA_IP"
_OVERRIDE = "GOOGLE_GCLOUD_ADC_PATH_OVERRIDE"
_LOGINS = ("credentials.db", "access_tokens.db")


def metadata_of_google_auth(facts: Facts) -> Found | None:
    """Not asked where NO_GCE_CHECK says so; nor, off Google's own machines, where GCE_METADATA_IP does not answer."""
    if facts.value("NO_GCE_CHECK") == "true":
        return None
    found = metadata_host("GCE_METADATA_HOST", "GCE_METADATA_ROOT")(facts)
    if found is None or not found.broker or authority(facts.value(_IP)) in facts.planes:
        return found
    return Found(f"{_IP}, where it asks whether there is a metadata server, is not the broker")


def cpp_adc(facts: Facts) -> Found | None:
    """google-cloud-cpp knows no CLOUDSDK_CONFIG, and a variable of its own."""
    path = facts.value(_OVERRIDE) or facts.home_adc
    return Found(f"{path} is there") if path in facts.files else None


def gcloud_token(facts: Facts) -> Found | None:
    """The variable before its file; ours where it holds the lease that is served now."""
    for name in (TOKEN, TOKEN_FILE):
        if facts.value(name):
            if name in facts.lease_variables:
                return Found(f"{name} is the broker's lease of now", broker=True)
            return Found(f"{name} is not the lease that the broker serves now: another's, or gone stale", unset(name))
    return None


def gcloud_login(facts: Facts) -> Found | None:
    """An account that somebody logged in with."""
    for name in _LOGINS:
        if f"{facts.gcloud_folder}/{name}" in facts.files:
            return Found(f"{facts.gcloud_folder} has a login")
    return None


AUTH: Chain = (
    Step("named file", named_file),
    Step("ADC file", gcloud_adc),
    Step("metadata server", metadata_of_google_auth),
)
CPP: Chain = (
    Step("named file", named_file),
    Step("ADC file", cpp_adc),
    Step("metadata server", metadata_host("GCE_METADATA_ROOT")),
)
GCLOUD: Chain = (
    Step("credential file", variable("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")),
    Step("access token", gcloud_token),
    Step("login", gcloud_login),
    Step("metadata server", metadata_host("GCE_METADATA_ROOT")),
)
