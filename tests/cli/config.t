# Configuration files, precedence, and --dump-config with the source of each value.
$ cat > a.yaml <<'END'
> model:
>   n_layer: 3
>   d_model: 64
>   n_head: 2
> add_norm:
>   norm: rmsnorm
>   norm@0-1: layernorm
>   norm@*.mlp: layernorm
> learning_rate: 6e-4
> data: [one.txt, "two words.txt"]
> END
$ ADDNORM_STEPS=700 addnorm train a.yaml --preset demo --num_hidden_layers 4 --no-bias --dump-config
model:
  arch: decoder                         # default
  n_layer: 4                            # --num_hidden_layers
  n_head: 2                             # a.yaml:4
  n_kv_head: auto                       # default
  d_model: 64                           # a.yaml:3
  d_ff: auto                            # default
  seq_len: 256                          # preset demo
  vocab_size: 256                       # default
  activation: gelu_tanh                 # default
  position: rotary                      # preset demo
  rope_base: 10000                      # default
  bias: false                           # --no-bias
  tie_embeddings: auto                  # default
  dropout: 0                            # preset demo
  parameterization: standard            # default
  # base_width: 256                     # default; unused, needs parameterization=mup|depth-mup|completep
  # base_depth: 2                       # default; unused, needs parameterization=depth-mup|completep
  input_multiplier: 1                   # default
  # output_multiplier: 1                # default; unused, needs parameterization=mup|depth-mup|completep
  # image_size: auto                    # default; unused, needs arch=resnet
  # image_channels: auto                # default; unused, needs arch=resnet
  # classes: auto                       # default; unused, needs arch=resnet
  # width: 16                           # default; unused, needs arch=resnet
add_norm:
  design: pre-ln                        # default
  norm: rmsnorm                         # a.yaml:6
  norm@0-1: layernorm                   # a.yaml:7
  norm@*.mlp: layernorm                 # a.yaml:8
  init: auto                            # default
  qk_norm: auto                         # default
  value_residual: auto                  # default
  norm_eps: 1e-5                        # default
  norm_eps_place: inside                # default
  norm_variance: biased                 # default
  norm_affine: true                     # default
  norm_bias: auto                       # default
  norm_gain_offset: 0                   # default
  # prmsnorm_p: 0.0625                  # default; unused, needs norm=prmsnorm
  # norm_groups: 4                      # default; unused, needs norm=groupnorm
  # norm_masked: true                   # default; unused, needs norm=batchnorm|rbn|powernorm
  # batchnorm_momentum: 0.1             # default; unused, needs norm=batchnorm
  # rbn_momentum: 0.05                  # default; unused, needs norm=rbn
  # rbn_mean: 0                         # default; unused, needs norm=rbn
  # rbn_var: 0                          # default; unused, needs norm=rbn
  # powernorm_groups: 1                 # default; unused, needs norm=powernorm
  # powernorm_warmup: 10000             # default; unused, needs norm=powernorm
  # dyt_alpha: 0.5                      # default; unused, needs norm=dyt
  # derf_alpha: 0.5                     # default; unused, needs norm=derf
  # deepnorm_alpha: auto                # default; unused, needs design=deepnorm
  # deepnorm_beta: auto                 # default; unused, needs design=deepnorm
  # admin_init: profile                 # default; unused, needs design=admin
  # b2t_rescale: true                   # default; unused, needs design=b2t
  # peri_embed_norm: true               # default; unused, needs design=peri-ln
  # normformer_resscale: false          # default; unused, needs design=normformer
  # hybridnorm_first: false             # default; unused, needs design=hybridnorm
  # keel_alpha: auto                    # default; unused, needs design=keel
  # mix_ln_post: 0.25                   # default; unused, needs design=mix-ln
  # rezero_share: layer                 # default; unused, needs design=rezero
  # skipinit_start: 0                   # default; unused, needs design=skipinit
  # layerscale_start: auto              # default; unused, needs design=layerscale
  # hyper_streams: 4                    # default; unused, needs design=hyper-connections|mhc
  # hyper_dynamic: true                 # default; unused, needs design=hyper-connections
  # hyper_tanh: true                    # default; unused, needs design=hyper-connections
  # hyper_sqrt_init: false              # default; unused, needs design=hyper-connections
  # mhc_iterations: 20                  # default; unused, needs design=mhc
  # mhc_bias: 4                         # default; unused, needs design=mhc
  # denseformer_dilation: 1             # default; unused, needs design=denseformer
  # denseformer_period: 1               # default; unused, needs design=denseformer
  # attention_residuals_blocks: full    # default; unused, needs design=attention-residuals
  # residual_dual_scale: 1              # default; unused, needs design=residual-dual
  # residual_dual_eps: 1e-7             # default; unused, needs design=residual-dual
  # parallel_norms: shared              # default; unused, needs design=parallel
  # ngpt_alpha: 0.05                    # default; unused, needs design=ngpt
  # custom_pre: true                    # default; unused, needs design=custom
  # custom_out: false                   # default; unused, needs design=custom
  # custom_post: false                  # default; unused, needs design=custom
  # custom_pre_scale: 1                 # default; unused, needs design=custom
  # custom_skip: 1                      # default; unused, needs design=custom
  # custom_skip_kind: const             # default; unused, needs design=custom
  # custom_skip_normed: false           # default; unused, needs design=custom
  # custom_branch: 1                    # default; unused, needs design=custom
  # custom_branch_kind: const           # default; unused, needs design=custom
  # custom_inner_norm: false            # default; unused, needs design=custom
  # custom_gain_qk: 1                   # default; unused, needs design=custom
  # custom_gain_v: 1                    # default; unused, needs design=custom
  # custom_gain_o: 1                    # default; unused, needs design=custom
  # custom_gain_fc1: 1                  # default; unused, needs design=custom
  # custom_gain_fc2: 1                  # default; unused, needs design=custom
  # custom_final_norm: true             # default; unused, needs design=custom
  # custom_embed_norm: false            # default; unused, needs design=custom
  # custom_allow_future: false          # default; unused, needs design=custom
data:
  data: [one.txt, "two words.txt"]      # a.yaml:10
  val_data: []                          # default
  val_fraction: 0.1                     # default
  shapes: 5000                          # default
  tokenizer: byte                       # default
training:
  z_loss: 0                             # default
  steps: 700                            # ADDNORM_STEPS
  batch_size: 8                         # preset demo
  grad_accum: 1                         # default
  optimizer: adamw                      # default
  lr: 6e-4                              # a.yaml:9
  lr_scale: ""                          # default
  min_lr: 2e-4                          # preset demo
  schedule: cosine                      # default
  warmup: auto                          # default
  decay_steps: auto                     # default
  beta1: 0.9                            # default
  beta2: 0.99                           # preset demo
  adam_eps: 1e-8                        # default
  weight_decay: 0.1                     # preset demo
  grad_clip: 1                          # preset demo
  seed: 1337                            # default
running:
  precision: f32                        # default
  # stream_precision: f32               # default; unused, needs precision=bf16
  recompute: none                       # default
  # memory: auto                        # default; unused, needs recompute=auto
  fuse: true                            # default
  threads: 0                            # default
  out: auto                             # default
  log_every: 20                         # preset demo
  telemetry: basic                      # default
  telemetry_every: auto                 # default
  eval_every: 150                       # preset demo
  eval_batches: 20                      # preset demo
  save_every: 300                       # preset demo
  keep_checkpoints: 2                   # default
  sample_every: 0                       # default
  # sample_tokens: 64                   # default; unused, needs sample_every!=0
# what is written can be read, and gives the same
$ addnorm train a.yaml --preset demo --dump-config | sed 's/ *#.*//' > b.yaml
$ addnorm train b.yaml --dump-config | sed 's/ *#.*//' | cmp - b.yaml && echo same
same
# file over preset, environment over file, flag over environment
$ printf 'steps: 20\n' > steps.yaml
$ addnorm train --preset demo --dump-config | grep ' steps'
  steps: 900                            # preset demo
$ addnorm train steps.yaml --preset demo --dump-config | grep ' steps'
  steps: 20                             # steps.yaml:1
$ ADDNORM_STEPS=30 addnorm train steps.yaml --dump-config | grep ' steps'
  steps: 30                             # ADDNORM_STEPS
$ ADDNORM_STEPS=30 addnorm train steps.yaml --max-iters=40 --dump-config | grep ' steps'
  steps: 40                             # --max-iters
$ printf 'preset: demo\n' > p.yaml; addnorm train p.yaml --dump-config | grep ' n_layer'
  n_layer: 4                            # preset demo
# a key that a later choice makes meaningless is left out; one that contradicts is refused
$ printf 'position: rotary\nrope_base: 500\n' > rope.yaml
$ addnorm train rope.yaml --dump-config | grep rope
  position: rotary                      # rope.yaml:1
  rope_base: 500                        # rope.yaml:2
$ addnorm train rope.yaml --position learned --dump-config | grep rope
  # rope_base: 500                      # rope.yaml:2; unused, needs position=rotary
$ printf 'position: learned\nrope_base: 500\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2: 'rope_base' has no meaning with position 'learned' (bad.yaml:1); it needs position=rotary
[2]

# mistakes in files
$ addnorm train missing.yaml
2| addnorm train: configuration missing.yaml: cannot open: No such file or directory
[2]
$ addnorm train .
2| addnorm train: configuration .: is a folder; a file is needed
[2]
$ printf 'lr: 1\nlearning_rate: 2\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2: key 'learning_rate' stands twice; first in bad.yaml:1
[2]
$ printf 'n_layr: 1\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1: unknown key 'n_layr'; did you mean 'n_layer'?
[2]
$ printf 'modle:\n  n_layer: 1\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2: unknown group 'modle'; did you mean 'model'?
[2]
$ printf 'model:\n  lr: 1\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2: 'lr' stands under 'model'; it belongs to 'training'
[2]
$ printf 'lr:\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1: 'lr' has no value
[2]
$ printf 'lr: [1, 2]\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1: 'lr' takes one value, not a list
[2]
$ printf 'lr: abc\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1: lr: 'abc' is not a number; a number > 0 is needed
[2]
$ printf 'lr: [1\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2:1: did not find expected ',' or ']'
[2]
$ printf 'model:\n\tn_layer: 1\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2:1: tabs cannot indent; use spaces
[2]
$ printf 'model: 3\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1: 'model' is a group; below it stand lines 'key: value'
[2]
$ printf 'model:\n#  n_layer: 3\ntraining:\n  steps: 30\n' > group.yaml; addnorm train group.yaml --dump-config | grep -c -e 'group.yaml'
1
$ printf 'a: &x 1\nb: *x\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1:4: anchors and aliases are not used here; write the value out
[2]
$ printf 'model: {n_layer: {x: 1}}\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1:18: groups do not nest; keys stand at most one level deep
[2]
$ printf -- '- lr\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:1:1: a configuration is a list of lines 'key: value'
[2]
$ printf 'lr: 1\n---\nlr: 2\n' > bad.yaml; addnorm train bad.yaml
2| addnorm train: bad.yaml:2:1: a second document; a configuration is one
[2]
$ printf 'norm@9: rmsnorm\n' > bad.yaml; addnorm train bad.yaml --dump-config
2| addnorm train: bad.yaml:1: 'norm@9' names layer 9; the model has layers 0..5
[2]
$ printf '' > empty.yaml; addnorm train empty.yaml --dump-config | grep -c default
126
