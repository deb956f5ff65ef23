#!/bin/bash
# guard.sh PROGRAM [--update]: instructions of small fixed workloads (guard.c) at the avx2 level on one thread, against the committed
# instructions.tsv. More than 5 % above fails; more than 5 % below asks for new numbers. Counts depend on the compiler, so another
# one, an unoptimised build, and a machine without valgrind or AVX2 skip the test (exit 77) and say why.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
table=$here/instructions.tsv margin=5 program=$1 update=${2:-}
skip() { echo "skipped: $*"; exit 77; }

command -v valgrind >/dev/null || skip "valgrind is not installed (apt-get install valgrind)"
grep -qw avx2 /proc/cpuinfo 2>/dev/null || skip "this processor has no AVX2"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
said=$(ADDNORM_CPU=avx2 ADDNORM_GEMM=native OMP_NUM_THREADS=1 valgrind --tool=callgrind --callgrind-out-file="$out/count" "$program" 2>"$out/log") ||
    { tail -5 "$out/log" >&2; echo "guard: $program failed under valgrind" >&2; exit 1; }
case $said in *"kernels avx2, products by native"*) ;; *) skip "not the avx2 kernels: $said" ;; esac

# count.N: "desc: Trigger: Client Request: NAME" and "totals: INSTRUCTIONS", in the order they were made
for i in $(seq 1 "$(find "$out" -name 'count.[0-9]*' | wc -l)"); do
    awk '/^desc: Trigger: Client Request: / { sub(/^desc: Trigger: Client Request: /, ""); name = $0 }
         /^totals: / { total = $2 }
         END { if (name != "") printf "%s\t%d\n", name, total }' "$out/count.$i"
done >"$out/now.tsv"
[ -s "$out/now.tsv" ] || { echo "guard: callgrind counted nothing" >&2; exit 1; }

compiler=${said##*compiler }
if [ "$update" = --update ]; then
    { printf '# compiler %s; made by tests/guard/guard.sh PROGRAM --update\n' "$compiler"; cat "$out/now.tsv"; } >"$table"
    echo "written: $table"
    exit 0
fi
recorded=$(sed -n '1s/^# compiler \(.*\); made by.*/\1/p' "$table")
[ "$compiler" = "$recorded" ] || skip "counts were made with compiler $recorded, this is $compiler"
awk -F '\t' -v margin="$margin" '
    FNR == NR { if ($0 !~ /^#/) { was[$1] = $2; left[$1] = 1 } next }
    !($1 in was) { printf "%-26s %12d instructions, not in the table: --update\n", $1, $2; bad = 1; next }
    { delete left[$1]; change = 100 * ($2 / was[$1] - 1); say = ""
      if (change > margin) { say = "  MORE than " margin " %"; bad = 1 }
      if (change < -margin) say = "  fewer: --update keeps it so"
      printf "%-26s %12d instructions, %+7.1f %%%s\n", $1, $2, change, say }
    END { for (name in left) { printf "%-26s was not counted\n", name; bad = 1 } exit bad }' "$table" "$out/now.tsv"
