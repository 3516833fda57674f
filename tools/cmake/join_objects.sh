#!/bin/sh
# join_objects.sh LIB NAME ALLOWED ARCHIVE...
# Links all objects of the archives into one, in which only the names that the
# lines of the file ALLOWED match (objcopy's wildcards, ! takes out) stay global:
#
#   LIB/visible/NAME.o   for a shared library, which exports them
#   LIB/hidden/NAME.o    for an archive: what it is linked into does not export
#                        them, nor does it take those of another copy for its own
#
# $CXX with $CXX_TARGET (may be empty), $NM and $OBJCOPY are the tools to use.
set -eu
visible=$1/visible/$2.o hidden=$1/hidden/$2.o allowed=$3
shift 3
mkdir -p "${visible%/*}" "${hidden%/*}"
trap 'rm -f "$visible".* "$hidden".*' EXIT

link() {  # ARGUMENTS...: into one relocatable object
  "$CXX" ${CXX_TARGET:+"$CXX_TARGET"} -r -nostdlib "$@"
}

# All code is one section: names and headers of 4,000 made 1 of 11 MB of a
# stripped archive, and let --gc-sections leave out 16 KB of a static program's
# 6.8 MB.
cat >"$visible.sections" <<'EOF'
SECTIONS {
  .text 0 : { *(.text.unlikely .text.unlikely.*) *(.text .text.*) }
  .gcc_except_table 0 : { *(.gcc_except_table .gcc_except_table.*) }
}
EOF
# Groups are dissolved: a name that becomes local must not meet another object's
# group of that name.
link -Wl,--force-group-allocation -Wl,-T,"$visible.sections" \
  -Wl,--whole-archive "$@" -o "$visible.all"
# "Unique" is a binding that g++ gives to variables of inline functions: one in
# the whole process, whichever copy of a library it is in. As weak names they can
# become local like the others.
"$NM" "$visible.all" >"$visible.names"
awk '$2 == "u" { print $3 }' "$visible.names" >"$visible.unique"
"$OBJCOPY" --weaken-symbols="$visible.unique" "$visible.all"
"$OBJCOPY" --wildcard --keep-global-symbols="$allowed" "$visible.all" "$visible"

# binutils 2.40 cannot hide a name by itself. But linkers keep the strictest
# visibility of all that mention a name, so one more object says "hidden" to each.
"$NM" --defined-only --extern-only "$visible" >"$hidden.names"
awk 'NF == 3 { print "\t.hidden\t" $3 }
     END { print "\t.section\t.note.GNU-stack,\"\",%progbits" }' \
  "$hidden.names" >"$hidden.s"
"$CXX" ${CXX_TARGET:+"$CXX_TARGET"} -c -x assembler "$hidden.s" -o "$hidden.o"
link "$visible" "$hidden.o" -o "$hidden"
