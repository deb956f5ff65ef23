# Runs that cannot work end early, by name and number: diverged (4), too much memory (1), data that is no data (3).
. "$(dirname "$0")/lib.sh"

run_in wild --steps 500 --lr 1e6 --min_lr 1e6 --warmup 0 --save_every 2 --eval_every 0
expect "lr 1e6 ends with 4, not $CODE" [ $CODE -eq 4 ]
expect "lr 1e6 names the step" one_line wild/err "diverged at step "
expect "lr 1e6 names the first non-finite value" one_line wild/err "first non-finite value: "
expect "lr 1e6: the value has a name" eval '! grep -q "value: the sum" wild/err'
last=$(sed -n 's/.*last good checkpoint: \([^;]*\).*/\1/p' wild/err)
expect "lr 1e6 names a checkpoint" [ -n "$last" ]
expect "that is there and whole" [ "$last" = "none yet" -o -e "wild/$last/state.json" ]
expect "the log says how it ended" grep -q '"exit_code":4' wild/run/log.jsonl

run_in first --steps 5 --lr 1e30 --min_lr 1e30 --warmup 0 --save_every 0 --eval_every 0
expect "lr 1e30 ends with 4, not $CODE" [ $CODE -eq 4 ]
expect "lr 1e30: no checkpoint yet" one_line first/err "none yet"

run_in fat --steps 5 --d_model 65536 --n_layer 200
expect "more memory than there is: 1, not $CODE" [ $CODE -eq 1 ]
expect "more memory than there is: one line with numbers" one_line fat/err "iB"
expect "more memory than there is: no run folder" [ ! -e fat/run ]
run_in over --steps 5 --batch_size 1048576 --seq_len 16777216
expect "beyond the address space: refused, not $CODE" [ $CODE -eq 1 -o $CODE -eq 2 -o $CODE -eq 3 ]
expect "beyond the address space: one line" one_line over/err "addnorm train: "

mkdir bad; : >bad/empty; mkdir bad/folder; head -c 16 text >bad/short; head -c 100 text >bad/hundred; cp text bad/locked; chmod 0 bad/locked
try() { # FILE WORDS
  ( cd bad && "$AN" train -q --out run $TINY --steps 5 --data "$1" ) >out 2>err
  CODE=$?
  expect "data $1: 3, not $CODE" [ $CODE -eq 3 ]
  expect "data $1: one line with '$2'" one_line err "$2"
  expect "data $1: no run folder" [ ! -e bad/run ]
}
try absent absent
try empty "is empty"
try folder folder
try short "too short"
try hundred "val_fraction"
[ "$(id -u)" -eq 0 ] || try locked locked
finish
