#!/bin/sh
# link_archives.sh COMMAND...
# Runs a command that links a program, with the archives of Abseil that lie beside
# the shared libraries that it names. Forty of those cost a process 6 ms at its
# start; without them weft-run has a small model's first token after 12.
for word; do
  shift
  case $word in
  */libabsl_*.so*)
    if [ -e "${word%.so*}.a" ]; then word=${word%.so*}.a; fi
    ;;
  esac
  set -- "$@" "$word"
done
exec "$@"
