#!/usr/bin/env bash
# Takes the README's pictures of the web page from the running system.
. "$(dirname "$0")/../infra/local/common.sh"

require npm npm "installs the programs that take pictures"
require chromium chromium "shows the page"
require pngquant pngquant "makes pictures small"
[[ $(fc-list 2> /dev/null) == *Inter* ]] || install_package fonts-inter "the page is set in it"
cd "$root"
$cargo build --locked --package equilibrium-local --bin equilibrium
cd tests/tests/page
npm ci --silent --no-audit --no-fund
npm run --silent pictures
