#!/usr/bin/env bash
# Builds what AWS runs: bootstrap.zip of each function, for arm64 or, if the argument is x86-64, for x86-64.
. "$(dirname "$0")/common.sh"

architecture=${1:-arm64}
case $architecture in
    arm64) triple=aarch64-unknown-linux-gnu ;;
    x86-64) triple=x86_64-unknown-linux-gnu ;;
    *) die "ARCH is $architecture; it must be arm64 or x86-64" ;;
esac
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple" ] ||
    die "the Rust toolchain lacks the target $triple: run rustup target add $triple, or use ARCH=x86-64"

python_tools
# The functions call AWS alone, whose certificates all chain to these five roots. Reading a system's whole
# bundle would take as long as the rest of a cold start.
roots=$target/lambda/amazon-roots.pem
mozilla=/usr/share/ca-certificates/mozilla
[ -d "$mozilla" ] || install_package ca-certificates "contains Amazon's root certificates"
mkdir -p "$target/lambda"
cat "$mozilla"/Amazon_Root_CA_[1-4].crt "$mozilla"/Starfield_Services_Root_Certificate_Authority_-_G2.crt > "$roots"
# Under another umask the function could not read them.
chmod 644 "$roots"

build_functions "--$architecture" --output-format zip
# The stack deploys for what was built.
echo "$architecture" > "$target/lambda/architecture"
names=$(list_functions)
for name in $names; do
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "a").write(sys.argv[2], "amazon-roots.pem")' \
        "$target/lambda/$name/bootstrap.zip" "$roots"
    ls -l "$target/lambda/$name/bootstrap.zip"
done
