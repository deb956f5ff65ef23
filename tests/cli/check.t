# Will it train? A small model on a text with structure; then what is no good.
$ i=0; while [ $i -lt 400 ]; do echo "the $((i % 7)) quick foxes jump over $((i % 5)) lazy dogs and $((i % 3)) cats"; i=$((i + 1)); done > text.txt
> printf 'data: text.txt\nn_layer: 2\nn_head: 2\nd_model: 16\nseq_len: 16\nbatch_size: 4\nsteps: 200\nlr: 1e-2\nwarmup: 0\nthreads: 1\n' > small.yaml
$ addnorm check small.yaml -q | sed 's/[0-9][0-9]*\.[0-9][0-9]*/X/g'
1|
verdict   trains
because   after 40 steps tokens are still told apart (cosine X, X at first), the gradient reaches the first sub-layer (X of that at the end of the stack), and the loss is X (X at first; unigram entropy X)
rule      none of the rules for failing speaks
limits    probe of 40 steps on the run's own data and schedule; how often the verdict is right: docs/check.md
$ addnorm check small.yaml --check_steps 3 --norm rmsnorm | awk '/^layers/ { print $1, NF - 1 } /^product/ { print "product" }'
layers.0.attn 15
layers.0.mlp 15
layers.1.attn 15
layers.1.mlp 15
product
$ addnorm check small.yaml --design post-ln --check_steps 3 --no-suggest --json | grep -c '"pre_ln_loss": [0-9]'
4
$ addnorm check small.yaml --check_steps 3 --json -q | grep -e '^ "' | sed 's/: .*//'
 "verdict"
 "too_short"
 "because"
 "rule"
 "warmup"
 "signs"
 "sites"
 "steps"
 "tried"
 "predicted_attenuation_product"
$ addnorm check small.yaml --check_steps 3 -q --page page.html > /dev/null; grep -c -e '<!doctype html>' -e '</html>' page.html; ls
2
page.html
small.yaml
text.txt
$ addnorm check small.yaml --check_steps 3 --warmup 50 -q | grep limits
limits    probe of 3 steps on the run's own data and schedule, inside its warm-up of 50, which ended before the loss came down to the unigram entropy; how often the verdict is right: docs/check.md
$ addnorm check small.yaml --check_steps 1 -q | sed 's/[0-9][0-9]*\.[0-9][0-9]*/X/g'; addnorm check small.yaml --steps 1 -q | grep -o 'too short to tell;.*'
1|
verdict   trains (too short to tell)
because   the probe ended after 1 step, before the loss (X, X at first) came down to the unigram entropy X: too short to tell; --check_steps 40
rule      none of the rules for failing speaks, but the loss is still above the unigram entropy
limits    probe of 1 step on the run's own data and schedule, which ended before the loss came down to the unigram entropy; how often the verdict is right: docs/check.md
too short to tell; the run itself is as short; raise steps
$ addnorm check small.yaml --check_steps 1 --json | grep too_short
 "too_short": true,

# what is no good
$ addnorm check
2| addnorm check: data: no text given; name a file, --data FILE
[2]
$ addnorm check small.yaml again.yaml
2| addnorm check: 'again.yaml' is one argument too many; usage: addnorm check [CONFIG.yaml|RUN] [--key value ...]
[2]
$ addnorm check missing.yaml
2| addnorm check: configuration missing.yaml: cannot open: No such file or directory
[2]
$ mkdir folder; addnorm check folder
2| addnorm check: folder: neither a run folder with a checkpoint nor a checkpoint folder
[3]
$ addnorm check small.yaml --check_steps 0
2| addnorm check: --check_steps: '0' is out of range; an integer 1..100000 or auto is needed
[2]
$ addnorm check small.yaml --check_steps many
2| addnorm check: --check_steps: 'many' is not a number; an integer 1..100000 or auto is needed
[2]
$ addnorm check small.yaml --suggest=perhaps
2| addnorm check: --suggest: 'perhaps' is neither true nor false
[2]
$ addnorm check small.yaml --design pre-nl
2| addnorm check: --design: 'pre-nl' is no design; did you mean 'pre-ln'? choices: plain|post-ln|pre-ln|deepnorm|admin|b2t|sandwich-ln|peri-ln|reordered|sub-ln|normformer|hybridnorm|keel|mix-ln|layernorm-scaling|rezero|skipinit|layerscale|t-fixup|value-residual|qk-norm|hyper-connections|mhc|denseformer|attention-residuals|residual-dual|parallel|ngpt|custom
[2]
$ addnorm check small.yaml --data missing.txt
2| addnorm check: data: missing.txt: cannot open: No such file or directory
[3]
$ addnorm check small.yaml --n_head 3
2| addnorm check: n_head 3 does not divide d_model 16; try n_head 2
[2]
$ addnorm check small.yaml --page folder/not/page.html -q      # before the first step
2| addnorm check: folder/not/page.html: cannot create: No such file or directory
[1]
$ addnorm check small.yaml --probe lens --page folder/not/page.html -q
2| addnorm check: folder/not/page.html: cannot create: No such file or directory
[1]
$ addnorm check small.yaml --check_steps 3 --lr 1e30 -q | grep -e '^tried' -e '^note' -e '^ '
tried     --warmup 50              will not train, loss not finite
          --warmup 100             will not train, loss not finite
          --lr 3.33e+29            will not train, loss not finite
          --design deepnorm        will not train, loss not finite
$ addnorm train small.yaml --steps 2 --out run -q > /dev/null; addnorm check --resume run
2| addnorm check: --resume: a probe starts from new weights; give the run's configuration, RUN/config.yaml
[2]
