#!/bin/sh
# examples/three_designs.sh [TEXTFILE] [--steps N ...]
# What do the skip connection and the place of the norm do? Trains the same 12-layer model three times, with no skip (plain),
# with the norm after the skip (post-ln) and before the branch (pre-ln), at the same learning rate without warm-up, and
# prints the three beside the text's unigram entropy: a model that stays there has learnt nothing but letter frequencies.
# About four minutes on two cores. Further words go to `addnorm train`. With gnuplot a picture of the curves is written too.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
addnorm=${PROGRAM:-$here/build/addnorm}
[ -x "$addnorm" ] || { echo "three_designs: no program at $addnorm; run ./run build first" >&2; exit 2; }

text=
case ${1:-} in ''|-*) ;; *) text=$1; shift ;; esac
out=${OUT:-$here/runs/three-designs}
mkdir -p "$out"
if [ -z "$text" ]; then
    text=$out/text.txt
    for f in /usr/share/common-licenses/*; do [ -L "$f" ] || cat "$f"; done >"$text"
fi

for design in plain post-ln pre-ln; do
    rm -rf "${out:?}/$design"
    echo "three_designs: $design" >&2
    "$addnorm" train --design "$design" --init xavier --n_layer 12 --d_model 128 --n_head 4 --seq_len 64 --batch_size 16 --steps 300 \
        --lr 1e-3 --warmup 0 --schedule constant --dropout 0 --log_every 1 --eval_every 0 --save_every 0 --data "$text" --out "$out/$design" "$@" >"$out/$design.txt"
done

field() { sed -n "s/.*\"$2\":\([-0-9.e+]*\).*/\1/p" "$1"; }
entropy=$(field "$out/pre-ln/log.jsonl" unigram_entropy | head -n 1)
{
    printf '%-10s %22s %16s   %s\n' design 'training loss, nats' 'below unigram' 'verdict'
    for design in plain post-ln pre-ln; do
        grep '"event":"step"' "$out/$design/log.jsonl" >"$out/$design.steps"
        field "$out/$design.steps" loss | tail -n 50 | awk -v d="$design" -v h="$entropy" '
            { sum += $1 } END { m = sum / NR; v = h - m >= 0.7 ? "trains" : h - m <= 0.3 ? "stays at the unigram entropy" : "partial"
              printf "%-10s %22.3f %16.3f   %s\n", d, m, h - m, v }'
    done
    printf 'unigram entropy of the text: %.3f nats; loss is the mean of the last 50 steps\n' "$entropy"
} | tee "$out/table.txt"

command -v gnuplot >/dev/null 2>&1 || exit 0
for design in plain post-ln pre-ln; do
    awk '{ match($0, /"step":[0-9]+/); s = substr($0, RSTART + 7, RLENGTH - 7); match($0, /"loss":[-0-9.e+]+/); print s, substr($0, RSTART + 7, RLENGTH - 7) }' \
        "$out/$design.steps" >"$out/$design.dat"
done
gnuplot <<PLOT
set terminal pngcairo size 900,480 font "sans,11" background rgb "#ffffff"
set output "$out/three_designs.png"
set xlabel "step"
set ylabel "training loss, nats per byte"
set grid lc rgb "#dddddd"
set key top right
set border 3
set tics nomirror
set yrange [*:6]
plot $entropy with lines lw 2 dt 2 lc rgb "#888888" title "unigram entropy of the text", \
     "$out/plain.dat" with lines lw 6 lc rgb "#F0A070" title "plain: no skip", \
     "$out/post-ln.dat" with lines lw 2 lc rgb "#0072B2" title "post-ln: LayerNorm(x + F(x))", \
     "$out/pre-ln.dat" with lines lw 2 lc rgb "#009E73" title "pre-ln: x + F(LayerNorm(x))"
PLOT
echo "picture: $out/three_designs.png" >&2
