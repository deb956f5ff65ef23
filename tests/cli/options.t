# The option table as a parser: each error names the place, the value, what is allowed and the nearest name.
$ addnorm plan --n_layr 3
2| addnorm plan: unknown option '--n_layr'; did you mean '--n_layer'?
[2]
$ addnorm plan --learning-rat 3
2| addnorm plan: unknown option '--learning-rat'; did you mean '--learning_rate'?
[2]
$ addnorm plan --zzzzzzz
2| addnorm plan: unknown option '--zzzzzzz'; --help lists all
[2]
$ addnorm plan -z
2| addnorm plan: unknown option '-z'; long options start with --
[2]
$ addnorm plan --n_layer
2| addnorm plan: --n_layer: a value is missing
[2]
$ addnorm plan --n_layer --quiet
2| addnorm plan: --n_layer: a value is missing
[2]
$ addnorm plan --n_layer 0
2| addnorm plan: --n_layer: '0' is out of range; an integer 1..100000 is needed
[2]
$ addnorm plan --n_layer=abc
2| addnorm plan: --n_layer: 'abc' is not a number; an integer 1..100000 is needed
[2]
$ addnorm plan --n_layer 1.5
2| addnorm plan: --n_layer: '1.5' is not a whole number in reach; an integer 1..100000 is needed
[2]
$ addnorm plan --n_layer 99999999999999999999
2| addnorm plan: --n_layer: '99999999999999999999' is not a whole number in reach; an integer 1..100000 is needed
[2]
$ addnorm plan --lr 0
2| addnorm plan: --lr: '0' is out of range; a number > 0 is needed
[2]
$ addnorm plan --lr nan
2| addnorm plan: --lr: 'nan' is not a number; a number > 0 is needed
[2]
$ addnorm plan --lr 1e999
2| addnorm plan: --lr: '1e999' is too large for a float; a number > 0 is needed
[2]
$ addnorm plan --norm_eps 1e300
2| addnorm plan: --norm_eps: '1e300' is too large for a float; a number > 0 is needed
[2]
$ addnorm plan --norm_eps 1e-60
2| addnorm plan: --norm_eps: '1e-60' is too small for a float; a number > 0 is needed
[2]
$ addnorm plan --norm_eps -1e-5
2| addnorm plan: --norm_eps: '-1e-5' is out of range; a number > 0 is needed
[2]
$ addnorm plan --norm_eps 0
2| addnorm plan: --norm_eps: '0' is out of range; a number > 0 is needed
[2]
$ addnorm plan --bias=maybe
2| addnorm plan: --bias: 'maybe' is neither true nor false
[2]
$ addnorm plan --no-bias=true
2| addnorm plan: --no-bias: takes no value
[2]
$ addnorm plan --no-n_layer
2| addnorm plan: unknown option '--no-n_layer'; did you mean '--n_layer'?
[2]
$ addnorm plan --norm rmsnrm
2| addnorm plan: --norm: 'rmsnrm' is no norm; did you mean 'rmsnorm'? choices: layernorm|rmsnorm|prmsnorm|scalenorm|l2norm|groupnorm|batchnorm|rbn|powernorm|dyt|derf|none
[2]
$ addnorm plan --design sandwhich
2| addnorm plan: --design: 'sandwhich' is no design; did you mean 'sandwich-ln'? choices: plain|post-ln|pre-ln|deepnorm|admin|b2t|sandwich-ln|peri-ln|reordered|sub-ln|normformer|hybridnorm|keel|mix-ln|layernorm-scaling|rezero|skipinit|layerscale|t-fixup|value-residual|qk-norm|hyper-connections|mhc|denseformer|attention-residuals|residual-dual|parallel|ngpt|custom
[2]
$ addnorm plan --preset shakespear-char
2| addnorm plan: --preset: 'shakespear-char' is no preset; did you mean 'shakespeare-char'? choices: none|demo|shakespeare-char|shakespeare-char-cpu|gpt2-124m|images
[2]
$ addnorm plan --dropout 1
2| addnorm plan: --dropout: '1' is out of range; a number [0,1) is needed
[2]
$ addnorm plan --min_lr atuo
2| addnorm plan: --min_lr: 'atuo' is not a number; a number >= 0 or auto is needed
[2]

# keys that contradict each other, or have no meaning
$ addnorm plan --n_head 5 --d_model 128
2| addnorm plan: n_head 5 does not divide d_model 128; try n_head 4
[2]
$ addnorm plan --rope_base 500
2| addnorm plan: --rope_base: 'rope_base' has no meaning with position 'learned' (default); it needs position=rotary
[2]
$ addnorm plan --steps 100 --warmup 200
2| addnorm plan: warmup 200 is longer than the run of 100 steps; lower warmup or raise steps
[2]
$ addnorm plan --lr 1e-4 --min_lr 1e-3
2| addnorm plan: min_lr 0.001 is above lr 0.0001; lower min_lr or raise lr
[2]
$ addnorm plan --vocab_size 100
2| addnorm plan: vocab_size 100 is below the 256 tokens of tokenizer byte; set it to 256
[2]

# per-site overrides
$ addnorm plan --n_layer 4 --norm@4=rmsnorm
2| addnorm plan: --norm@4: 'norm@4' names layer 4; the model has layers 0..3
[2]
$ addnorm plan --norm@0.atn rmsnorm
2| addnorm plan: --norm@0.atn: 'norm@0.atn' names sub-layer 'atn'; the model has attn|mlp; did you mean 'attn'?
[2]
$ addnorm plan --norm@3-1 rmsnorm
2| addnorm plan: --norm@3-1: 'norm@3-1': range 3-1 runs backwards
[2]
$ addnorm plan --norm@x rmsnorm
2| addnorm plan: --norm@x: 'norm@x': after @ stand layers (3, 0-5,8 or *) and perhaps a sub-layer (.attn)
[2]
$ addnorm plan --norm@ rmsnorm
2| addnorm plan: --norm@: 'norm@': after @ stand layers (3, 0-5,8 or *) and perhaps a sub-layer (.attn)
[2]
$ addnorm plan --design@0 deepnorm --deepnorm_alpha@1 2
2| addnorm plan: --deepnorm_alpha@1: 'deepnorm_alpha@1' has no meaning there; it needs design=deepnorm in the same layers and sub-layers
[2]
$ addnorm plan --design@0 deepnorm --deepnorm_alpha@0-1 2 | grep -c shortcut
13
$ addnorm plan --norm@*.mlp rmsnorm --norm_variance@1.mlp unbiased
2| addnorm plan: --norm_variance@1.mlp: 'norm_variance@1.mlp' has no meaning there; it needs norm=layernorm in the same layers and sub-layers
[2]
$ printf 'design@0: deepnorm\ndeepnorm_alpha@0: 2\n' > later.yaml; addnorm plan later.yaml --design@0 keel | grep -c shortcut
13
$ addnorm plan --lr@2 1e-3
2| addnorm plan: --lr@2: 'lr' holds for the whole model; it cannot be set per layer
[2]
$ addnorm plan --n_layer 2 --d_model 64 --n_head 2 --norm@0.mlp rmsnorm --json | grep -c '"op"'
17

# environment
$ ADDNORM_LRR=1 addnorm plan
2| addnorm plan: ADDNORM_LRR: unknown key; did you mean ADDNORM_LR?
[2]
$ ADDNORM_LR=x addnorm plan
2| addnorm plan: ADDNORM_LR: 'x' is not a number; a number > 0 is needed
[2]
$ ADDNORM_LR=1 ADDNORM_LEARNING_RATE=2 addnorm plan
2| addnorm plan: ADDNORM_LEARNING_RATE: key 'learning_rate' stands twice; first in ADDNORM_LR
[2]
$ ADDNORM_N_LAYER=3 ADDNORM_CPU=ref addnorm plan --dump-config | grep n_layer
  n_layer: 3                            # ADDNORM_N_LAYER
