#!/bin/bash
# Builds a small local image (about 145 MB, in 3 s) that stands in for node:24-bookworm-slim where no container registry can be reached.
# Usage: local-base-image.sh TAG [NODE_BINARY]
# NODE_BINARY defaults to node_modules/.bin/node (the npm package `node`), else the node on PATH. Linux x64 with glibc only: the image is put
# together from programs of this machine and the libraries that they are linked to.
set -euo pipefail
tag=${1:?usage: local-base-image.sh TAG [NODE_BINARY]}
node_binary=${2:-}
[ -n "$node_binary" ] || { [ -x node_modules/.bin/node ] && node_binary=node_modules/.bin/node || node_binary=$(command -v node); }
node_binary=$(readlink -f "$node_binary")
# Not `npm root -g`: that answers for whatever node comes first on PATH, and the project's own has no npm beside it.
npm_folder=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
[ -f "$npm_folder/bin/npm-cli.js" ] || { echo "local-base-image: no npm at $npm_folder" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root"/{bin,etc/ssl/certs,lib64,lib/x86_64-linux-gnu,usr/bin,usr/local/bin,usr/local/lib/node_modules,root,tmp,var/tmp,proc,sys,dev,run,home/node}
chmod 1777 "$root/tmp" "$root/var/tmp"

# A program with every shared library that it is linked to.
place() {
  install -D -m755 "$1" "$root$2"
  { ldd "$1" 2>/dev/null || true; } | { grep -oE '/[^ ]+' || true; } | while read -r library; do
    [ -e "$root$library" ] || install -D -m755 "$(readlink -f "$library")" "$root$library"
  done
}

place "$node_binary" /usr/local/bin/node
# Loaded at run time for name look-ups, so ldd does not list them.
for library in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  cp -L "/lib/x86_64-linux-gnu/$library" "$root/lib/x86_64-linux-gnu/"
done
for pair in dash:sh env:env cat:cat ls:ls mkdir:mkdir rm:rm cp:cp mv:mv ln:ln chmod:chmod chown:chown id:id sleep:sleep echo:echo date:date touch:touch; do
  place "/bin/${pair%%:*}" "/bin/${pair##*:}"
done
ln -s /bin/env "$root/usr/bin/env"
cp -aL "$npm_folder" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:node:/home/node:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$root/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
chown 1000:1000 "$root/home/node"
tar -C "$root" -c . | docker import \
  -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
  -c 'CMD ["node"]' - "$tag"
