# Measures on demand: which there are, of what, what is refused and how, and that they leave a run as it was.

$ i=0; while [ $i -lt 300 ]; do echo "line $i of a small text"; i=$((i + 1)); done > text.txt
> printf 'data: text.txt\nn_layer: 2\nn_head: 2\nd_model: 16\nseq_len: 16\nbatch_size: 2\nsteps: 6\neval_every: 0\nthreads: 1\n' > small.yaml
$ addnorm check small.yaml --probe all --check_steps 2 > all.txt; sed 's/ \{1,\}-\{0,1\}[0-9][0-9.e+-]*/ #/g' all.txt
configuration  at initialisation
measured on # windows of # tokens of the validation part, loss # nats
lesion         loss without what the sub-layer adds, minus the loss, nats
lens           loss in nats and top-1 accuracy of final norm and head on the stream after the sub-layer
1|
sub-layer             lesion        lens    accuracy
layers.0.attn # # #
layers.0.mlp # # #
layers.1.attn # # #
layers.1.mlp # # #
1|
paths          gradient through exactly k branches, skips elsewhere, and its share with C(S,k)
1|
    k   sets    gradient   std error   ln C(S,k)       share
 # # # # # #
 # # # # # #
 # # # # # #
 # # # # # #
 # # # # # #
1|
ln gradient against k: slope # per branch, R^2 # Paths with k <= S/2 = # carry # % of the weighted gradient; mean k #,
most at k = # The whole gradient, in which paths also cancel, has length #
1|
amplification  RMS of the change of the output by one update
linearisation  RMS of the change of the stream by one update, of what first order leaves over, and since the start
1|
 update          lr        |dW|      change    relative loss change first order      beyond
 # # # # # # # #
 # # # # # # # #
1|
loss change, first order: measured, and predicted by the gradient. beyond: what first order leaves over of a change, over what it
predicts; doubt: what is not known of that
1|
stream after             RMS       first      beyond       doubt all updates
layers.0.attn # # # # #
layers.0.mlp # # # # #
layers.1.attn # # # # #
layers.1.mlp # # # # #
output # # # # #
1|
$ addnorm check small.yaml --probe lesion,lens --json | tr -d ' \n' | sed 's/-\{0,1\}[0-9][0-9.e+-]*\([],}]\)/#\1/g'; echo
{"run":null,"step":#,"windows":#,"seq_len":#,"loss":#,"sites":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],"lesion":{"loss":[#,#,#,#],"change":[#,#,#,#]},"lens":{"loss":[#,#,#,#],"accuracy":[#,#,#,#]}}
$ addnorm check small.yaml --probe paths --json | tr -d ' \n' | sed 's/-\{0,1\}[0-9][0-9.e+-]*\([],}]\)/#\1/g'; echo
{"run":null,"step":#,"windows":#,"seq_len":#,"loss":null,"sites":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],"paths":{"whole":#,"slope":#,"r2":#,"short_share":#,"mean":#,"peak":#,"sets":[#,#,#,#,#],"gradient":[#,#,#,#,#],"error":[#,#,#,#,#],"log_count":[#,#,#,#,#],"share":[#,#,#,#,#]}}
$ addnorm check small.yaml --probe amplification,linearisation --check_steps 1 --json | tr -d ' \n' | sed 's/-\{0,1\}[0-9][0-9.e+-]*\([],}]\)/#\1/g'; echo
{"run":null,"step":#,"windows":#,"seq_len":#,"loss":null,"sites":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],"amplification":[{"step":#,"lr":#,"update":#,"output":#,"change":#,"relative":#,"loss":#,"loss_after":#}],"linearisation":[{"step":#,"loss_change":#,"loss_linear":#,"size":[#,#,#,#,#],"change":[#,#,#,#,#],"linear":[#,#,#,#,#],"distance":[#,#,#,#,#],"doubt":[#,#,#,#,#],"since_start":[#,#,#,#,#]}]}
$ addnorm check small.yaml --probe all --json > one.json; addnorm check small.yaml --probe all --json --threads 3 > three.json; cmp one.json three.json

# of a run: its parameters, its next updates, and nothing of it is written
$ addnorm train small.yaml --out run -q > /dev/null; find run -type f | sort | xargs cat | cksum > before
> addnorm check run --probe all > trained.txt; find run -type f | sort | xargs cat | cksum | cmp - before; head -1 trained.txt; grep -c '^ *\(7\|8\|16\) ' trained.txt
run            run, 6 updates done
3
$ addnorm check run/checkpoints/step-00000006 --probe lens,lesion > checkpoint.txt; grep -e '^layers' trained.txt | head -4 > first; grep -e '^layers' checkpoint.txt | cmp - first
# the updates are those that the run itself makes
$ addnorm train small.yaml --out own -q --save_every 3 --log_every 1 > /dev/null
$ sed -n 's/.*"event":"step","step":\([456]\),.*"lr":\([^,]*\),.*"update_norm":\([^,}]*\).*/\1 \2 \3/p' own/log.jsonl > a
> addnorm check own/checkpoints/step-00000003 --probe amplification --check_steps 3 | sed -n 's/^ *\([456]\) */\1 /p' > b
> paste -d ' ' a b | awk '{ print $1, $4, ($2 / $5 - 1)^2 < 1e-6 && ($3 / $6 - 1)^2 < 1e-6 ? "same" : $0 }'
4 4 same
5 5 same
6 6 same
$ addnorm check run --probe lens --page lens.html -q > /dev/null; grep -o '<h1>.*</h1>' lens.html
<h1>Probes: design pre-ln, norm layernorm</h1>

# refused, and wrong
$ addnorm check run
2| addnorm check: run: a run can only be probed (--probe lesion,paths,lens); the report is about a configuration: give it run/config.yaml
[2]
$ mkdir empty; addnorm check empty --probe lens
2| addnorm check: empty: neither a run folder with a checkpoint nor a checkpoint folder
[3]
$ addnorm check run --probe lens --n_layer 3
2| addnorm check: run/checkpoints/step-00000006: the checkpoint is of another model: n_layer is 2 there and 3 here
[2]
$ addnorm check small.yaml --probe pahts
2| addnorm check: --probe: 'pahts' is no probe; did you mean 'paths'? choices: lesion|paths|lens|amplification|linearisation|all, several with commas
[2]
$ addnorm check small.yaml --probe lesion,
2| addnorm check: --probe: '' is no probe; choices: lesion|paths|lens|amplification|linearisation|all, several with commas
[2]
$ addnorm check small.yaml --probe lesion --probe_sets 0
2| addnorm check: --probe_sets: '0' is out of range; an integer 1..100000 is needed
[2]
$ addnorm check small.yaml --probe paths --design plain
2| addnorm check: --probe paths: design plain: layers.0.attn has no skip, so there is one path only
[2]
$ addnorm check small.yaml --probe paths,lesion --design value-residual | head -3 | tail -1
paths          refused: design value-residual: gradients also go around the sum of layers.0.attn, so paths through its skip and its branch are not all
$ addnorm check small.yaml --probe lens --design b2t
2| addnorm check: --probe lens: design b2t: layers.0.attn has several streams; what stands behind the stack reads more than one
[2]
$ addnorm check small.yaml --probe lens --resume auto --out run
2| addnorm check: --resume auto: has no meaning with --probe; name the run
[2]
