# SIGTERM, SIGINT and SIGHUP: finish the step, checkpoint, 75; resumed, the same bits. SIGUSR1: checkpoint and go on. A second one ends it.
. "$(dirname "$0")/lib.sh"

ARGS="--steps 3000 --save_every 1000 --eval_every 0 --log_every 1000"
run_in whole $ARGS

# start FOLDER ARGS...: in the background, $PID; returns when the first step is logged. A script's background jobs ignore SIGINT, so it is given back,
# and SIGTERM with it; $IGNORED are ignored.
IGNORED=
start() {
  mkdir -p "$1"
  ( cd "$1" && shift && exec env --default-signal=INT,TERM ${IGNORED:+--ignore-signal=$IGNORED} "$AN" train -q --data "$DIR/text" --out run $TINY "$@" ) >"$1/out" 2>"$1/err" &
  PID=$!
  for _ in $(seq 1 500); do
    grep -q '"event":"step"' "$1/run/log.jsonl" 2>/dev/null && return
    sleep 0.01
  done
}

for signal in TERM INT HUP; do
  start $signal $ARGS --resume auto
  kill -$signal $PID
  wait $PID
  CODE=$?
  expect "SIG$signal ends with 75" [ $CODE -eq 75 ]
  expect "SIG$signal: one line that says how to go on" one_line $signal/err "--resume"
  expect "SIG$signal: not at the end" [ ! -e $signal/run/checkpoints/step-00003000 ]
  ( cd $signal && "$AN" train -q --resume run ) >/dev/null 2>&1
  expect "SIG$signal, then resume: the same model" same_files whole $signal model.safetensors
  expect "SIG$signal, then resume: the same moments" same_files whole $signal optimizer.safetensors
done

for signal in TERM INT; do
  for other in TERM INT HUP; do
    [ $other != $signal ] || continue
    IGNORED=$signal start deaf-$signal-$other --steps 1000000 --save_every 0 --eval_every 0 --log_every 10 --keep_checkpoints 1
    before=$(wc -l <deaf-$signal-$other/run/log.jsonl)
    kill -$signal $PID; kill -$signal $PID
    for _ in $(seq 1 300); do [ "$(wc -l <deaf-$signal-$other/run/log.jsonl)" -gt $((before + 2)) ] && break; sleep 0.01; done
    kill -STOP $PID; kill -$other $PID; kill -$signal $PID; kill -CONT $PID
    wait $PID
    CODE=$?
    expect "SIG$signal, ignored before, is ignored, and SIG$other ends with 75, not $CODE" [ $CODE -eq 75 ]
  done
done

start usr --steps 1000000 --save_every 0 --eval_every 0 --log_every 1000000
for _ in $(seq 1 20); do kill -USR1 $PID; sleep 0.01; done
for _ in $(seq 1 300); do [ -e usr/run/checkpoints/latest ] && break; sleep 0.01; done
expect "SIGUSR1 writes a checkpoint" [ -e usr/run/checkpoints/latest/state.json ]
expect "SIGUSR1 goes on" kill -0 $PID
kill -STOP $PID; kill -TERM $PID; kill -INT $PID; kill -CONT $PID
wait $PID
CODE=$?
expect "two signals at once end it" [ $CODE -eq 75 -o $CODE -eq 130 -o $CODE -eq 143 ]
expect "and leave a whole checkpoint" "$AN" eval usr/run --data text >/dev/null

# sampling, while it reads a long prompt
run_in long --steps 4 --position rotary
for _ in 1 2 3 4 5; do cat text; done | head -c 100000 >prompt
"$AN" sample long/run --threads 1 --tokens 100000 --prompt "$(cat prompt)" >sampled 2>err &
PID=$!
for _ in $(seq 1 500); do [ -s sampled ] && break; sleep 0.01; done
kill -TERM $PID
wait $PID
CODE=$?
expect "a sample that is interrupted ends with 75, not $CODE" [ $CODE -eq 75 ]
expect "and says where" one_line err "of the 100000 tokens of the prompt"
finish
