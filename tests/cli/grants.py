"""What a daemon grants to a worker, made up."""

from broker import control_api as api

TRAIN = api.Granted(name="train", kind="aws", first=True, region="eu-west-1")
OTHER = api.Granted(name="other", kind="aws", first=False, region="us-east-1")
DATA = api.Granted(name="data", kind="gcp", first=True, project="my-project")
BLOB = api.Granted(name="blob", kind="azure", first=True)
VAULT = api.Granted(name="vault", kind="azure", first=False)
LAKE = api.Granted(name="lake", kind="databricks", first=True, settings=(("DATABRICKS_HOST", "https://dbc-1.example"),))
JOBS = api.Granted(name="jobs", kind="oci", first=True, region="eu-frankfurt-1")
WORKER = api.Worker(
    caller="me", host="127.0.0.1", port=9911, header_token="cbw_x", path_token="cbp_y", granted=(TRAIN, OTHER, DATA)
)
