#!/bin/sh
# join_objects.sh OUT.o NAMES ARCHIVE... -- COMPILER...
# Links all objects of the archives into OUT.o, in which only the names that the
# lines of the file NAMES allow (objcopy's wildcards, ! takes out) stay global.
# $NM and $OBJCOPY say which tools to use.
set -eu
out=$1 names=$2
shift 2
archives=
while [ "$1" != -- ]; do
  archives="$archives $1"
  shift
done
shift
trap 'rm -f "$out.all" "$out.unique"' EXIT

# Groups are dissolved: a name that becomes local must not meet another object's
# group of that name.
# shellcheck disable=SC2086  # paths of a build tree, without spaces
"$@" -r -nostdlib -Wl,--force-group-allocation -Wl,--whole-archive $archives \
  -o "$out.all"
# "Unique" is a binding that g++ gives to variables of inline functions: one in
# the whole process, whichever copy of a library it is in. As weak names they can
# become local like the others.
"$NM" "$out.all" | awk '$2 == "u" { print $3 }' >"$out.unique"
"$OBJCOPY" --weaken-symbols="$out.unique" "$out.all"
"$OBJCOPY" --wildcard --keep-global-symbols="$names" "$out.all" "$out"
