# Resuming at any step, or after SIGTERM, gives the same bits as never having stopped; so does another number of threads.
. "$(dirname "$0")/lib.sh"

STEPS=12
ARGS="--steps $STEPS --save_every 1 --keep_checkpoints 0 --eval_every 4 --log_every 1 --grad_accum 2 --sample_every 3"
run_in whole $ARGS
expect "an uninterrupted run ends with 0" [ $CODE -eq 0 ]

expect "samples are in the log" [ "$(grep -c '"event":"sample"' whole/run/log.jsonl)" -eq 4 ]
for at in $(seq 1 $((STEPS - 1))); do
  step=$(printf 'step-%08d' "$at")
  mkdir -p "at$at"
  cp -r whole/run "at$at/run"
  ( cd "at$at" && "$AN" train -q --resume "run/checkpoints/$step" --out run ) >"at$at/out" 2>"at$at/err"
  CODE=$?
  expect "resume at step $at ends with 0" [ $CODE -eq 0 ]
  expect "resume at step $at: the same bits" same_run whole "at$at"
  expect "resume at step $at: the log reads as one run" [ "$(grep -c '"event":"step"' "at$at/run/log.jsonl")" -eq $STEPS ]
  expect "resume at step $at: the same samples" cmp <(grep '"event":"sample"' whole/run/log.jsonl) <(grep '"event":"sample"' "at$at/run/log.jsonl")
  expect "resume at step $at: the same losses" cmp <(grep -o '"loss":[^,]*' whole/run/log.jsonl) <(grep -o '"loss":[^,]*' "at$at/run/log.jsonl")
done

run_in parts --steps $STEPS --save_every 5 --eval_every 3 --log_every 1 --grad_accum 2
run_in direct --steps $STEPS --save_every 0 --eval_every 0 --log_every 1 --grad_accum 2
expect "evaluating and saving do not touch the result" same_files parts direct model.safetensors
expect "evaluating and saving do not touch the result" same_files whole direct model.safetensors

run_in two --threads 2 $ARGS
expect "two threads, the same model" same_files whole two model.safetensors
expect "two threads, the same moments" same_files whole two optimizer.safetensors
run_in three --threads 3 $ARGS
expect "three threads, the same model" same_files whole three model.safetensors
run_in other --seed 2 $ARGS
expect "another seed is another model" eval '! same_files whole other model.safetensors >/dev/null'

# a longer run that continues a finished one is the longer run, when the schedule is the same
run_in long --steps 20 --decay_steps 20 --eval_every 0 --save_every 0
run_in short --steps 9 --decay_steps 20 --eval_every 0 --save_every 0
( cd short && "$AN" train -q --resume run --steps 20 ) >short/out 2>short/err
expect "raising steps goes on" same_files long short model.safetensors

# a run folder is never taken over by another run, nor a run cut to fewer steps than it has done
cp -r long/run before
( cd long && "$AN" train -q --resume ../short/run/checkpoints/step-00000009 --out run ) >long/out 2>long/err
expect "resuming one run into the folder of another is refused" [ $? -eq 2 ]
expect "and says so" one_line long/err "another run"
expect "and the other run is as it was" diff -r before long/run
( cd long && "$AN" train -q --resume run --steps 19 ) >long/out 2>long/err
expect "fewer steps than done are refused" [ $? -eq 2 ]
expect "and says so" one_line long/err "has done 20 already"

# what a configuration leaves to the model is stored as it was decided: a run with init xavier reads back
run_in xavier --steps 4 --init xavier --save_every 2
expect "init xavier trains" [ $CODE -eq 0 ]
( cd xavier && "$AN" train -q --resume run --steps 6 && "$AN" sample run --tokens 3 ) >xavier/out 2>xavier/err
expect "init xavier resumes and samples" [ $? -eq 0 ]

# designs with a start of their own: what a first batch has set is not set again, and lengths are held from where they are
for design in admin ngpt; do
  run_in $design --design $design --steps 6 --save_every 2 --keep_checkpoints 0
  expect "$design trains" [ $CODE -eq 0 ]
  mkdir -p "$design-on" && cp -r $design/run "$design-on/run"
  ( cd "$design-on" && "$AN" train -q --resume run/checkpoints/step-00000002 --out run ) >"$design-on/out" 2>"$design-on/err"
  expect "$design: resumed, the same bits" same_run $design "$design-on"
  run_in "$design-two" --design $design --threads 2 --steps 6 --save_every 2 --keep_checkpoints 0
  expect "$design: two threads, the same model" same_files $design "$design-two" model.safetensors
done
finish
