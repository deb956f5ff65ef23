#!/bin/sh
# bench/depth.sh [LAYERS...]
# Step time and memory over depth, per recomputation policy: models of width 64 (2 heads, T 64, batch 2, vocabulary 256) train a few
# steps at each depth, depths and policies taking turns. One row per depth and policy goes to standard output: activations and peak as
# planned, the peak that the process had, milliseconds per step (the fastest step of all rounds: others only add what the machine
# did besides); then, per policy, the straight line through step time over depth with its R^2, and the log-log slope of activations.
# WIDTH, SEQ, BATCH, STEPS and ROUNDS change the shape and the length; THREADS 2; POLICIES "none block sqrt".
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
addnorm=${PROGRAM:-$here/build/addnorm}
[ -x "$addnorm" ] || { echo "depth: no program at $addnorm; run ./run build first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- 8 16 32 64 128 256 512 1000
i=0
while [ $i -lt 4000 ]; do echo "line $i of a text that is long enough to be trained on"; i=$((i + 1)); done >"$work/text"

number() { sed -n "s/.*\"$1\": *\([0-9.e+-]*\).*/\1/p" | tail -n 1; }   # of the last line that has it

keys() {   # LAYERS POLICY
    echo --n_layer "$1" --d_model "${WIDTH:-64}" --n_head 2 --seq_len "${SEQ:-64}" --batch_size "${BATCH:-2}" --vocab_size 256 --threads "${THREADS:-2}" --telemetry off --recompute "$2"
}

for round in $(seq "${ROUNDS:-3}"); do
    for layers; do
        for policy in ${POLICIES:-none block sqrt}; do
            rm -rf "$work/run"
            # shellcheck disable=SC2046
            "$addnorm" train -q $(keys "$layers" "$policy") --data "$work/text" --out "$work/run" --steps "${STEPS:-4}" --warmup 0 --log_every 1 --eval_every 0 --eval_batches 1 --save_every 0 >"$work/out"
            grep '"event":"step"' "$work/run/log.jsonl" | sed -n 's/.*"tok_per_s": *\([0-9.e+-]*\).*/\1/p' >>"$work/speed.$layers.$policy"
            number peak_memory_bytes <"$work/run/log.jsonl" >"$work/peak.$layers.$policy"
        done
    done
done
for layers; do
    for policy in ${POLICIES:-none block sqrt}; do
        # shellcheck disable=SC2046
        "$addnorm" plan $(keys "$layers" "$policy") --json >"$work/plan"
        echo "$layers $policy $(number activations <"$work/plan") $(number peak <"$work/plan") $(cat "$work/peak.$layers.$policy") $(sort -g "$work/speed.$layers.$policy" | tail -n 1)"
    done
done | awk -v tokens="$((${SEQ:-64} * ${BATCH:-2}))" '
    BEGIN { printf "%7s %-6s %16s %12s %10s %10s\n", "layers", "policy", "activations, MiB", "planned, MiB", "peak, MiB", "step, ms" }
    {
        ms = 1000 * tokens / $6
        printf "%7d %-6s %16.2f %12.1f %10.1f %10.2f\n", $1, $2, $3 / 1048576, $4 / 1048576, $5 / 1048576, ms
        fflush()
        p = $2
        if (!(p in n)) order[++kinds] = p
        n[p]++; x[p] += $1; xx[p] += $1 * $1; y[p] += ms; yy[p] += ms * ms; xy[p] += $1 * ms
        u = log($1); v = log($3); U[p] += u; UU[p] += u * u; V[p] += v; UV[p] += u * v
    }
    END {
        for (i = 1; i <= kinds; i++) {
            p = order[i]; N = n[p]
            if (N < 2) continue
            sxx = xx[p] - x[p] * x[p] / N; sxy = xy[p] - x[p] * y[p] / N; syy = yy[p] - y[p] * y[p] / N
            printf "%-6s %.3f ms per layer, R^2 %.4f; activations grow as depth to the %.2f\n", p, sxy / sxx, sxy * sxy / (sxx * syy), (UV[p] - U[p] * V[p] / N) / (UU[p] - U[p] * U[p] / N)
        }
    }'
