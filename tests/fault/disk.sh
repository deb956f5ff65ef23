# A full disk, a read-only run folder, a folder that is in use: one clear line, exit code 1 (2: in use), older checkpoints whole.
. "$(dirname "$0")/lib.sh"

ARGS="--save_every 5 --eval_every 0 --log_every 5 --keep_checkpoints 1"
run_in whole $ARGS --steps 20
expect "an uninterrupted run ends with 0" [ $CODE -eq 0 ]

# limit the size of any one file: the write that crosses the line fails (SIGXFSZ ignored: EFBIG)
run_in limited $ARGS --steps 10 --decay_steps 20
( cd limited && trap '' XFSZ && ulimit -f 20 && exec "$AN" train -q --resume run --steps 20 ) >limited/out 2>limited/err
CODE=$?
expect "a file that cannot grow: 1, not $CODE" [ $CODE -eq 1 ]
expect "a file that cannot grow: one line" one_line limited/err "older checkpoints are untouched"
expect "a file that cannot grow: nothing unfinished is left" [ -z "$(find limited/run -name '.tmp-*')" ]
( cd limited && "$AN" train -q --resume run --steps 20 ) >limited/out 2>limited/err
expect "with room again it goes on to the same bits" same_files whole limited model.safetensors

# a real full disk, where this user may mount one
mkdir small
if mount -t tmpfs -o size=700k tmpfs small 2>/dev/null; then
  ( cd small && train $ARGS --steps 200 --keep_checkpoints 0 ) >full.out 2>full.err
  CODE=$?
  last=$(readlink small/run/checkpoints/latest)
  expect "a full disk: 1, not $CODE" [ $CODE -eq 1 ]
  expect "a full disk: one line" one_line full.err "o space left"
  expect "a full disk: the older checkpoint is whole" eval '"$AN" eval small/run --data text >/dev/null'
  logged=$(sed -n 's/^{"event":"checkpoint","step":\([0-9]*\),.*/\1/p' small/run/log.jsonl | tail -n 1)
  grep -q log.jsonl full.err && [ "$last" = "$(printf 'step-%08d' $((logged + 5)))" ] && logged=$((logged + 5))   # written, but there was no room for its line
  expect "a full disk: it is the last one written" [ "$last" = "$(printf 'step-%08d' "$logged")" ]
  umount small
else
  echo "SKIPPED(a real full disk: this user may not mount)"
fi

# a read-only folder, as a user for whom it is one
run_in sealed $ARGS --steps 10 --decay_steps 20
chmod -R a-w sealed/run
as_user=""
[ "$(id -u)" -ne 0 ] || as_user="setpriv --reuid=65534 --regid=65534 --clear-groups"
chmod a+rx "$DIR"
if $as_user "$AN" list norms >/dev/null 2>&1; then
  ( cd sealed && $as_user "$AN" train -q --resume run --steps 20 ) >sealed.out 2>sealed.err
  CODE=$?
  expect "a read-only folder: 1, not $CODE" [ $CODE -eq 1 ]
  expect "a read-only folder: one line" one_line sealed.err "run"
  expect "a read-only folder: the checkpoint is whole" eval '"$AN" eval sealed/run --data text >/dev/null'
else
  echo "SKIPPED(a read-only folder: the program cannot be run as another user)"
fi

# a file where the folder should be, and a folder that another process trains into
mkdir file; echo x >file/run
( cd file && train $ARGS --steps 5 ) >file/out 2>file/err
CODE=$?
expect "a file for a folder: 2, not $CODE" [ $CODE -eq 2 ]
expect "a file for a folder: one line" one_line file/err "run"
mkdir -p busy/run/checkpoints
( flock 9; sleep 1.5 ) 9<busy/run/checkpoints &
sleep 0.2
run_in busy $ARGS --steps 5
expect "a folder in use: 2, not $CODE" [ $CODE -eq 2 ]
expect "a folder in use: one line" one_line busy/err "another process"
wait

# what another process is writing is not read: neither its configuration nor its state
run_in held $ARGS --steps 5
: >held/run/checkpoints/latest/state.json
for how in "--resume run" "--resume auto --out run" "--resume run/checkpoints/latest" "--resume run/checkpoints/latest --out run" "--out run"; do
  CODE=$(cd held && flock -n run/checkpoints "$AN" train -q $how >out 2>err; echo $?)
  expect "$how, in use: 2, not $CODE" [ "$CODE" -eq 2 ]
  expect "$how, in use: one line" one_line held/err "another process"
done
finish
