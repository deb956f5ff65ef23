# SIGTERM, SIGINT and SIGHUP: finish the step, checkpoint, 75; resumed, the same bits. SIGUSR1: checkpoint and go on. A second one ends it.
. "$(dirname "$0")/lib.sh"

ARGS="--steps 3000 --save_every 1000 --eval_every 0 --log_every 1000"
run_in whole $ARGS

# start FOLDER ARGS...: in the background, $PID; returns when the first step is logged.
start() {
  mkdir -p "$1"
  ( cd "$1" && shift && exec "$AN" train -q --data "$DIR/text" --out run $TINY "$@" ) >"$1/out" 2>"$1/err" &
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
finish
