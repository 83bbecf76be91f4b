"""Steps that the chains of Google's clients share. Pure."""

from broker.doctor.chain import FIREWALL, WRAP, Finds, Found, authority, unset
from broker.doctor.facts import ADC_NAME, Facts

METADATA = "169.254.169.254"
_NAMED = "GOOGLE_APPLICATION_CREDENTIALS"


def named_file(facts: Facts) -> Found | None:
    """GOOGLE_APPLICATION_CREDENTIALS, first in every chain; one that is not there makes it fail."""
    path = facts.value(_NAMED)
    if not path:
        return None
    return Found(f"{_NAMED} is set" + ("" if path in facts.files else ", to a file that is not there"), unset(_NAMED))


def gcloud_adc(facts: Facts) -> Found | None:
    """The ADC file in gcloud's folder, which CLOUDSDK_CONFIG moves."""
    path = f"{facts.gcloud_folder}/{ADC_NAME}"
    return Found(f"{path} is there") if path in facts.files else None


def metadata_host(*names: str) -> Finds:
    """The metadata server at the first of these variables that is set, else the machine's own."""

    def finds(facts: Facts) -> Found | None:
        name = next((name for name in names if facts.value(name)), None)
        if name is not None:
            where = authority(facts.value(name))
            if where in facts.planes:
                return Found(f"{name} is the broker at {where}", broker=True)
            return Found(f"{name} is {where}, which is not the broker", WRAP)
        if METADATA in facts.reachable:
            return Found(f"the instance metadata server answers at {METADATA}", FIREWALL)
        return None

    return finds
