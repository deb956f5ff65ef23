#!/bin/sh
# bench/length.sh [--key value ...]
# Memory and step time of one model at 1k to 32k tokens of context, one sequence per step: what the plan says before the first
# page is touched, the peak the process had, and the fastest of STEPS - 1 steps. Then how well step time / T lies on a line in T:
# everything but attention is linear in T, attention is quadratic. Keys are handed on to `addnorm train`. Made-up text;
# FROM, TO (tokens), STEPS and PROGRAM come from the environment. About three minutes on two free cores.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
addnorm=${PROGRAM:-$here/build/addnorm}
[ -x "$addnorm" ] || { echo "length: no program at $addnorm; run ./run build first" >&2; exit 2; }
from=${FROM:-1024} to=${TO:-32768} steps=${STEPS:-3}
[ "$steps" -ge 2 ] && [ "$from" -ge 1 ] && [ "$to" -ge "$from" ] || { echo "length: STEPS must be at least 2, and FROM at most TO" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
awk -v n=$((12 * to + 4000)) 'BEGIN { srand(1); for (i = 0; i < n; i++) printf "%c", 97 + int(26 * rand()) }' >"$work/text"

number() { sed -n "s/^{\"event\":\"$1\".*\"$2\":\([-0-9.e+]*\).*/\1/p" "$work/run/log.jsonl"; }

printf '%8s %12s %12s %12s %12s\n' tokens 'plan MiB' 'peak MiB' 'step ms' 'tokens/s'
t=$from
while [ "$t" -le "$to" ]; do
    rm -rf "$work/run"
    "$addnorm" train -q --data "$work/text" --out "$work/run" --n_layer 2 --d_model 128 --n_head 2 --n_kv_head 1 --position rotary "$@" \
        --seq_len "$t" --batch_size 1 --steps "$steps" --warmup 0 --telemetry off --log_every 1 --eval_every 0 --eval_batches 1 --save_every 0 >"$work/out" 2>&1 || { cat "$work/out" >&2; exit 1; }
    ms=$(number step dt_ms | sed 1d | sort -g | head -n 1)
    echo "$t $(number run memory_bytes) $(number end peak_memory_bytes) $ms" | tee -a "$work/table" |
        awk '{ printf "%8d %12.1f %12.1f %12.1f %12.0f\n", $1, $2 / 2^20, $3 / 2^20, $4, 1000 * $1 / $4 }'
    t=$((2 * t))
done
awk '{ x = $1; y = $4 / $1; n++; sx += x; sy += y; sxx += x * x; sxy += x * y; syy += y * y; if (n > 1) grew = $3 / last > grew ? $3 / last : grew; last = $3 }
     END { if (n < 3) exit
           b = (n * sxy - sx * sy) / (n * sxx - sx * sx); a = (sy - b * sx) / n; r2 = (n * sxy - sx * sy) ^ 2 / ((n * sxx - sx ^ 2) * (n * syy - sy ^ 2))
           printf "step ms = %.4g T + %.4g T^2 (R^2 of step / T: %.4f); twice the tokens take at most %.2f times the memory\n", a, b, r2, grew }' "$work/table"
