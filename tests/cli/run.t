# A run from data to sample, and data that is no good.
$ addnorm train -q
2| addnorm train: data: no text given; name a file, --data FILE
[2]
$ addnorm train -q --data missing.txt
2| addnorm train: data: missing.txt: cannot open: No such file or directory
[3]
$ addnorm train -q --data .
2| addnorm train: data: .: is a folder; a file is needed
[3]
$ : > empty.txt; addnorm train -q --data empty.txt
2| addnorm train: data: empty.txt is empty; give a text file
[3]
$ printf 'too short' > short.txt; addnorm train -q --data short.txt
2| addnorm train: data (the part before val_fraction): 9 bytes are too short for one window of seq_len 256 + 1 bytes; give more text or lower seq_len
[3]
$ i=0; while [ $i -lt 300 ]; do echo "line $i of a text that is real enough to be learned from"; i=$((i + 1)); done > text.txt
$ cat > tiny.yaml <<'END'
> n_layer: 2
> n_head: 2
> d_model: 32
> seq_len: 16
> batch_size: 4
> steps: 6
> eval_every: 3
> eval_batches: 2
> save_every: 3
> log_every: 2
> threads: 1
> data: text.txt
> END
$ addnorm train tiny.yaml --out a -q | sed 's/ in .*//; s/[0-9]\.[0-9]*/X/g'
steps            6
val_loss         X nats per token, X bits per byte
unigram entropy  X nats, what a model blind to context could reach
run              a
report           a/report.html
$ addnorm train tiny.yaml --out a -q
2| addnorm train: out: a already holds a run; go on with it by --resume auto or choose another --out
[2]
$ ls a a/checkpoints
a:
checkpoints
config.yaml
log.jsonl
report.html
tb
1|
a/checkpoints:
latest
step-00000003
step-00000006
$ grep -c '"event":"step"' a/log.jsonl
4
$ mkdir own; echo '# mine' > own/config.yaml; addnorm train tiny.yaml --out own -q; cat own/config.yaml
1| # mine
2| addnorm train: out: own/config.yaml is no run's and would be overwritten; choose another --out
$ addnorm eval a --data short.txt | grep tokens     # shorter than seq_len
tokens         8
$ addnorm train tiny.yaml --out b --color never 2>&1 >/dev/null | sed 's/[0-9.]*k\{0,1\} tok.*//; s/[0-9]\.[0-9e-]*/X/g; /^machine/d; /^memory/d; s/-- *$//'
model       decoder, 2 layers, 2 heads, d_model 32, d_ff 128, seq_len 16, vocab 256, gelu_tanh, learned positions: 3Xk parameters
design      pre-ln: x <- x + F(N(x)), norm layernorm, norm_eps 1e-5, norm_eps_place inside, norm_variance biased, init auto
data        1X KiB to train on, X KiB to validate on; unigram entropy X nats
run         b
step 0  val_loss X  X bits per byte
step 1/6  17%  loss X  grad X  lr X  
step 2/6  33%  loss X  grad X  lr X  
step 3  val_loss X  X bits per byte
step 4/6  67%  loss X  grad X  lr X  
step 6/6 100%  loss X  grad X  lr X  
step 6  val_loss X  X bits per byte
# what to know before training, and a run that was not finite before its first update
$ addnorm train tiny.yaml --out e --steps 1 --design t-fixup --norm batchnorm --color never 2>&1 | grep -a '^note'
note        the design has no place for a norm: `norm` and its keys change nothing
$ addnorm train tiny.yaml --out f --steps 1 --norm groupnorm --norm_groups 32 --color never 2>&1 | grep -a '^note'
note        a norm takes the mean of a single channel off that channel: it puts out its bias and passes nothing; use more channels, fewer norm_groups, or rmsnorm
$ addnorm train tiny.yaml --out g --steps 1 --norm powernorm --color never 2>&1 | grep -a '^note'
note        norm powernorm: in its first powernorm_warmup training passes its statistics run over the whole batch, later tokens included, so the training loss is not that of a causal model; validation, sampling and eval use running statistics
$ addnorm train tiny.yaml --out h --design deepnorm --deepnorm_beta 1e20 -q
2| addnorm train: diverged at step 1: loss is nan; first non-finite value: layers.0.attn.out; last good checkpoint: none yet; no update was made yet, so init or a scale of the design is too large
[4]
# runs that are started in one second each get a folder
$ for i in 1 2 3 4 5 6 7 8; do addnorm train tiny.yaml --steps 1 -q --no-report > /dev/null & done; wait; ls -d runs/*-* | wc -l; cat runs/*/log.jsonl | grep -c '"event":"run"'; grep -l '^  out: runs/' runs/*/config.yaml | wc -l
8
8
8
$ for run in runs/*; do grep -q "^  out: $run\$" $run/config.yaml || echo "$run says it is another"; done
# a configuration whose name is not UTF-8: its place in the log's list, and in comments
$ (cat tiny.yaml; echo 'norm@0: rmsnorm') > "$(printf 'caf\351.yaml')"; addnorm train caf?.yaml --steps 1 --out latin -q > /dev/null; grep -o '"set".*"by":\[[^]]*\]' latin/log.jsonl
"set":["n_layer","n_head","d_model","seq_len","norm@0","data","steps","batch_size","threads","out","log_every","eval_every","eval_batches","save_every"],"by":["caf\\xE9.yaml:1","caf\\xE9.yaml:2","caf\\xE9.yaml:3","caf\\xE9.yaml:4","caf\\xE9.yaml:13","caf\\xE9.yaml:12","--steps","caf\\xE9.yaml:5","caf\\xE9.yaml:11","--out","caf\\xE9.yaml:10","caf\\xE9.yaml:7","caf\\xE9.yaml:8","caf\\xE9.yaml:9"]
$ addnorm train caf?.yaml --dump-config | grep -a 'caf.*:1[23]$'
  norm@0: rmsnorm                       # caf\xE9.yaml:13
  data: text.txt                        # caf\xE9.yaml:12
# two runs with one seed are one run; so are a whole one and one in two parts
$ cmp a/checkpoints/latest/model.safetensors b/checkpoints/latest/model.safetensors && echo same
same
$ addnorm train tiny.yaml --out c --steps 3 --decay_steps 6 --warmup 0 -q > /dev/null
$ addnorm train --resume c --steps 6 -q > /dev/null
$ addnorm train tiny.yaml --out d --decay_steps 6 --warmup 0 -q > /dev/null
$ cmp c/checkpoints/latest/model.safetensors d/checkpoints/latest/model.safetensors && echo same
same
$ addnorm eval a -q | sed 's/[0-9]*\.[0-9]*/X/'
loss           X nats per token
perplexity     X
bits per byte  X
tokens         1728
step           6
$ addnorm eval a --json --data text.txt | sed 's/[0-9]*\.[0-9]*/X/; /"run"/d'
{
 "step": 6,
 "loss": X,
 "perplexity": X,
 "bits_per_byte": X,
 "tokens": 17289,
 "bytes": 17289
}
$ addnorm sample a --tokens 8 --seed 3 --raw | wc -c
8
$ addnorm sample a --tokens 8 --seed 3 > one; addnorm sample a --tokens 8 --seed 3 --threads 2 | cmp - one && echo same
same
$ addnorm sample a --tokens 40
2| addnorm sample: prompt of 1 tokens and 40 more: 40 tokens go beyond the learned position table of seq_len 16; ask for at most 16, or train with rotary or sinusoidal positions
[2]
$ addnorm sample a --temperature -1
2| addnorm sample: --temperature: '-1' is out of range; a number >= 0 is needed
[2]
$ addnorm sample a/checkpoints/step-00000003 --prompt 'line ' --tokens 1 | cut -c 1-5
line 
$ addnorm sample text.txt
2| addnorm sample: text.txt: neither a run folder with a checkpoint nor a checkpoint folder
[3]
