"""What each reason of a denial means, and what to do next: words for people. Pure data.

The refusal itself says none of this: whoever sent it may be anybody.
"""

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """What happened, and what to do about it."""

    what: str
    advice: str


_BY_EXEC = "start the program by `credbroker exec`, or in the environment that `credbroker env` prints"
_DOCTOR = "`credbroker doctor`, run where the program runs, says which client sends what"
_GRANT = "`credbroker explain --caller NAME CREDENTIAL` shows the rule; an operator can add the credential to `grants`"
_OUR_OWN = "this is no request of an SDK; see docs/configuration.md for the paths and what they take"

_ANOTHER_TOKEN = Reason(
    "a worker token was shown that this daemon does not know: it has expired, was revoked, or is of another daemon",
    f"{_BY_EXEC}, anew; `credbroker token list` has the live ones",
)

_PODS = "docs/kubernetes.md says what a pod must mount and set"
_ANEW = "clients read the token file again by themselves: one that keeps an old token must be restarted"
_OF_OURS = f"let the pod show the projected token that its volume has for this broker; {_PODS}"

# Why a pod's own token is not believed, or is nobody's: 401.
_OF_PODS: dict[str, Reason] = {
    "no-kubernetes-caller": Reason(
        "a pod's token was shown, and no caller in the configuration is a pod",
        f"an operator can add `kubernetes = {{ ... }}` to a caller; {_PODS}",
    ),
    "pods-alone": Reason(
        "on an address where pods alone are served, something else than a pod's token was shown",
        f"{_OF_OURS}. Processes of the node ask on loopback",
    ),
    "token-of-another-pod": Reason(
        "a path token was shown from another address than that of the pod that it was given to",
        "it is for that pod alone: let each swap a token of its own. If none was meant to have it, it was stolen: "
        "`credbroker token revoke`",
    ),
    "pod-matches-nobody": Reason(
        "no caller in the configuration is a pod of this namespace and service account",
        "an operator can add them to a caller's `kubernetes`",
    ),
    "pod-of-another-node": Reason(
        "the token is of a pod that runs on another node than this broker", "let the pod ask the broker of its own node"
    ),
    "swap-of-another": Reason(
        "a path token was asked for by something else than a pod's own token",
        "docs/kubernetes.md says how one is swapped",
    ),
    "pod-unbound": Reason("the cluster does not say which pod the token is bound to", _OF_OURS),
    "jwt-malformed": Reason("what was shown is no token of a cluster, or damaged", _OF_OURS),
    "jwt-unbound": Reason("the token is bound to no pod, or to no node", _OF_OURS),
    "jwt-audience": Reason(
        "the token is meant for somebody else", f"its volume must name the `audience` of the caller; {_PODS}"
    ),
    "jwt-expired": Reason("the token has expired", _ANEW),
    "jwt-not-yet": Reason("the token is from the future", "set the clocks of node and cluster, by NTP"),
    "jwt-algorithm": Reason("the token is signed in a way that no cluster signs", _OF_OURS),
    "jwt-signature": Reason("the token was not signed by this cluster", _OF_OURS),
    "jwt-unknown-key": Reason("the token was signed with a key that this cluster does not name", _OF_OURS),
    "jwt-issuer": Reason("the token is of another cluster", _OF_OURS),
    "jwt-subject": Reason("the token's subject is not its service account", _OF_OURS),
    "review-refused": Reason(
        "the cluster does not believe the token: its pod or service account is gone, or it was made up", _ANEW
    ),
    "review-audience": Reason("the cluster says that the token is meant for somebody else", _OF_OURS),
    "review-no-service-account": Reason("the cluster says that the token is no service account's", _OF_OURS),
}

REASONS: dict[str, Reason] = {
    **_OF_PODS,
    # Who asks: 401.
    "nothing-shown": Reason("the request showed nothing that says who asks", f"{_BY_EXEC}; {_DOCTOR}"),
    "not-attested": Reason(
        "the request asked to be known by its uid, and the kernel named none for its connection",
        "`credbroker status` says whether attestation is on; it never is for who connects from another network "
        f"namespace, such as a container's. Show a worker token instead: {_BY_EXEC}, or `credbroker token issue`",
    ),
    "uid-matches-nobody": Reason(
        "the request asked to be known by its uid, which no caller in the configuration matches",
        "an operator can add `uid` or `group` to a caller (root also needs `allow_root = true`), or issue a token",
    ),
    "token-unknown": _ANOTHER_TOKEN,
    "token-of-another-uid": Reason(
        "a worker token was shown by another uid than the only one that may",
        "if that process is meant to have it, issue one for its uid (`credbroker token issue --uid`); if not, the "
        "token was stolen: `credbroker token revoke`",
    ),
    "path-token-elsewhere": Reason(
        "a token in the path was shown where clients can send a header",
        "show a header token there: `credbroker token issue --for header`",
    ),
    "path-token-malformed": Reason(
        "what stands behind /w/ in the path is no worker token", f"look at GCE_METADATA_HOST; {_BY_EXEC}"
    ),
    "authorization-not-ours": Reason(
        "the Authorization field is no worker token, and not the word `attested`",
        f"look at AWS_CONTAINER_AUTHORIZATION_TOKEN and its _FILE, or at what the program itself sends; {_BY_EXEC}",
    ),
    "imds-token-and-authorization": Reason(
        "a session token of IMDS and an Authorization field were shown together", "show one of the two"
    ),
    "identity-header-and-authorization": Reason(
        "X-IDENTITY-HEADER and an Authorization field were shown together", "show one of the two"
    ),
    "imds-token-not-good": Reason(
        "a session token of IMDS was shown that has expired, is another uid's, or is of before the daemon's restart",
        "clients fetch a new one by themselves; one that does not was started under another uid",
    ),
    "imds-v1": Reason(
        "a GET of instance metadata without a session token: IMDSv1 is not spoken here",
        "let the client use IMDSv2, or AWS_CONTAINER_CREDENTIALS_FULL_URI, as `credbroker env` sets it",
    ),
    "Unauthorized": _ANOTHER_TOKEN,
    # What for: 403 and 404.
    "not-granted": Reason("the caller is not granted such a credential, or there is none of that name", _GRANT),
    "unrenderable": Reason(
        "a template of the credential cannot be filled for this caller",
        "`credbroker explain --caller NAME --uid USER CREDENTIAL` says which; a token that is bound to no uid has no "
        "{uid}, {user} or {group}",
    ),
    "identity-not-shared": Reason(
        "the lease is the daemon's own session, which is not handed on",
        "use a role of its own (aws-assume-role), or allow it with share_identity = true",
    ),
    "upstream-denied": Reason(
        "the cloud refused to mint the credential, for good",
        "`credbroker status` shows its error; the role, its trust policy or the service account needs mending there",
    ),
    "unknown-account": Reason(
        "a service account was asked for by its e-mail, and no credential of this caller is that account at present",
        "ask for `default`, or for the account that `credbroker status` shows",
    ),
    "UnknownCaller": Reason(
        "no caller in the configuration is the asking user, or not the one that he named",
        "`credbroker whoami` says who he is; an operator can add his `uid` or `group` to a caller",
    ),
    "AccessDenied": Reason(
        "the asking user may not do this on the control socket", "an operator may; see `operators` and `issuers`"
    ),
    "AskingItself": Reason(
        "a minter of this broker, or a credential_process that it runs, asked the broker for the broker's own identity",
        "let the profile or the file that the daemon starts with name an identity of its own, not `credbroker get`",
    ),
    # Where it was sent, and how: 400 to 431.
    "Forwarded": Reason(
        "the request came through a proxy, a browser or a URL fetcher, by the fields that it carries",
        "ask directly: set NO_PROXY, as `credbroker env` does. If nobody here meant to ask, somebody tried to make a "
        "server fetch a secret",
    ),
    "ForeignHost": Reason(
        "the Host field is not the address that was connected to",
        "use the address as `credbroker env` prints it; a name that resolves to it will not do (DNS rebinding)",
    ),
    "MetadataFlavorMissing": Reason(
        "a request to the metadata server without its header", "send `Metadata-Flavor: Google`, as Google's clients do"
    ),
    "NotFound": Reason("there is no such path, or no ID token for this audience", _OUR_OWN),
    "AudienceMissing": Reason("an ID token was asked for without saying for whom", "add ?audience=..."),
    "BoundToken": Reason(
        "a token bound to a transport (mTLS) was asked for", "set GCE_METADATA_MTLS_MODE=none, as `credbroker env` does"
    ),
    "ApiVersionUnknown": Reason(
        "a managed identity was asked for in a version that is not spoken here",
        "use a client that knows App Service's of 2019-08-01, such as azure-identity",
    ),
    "ResourceMissing": Reason("a token of Azure was asked for without saying what for", "add ?resource=..."),
    "IdentityUnknown": Reason(
        "a managed identity was named by something else than client_id",
        "name a credential by client_id, as docs/stores.md has it, or none for the first that is granted",
    ),
    "VersionUnknown": Reason(
        "the metadata service of Databricks was asked without its version header", "use databricks-sdk, as it is"
    ),
    "HostMissing": Reason(
        "the metadata service of Databricks was asked without saying for which workspace", "set DATABRICKS_HOST"
    ),
    "BadRequest": Reason("the request's head is malformed, or a field is not what the path takes", _OUR_OWN),
    "MethodNotAllowed": Reason("another method than GET", _OUR_OWN),
    "BodyNotAllowed": Reason("a request with a body", _OUR_OWN),
    "UriTooLong": Reason("the URL is too long", _OUR_OWN),
    "HeadTooLarge": Reason("the head is too long, or has too many fields", _OUR_OWN),
}
OTHER = Reason("the request was refused", "the audit line has all that is known")
