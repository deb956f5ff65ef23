# lib.sh: what the fault scripts share. $1 of every script is the program under test.
# A script makes claims with `expect`; it ends with `finish`, which fails when a claim failed or when none was made.
set -u
AN=$(realpath "$1")
export OMP_WAIT_POLICY=passive LC_ALL=C
unset ADDNORM_OUT ADDNORM_RESUME
DIR=$(mktemp -d "${TMPDIR:-/tmp}/addnorm-fault-XXXXXX")
trap 'chmod -R u+w "$DIR" 2>/dev/null; rm -rf "$DIR"' EXIT
cd "$DIR" || exit 1
CLAIMS=0 FAILED=0

# expect TEXT COMMAND...: the command must succeed.
expect() {
  local text=$1; shift
  CLAIMS=$((CLAIMS + 1))
  if "$@"; then return 0; fi
  FAILED=$((FAILED + 1))
  echo "FAIL: $text" >&2
}

finish() {
  echo "$CLAIMS claims, $FAILED failed"
  [ "$CLAIMS" -gt 0 ] && [ "$FAILED" -eq 0 ]
  exit
}

# Words drawn by a fixed rule, so that there is something to learn: text BYTES > FILE
text() {
  awk -v n="$1" 'BEGIN { split("the add norm of a stream is what lets it train and no more than that", w, " "); x = 1; size = 0
    while (size < n) { x = (x * 1103 + 12345) % 65536; s = w[x % 15 + 1] (x % 7 ? " " : ".\n"); printf "%s", s; size += length(s) } }'
}

# A model so small that a step takes well under a millisecond.
TINY="--n_layer 2 --n_head 2 --d_model 16 --seq_len 16 --batch_size 2 --eval_batches 2 --dropout 0.1 --warmup 3 --threads 1"

train() { "$AN" train -q --data "$DIR/text" --out run $TINY "$@"; }

# run_in FOLDER ARGS...: one training run in its own folder, so that equal runs have equal paths; output in FOLDER/err, code in $CODE.
run_in() {
  mkdir -p "$1"
  ( cd "$1" && shift && train "$@" ) >"$1/out" 2>"$1/err"
  CODE=$?
}

same_files() { cmp "$1/run/checkpoints/latest/$3" "$2/run/checkpoints/latest/$3"; }

# The whole last checkpoint of two folders, bit by bit.
same_run() {
  for f in model.safetensors optimizer.safetensors state.json; do same_files "$1" "$2" $f || return 1; done
}

# One line on stderr that contains the words.
one_line() { [ "$(wc -l <"$1")" -eq 1 ] && grep -qF -- "$2" "$1" || { sed 's/^/  stderr: /' "$1" >&2; return 1; }; }

text 20000 >text
