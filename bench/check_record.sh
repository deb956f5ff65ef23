#!/bin/sh
# bench/check_record.sh TEXTFILE [OUT]
# How often is the verdict of `addnorm check` right? For every configuration listed below this trains the real run, trains
# Pre-LN beside it as the reference, asks `addnorm check` about the same configuration, and where the answer was "needs
# warm-up: about N steps" trains with N as well. One row per configuration goes to OUT/record.tsv, a summary to standard output;
# what counts as right is told in docs/check.md. Finished pieces lie in OUT (default runs/check-record) and are not computed
# again: after a change of the rule remove OUT/check, after a change of the engine all of OUT. Two single-thread processes,
# about a quarter of an hour on two free cores. JOBS=N runs N at a time, NICE=N at that niceness.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
addnorm=${PROGRAM:-$here/build/addnorm}
[ -x "$addnorm" ] || { echo "check_record: no program at $addnorm; run ./run build first" >&2; exit 2; }
text=${1:?usage: check_record.sh TEXTFILE [OUT]}
[ -r "$text" ] || { echo "check_record: cannot read $text" >&2; exit 2; }
out=${2:-$here/runs/check-record}
steps=300
tab=$(printf '\t')
mkdir -p "$out/train" "$out/check"

# part seed batch init n_layer lr warmup designs; a design may carry settings, +key=value. What each part
# was used for is told in docs/check.md.
cells() {
    awk 'NF > 7 { for (i = 8; i <= NF; i++) print $1, $i "," $4 "," $5 "," $6 "," $7 "," $2 "," $3 }' <<'GRID'
calibration 1 8 xavier  4 1e-3   0 plain post-ln pre-ln rezero
calibration 1 8 xavier  2 1e-3   0 plain
calibration 1 8 xavier  6 1e-3   0 post-ln mix-ln
calibration 1 8 xavier 12 1e-3   0 plain post-ln pre-ln deepnorm b2t sandwich-ln keel rezero layerscale custom+custom_skip=0.5
calibration 1 8 xavier  8 1e-3   0 post-ln
calibration 1 8 xavier  8 1e-3 100 post-ln
calibration 1 8 xavier 12 1e-3 100 post-ln b2t
calibration 1 8 xavier  8 3e-3   0 post-ln pre-ln deepnorm mix-ln keel rezero sub-ln t-fixup hybridnorm
calibration 1 8 auto   12 1e-3   0 plain post-ln pre-ln hybridnorm
calibration 1 8 auto    8 1e-2   0 post-ln pre-ln deepnorm peri-ln skipinit
held-out    2 4 xavier  3 5e-4   0 plain post-ln
held-out    2 4 xavier  5 2e-3   0 plain post-ln pre-ln layerscale
held-out    2 4 xavier  7 7e-4   0 post-ln mix-ln
held-out    2 4 xavier  7 7e-4  60 post-ln
held-out    2 4 xavier 10 5e-4   0 plain post-ln pre-ln b2t mix-ln skipinit
held-out    2 4 xavier 10 2e-3   0 post-ln pre-ln deepnorm b2t sandwich-ln keel layernorm-scaling rezero layerscale custom+custom_skip=0.5
held-out    2 4 auto    6 6e-3   0 post-ln pre-ln peri-ln reordered normformer
held-out    2 4 auto   10 2e-3   0 plain post-ln pre-ln hybridnorm mix-ln
held-out    2 4 auto   10 2e-3  50 post-ln
held-out    2 4 xavier 16 1e-3   0 post-ln keel
fresh       3 4 xavier  6 1.5e-3 0 plain post-ln b2t keel sub-ln
fresh       3 4 xavier  9 1e-3   0 post-ln pre-ln deepnorm mix-ln
fresh       3 4 xavier  9 1e-3  80 post-ln
fresh       3 4 auto    8 1e-3   0 post-ln normformer hybridnorm reordered
fresh       3 4 xavier 20 7e-4   0 keel deepnorm
last        4 4 xavier  7 1.5e-3 0 plain post-ln mix-ln layerscale
last        4 4 xavier 11 7e-4   0 post-ln b2t reordered
last        4 4 xavier  9 7e-4  50 post-ln
last        4 4 auto    7 1.5e-3 0 post-ln normformer hybridnorm sub-ln
GRID
}

# ---- one piece of work; KEY is design,init,n_layer,lr,warmup,seed,batch ------------------------------------------------------
flags() {
    echo "$1" | awk -F, -v data="$text" -v steps="$steps" '{
        n = split($1, word, "+")
        printf "--design %s", word[1]
        for (i = 2; i <= n; i++) printf " --%s", word[i]
        printf " --init %s --n_layer %s --lr %s --warmup %s --seed %s --steps %d --schedule constant", $2, $3, $4, $5, $6, steps
        print " --d_model 64 --n_head 2 --seq_len 64 --batch_size " $7 " --dropout 0 --threads 1"
    }'
}

# The losses of all steps; fewer than there should be: the run ended in a number that is none.
train_one() {
    run=$out/train/$1.run
    rm -rf "$run"
    rc=0
    # shellcheck disable=SC2046
    nice -n "${NICE:-10}" "$addnorm" train $(flags "$1") --data "$text" --telemetry off --log_every 1 --eval_every 0 --eval_batches 1 --save_every 0 --out "$run" -q >"$run.out" 2>&1 || rc=$?
    if [ $rc -ne 0 ] && ! grep -q 'diverged at step' "$run.out"; then cat "$run.out" >&2; return 1; fi
    {
        sed -n 's/.*"unigram_entropy":\([-0-9.e+]*\).*/entropy \1/p' "$run/log.jsonl"
        sed -n 's/^{"event":"step".*"loss":\([-0-9.e+]*\),.*/\1/p' "$run/log.jsonl"
    } >"$run.tmp"
    mv "$run.tmp" "$out/train/$1.loss"
    rm -rf "$run" "$run.out"
}

check_one() {
    # shellcheck disable=SC2046
    nice -n "${NICE:-10}" "$addnorm" check $(flags "$1") --data "$text" --json -q >"$out/check/$1.tmp" || return 1
    mv "$out/check/$1.tmp" "$out/check/$1.json"
}

# Works through a list of "kind key" lines, leaving out what is done or what another worker has taken.
worker() {
    while read -r kind key; do
        case $kind in train) done=$out/train/$key.loss ;; *) done=$out/check/$key.json ;; esac
        [ -e "$done" ] && continue
        mkdir "$out/claims/$kind,$key" 2>/dev/null || continue
        "${kind}_one" "$key" || { echo "$kind $key" >>"$out/failed"; continue; }
        echo "check_record: $kind $key ($(find "$out/claims" -mindepth 1 | wc -l) of $(wc -l <"$out/jobs"))" >&2
    done <"$out/jobs"
}

work() {
    rm -rf "$out/claims" "$out/failed"
    mkdir "$out/claims"
    awk '!seen[$0]++' >"$out/jobs.all"
    while read -r kind key; do
        case $kind in train) [ -e "$out/train/$key.loss" ] ;; *) [ -e "$out/check/$key.json" ] ;; esac || echo "$kind $key"
    done <"$out/jobs.all" >"$out/jobs"
    i=0
    while [ $i -lt "${JOBS:-2}" ]; do worker & i=$((i + 1)); done
    wait
    [ ! -e "$out/failed" ] || { echo "check_record: could not be done:" >&2; cat "$out/failed" >&2; exit 1; }
}

cells | awk '{ print "train", $2; sub(/[^,]*/, "pre-ln", $2); print "train", $2 }' | work
cells | awk '{ print "check", $2 }' | work

# ---- what the answers promise is tried as well ----------------------------------------------------------------------------
warmup_of() { sed -n 's/^ "warmup": \([0-9]*\),.*/\1/p' "$out/check/$1.json"; }
rescued() { echo "$1" | awk -F, -v w="$2" -v design="${3:-}" '{ print (design ? design : $1) "," $2 "," $3 "," $4 "," w "," $6 "," $7 }'; }
cells | while read -r _ key; do
    w=$(warmup_of "$key")
    [ "$w" -gt 0 ] || continue
    echo "train $(rescued "$key" "$w")"
    echo "train $(rescued "$key" "$w" pre-ln)"
done | work

# ---- the table ------------------------------------------------------------------------------------------------------------
final() { awk '/entropy/ { next } { x[++n] = $1 } END { if (n < '$steps') print "nan"; else { for (i = n - 49; i <= n; i++) s += x[i]; printf "%.4f", s / 50 } }' "$out/train/$1.loss"; }
entropy() { sed -n 's/^entropy //p' "$out/train/$1.loss"; }

# The rule of docs/check.md: loss, unigram entropy, loss of Pre-LN -> trained, degraded, partial, failed.
truth() {
    awk -v m="$1" -v h="$2" -v ref="$3" 'BEGIN {
        if (m == "nan" || m > h - 0.3) print "failed"
        else if (ref != "nan" && m <= ref + 0.10) print "trained"
        else if (m <= h - 0.7) print (ref == "nan" ? "trained" : "degraded")
        else print "partial"
    }'
}

# From the report: verdict, rule, steps, loss, pre-ln, token cosine, reach, what was tried.
report() {
    awk -v OFS="$tab" '
        function value(line) { sub(/^[^:]*: /, "", line); sub(/,$/, "", line); gsub(/"/, "", line); return line }
        function number(line) { line = value(line); return line ~ /^-?[0-9]/ ? sprintf("%.4g", line) : line }
        /^ "verdict"/ { verdict = value($0) } /^ "rule"/ { rule = value($0); sub(/:.*/, "", rule) } /^   "step"/ { n++ }
        /^  "loss"/ { loss = number($0) } /^  "pre_ln_loss"/ { ref = number($0) }
        /^  "token_cosine"/ { apart = number(1 - value($0)) } /^  "gradient_reach"/ { reach = number($0) }
        /^   "change"/ { change = value($0) }
        /^   "verdict"/ { tried = tried (tried ? "; " : "") change " " value($0) }
        END { print verdict, rule, n, loss, ref, apart, reach, tried ? tried : "-" }' "$out/check/$1.json"
}

cells | while read -r half key; do
    h=$(entropy "$key"); m=$(final "$key"); ref=$(final "pre-ln,${key#*,}")
    w=$(warmup_of "$key")
    rescue=- rescue_loss=-
    if [ "$w" -gt 0 ]; then
        rescue_loss=$(final "$(rescued "$key" "$w")")
        rescue=$(truth "$rescue_loss" "$h" "$(final "$(rescued "$key" "$w" pre-ln)")")
    fi
    printf '%s\t' "$half" "$(echo "$key" | tr , "$tab")" "$h" "$m" "$ref" "$(truth "$m" "$h" "$ref")" "$w" "$rescue_loss" "$rescue"
    report "$key"
done | awk -F "$tab" -v OFS="$tab" '
    BEGIN { print "part", "design", "init", "n_layer", "lr", "warmup", "seed", "batch", "unigram_entropy", "final_loss", "pre_ln_loss", "truth", "verdict", "right",
                  "warmup_said", "loss_with_it", "truth_with_it", "rule", "probe_steps", "probe_loss", "probe_pre_ln", "probe_1_cosine", "probe_reach", "tried" }
    {
        truth = $12; verdict = $16
        right = verdict == "trains" ? truth == "trained" : verdict == "needs warm-up" ? truth != "trained" && $15 == "trained" : verdict == "will degrade" ? truth == "degraded" || truth == "partial" : truth == "failed"
        kind = right ? "right" : verdict == "trains" ? "miss" : truth == "trained" ? "false alarm" : "wrong kind"
        print $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, truth, verdict, kind, $13, $14, $15, $17, $18, $19, $20, $21, $22, $23
    }' >"$out/record.tmp"
mv "$out/record.tmp" "$out/record.tsv"

# ---- the summary, as docs/check.md has it -------------------------------------------------------------------------------
count() {   # $1 column, $2 title
    printf '\n| %s | cells | right | missed | false alarm | wrong kind |\n|---|---:|---:|---:|---:|---:|\n' "$2"
    awk -F "$tab" -v c="$1" 'NR > 1 { n[$c]++; k[$c, $14]++ }
        END { for (x in n) printf "| %s | %d | %d | %d | %d | %d |\n", x, n[x], k[x, "right"], k[x, "miss"], k[x, "false alarm"], k[x, "wrong kind"] }' "$out/record.tsv" | sort
}
count 1 part
count 13 verdict
count 12 truth
count 18 rule
count 2 design
printf '\n| part | configuration | verdict | truth | final loss | Pre-LN | |\n|---|---|---|---|---:|---:|---|\n'
awk -F "$tab" 'NR > 1 && $14 != "right" { printf "| %s | %s, init %s, %d layers, lr %s, warm-up %d | %s%s | %s%s | %.2f | %.2f | %s |\n", $1, $2, $3, $4, $5, $6,
    $13, $15 ? " " $15 : "", $12, $15 ? ", with it " $17 : "", $10, $11, $14 }' "$out/record.tsv"
echo
echo "table: $out/record.tsv"
