# golden.sh PROGRAM [--update]: loss curves of toy runs against curves.tsv, committed and reviewed as a diff.
# The tolerance allows another instruction set or matrix product another rounding, not another formula: a changed constant
# moves these curves by more (tried: norm_eps 1e-5 -> 1e-3, beta2 0.99 -> 0.98, warm-up off by one step).
set -u
AN=$(realpath "$1") HERE=$(cd "$(dirname "$0")" && pwd)
TOLERANCE=0.0005
export OMP_WAIT_POLICY=passive LC_ALL=C
DIR=$(mktemp -d "${TMPDIR:-/tmp}/addnorm-golden-XXXXXX")
trap 'rm -rf "$DIR"' EXIT
cd "$DIR" || exit 1

awk 'BEGIN { split("the add norm of a stream is what lets it train and no more than that", w, " "); x = 1; size = 0
  while (size < 30000) { x = (x * 1103 + 12345) % 65536; s = w[x % 15 + 1] (x % 7 ? " " : ".\n"); printf "%s", s; size += length(s) } }' >text

# name, then what is special about it
RUNS="pre-ln.layernorm: --design pre-ln --norm layernorm
post-ln.rmsnorm: --design post-ln --norm rmsnorm --position rotary --activation swiglu --bias false
plain.layernorm: --design plain --norm layernorm --position sinusoidal --activation relu
dropout.accum: --dropout 0.1 --grad_accum 2 --schedule linear --activation gelu_erf"

curve() { # NAME ARGS...: lines "NAME STEP LOSS GRAD_NORM VAL_LOSS", the last "-" where there was no evaluation
  local name=$1; shift
  "$AN" train -q --data text --out "$name" --n_layer 2 --n_head 2 --d_model 32 --seq_len 32 --batch_size 4 --steps 60 --warmup 6 --lr 3e-3 --eval_every 20 --eval_batches 4 \
    --log_every 5 --save_every 0 --seed 7 "$@" >/dev/null || exit 1
  awk -v name="$name" 'function field(k) { return match($0, "\"" k "\":[^,}]*") ? substr($0, RSTART + length(k) + 3, RLENGTH - length(k) - 3) : "-" }
    /"event":"step"/ { printf "%s\tstep\t%d\t%.5f\t%.5f\n", name, field("step"), field("loss"), field("grad_norm") }
    /"event":"eval"/ { printf "%s\teval\t%d\t%.5f\t-\n", name, field("step"), field("val_loss") }' "$name/log.jsonl"
}

printf '%s\n' "$RUNS" | while IFS=: read -r name args; do curve "$name" $args || exit 1; done >fresh.tsv || exit 1

if [ "${2:-}" = --update ]; then
  cp fresh.tsv "$HERE/curves.tsv"
  echo "curves.tsv is written: look at its diff before it is committed"
  exit
fi

awk -F'\t' -v tolerance=$TOLERANCE 'function far(a, b) { d = a - b; if (d < 0) d = -d; return !(d <= tolerance * (1 + (b < 0 ? -b : b))) }
  NR == FNR { want[$1 FS $2 FS $3] = $4; norm[$1 FS $2 FS $3] = $5; count++; next }
  { k = $1 FS $2 FS $3; seen++
    if (!(k in want)) { print "FAIL: " k ": not in curves.tsv"; bad++; next }
    d = $4 - want[k]; if (d < 0) d = -d; if (d > worst) worst = d
    if (far($4, want[k])) { print "FAIL: " k ": loss " $4 ", expected " want[k]; bad++ }
    if ($5 != "-" && (d = ($5 - norm[k]) / norm[k]) && (d > 20 * tolerance || d < -20 * tolerance)) { print "FAIL: " k ": gradient norm " $5 ", expected " norm[k]; bad++ } }
  END { printf "%d points, worst loss difference %.5f nats\n", seen, worst; exit bad > 0 || seen != count || count < 40 }' "$HERE/curves.tsv" fresh.tsv
