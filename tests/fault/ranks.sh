# Two ranks on a file system without locks: each works off its own cells and hears what came of the other's, the failed and the refused included.
NO_LOCKS=$(realpath "$2")
. "$(dirname "$0")/lib.sh"

cat >study.yaml <<YAML
name: dealt
base: { data: $DIR/text, n_layer: 1, n_head: 2, d_model: 16, seq_len: 16, batch_size: 2, steps: 20, eval_every: 0, eval_batches: 2, save_every: 0 }
grid:
  design: [post-ln, pre-ln]
seeds: 2
YAML

# both FOLDER LIMIT ARGS...: rank 1 under that limit of address space; codes in $ZERO and $ONE.
both() {
  local folder=$1 limit=$2; shift 2
  mkdir -p "$folder"
  ( cd "$folder" && PMI_RANK=0 PMI_SIZE=2 LD_PRELOAD=$NO_LOCKS exec timeout 60 "$AN" study ../study.yaml --out out --jobs 1 "$@" ) >"$folder/table" 2>"$folder/err0" &
  local pid=$!
  ( ulimit -v "$limit" && cd "$folder" && PMI_RANK=1 PMI_SIZE=2 LD_PRELOAD=$NO_LOCKS exec timeout 60 "$AN" study ../study.yaml --out out --jobs 1 "$@" ) >"$folder/table1" 2>"$folder/err1"
  ONE=$?
  wait $pid
  ZERO=$?
}

both whole unlimited
expect "two ranks end with 0, not $ZERO and $ONE" [ "$ZERO $ONE" = "0 0" ]
expect "and have run each cell once" [ "$(cat whole/err? | grep -c ' loss ')" -eq 4 ]
expect "two each" [ "$(grep -c ' loss ' whole/err1)" -eq 2 ]

# a cell of rank 1 that cannot run
name=$(sed -n 's/^cell [0-9/]*  \([^ ]*\)  loss .*/\1/p' whole/err1 | head -n 1)
mkdir -p broken/out/cells
mkdir "broken/out/cells/$name"
: >"broken/out/cells/$name/checkpoints"
both broken unlimited
expect "a cell that fails twice at rank 1 ends both, rank 0 with 1, not $ZERO and $ONE" [ "$ZERO $ONE" = "1 0" ]
expect "rank 1 has tried it twice, rank 0 never" [ "$(grep -c "$name  failed" broken/err1) $(grep -c "$name  failed" broken/err0)" = "2 0" ]
expect "rank 0 names it" grep -q "^FAILED  $name: exit 1: addnorm train: out/cells/" broken/table
rm -r "broken/out/cells/$name"
touch -d '1 minute ago' broken/out/work/*.claim
both broken unlimited --retry
expect "with --retry rank 0 waits for it: 0, not $ZERO and $ONE" [ "$ZERO $ONE" = "0 0" ]
expect "and all are finished" grep -q '4 cells, 4 finished' broken/table

# cells that rank 1 has no room for
both tight 600000 --batch_size 30000 --steps 1
expect "cells refused by rank 1 end both with 0, not $ZERO and $ONE" [ "$ZERO $ONE" = "0 0" ]
expect "rank 0 says why" [ "$(grep -c '^SKIPPED.*address space limit' tight/table)" -gt 0 ]
expect "and has run its own" grep -q '4 cells, 2 finished, 2 skipped' tight/table
touch -d "1 minute ago" tight/out/work/*.refused
both tight unlimited --batch_size 30000 --steps 1
expect "what was refused is no more than that: the next launch runs it" grep -q '4 cells, 4 finished' tight/table
finish
