#!/usr/bin/env bash
# usage: fetch_highway.sh DIR
#
# Unpacks Highway (>= 1.2) from the distribution's source package into
# DIR/highway-VERSION and prints that folder. Where this release of Debian or
# Ubuntu has an older Highway, the package of a newer release is taken: the apt
# source is the machine's own with the suite's name changed, kept in a private
# folder, so no root is needed and nothing of the system's apt is touched. The
# tarball is checked by apt against the archive's signature.
set -euo pipefail

readonly kMinVersion=1.2
dest=${1:?usage: fetch_highway.sh DIR}

mkdir -p "$dest"
dest=$(cd "$dest" && pwd)  # apt reads relative paths as its own
newest=$(find "$dest" -maxdepth 1 -name 'highway-[0-9]*' | sort -V | tail -n 1)
if [[ -n $newest ]]; then
  echo "$newest"
  exit 0
fi

# Releases that have Highway >= 1.2. The machine's own comes first if it does.
# shellcheck source=/dev/null
source /etc/os-release
codename=${UBUNTU_CODENAME:-${VERSION_CODENAME:-unknown}}
if [[ ${ID:-} == ubuntu || -n ${UBUNTU_CODENAME:-} ]]; then
  suites=(resolute questing plucky)
else
  suites=(trixie forky)
fi
own=$(apt-cache policy libhwy-dev 2>/dev/null | awk '/Candidate:/ {print $2}')
if [[ -n $own ]] && dpkg --compare-versions "$own" ge "$kMinVersion"; then
  suites=("$codename" "${suites[@]}")
fi

work=$(mktemp -d "$dest/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{sources,lists/partial,cache/archives/partial,src}
touch "$work/none"
apt=(-o Dir::Etc::sourcelist="$work/none"
     -o Dir::Etc::sourceparts="$work/sources"
     -o Dir::State::Lists="$work/lists"
     -o Dir::Cache="$work/cache"
     -o Acquire::Languages=none
     -o APT::Sandbox::User="$(id -un)"
     -o APT::Update::Post-Invoke=""
     -o APT::Update::Post-Invoke-Success="")

# derive_sources SUITE: the machine's entries for its own release, as source
# entries of SUITE, in both of apt's formats.
derive_sources() {
  rm -f "$work"/sources/*
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    awk -v own="$codename" -v suite="$1" '
      $1 == "deb" {
        i = 2
        if ($2 ~ /^\[/) while ($(i++) !~ /\]$/ && i < NF) {}
        if ($(i + 1) != own) next
        $1 = "deb-src"; $(i + 1) = suite; print
      }' > "$work/sources/derived.list" || true
  # Stanzas are parted by empty lines; one holds a suite among others.
  for file in /etc/apt/sources.list.d/*.sources; do
    if [[ -e $file ]]; then cat "$file"; echo; fi
  done | awk -v own="$codename" -v suite="$1" '
    function flush() {
      if (binary && named && !off) printf "%s\n", text
      text = ""; binary = named = off = 0
    }
    /^[[:space:]]*$/ { flush(); next }
    /^#/ { next }
    /^Types:/ { binary = / deb( |$)/; $0 = "Types: deb-src" }
    /^Suites:/ {
      for (i = 2; i <= NF; ++i) if ($i == own) named = 1
      $0 = "Suites: " suite
    }
    /^Enabled: *no/ { off = 1 }
    /^Architectures:/ { next }
    { text = text $0 "\n" }
    END { flush() }' > "$work/sources/derived.sources"
}

for suite in "${suites[@]}"; do
  echo "Highway: looking in the source packages of $suite" >&2
  derive_sources "$suite"
  apt-get "${apt[@]}" -qq update >&2 || continue
  version=$(apt-cache "${apt[@]}" showsrc highway 2>/dev/null |
            awk '/^Version:/ {print $2}' | sort -V | tail -n 1)
  [[ -n $version ]] || continue
  dpkg --compare-versions "$version" ge "$kMinVersion" || continue
  # The upstream tarball alone: Debian's patches concern other machines.
  (cd "$work" && apt-get "${apt[@]}" -qq source --download-only highway) >&2
  tar -xf "$work"/highway_*.orig.tar.* -C "$work/src" --strip-components=1
  folder=$dest/highway-${version%%[-+]*}
  # Someone else may have been faster; theirs is as good.
  mv -T "$work/src" "$folder" 2>/dev/null || [[ -d $folder ]]
  echo "$folder"
  exit 0
done
echo "Highway: no source package >= $kMinVersion to be had" >&2
exit 1
