#!/bin/sh
# k3ts: this file is a shell header followed by a gzipped tar. It unpacks itself once, below the data directory, and
# runs from there: so the program is file-backed memory, shared between processes, and starting it costs no unpacking.
set -e
id=@ID@
data=${K3TS_DATA_DIR:-/var/lib/rancher/k3ts}
[ "$(id -u)" = 0 ] || data=${K3TS_DATA_DIR:-$HOME/.rancher/k3ts}
# --data-dir moves the unpacked program too.
previous=
for argument in "$@"; do
  case $previous in --data-dir | -d) data=$argument ;; esac
  case $argument in --data-dir=*) data=${argument#--data-dir=} ;; --) break ;; esac
  previous=$argument
done
home=$data/data/$id
if [ ! -x "$home/bin/node" ]; then
  case $0 in */*) self=$0 ;; *) self=$(command -v -- "$0") ;; esac
  new=$data/data/.new-$id-$$
  rm -rf "$new"
  mkdir -p "$new" || { echo "k3ts: cannot make $new: choose another folder with --data-dir or K3TS_DATA_DIR" >&2; exit 1; }
  trap 'rm -rf "$new"' EXIT
  tail -c +@OFFSET@ "$self" | tar -xzf - -C "$new" || { echo "k3ts: cannot unpack into $new: is the disk full?" >&2; exit 1; }
  [ -x "$new/bin/node" ] || { echo "k3ts: $self is damaged: fetch it again" >&2; exit 1; }
  mv -T "$new" "$home" 2>/dev/null || [ -x "$home/bin/node" ] || { echo "k3ts: cannot make $home" >&2; exit 1; }
  rm -rf "$new"
  trap - EXIT
  # Older versions go, unless a process still runs from them.
  for old in "$data"/data/* "$data"/data/.new-*; do
    case $old in "$home" | *'*') continue ;; esac
    ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF " $old/" || rm -rf "$old"
  done
fi
K3TS_EXECUTABLE=$0
export K3TS_EXECUTABLE
export NODE_COMPILE_CACHE="$home/cache"
# Behind the folders of the machine's own choice, if it has one; programs started from here find nothing else in it.
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$home/native"
# glibc gives each thread an arena of its own, and each keeps what was freed in it.
export MALLOC_ARENA_MAX=2
# Room for new objects: V8's own choice grows to 96 MB under load and stays resident for long. The collector is exposed for
# src/platform/memory.ts.
exec "$home/bin/node" --max-semi-space-size=4 --expose-gc --disable-warning=ExperimentalWarning "$home/lib/main.mjs" "$@"
