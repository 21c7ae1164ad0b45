# What `up`, `down`, `watch` and `package` share: tools, processes and names. Sourced, not run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
state=${EQUILIBRIUM_STATE:-$target/up}
tools=$target/tools/local
cargo=${CARGO:-cargo}

deployment=${EQUILIBRIUM_DEPLOYMENT:-equilibrium}
gateway_port=${EQUILIBRIUM_GATEWAY_PORT:-4566}
redis_port=${EQUILIBRIUM_REDIS_PORT:-6390}
control_port=${EQUILIBRIUM_CONTROL_PORT:-4570}
watch_port=${EQUILIBRIUM_WATCH_PORT:-9000}

# Another endpoint, as of a LocalStack, stands in for the emulator.
own_endpoint=http://127.0.0.1:$gateway_port
endpoint=${AWS_ENDPOINT_URL:-$own_endpoint}
export AWS_ENDPOINT_URL=$endpoint AWS_ENDPOINT_URL_S3=${AWS_ENDPOINT_URL_S3:-$endpoint}
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-test} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-test}
export AWS_REGION=${AWS_REGION:-us-east-1}
export AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER=""

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Installs a Debian package where a program is not there.
debian() { # PROGRAM PACKAGE WHY
    command -v "$1" > /dev/null && return
    say "installing $2 (Debian): $3"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    local get=("${sudo[@]}" apt-get --yes --no-install-recommends)
    # A new machine has no list of packages, or an old one.
    "${get[@]}" install "$2" > /dev/null || { "${get[@]}" update > /dev/null && "${get[@]}" install "$2" > /dev/null; }
}

# Debian's Python cannot make a folder of its own without this package.
venv_module() {
    python3 -c 'import ensurepip' 2> /dev/null ||
        debian no-such-program python3-venv "makes the folder for Python's tools"
}

# Python's tools, in a folder of their own, for the versions in requirements.txt.
python_tools() {
    local wanted=$root/infra/local/requirements.txt
    if ! cmp --silent "$wanted" "$tools/installed"; then
        venv_module
        say "installing cargo-lambda, zig, ministack and the AWS command line (PyPI) into $tools"
        rm -rf "$tools"
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
        cp "$wanted" "$tools/installed"
    fi
    export PATH=$tools/bin:$PATH
}

# The CDK, for the versions in package-lock.json.
node_tools() {
    debian npm npm "runs the CDK"
    local wanted=$root/infra/package-lock.json
    if ! cmp --silent "$wanted" "$root/infra/node_modules/.installed"; then
        say "installing the CDK (npm) into infra/node_modules"
        (cd "$root/infra" && npm ci --silent --no-audit --no-fund)
        cp "$wanted" "$root/infra/node_modules/.installed"
    fi
}

# When a process began: with it, a number that another process has taken is known for another's.
began() { cut -d ' ' -f 22 "/proc/$1/stat" 2> /dev/null; }

is_running() { # NAME
    local pid since
    read -r pid since 2> /dev/null < "$state/$1.pid" || return 1
    [ "$(began "$pid")" = "$since" ]
}

# Starts a program in a process group of its own, its output in a log.
start() { # NAME PROGRAM ARGUMENTS…
    local name=$1
    shift
    mkdir -p "$state"
    setsid "$@" > "$state/$name.log" 2>&1 < /dev/null &
    local pid=$!
    echo "$pid $(began "$pid")" > "$state/$name.pid"
    disown "$pid"
}

# Ends a program and all it started, and waits until they are gone.
stop() { # NAME
    if is_running "$1"; then
        local pid
        read -r pid _ < "$state/$1.pid"
        kill -TERM -- "-$pid" 2> /dev/null || true
        for _ in $(seq 100); do
            kill -0 -- "-$pid" 2> /dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2> /dev/null || true
    fi
    rm -f "$state/$1.pid"
}

# Waits until a command succeeds, for as long as a program lives.
until_it() { # WHAT NAME COMMAND…
    local what=$1 name=$2
    shift 2
    for _ in $(seq 600); do
        "$@" > /dev/null 2>&1 && return
        is_running "$name" || die "$name has ended before $what; it said: $(tail -n 5 "$state/$name.log")"
        sleep 0.2
    done
    die "two minutes have gone by without $what; see $state/$name.log"
}

start_emulator() {
    [ "$endpoint" = "$own_endpoint" ] || return 0
    debian redis-server redis-server "the cache"
    if ! is_running redis; then
        start redis redis-server --bind 127.0.0.1 --port "$redis_port" --save "" --appendonly no
        until_it "Redis answering at port $redis_port" redis redis-cli -p "$redis_port" ping
    fi
    if ! is_running emulator; then
        # What was known of an emulator that is gone is not known of this one.
        rm -rf "$state/positions"
        # Functions inherit the emulator's environment: it gets no more than it needs.
        start emulator env --ignore-environment PATH="$PATH" HOME="$state" TMPDIR="$state" \
            BIND_HOST=127.0.0.1 GATEWAY_PORT="$gateway_port" AWS_ENDPOINT_URL="$own_endpoint" \
            REDIS_HOST=127.0.0.1 REDIS_PORT="$redis_port" LOG_LEVEL=WARNING "$tools/bin/ministack"
        until_it "the emulator answering at port $gateway_port" emulator \
            curl --silent --fail "$own_endpoint/_ministack/health"
    fi
}

# Builds the functions and the command line as they are deployed; ARGUMENTS go to cargo-lambda.
build_functions() {
    (cd "$root" && cargo lambda build --release --locked "$@" --all-features \
        --package equilibrium-count --package equilibrium-ingest --package equilibrium-price \
        --package equilibrium-surge --package equilibrium-local --bins)
}

# Creates or updates everything; with `-c functions=no` all but the functions and their API.
deploy() {
    (cd "$root/infra" &&
        npx cdk bootstrap --output "$state/cdk" -c "endpoint=$endpoint" "aws://000000000000/$AWS_REGION" &&
        npx cdk deploy --output "$state/cdk" --require-approval never --outputs-file "$state/outputs.json" \
            -c "deployment=$deployment" -c "endpoint=$endpoint" -c "code=$target/lambda" "$@") \
        > "$state/deploy.log" 2>&1 || die "the deployment failed: $(tail -n 20 "$state/deploy.log")"
}

output() { # NAME
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' \
        "$state/outputs.json" "$deployment" "$1"
}
