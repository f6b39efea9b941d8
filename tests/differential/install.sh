#!/usr/bin/env bash
# Installs the parsers of the differential test, and writes one program for each into <folder>/bin. Nothing outside of the
# folder changes, and root is not needed: the packages of Debian are unpacked into the folder.
#
# The parsers of Java need java and javac of version 17 or later. Without these, the script leaves the two parsers out, and
# says so.
# usage: install.sh <folder>
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p "$1/bin"
folder="$(cd "$1" && pwd)"

cp -r parsers package.json "$folder"
(cd "$folder" && npm install --silent --no-audit --no-fund --no-package-lock)
[ -d "$folder/venv" ] || python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt

debian="$folder/debian"
mkdir -p "$debian/lists/partial" "$debian/archives/partial"
options=(-o Dir::State::Lists="$debian/lists" -o Dir::Cache="$debian" -o Debug::NoLocking=1 -o APT::Sandbox::User=)
apt-get --quiet --quiet update "${options[@]}"
mapfile -t packages <debian.txt
apt-get --quiet --quiet --yes --no-install-recommends --download-only --reinstall install "${options[@]}" "${packages[@]}" >/dev/null
rm -rf "$debian/root"
mkdir "$debian/root"
for package in "$debian"/archives/*.deb; do dpkg-deb --extract "$package" "$debian/root"; done
root="$debian/root"
libraries="$root/usr/lib:$root/usr/lib/x86_64-linux-gnu"

rm -f "$folder"/bin/*
# program NAME COMMAND...
program() {
    local name="$1"
    shift
    {
        echo '#!/bin/sh'
        echo "export LD_LIBRARY_PATH='$libraries'"
        echo "cd '$folder'"
        echo "exec $*"
    } >"$folder/bin/$name"
    chmod +x "$folder/bin/$name"
}

ruby="$root/usr/lib/ruby"
rubylib="$(echo "$root"/usr/share/rubygems-integration/all/gems/rack-*/lib):$ruby/3.1.0:$ruby/vendor_ruby:$root/usr/lib/x86_64-linux-gnu/ruby/3.1.0"
program rack "env RUBYLIB='$rubylib' '$root/usr/bin/ruby3.1' --disable=gems parsers/rack_parser.rb"
program express4 "env LD_LIBRARY_PATH= node parsers/node_parser.mjs express4"
program qs "env LD_LIBRARY_PATH= node parsers/node_parser.mjs qs"
program express5 "env LD_LIBRARY_PATH= node parsers/node_parser.mjs express"
for name in django werkzeug starlette; do
    program "$name" "env LD_LIBRARY_PATH= venv/bin/python parsers/${name}_parser.py"
done
program php "env LD_LIBRARY_PATH= venv/bin/python parsers/php_parser.py '$root/usr/bin/php-cgi8.2'"

GO111MODULE=off GOFLAGS= GOCACHE="$folder/go-cache" "$folder/venv/bin/go" build -o "$folder/go-parser" ./parsers/go
program go "$folder/go-parser"

mono="$root/usr/lib/mono"
export MONO_PATH="$mono/4.5" MONO_CFG_DIR="$root/etc"
LD_LIBRARY_PATH="$libraries" "$root/usr/bin/mono-sgen" "$MONO_PATH/mcs.exe" \
    -r:System.Web -out:"$folder/AspNetParser.exe" parsers/AspNetParser.cs
program aspnet "env MONO_PATH='$MONO_PATH' MONO_CFG_DIR='$MONO_CFG_DIR' '$root/usr/bin/mono-sgen' AspNetParser.exe"

if command -v javac >/dev/null; then
    jars="$root/usr/share/java"
    javac -d "$folder/classes" -cp "$jars/*" parsers/*.java
    program jetty "env LD_LIBRARY_PATH= java -XX:+UseSerialGC -cp 'classes:$jars/*' JettyParser 2>/dev/null"
    program tomcat "env LD_LIBRARY_PATH= java -XX:+UseSerialGC -cp 'classes:$jars/*' TomcatParser 2>/dev/null"
else
    echo "NOT INSTALLED: Jetty and Tomcat need java and javac of version 17 or later" >&2
fi
