# credbroker for every user of a node: copy this to /etc/profile.d/credbroker.sh. POSIX sh, sourced by login shells.
#
# It carries no secret: the kernel attests the uid behind each connection, and "attested" is a public constant. A user
# without a grant gets a clear refusal. It sets what `credbroker env` sets, as far as that is the same for everyone.
# An earlier file of profile.d may say:
#
#   CREDBROKER_PORT        the worker plane's port on 127.0.0.1; 911 unless told
#   CREDBROKER_WITHOUT     clouds to leave alone: aws, gcp or aws,gcp
#   CREDBROKER_AWS         the AWS credential that plain SDKs get; the first that is granted unless told
#   CREDBROKER_AWS_CONFIG  an AWS config file for everyone, without credentials (region, endpoint_url, ca_bundle)
#
# Root is left alone (no caller takes uid 0 unless it says so), and so is a shell that credbroker has set up already.

# Both spellings of NO_PROXY, each extended by itself: a proxy in between breaks every client.
_credbroker_no_proxy() {
    case ",$1," in
    ',*,' | *,127.0.0.1,*) printf '%s' "$1" ;;
    ,,) printf '%s' '127.0.0.1,localhost' ;;
    *) printf '%s' "$1,127.0.0.1,localhost" ;;
    esac
}

# A folder of the user's own, with the constant in a file (object_store reads no variable) and an empty one for gcloud.
_credbroker_folder() (
    umask 077
    for base in "${XDG_RUNTIME_DIR:-}" "${HOME:+$HOME/.cache}"; do
        folder=$base/credbroker/attested
        if [ -z "$base" ] || ! mkdir -p "$folder/gcloud" 2>/dev/null; then continue; fi
        if [ "$(cat "$folder/token" 2>/dev/null)" != attested ]; then
            # Another login may be doing the same, and a worker reading: written whole.
            if ! { printf attested >"$folder/token.$$" && mv -f "$folder/token.$$" "$folder/token"; } 2>/dev/null; then continue; fi
        fi
        printf '%s' "$folder"
        return
    done
)

_credbroker_aws() {
    export AWS_CONTAINER_CREDENTIALS_FULL_URI="http://$1/aws${CREDBROKER_AWS:+/$CREDBROKER_AWS}"
    export AWS_CONTAINER_AUTHORIZATION_TOKEN=attested
    if [ -n "$2" ]; then
        export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$2/token"
    else
        unset AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
    fi
    # A [default] in ~/.aws beats the container provider, and so does ~/.boto.
    export AWS_CONFIG_FILE="${CREDBROKER_AWS_CONFIG:-/dev/null}"
    export AWS_SHARED_CREDENTIALS_FILE=/dev/null
    export BOTO_CONFIG=/dev/null
    export AWS_EC2_METADATA_DISABLED=true
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN
    unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE
    unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_ENDPOINT_URL_STS
    unset AWS_ACCESS_KEY AWS_SECRET_KEY AWS_CREDENTIAL_FILE AWS_METADATA_ENDPOINT
}

_credbroker_gcp() {
    export GCE_METADATA_HOST="$1" GCE_METADATA_IP="$1" GCE_METADATA_ROOT="$1"
    export GCE_METADATA_MTLS_MODE=none
    export METADATA_SERVER_DETECTION=assume-present
    export GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN=false
    # A stray ADC file beats the metadata server.
    export CLOUDSDK_CONFIG="${2:-/nonexistent}${2:+/gcloud}"
    export GOOGLE_GCLOUD_ADC_PATH_OVERRIDE="$CLOUDSDK_CONFIG/none.json"
    unset GOOGLE_APPLICATION_CREDENTIALS NO_GCE_CHECK GCS_KEY GCS_SECRET GOOGLE_OAUTH_ACCESS_TOKEN
    unset CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT
    unset CLOUDSDK_AUTH_ACCESS_TOKEN_FILE CLOUDSDK_AUTH_ACCESS_TOKEN
    unset GOOGLE_SERVICE_ACCOUNT GOOGLE_SERVICE_ACCOUNT_PATH GOOGLE_SERVICE_ACCOUNT_KEY SERVICE_ACCOUNT
}

_credbroker() {
    # $1: the worker plane, $2: the folder, empty if there is no place for one
    case ",${CREDBROKER_WITHOUT:-}," in *,aws,*) ;; *) _credbroker_aws "$1" "$2" ;; esac
    case ",${CREDBROKER_WITHOUT:-}," in *,gcp,*) ;; *) _credbroker_gcp "$1" "$2" ;; esac
    set -- "$1" "$2" "${NO_PROXY-${no_proxy-}}" "${no_proxy-${NO_PROXY-}}"
    NO_PROXY=$(_credbroker_no_proxy "$3")
    no_proxy=$(_credbroker_no_proxy "$4")
    export NO_PROXY no_proxy
    export CREDBROKER_WORKER="http://$1"
    if [ -n "$2" ]; then export CREDBROKER_WORKER_TOKEN_FILE="$2/token"; fi
}

if [ -z "${CREDBROKER_WORKER:-}" ] && [ "$(id -u)" != 0 ]; then
    _credbroker "127.0.0.1:${CREDBROKER_PORT:-911}" "$(_credbroker_folder)"
fi
unset -f _credbroker _credbroker_aws _credbroker_gcp _credbroker_folder _credbroker_no_proxy
