# SIGKILL at twenty random moments, each time resumed from the last checkpoint: the end is the same, bit by bit.
. "$(dirname "$0")/lib.sh"

ARGS="--steps 700 --save_every 7 --eval_every 100 --log_every 50 --keep_checkpoints 2"
began=$(date +%s%N)
run_in whole $ARGS
took=$((($(date +%s%N) - began) / 1000000))
expect "an uninterrupted run ends with 0" [ $CODE -eq 0 ]

RANDOM=1
kills=0 rounds=0
mkdir -p killed
while [ $kills -lt 20 ] && [ $rounds -lt 200 ]; do
  rounds=$((rounds + 1))
  ( cd killed && exec "$AN" train -q --data "$DIR/text" --out run $TINY $ARGS --resume auto ) >killed/out 2>killed/err &
  pid=$!
  ms=$((RANDOM % (took / 10 + 20)))
  sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
  kill -KILL $pid 2>/dev/null
  wait $pid 2>/dev/null
  code=$?
  case $code in
    137) kills=$((kills + 1)) ;;
    0) mv killed/run "killed/finished$rounds" ;;    # faster than the clock: begin again
    *) expect "a killed run starts again ($code: $(cat killed/err))" false; break ;;
  esac
done
expect "twenty kills in $rounds rounds" [ $kills -eq 20 ]
run_in killed $ARGS --resume auto
expect "then it runs to the end" [ $CODE -eq 0 ]
expect "the same bits as uninterrupted" same_run whole killed
expect "nothing unfinished is left" [ -z "$(find killed/run -name '.tmp-*')" ]
expect "the log reads as one run" cmp <(grep -o '"step":[0-9]*,"tokens":[0-9]*,"epoch":[^,]*,"loss":[^,]*' whole/run/log.jsonl) <(grep -o '"step":[0-9]*,"tokens":[0-9]*,"epoch":[^,]*,"loss":[^,]*' killed/run/log.jsonl)
finish
