# A study is stopped, killed, shared, and its cells are killed, broken and damaged: it goes on, repeats nothing that is finished and ends with the same table.
. "$(dirname "$0")/lib.sh"

cat >study.yaml <<YAML
name: grid
base: { data: $DIR/text, n_layer: 2, n_head: 2, d_model: 16, seq_len: 16, batch_size: 2, steps: 400, eval_every: 100, eval_batches: 2, save_every: 25, dropout: 0.1, warmup: 3 }
grid:
  design: [post-ln, pre-ln]
seeds: 2
YAML

# study_in FOLDER ARGS...: the study in a folder of its own; code in CODE.
study_in() {
  mkdir -p "$1"
  ( cd "$1" && shift && exec "$AN" study ../study.yaml --out out --jobs 2 "$@" ) >"$1/table" 2>"$1/err"
  CODE=$?
}
same_study() { cmp "$1/table" "$2/table" && for f in table.tsv study.json index.sqlite; do cmp "$1/out/$f" "$2/out/$f" || return 1; done; }
finished() { grep -l '"exit_code":0' "$1"/out/cells/*/log.jsonl 2>/dev/null; }
check_sums() { [ ! -s "$1" ] || sha256sum --quiet -c "$1" >/dev/null 2>&1; }

began=$(date +%s%N)
study_in whole -q
took=$((($(date +%s%N) - began) / 1000000))
expect "an uninterrupted study ends with 0" [ $CODE -eq 0 ]
expect "it has four finished cells" [ "$(grep -c finished whole/out/table.tsv)" -eq 4 ]

# ten times: killed, or asked to stop, at a random moment
RANDOM=1
kills=0 rounds=0 repeated=0
mkdir -p killed
while [ $kills -lt 10 ] && [ $rounds -lt 100 ]; do
  rounds=$((rounds + 1))
  finished killed | xargs -r sha256sum >sums
  ( cd killed && exec "$AN" study ../study.yaml --out out --jobs 2 -q ) >killed/table 2>killed/err &
  pid=$!
  ms=$((RANDOM % (took / 4 + 20)))
  sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
  if [ $((rounds % 3)) -eq 0 ]; then kill -TERM $pid 2>/dev/null; else kill -KILL $pid 2>/dev/null; fi
  wait $pid 2>/dev/null
  code=$?
  check_sums sums || repeated=1
  case $code in
    137 | 143 | 75) kills=$((kills + 1)) ;;
    0) rm -rf "killed/out" ;;                        # done before the kill: begin again
    *) expect "a killed study starts again ($code: $(cat killed/err))" false; break ;;
  esac
done
expect "ten interruptions in $rounds rounds" [ $kills -eq 10 ]
finished killed | xargs -r sha256sum >sums
study_in killed -q
expect "then it runs to the end" [ $CODE -eq 0 ]
check_sums sums || repeated=1
expect "nothing that was finished was repeated" [ $repeated -eq 0 ]
expect "the same tables and index as uninterrupted" same_study whole killed
rm -f whole/out/index.sqlite
study_in whole -q --rebuild
expect "the index is rebuilt to the same bytes" same_study whole killed

# three processes on one folder
mkdir -p shared
for i in 1 2 3; do ( cd shared && exec "$AN" study ../study.yaml --out out --jobs 1 ) >shared/table$i 2>shared/err$i & done
wait
cp shared/table1 shared/table
expect "three processes end with the same table" same_study whole shared
expect "and have run each cell once" [ "$(cat shared/err? | grep -c ' loss ')" -eq 4 ]

# a cell that is killed is tried again; one that cannot run is tried twice and reported
mkdir -p broken/out/cells
name=$(basename "$(ls -d whole/out/cells/design=pre-ln,seed=2-*)")
mkdir "broken/out/cells/$name"
: >"broken/out/cells/$name/checkpoints"
study_in broken
expect "a study with a failed cell ends with 1" [ $CODE -eq 1 ]
expect "which was tried twice" [ "$(grep -c "$name  failed" broken/err) $(wc -l <"broken/out/work/$name.claim")" = "2 2" ]
expect "and is named in the table" grep -q "^FAILED  $name: exit 1: addnorm train: out/cells/" broken/table
study_in broken
expect "without --retry it stays failed and nothing is run" [ "$CODE $(wc -l <broken/err)" = "1 1" ]
rm -r "broken/out/cells/$name"
study_in broken -q --retry
expect "with --retry it is run" same_study whole broken

mkdir -p victim
( cd victim && exec "$AN" study ../study.yaml --out out --jobs 1 --steps 4000 ) >victim/table 2>victim/err &
pid=$!
child=
for i in $(seq 100); do child=$(cat /proc/$pid/task/$pid/children 2>/dev/null); [ -n "$child" ] && [ -n "$(ls victim/out/cells/*/log.jsonl 2>/dev/null)" ] && break; sleep 0.02; done
kill -KILL $child
for i in $(seq 100); do grep -q 'tried again' victim/err && break; sleep 0.02; done
children=
for i in $(seq 100); do children=$(cat /proc/$pid/task/$pid/children 2>/dev/null); [ -n "$children" ] && break; sleep 0.02; done
expect "the cell is being tried again" kill -0 $children
kill -TERM $pid
wait $pid
expect "a study that is asked to stop ends with 75" [ $? -eq 75 ]
expect "a killed cell is tried again" grep -q 'failed, will be tried again: killed by signal 9' victim/err
expect "nobody is left" eval '! kill -0 $children 2>/dev/null'

# damage
log=$(ls -d whole/out/cells/design=post-ln,seed=1-*)/log.jsonl
sed -i '7s/.*/{"event":"step","st/' "$log"
study_in whole -q --rebuild
expect "a damaged log ends with 0" [ $CODE -eq 0 ]
expect "a damaged line is skipped and counted" grep -q '^DAMAGED design=post-ln,seed=1-.*: 1 line of its log skipped' whole/table
sed -i 's/"version":"[^"]*"/"version":"99.1.0"/' "$log"
study_in whole -q
expect "a run of another version is a failed cell" [ $CODE -eq 1 ]
expect "and one clear line" grep -q '^FAILED .*a run of addnorm 99.1.0, this is' whole/table
finish
