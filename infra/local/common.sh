# What `up`, `down`, `watch` and `package` share: settings, tools and processes. Sourced, not run.
# shellcheck shell=bash disable=SC2034
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

# Another endpoint, such as a LocalStack's, replaces the emulator.
own_endpoint=http://127.0.0.1:$gateway_port
endpoint=${AWS_ENDPOINT_URL:-$own_endpoint}
export AWS_ENDPOINT_URL=$endpoint AWS_ENDPOINT_URL_S3=${AWS_ENDPOINT_URL_S3:-$endpoint}
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-test} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-test}
export AWS_REGION=${AWS_REGION:-us-east-1}
export AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER=""

info() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Prints the name of every function that deployment.json lists, one per line, or a field of each.
list_functions() { # [FIELD]
    python3 -c '
import json, sys
for name, settings in json.load(open(sys.argv[1]))["functions"].items():
    print(settings[sys.argv[2]] if len(sys.argv) > 2 else name)
' "$root/infra/deployment.json" "$@"
}

# Installs a Debian package.
install_package() { # PACKAGE PURPOSE
    info "installing the Debian package $1: $2"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    local get=("${sudo[@]}" apt-get --yes --no-install-recommends)
    # A new machine has no list of packages, or an outdated one.
    "${get[@]}" install "$1" > /dev/null || { "${get[@]}" update > /dev/null && "${get[@]}" install "$1" > /dev/null; }
}

# Installs the Debian package of a program that is missing.
require() { # PROGRAM PACKAGE PURPOSE
    command -v "$1" > /dev/null || install_package "$2" "$3"
}

# Debian ships Python without the module that creates virtual environments.
require_venv() {
    python3 -c 'import ensurepip' 2> /dev/null || install_package python3-venv "creates Python's virtual environment"
}

# The Python tools, at the versions in requirements.txt, in a virtual environment.
python_tools() {
    local wanted=$root/infra/local/requirements.txt
    if ! cmp --silent "$wanted" "$tools/installed"; then
        require_venv
        info "installing cargo-lambda, zig, ministack and the AWS command line (PyPI) into $tools"
        rm -rf "$tools"
        python3 -m venv "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
        cp "$wanted" "$tools/installed"
    fi
    export PATH=$tools/bin:$PATH
}

# The CDK, at the versions in package-lock.json.
node_tools() {
    require npm npm "runs the CDK"
    local wanted=$root/infra/package-lock.json
    if ! cmp --silent "$wanted" "$root/infra/node_modules/.installed"; then
        info "installing the CDK (npm) into infra/node_modules"
        (cd "$root/infra" && npm ci --silent --no-audit --no-fund)
        cp "$wanted" "$root/infra/node_modules/.installed"
    fi
}

# The time at which a process started, which differs from that of a later process with the same id.
start_time() { cut -d ' ' -f 22 "/proc/$1/stat" 2> /dev/null; }

is_running() { # NAME
    local pid since
    read -r pid since 2> /dev/null < "$state/$1.pid" || return 1
    [ "$(start_time "$pid")" = "$since" ]
}

# Starts a program in its own process group and writes its output to a log.
start() { # NAME PROGRAM ARGUMENTS…
    local name=$1
    shift
    mkdir -p "$state"
    setsid "$@" > "$state/$name.log" 2>&1 < /dev/null &
    local pid=$!
    echo "$pid $(start_time "$pid")" > "$state/$name.pid"
    disown "$pid"
}

# Stops a program and every process it started, and waits until they have exited.
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

# Waits until a command succeeds, for two minutes at most and only while a program runs.
wait_until() { # CONDITION NAME COMMAND…
    local condition=$1 name=$2
    shift 2
    for _ in $(seq 600); do
        "$@" > /dev/null 2>&1 && return
        is_running "$name" || die "$name exited before $condition; end of its log: $(tail -n 5 "$state/$name.log")"
        sleep 0.2
    done
    die "timed out after two minutes, before $condition; see $state/$name.log"
}

start_emulator() {
    [ "$endpoint" = "$own_endpoint" ] || return 0
    require redis-server redis-server "serves as the cache"
    if ! is_running redis; then
        start redis redis-server --bind 127.0.0.1 --port "$redis_port" --save "" --appendonly no
        wait_until "Redis answered on port $redis_port" redis redis-cli -p "$redis_port" ping
    fi
    if ! is_running emulator; then
        # Positions saved for an earlier emulator mean nothing to this one.
        rm -rf "$state/positions"
        # Functions inherit the emulator's environment, so it receives no more than it needs.
        start emulator env --ignore-environment PATH="$PATH" HOME="$state" TMPDIR="$state" \
            BIND_HOST=127.0.0.1 GATEWAY_PORT="$gateway_port" AWS_ENDPOINT_URL="$own_endpoint" \
            REDIS_HOST=127.0.0.1 REDIS_PORT="$redis_port" LOG_LEVEL=WARNING "$tools/bin/ministack"
        wait_until "the emulator answered on port $gateway_port" emulator \
            curl --silent --fail "$own_endpoint/_ministack/health"
    fi
}

# Builds every function as it is deployed, into $target/lambda; ARGUMENTS go to cargo-lambda.
build_functions() { # ARGUMENTS…
    local list package packages=()
    list=$(list_functions package)
    for package in $list; do
        packages+=(--package "$package")
    done
    (cd "$root" && cargo lambda build --release --locked --all-features --bins "${packages[@]}" "$@")
}

# Creates or updates the whole stack; with `-c functions=no` the storage alone.
deploy() { # ARGUMENTS…
    (cd "$root/infra" &&
        npx cdk bootstrap --output "$state/cdk" -c "endpoint=$endpoint" "aws://000000000000/$AWS_REGION" &&
        npx cdk deploy --output "$state/cdk" --require-approval never --outputs-file "$state/outputs.json" \
            -c "deployment=$deployment" -c "endpoint=$endpoint" -c "code=$target/lambda" "$@") \
        > "$state/deploy.log" 2>&1 || die "the deployment failed: $(tail -n 20 "$state/deploy.log")"
}

# Prints an output of the stack.
output() { # NAME
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' \
        "$state/outputs.json" "$deployment" "$1"
}
