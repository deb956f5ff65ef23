#!/bin/sh
# examples/ledger.sh [TEXTFILE] [--steps N ...]
# Where does the gradient go? Trains 24 layers a few steps without a skip (plain), with the norm behind the skip (post-ln)
# and before the branch (pre-ln), and prints from the run's log, per sub-layer of the last observed step, the gradient that
# came down the skip, the gradient that came down the branch, and what the skip kept; then the product of what it kept
# over the whole depth. Look at both: the skip's chain may lose everything while the whole gradient does not.
# Some ten seconds on two cores. Further words go to `addnorm train`. With gnuplot a picture is written too.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
addnorm=${PROGRAM:-$here/build/addnorm}
[ -x "$addnorm" ] || { echo "ledger: no program at $addnorm; run ./run build first" >&2; exit 2; }

text=
case ${1:-} in ''|-*) ;; *) text=$1; shift ;; esac
out=${OUT:-$here/runs/ledger}
mkdir -p "$out"
if [ -z "$text" ]; then
    text=$out/text.txt
    for f in /usr/share/common-licenses/*; do [ -L "$f" ] || cat "$f"; done >"$text"
fi

# One line per sub-layer from the last line of event "ledger": site, g_in, g_identity, g_branch, attenuation.
table() {
    grep '"event":"ledger"' "$1" | tail -n 1 | awk '
        function column(key, list,   at, text) {
            at = index($0, "\"" key "\":[")
            text = substr($0, at + length(key) + 4)
            return split(substr(text, 1, index(text, "]") - 1), list, ",")
        }
        {
            n = column("site", site); column("g_in", total); column("g_identity", id); column("g_branch", branch); column("attenuation", kept)
            for (i = 1; i <= n; i++) { gsub(/"/, "", site[i]); print site[i], total[i], id[i], branch[i], kept[i] }
        }'
}

for design in plain post-ln pre-ln; do
    rm -rf "${out:?}/$design"
    echo "ledger: $design" >&2
    "$addnorm" train --design "$design" --init xavier --n_layer 24 --d_model 128 --n_head 4 --seq_len 64 --batch_size 8 --steps 10 \
        --lr 1e-3 --warmup 0 --schedule constant --dropout 0 --telemetry_every 5 --eval_every 0 --save_every 0 --data "$text" --out "$out/$design" -q "$@" >"$out/$design.txt"
    table "$out/$design/log.jsonl" >"$out/$design.dat"
    printf '\n%s\n%-16s %12s %12s %12s %12s\n' "$design" sub-layer gradient "by skip" "by branch" "skip kept"
    awk '{ printf "%-16s %12.3e %12.3e %12.3e %12.4f\n", $1, $2, $3, $4, $5; if ($5 <= 0) none = 1; else log_kept += log($5); first = NR == 1 ? $2 : first; last = $2 }
        END { printf "product of what the skip kept over %d sub-layers: %s;  whole gradient, first over last: %.3g\n", NR, none ? "0" : sprintf("%.3g", exp(log_kept)), first / last }' "$out/$design.dat"
done

command -v gnuplot >/dev/null || exit 0
gnuplot <<END
set terminal pngcairo size 1200,420 font ",11"
set output "$out/ledger.png"
set multiplot layout 1,3
set logscale y; set format y "10^{%L}"; set yrange [1e-9:1e-1]; set xrange [0:*]; set xlabel "sub-layer"; set grid ytics lc rgb "#dddddd"
set key bottom right
names = "plain post-ln pre-ln"; rules = "'x ← F(N(x))' 'x ← N(x + F(x))' 'x ← x + F(N(x))'"
do for [i = 1:3] {
    d = "$out/".word(names, i).".dat"
    set title word(names, i).":  ".word(rules, i)
    set ylabel i == 1 ? "length of the gradient" : ""
    plot d using 0:2 with lines lw 5 lc rgb "#bbbbbb" title "gradient", d using 0:(column(3) > 0 ? column(3) : 1/0) with lines lw 2 lc rgb "#0072b2" title "down the skip", \\
         d using 0:4 with lines lw 2 lc rgb "#d55e00" title "down the branch"
    unset key
}
unset multiplot
END
echo "picture: $out/ledger.png"
