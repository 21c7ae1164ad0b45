#!/usr/bin/env bash
# Builds what is deployed to AWS: bootstrap.zip for each function, for arm64 or, as the argument says, x86-64.
. "$(dirname "$0")/common.sh"

architecture=${1:-arm64}
case $architecture in
    arm64) triple=aarch64-unknown-linux-gnu ;;
    x86-64) triple=x86_64-unknown-linux-gnu ;;
    *) die "ARCH is $architecture, neither arm64 nor x86-64" ;;
esac
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple" ] ||
    die "this toolchain has no standard library for $triple: rustup target add $triple, or ARCH=x86-64"

python_tools
# The functions talk to AWS alone, whose certificates all end in these five; reading the whole bundle of a
# system takes as long as all else at a start.
roots=$target/lambda/amazon-roots.pem
mozilla=/usr/share/ca-certificates/mozilla
[ -d "$mozilla" ] || debian no-such-program ca-certificates "the roots of Amazon's certificates"
mkdir -p "$target/lambda"
cat "$mozilla"/Amazon_Root_CA_[1-4].crt "$mozilla"/Starfield_Services_Root_Certificate_Authority_-_G2.crt > "$roots"

(cd "$root" && cargo lambda build --release --locked "--$architecture" --output-format zip \
    --all-features --bins --package equilibrium-count --package equilibrium-ingest \
    --package equilibrium-price --package equilibrium-surge)
for name in count ingest price surge; do
    python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "a").write(sys.argv[2], "amazon-roots.pem")' \
        "$target/lambda/$name/bootstrap.zip" "$roots"
    ls -l "$target/lambda/$name/bootstrap.zip"
done
