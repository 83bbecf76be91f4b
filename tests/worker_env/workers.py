"""Workers as the tests of this folder have them."""

from broker.config.shape import Address
from broker.secret import Secret
from broker.worker_env import AwsGrant, GoogleGrant, Plane, Settings, Worker
from broker.worker_env.environment import Environment, opened

HEADER = "cbw_" + "h" * 43
PATH = "cbp_" + "p" * 43
ACCESS = "ya29.access"
FOLDER = "/run/user/1000/credbroker/worker"

ADDRESS = Address("127.0.0.1", 9911)
PLANE = Plane(
    address=ADDRESS,
    folder=FOLDER,
    program=("/opt/cred broker/credbroker",),
    header_token=Secret(HEADER),
    path_token=Secret(PATH),
)
ATTESTED = Plane(address=ADDRESS, folder=FOLDER, program=("/usr/bin/credbroker",))

AWS = AwsGrant(
    name="train",
    region="eu-west-1",
    profiles=(("train", "eu-west-1"), ("eval", None)),
    settings=Settings(values=(("region", "us-east-1"), ("endpoint_url", "http://127.0.0.1:5000"))),
)
GOOGLE = GoogleGrant(project="my-project", quota_project="my-quota", access_token=Secret(ACCESS))
WORKER = Worker(plane=PLANE, aws=AWS, google=GOOGLE)


def variables(environment: Environment) -> dict[str, str]:
    """What is set."""
    return {name: opened(value) for name, value in environment.set}


def files(environment: Environment) -> dict[str, str]:
    """What is written."""
    return {path: opened(content) for path, content in environment.files}
