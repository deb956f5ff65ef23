# A damaged, foreign or hostile checkpoint gives one clear line and exit code 3 (2: another model), and is left as it was.
. "$(dirname "$0")/lib.sh"

run_in base --steps 4 --save_every 2 --eval_every 0
expect "the run ends with 0" [ $CODE -eq 0 ]
LAST=run/checkpoints/step-00000004

# try NAME CODE WORDS: resume, eval and sample on the folder NAME must fail with CODE and one line with WORDS.
try() {
  local before after
  before=$(find "$1/run/checkpoints" -type f -exec cksum {} + | sort)
  ( cd "$1" && "$AN" train -q --resume run --steps 8 ) >"$1/out" 2>"$1/err"
  CODE=$?
  expect "$1: resume ends with $2, not $CODE" [ $CODE -eq "$2" ]
  expect "$1: resume names '$3'" one_line "$1/err" "$3"
  after=$(find "$1/run/checkpoints" -type f -exec cksum {} + | sort)
  expect "$1: nothing is changed" [ "$before" = "$after" ]
}
read_too() {
  ( cd "$1" && "$AN" sample run --tokens 3 ) >"$1/out" 2>"$1/err"
  CODE=$?
  expect "$1: sample ends with $2, not $CODE" [ $CODE -eq "$2" ]
  expect "$1: sample names '$3'" one_line "$1/err" "$3"
  ( cd "$1" && "$AN" eval run --data "$DIR/text" ) >"$1/out" 2>"$1/err"
  CODE=$?
  expect "$1: eval ends with $2, not $CODE" [ $CODE -eq "$2" ]
}
copy() { mkdir "$1"; cp -a base/run "$1/run"; }
size() { stat -c %s "$1"; }
flip() { # FILE OFFSET: one bit
  local byte
  byte=$(od -An -tu1 -j "$2" -N 1 "$1")
  printf "$(printf '\\x%02x' $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

for file in model.safetensors optimizer.safetensors state.json; do
  f=base/$LAST/$file n=$(size base/$LAST/$file)
  for cut in 0 5 $((n / 2)) $((n - 1)); do
    copy cut-$file-$cut; truncate -s $cut cut-$file-$cut/$LAST/$file; try cut-$file-$cut 3 $file
  done
  copy absent-$file; rm absent-$file/$LAST/$file
  [ $file = state.json ] || try absent-$file 3 $file
done
read_too cut-model.safetensors-5 3 model.safetensors
read_too cut-state.json-5 3 state.json

for file in model.safetensors optimizer.safetensors; do
  n=$(size base/$LAST/$file)
  for at in 0 9 300 $((n / 2)) $((n - 1)); do
    copy flip-$file-$at; flip flip-$file-$at/$LAST/$file $at; try flip-$file-$at 3 $file
  done
done
read_too flip-model.safetensors-300 3 model.safetensors
copy flip-state; flip flip-state/$LAST/state.json 60; try flip-state 3 state.json

copy foreign; cp text foreign/$LAST/model.safetensors; try foreign 3 model.safetensors
copy swapped; cp base/$LAST/optimizer.safetensors swapped/$LAST/model.safetensors; try swapped 3 model.safetensors
copy older; cp base/run/checkpoints/step-00000002/model.safetensors older/$LAST/model.safetensors; try older 3 "checksum"
copy huge; printf '\377\377\377\377\377\377\377\177{}' >huge/$LAST/model.safetensors; try huge 3 "header length"
copy folder; rm folder/$LAST/model.safetensors; mkdir folder/$LAST/model.safetensors; try folder 3 model.safetensors

# another model's checkpoint
mkdir other; cp -a base/run other/run
for pair in "n_layer 3" "d_model 32" "norm rmsnorm" "design post-ln" "norm_eps 1e-4"; do
  ( cd other && "$AN" train -q --resume run --steps 8 --${pair% *} ${pair#* } ) >other/out 2>other/err
  CODE=$?
  expect "resume with $pair ends with 2, not $CODE" [ $CODE -eq 2 ]
  expect "resume with $pair names the key" one_line other/err "${pair% *} is "
done

# other data
head -c 19000 text >less
( cd other && "$AN" train -q --resume run --steps 8 --data ../less ) >other/out 2>other/err
CODE=$?
expect "other data ends with 3, not $CODE" [ $CODE -eq 3 ]
expect "other data is named" one_line other/err "not the data that"

# no run at all
for what in nowhere text less; do
  "$AN" sample $what >out 2>err
  CODE=$?
  expect "sample of '$what' ends with 3, not $CODE" [ $CODE -eq 3 ]
  expect "sample of '$what' names it" one_line err $what
done
# `latest` points nowhere: the newest whole checkpoint is found
copy dangling; ln -sfn step-99999999 dangling/run/checkpoints/latest
( cd dangling && "$AN" eval run --data "$DIR/text" ) >dangling/out 2>dangling/err
expect "a dangling link is no obstacle" [ $? -eq 0 ]
finish
