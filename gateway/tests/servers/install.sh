#!/usr/bin/env bash
# Installs the servers and the clients of these tests, and copies the scripts beside them. Nothing outside of the folder
# changes, and root is not needed: the packages of Debian are unpacked into the folder.
# usage: install.sh <folder>
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p "$1"
parts="$(cd "$1" && pwd)"

cp -r . "$parts"
(cd "$parts" && npm install --silent --no-audit --no-fund --no-package-lock)
(cd "$parts/better-auth" && npm install --silent --no-audit --no-fund --no-package-lock --legacy-peer-deps)
python3 -m venv "$parts/venv"
"$parts/venv/bin/pip" install --quiet --disable-pip-version-check -r "$parts/requirements.txt"

debian="$parts/debian"
rm -rf "$debian"
mkdir -p "$debian/lists/partial" "$debian/archives/partial" "$debian/root"
options=(-o Dir::State::Lists="$debian/lists" -o Dir::Cache="$debian" -o Debug::NoLocking=1 -o APT::Sandbox::User=)
apt-get --quiet --quiet update "${options[@]}"
mapfile -t packages <debian.txt
apt-get --quiet --quiet --yes --no-install-recommends --download-only --reinstall install "${options[@]}" "${packages[@]}" >/dev/null
for package in "$debian"/archives/*.deb; do dpkg-deb --extract "$package" "$debian/root"; done
