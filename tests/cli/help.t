# Help and lists come from the tables.
$ addnorm train --help
addnorm train [CONFIG.yaml] [--key value ...]
train a model; writes a run folder
1|
model:
  --arch NAME             kind of network: decoder|resnet [decoder]
  --n_layer N             number of blocks; of arch resnet layers with weights, 6 n + 2 [6;
                          1..100000]
  --n_head N              attention heads; must divide d_model [6; 1..65536]; only with arch!=resnet
  --n_kv_head N           heads of keys and values, each shared by n_head / n_kv_head query heads;
                          auto: n_head [auto; 1..65536 or auto]; only with arch!=resnet
  --d_model N             width of the residual stream, channels [384; 1..1048576]; only with
                          arch!=resnet
  --d_ff N                width of the feed-forward; auto: 4 d_model (swiglu: 8/3 d_model, up to a
                          multiple of 8) [auto; 1..4194304 or auto]; only with arch!=resnet
  --seq_len N             tokens of context [256; 1..16777216]; only with arch!=resnet
  --vocab_size N          number of token kinds [256; 2..16777216]; only with arch!=resnet
  --activation NAME       non-linearity of the feed-forward: gelu_tanh|gelu_erf|relu|swiglu
                          [gelu_tanh]; only with arch!=resnet
  --position NAME         how a token knows its place: learned|sinusoidal|rotary [learned]; only
                          with arch!=resnet
  --rope_base X           longest wavelength of rotary positions, tokens / 2 pi [10000; > 0]; only
                          with position=rotary
  --[no-]bias             biases in linear layers (and, by norm_bias auto, in norms) [true]
  --tie_embeddings NAME   the output head is the token table; auto: true, but false where embeddings
                          have unit size (init xavier, pytorch) or the design keeps the two apart:
                          auto|true|false [auto]; only with arch!=resnet
  --dropout X             probability of dropping embeddings, attention weights and branch outputs
                          [0; [0,1)]; only with arch!=resnet
  --parameterization NAME how learning rates, sizes and eps follow width and depth:
                          standard|mup|depth-mup|completep [standard]; only with arch!=resnet
  --base_width N          d_model of the model that the settings were tuned on [256; 1..1048576];
                          only with parameterization=mup|depth-mup|completep
  --base_depth N          n_layer of the model that the settings were tuned on [2; 1..100000]; only
                          with parameterization=depth-mup|completep
  --input_multiplier X    multiplies the embedding, positions too; sqrt(d_model) in Gemma's models
                          [1; > 0]; only with arch!=resnet
  --output_multiplier X   multiplies the logits, besides base_width / d_model [1; > 0]; only with
                          parameterization=mup|depth-mup|completep
  --image_size N          side of the square images, pixels; auto: that of data, or 16 [auto;
                          1..4096 or auto]; only with arch=resnet
  --image_channels N      numbers per pixel; auto: those of data, or 1 [auto; 1..64 or auto]; only
                          with arch=resnet
  --classes N             kinds of image; auto: those of data, or 10 [auto; 2..65536 or auto]; only
                          with arch=resnet
  --width N               channels of the first stage; the second has twice as many, the third four
                          times [16; 1..65536]; only with arch=resnet
1|
Add & Norm:
  --design NAME           residual design: where skips, norms and scales stand:
                          plain|post-ln|pre-ln|deepnorm|admin|b2t|sandwich-ln|peri-ln|reordered|
                          sub-ln|normformer|hybridnorm|keel|mix-ln|layernorm-scaling|rezero|
                          skipinit|layerscale|t-fixup|value-residual|qk-norm|hyper-connections|mhc|
                          denseformer|attention-residuals|residual-dual|parallel|ngpt|custom
                          [pre-ln] @
  --norm NAME             norm kind:
                          layernorm|rmsnorm|prmsnorm|scalenorm|l2norm|groupnorm|batchnorm|rbn|
                          powernorm|dyt|derf|none [layernorm] @
  --init NAME             law that the first weights are drawn from; auto: what the design
                          prescribes (gpt2 for most):
                          auto|gpt2|normal|xavier|xavier-uniform|pytorch|he|zero-out [auto] @
  --qk_norm NAME          RMSNorm on queries and keys, per head or over all heads; auto: what the
                          design prescribes (off for most): auto|off|head|full [auto]; only with
                          arch!=resnet @
  --value_residual NAME   mix the first layer's values into every later layer's; auto: what the
                          design prescribes (off for most): auto|off|half|learned [auto]; only with
                          arch!=resnet @
  --norm_eps X            keeps a norm finite on small rows; unit of x^2 inside the root, of x
                          outside [1e-5; > 0]; only with
                          norm=layernorm|rmsnorm|prmsnorm|scalenorm|l2norm|groupnorm|batchnorm|rbn|
                          powernorm @
  --norm_eps_place NAME   inside: sqrt(var + eps); outside: sqrt(var) + eps: inside|outside
                          [inside]; only with norm=layernorm|rmsnorm|prmsnorm|groupnorm @
  --norm_variance NAME    divide the variance by C or by C - 1: biased|unbiased [biased]; only with
                          norm=layernorm @
  --[no-]norm_affine      learn a gain (and bias) per channel [true]; only with
                          norm=layernorm|rmsnorm|prmsnorm|groupnorm|batchnorm|rbn|powernorm|dyt|derf
                          @
  --norm_bias NAME        learn a bias per channel; auto: as `bias`: auto|true|false [auto]; only
                          with norm=layernorm|groupnorm|batchnorm|rbn|powernorm|dyt|derf @
  --norm_gain_offset X    y = (offset + g) x / rms; 1 in Gemma, whose stored gain starts at 0 [0;
                          0..1]; only with norm=rmsnorm @
  --prmsnorm_p X          share of the channels, from the first, that the root mean square is taken
                          from [0.0625; (0,1]]; only with norm=prmsnorm @
  --norm_groups N         groups of channels; must divide the width [4; 1..65536]; only with
                          norm=groupnorm @
  --[no-]norm_masked      statistics over valid tokens only; false: padding counts too [true]; only
                          with norm=batchnorm|rbn|powernorm @
  --batchnorm_momentum X  share of the batch in the running statistics [0.1; (0,1]]; only with
                          norm=batchnorm @
  --rbn_momentum X        share of the batch in the running statistics [0.05; (0,1]]; only with
                          norm=rbn @
  --rbn_mean X            penalty per channel on (running mean - batch mean)^2 [0; >= 0]; only with
                          norm=rbn @
  --rbn_var X             penalty per channel on |running variance - batch variance| [0; >= 0]; only
                          with norm=rbn @
  --powernorm_groups N    groups of channels that each token is first scaled in, by root mean
                          square; 0: no such scaling [1; 0..65536]; only with norm=powernorm @
  --powernorm_warmup N    training passes normalised by the batch, before the running square takes
                          over [10000; 0..16777215]; only with norm=powernorm @
  --dyt_alpha X           what the learned scale a starts at [0.5; > 0]; only with norm=dyt @
  --derf_alpha X          what the learned scale a starts at [0.5; > 0]; only with norm=derf @
  --deepnorm_alpha X      factor on the skip; auto: (2 n_layer)^1/4 for a decoder [auto; > 0 or
                          auto]; only with design=deepnorm @
  --deepnorm_beta X       gain on v, o, fc1 and fc2 at initialisation; auto: (8 n_layer)^-1/4 for a
                          decoder [auto; > 0 or auto]; only with design=deepnorm @
  --admin_init NAME       what the skips start at: profile: from the first batch; log, sqrt, one:
                          closed forms, for an output whose change grows with depth n as log n, 1,
                          n: profile|log|sqrt|one [profile]; only with design=admin
  --[no-]b2t_rescale      multiply the initial matrices by 1/sqrt(n_layer), as the authors' code
                          does [true]; only with design=b2t
  --[no-]peri_embed_norm  norm on the embedding [true]; only with design=peri-ln
  --normformer_resscale   learned vector on the skip around the feed-forward; the paper's ablation:
                          helps small models only; only with design=normformer
  --hybridnorm_first      HybridNorm*: the first layer keeps the norms of Pre-LN; only with
                          design=hybridnorm
  --keel_alpha X          factor on the skip; auto: the number of sub-layers, 2 n_layer [auto; > 0
                          or auto]; only with design=keel @
  --mix_ln_post X         share of the layers, from the first, that are Post-LN [0.25; 0..1]; only
                          with design=mix-ln
  --rezero_share NAME     one learned scale per layer, or per sub-layer: layer|site [layer]; only
                          with design=rezero
  --skipinit_start X      what the learned scale starts at [0; 0..1]; only with design=skipinit @
  --layerscale_start X    what the learned vector starts at; auto: 0.1 to 18 layers, 1e-5 to 24,
                          1e-6 beyond [auto; > 0 or auto]; only with design=layerscale @
  --hyper_streams N       n, streams that run side by side [4; 1..16]; only with
                          design=hyper-connections|mhc
  --[no-]hyper_dynamic    coefficients depend on the token; false: learned constants [true]; only
                          with design=hyper-connections @
  --[no-]hyper_tanh       bound the dynamic part by tanh [true]; only with design=hyper-connections
                          @
  --hyper_sqrt_init       divide the initial output matrices of sub-layers by sqrt(hyper_streams);
                          only with design=hyper-connections
  --mhc_iterations N      Sinkhorn iterations, columns then rows each [20; 1..100]; only with
                          design=mhc @
  --mhc_bias X            logit by which a sub-layer's own stream and the diagonal stand out at the
                          start; 0: all streams alike, for ever [4; 0..20]; only with design=mhc
  --denseformer_dilation N
                          averages take every so many-th earlier value, counted back from the newest
                          [1; 1..100000]; only with design=denseformer
  --denseformer_period N  averages stand behind every so many-th block [1; 1..100000]; only with
                          design=denseformer
  --attention_residuals_blocks N
                          sum outputs inside so many blocks of layers; full: every output is a
                          source [full; 1..100000 or full]; only with design=attention-residuals
  --residual_dual_scale X s, factor on what the second stream collects; below 1 it stays smaller [1;
                          0..1]; only with design=residual-dual
  --residual_dual_eps X   eps of the norm on the second stream [1e-7; > 0]; only with
                          design=residual-dual
  --parallel_norms NAME   one norm for the sub-layers of a layer, or one each: shared|separate
                          [shared]; only with design=parallel
  --ngpt_alpha X          how far a sub-layer's first step goes, of the way to its branch [0.05;
                          (0,1]]; only with design=ngpt @
  --[no-]custom_pre       norm before F [true]; only with design=custom @
  --custom_out            norm behind F; only with design=custom @
  --custom_post           norm behind the sum; only with design=custom @
  --custom_pre_scale X    factor behind the norm before F [1; > 0]; only with design=custom @
  --custom_skip X         factor on the skip, or what a learned one starts at; 0 with kind const: no
                          skip [1; >= 0]; only with design=custom @
  --custom_skip_kind NAME constant, or learned: one number, or one per channel: const|scalar|vector
                          [const]; only with design=custom @
  --custom_skip_normed    the skip starts behind the norm before F; only with design=custom @
  --custom_branch X       factor on the branch, or what a learned one starts at [1; >= 0]; only with
                          design=custom @
  --custom_branch_kind NAME
                          constant, or learned: one number, or one per channel: const|scalar|vector
                          [const]; only with design=custom @
  --custom_inner_norm     norm inside F, before its last matrix; only with design=custom @
  --custom_gain_qk X      gain on the initial q and k [1; >= 0]; only with design=custom @
  --custom_gain_v X       gain on the initial v [1; >= 0]; only with design=custom @
  --custom_gain_o X       gain on the initial attention output [1; >= 0]; only with design=custom @
  --custom_gain_fc1 X     gain on the initial first feed-forward matrix [1; >= 0]; only with
                          design=custom @
  --custom_gain_fc2 X     gain on the initial second feed-forward matrix [1; >= 0]; only with
                          design=custom @
  --[no-]custom_final_norm 
                          norm behind the last layer [true]; only with design=custom
  --custom_embed_norm     norm on the embedding; only with design=custom
  --custom_allow_future   allow norms whose training statistics see later tokens; only with
                          design=custom
1|
data:
  --data FILE             text file to train on; several are read as one stream in the given order.
                          Of arch resnet: IDX files of images and of labels; none: built-in images
  --val_data FILE         text file, or IDX files, to validate on; none: the end of data
  --val_fraction X        share of the bytes, or images, of data, at its end, kept for validation;
                          unused with val_data [0.1; (0,0.9]]
  --shapes N              built-in images, training and validation together, where arch resnet has
                          no data [5000; 10..1000000000]
  --tokenizer NAME        how text becomes tokens; byte: 256 tokens, one per byte: byte [byte]
1|
training:
  --z_loss X              weight of the squared log-sum-exp of the logits in the training loss,
                          which keeps them from drifting; usual: 1e-4 (arXiv:2204.02311) [0; [0,1]]
  --steps N               updates of the parameters [1000; >= 1]
  -b, --batch_size N      sequences per pass [12; 1..1048576]
  --grad_accum N          passes whose gradients are averaged into one update [1; 1..1048576]
  --optimizer NAME        rule of the update: adamw [adamw]
  --lr X                  peak learning rate [1e-3; > 0]
  --lr_scale TEXT         groups with a rate of their own, PATTERN=FACTOR by tensor name, the last
                          match counts: "embed.*=0.5 *.gain=2"
  --min_lr X              learning rate at the end of the decay; auto: lr / 10 [auto; >= 0 or auto];
                          only with schedule!=constant
  --schedule NAME         learning rate after warm-up: cosine|linear|inverse-sqrt|constant [cosine]
  --warmup N              steps of linear warm-up, lr (t+1)/(warmup+1); auto: steps / 20, at most
                          2000 [auto; >= 0 or auto]
  --decay_steps N         step at which the schedule reaches min_lr; auto: steps [auto; >= 1 or
                          auto]; only with schedule=cosine|linear
  --beta1 X               decay of the gradient's running mean [0.9; [0,1)]
  --beta2 X               decay of the squared gradient's running mean [0.99; [0,1)]
  --adam_eps X            added to the root of the squared gradient's mean, in units of the gradient
                          [1e-8; > 0]
  --weight_decay X        decoupled decay of matrices and tables, per unit of learning rate [0.1; >=
                          0]
  --grad_clip X           largest global gradient norm; 0: no clipping [1; >= 0]
  --seed N                number that all randomness of the run follows from [1337; >= 0]
1|
running:
  --precision NAME        bf16: what products read and write is held as bfloat16, weights and all
                          sums stay f32 (docs/precision.md): f32|bf16 [f32]
  --stream_precision NAME numbers that the residual stream is held in: f32|bf16 [f32]; only with
                          precision=bf16
  --recompute NAME        what the backward pass makes again instead of keeping it; block: each
                          block, sqrt: segments of blocks, memory as the root of depth; auto: as
                          little as fits into memory: none|block|sqrt|auto [none]
  --memory SIZE           what parameters, gradients, optimizer, activations and scratch may take;
                          auto: what this machine has [auto; > 0 or auto]; only with recompute=auto
  --[no-]fuse             join neighbouring steps into one memory pass [true]
  --threads N             processor threads; 0: all that this process may use; the result does not
                          depend on it [0; 0..4096]
  -o, --out TEXT          run folder to write; auto: runs/DATE-TIME [auto]
  --resume TEXT           go on from this run or checkpoint folder; auto: from out if it holds a
                          checkpoint
  --log_every N           steps between lines of the log [10; >= 1]
  --telemetry NAME        what is measured while training (docs/telemetry.md); full adds ranks,
                          cosines and histograms of the stream: off|basic|full [basic]
  --telemetry_every N     steps between observed steps; auto: log_every [auto; >= 1 or auto]; only
                          with telemetry!=off
  --eval_every N          steps between evaluations on the validation data; 0: only at the end [250;
                          >= 0]
  --eval_batches N        batches per evaluation, spread evenly over the validation data [20; >= 1]
  --save_every N          steps between checkpoints; 0: only at the end [250; >= 0]
  --keep_checkpoints N    newest checkpoints to keep; 0: all [2; >= 0]
  --sample_every N        steps between short samples in the log; 0: none [0; >= 0]
  --sample_tokens N       tokens of such a sample, at most seq_len [64; >= 1]; only with
                          sample_every!=0
1|
command:
  --serve [N]             show the report while training, on this port of 127.0.0.1; without a
                          number: 8080, or a free one [off; 1..65535 or off or auto]
  --[no-]report           write RUN/report.html at the end [true]
  --preset NAME           a recipe to start from:
                          none|demo|shakespeare-char|shakespeare-char-cpu|gpt2-124m|images [none]
  --dump_config           print the resolved configuration with the source of each value, and stop
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
1|
@: may be set per layer and sub-layer, --KEY@LAYERS[.SITE] VALUE, as in --norm@0-3 rmsnorm or
--norm@*.mlp rmsnorm.
$ addnorm sample --help
addnorm sample RUN [--prompt TEXT] [--tokens N]
write text with a trained model, one token at a time
1|
sampling:
  -p, --prompt TEXT       text to go on from; empty: a line break
  -n, --tokens N          tokens to write; auto: what is left of the model's seq_len after the
                          prompt [auto; >= 1 or auto]
  --samples N             continuations of the prompt, decoded as one batch; number i is the same
                          text in any batch [1; 1..4096]
  --weights NAME          how matrices are read: bf16 has half the bytes of f32, int8 a quarter;
                          auto: f32: auto|f32|bf16|int8 [auto]
  -t, --temperature X     divides the logits; 0: always the most likely token [1; >= 0]
  --top_k N               only the k most likely tokens; 0: all [0; >= 0]
  --top_p X               only the fewest tokens that together hold this probability [1; (0,1]]
  --seed N                the same seed writes the same text [1337; >= 0]
  --threads N             processor threads; 0: all that this process may use [0; 0..4096]
  --raw                   write bytes as they are, valid UTF-8 or not
1|
command:
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
$ addnorm help eval
addnorm eval RUN [--data FILE]
loss, perplexity and bits per byte of a trained model
1|
evaluation:
  --data FILE             text file to evaluate, or IDX files of images and labels, all of it; none:
                          the validation part of the run's own data
  --windows N             at most this many windows of seq_len tokens, evenly spread; 0: all [0; >=
                          0]
  --threads N             processor threads; 0: all that this process may use [0; 0..4096]
1|
command:
  --json                  one JSON document on stdout
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
$ addnorm gradcheck -h
addnorm gradcheck [--norm N] [--design D]
compare every derivative with finite differences, in double
1|
derivative test:
  --norm NAME             only this norm kind:
                          all|layernorm|rmsnorm|prmsnorm|scalenorm|l2norm|groupnorm|batchnorm|rbn|
                          powernorm|dyt|derf|none [all]
  --design NAME           only this residual design:
                          all|plain|post-ln|pre-ln|deepnorm|admin|b2t|sandwich-ln|peri-ln|reordered|
                          sub-ln|normformer|hybridnorm|keel|mix-ln|layernorm-scaling|rezero|
                          skipinit|layerscale|t-fixup|value-residual|qk-norm|hyper-connections|mhc|
                          denseformer|attention-residuals|residual-dual|parallel|ngpt|custom [all]
  --arch NAME             only this architecture: all|decoder|resnet [all]
  --model TEXT            only this one model, as "key=value key=value"; keys as in train
  --plant TEXT            put a 1 % error into the gradient of this tensor (layers.0.attn.pre.gain)
                          to see the test fail
1|
command:
  --json                  one JSON document on stdout
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
$ addnorm bench --help
addnorm bench [--shape M,N,K]
kernels and whole steps beside the machine's measured limits
1|
bench:
  --what NAME             which part; the machine's limits are always measured, decode only when
                          named: all|machine|kernels|products|steps|ops|decode [all]
  --shape TEXT            only products [M,K] [K,N], as M,N,K
  --full                  also steps of GPT-2 124M, which take some gigabytes
  --threads N             processor threads; 0: all that this process may use [0; 0..4096]
  --seconds X             to spend on each figure; it is the best of its passes [0.3; (0,60]]
1|
command:
  --json                  one JSON document on stdout
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
$ addnorm list --help
addnorm list norms|designs|archs|inits|kernels|options|presets|studies
what there is to choose from
1|
command:
  --markdown              as Markdown (norms, designs, options): what docs/ is generated from
  --json                  one JSON document on stdout
  -h, --help              this text
  -q, --quiet             no progress, only results and errors
  -v, --verbose           say more
  --color NAME            colour; auto: on a terminal, unless NO_COLOR is set: auto|always|never
                          [auto]
$ addnorm list norms
layernorm  y = g (x - mu) / sqrt(var + eps) + b                                                         arXiv:1607.06450          2d
rmsnorm    y = g x / sqrt(mean(x^2) + eps)                                                              arXiv:1910.07467          d
prmsnorm   y = g x / sqrt(mean_{i<k} x_i^2 + eps), k = floor(p C)                                       arXiv:1910.07467          d
scalenorm  y = g x / max(|x|, eps), one g                                                               arXiv:1910.05895          1
l2norm     y = sqrt(C) x / max(|x|, eps)                                                                nanochat; x-transformers  none
groupnorm  y = g (x - mu_G) / sqrt(var_G + eps) + b, per group of channels                              arXiv:1803.08494          2d
batchnorm  y = g (x - mu_B) / sqrt(var_B + eps) + b, per channel over the batch's valid tokens          arXiv:1502.03167          2d (and 2d running)
rbn        batchnorm; loss + m sum (mu_run - mu_B)^2 + v sum |var_run - var_B|                          arXiv:2210.05153          2d (and 2d running)
powernorm  y = g x' / sqrt(phi + eps) + b, phi a running mean over tokens of x'^2, x' scaled per token  arXiv:2003.07845          2d (and 2d + 1 running)
dyt        y = g tanh(a x) + b                                                                          arXiv:2503.10622          2d + 1
derf       y = g erf(a x + s) + b                                                                       arXiv:2512.10938          2d + 2
none       y = x                                                                                        the control               none
$ addnorm list designs
plain                x <- F(N(x))                                                           arXiv:1512.03385    as pre-ln
post-ln              x <- N(x + F(x))                                                       arXiv:1706.03762    no final norm
pre-ln               x <- x + F(N(x))                                                       arXiv:2002.04745    2d per sub-layer and 2d (with layernorm)
deepnorm             x <- N(a x + F(x)), a = (2L)^1/4; init gain (8L)^-1/4                  arXiv:2203.00555    as post-ln
admin                x <- N(w x + F(x)), w^2 = sum of Var F so far                          arXiv:2004.08249    d more per sub-layer than post-ln
b2t                  m = N(x + A(x));  x <- N(x + m + F(m))                                 arXiv:2206.00330    as post-ln
sandwich-ln          x <- x + N(F(N(x)))                                                    arXiv:2105.13290    2d more per sub-layer
peri-ln              x0 <- N(x0);  x <- x + N(F(N(x)))                                      arXiv:2502.02732    2d more per sub-layer, 2d for the embedding norm
reordered            x <- x + N(F(x)), N on q and k                                         arXiv:2501.00656    2d per layer for q and k
sub-ln               x <- x + W_O N(A(N(x)));  x <- x + W_2 N(act(W_1 N(x)))                arXiv:2210.06423    2d + 2d_ff more per layer
normformer           x <- x + N(sum_h g_h head_h W_O);  x <- x + W_2 N(act(W_1 N(x)))       arXiv:2110.09456    2d + 2d_ff + H per layer
hybridnorm           h = x + A(N(q), N(k), N(v));  z = N(h);  x <- z + F(z)                 arXiv:2503.04598    3 d/H more per layer, 2d fewer
keel                 x <- N(a x + F(N(x))), a = 2L                                          arXiv:2601.19895    2d more per sub-layer, no final norm
mix-ln               l <= L/4: x <- N(x + F(x)); else x <- x + F(N(x))                      arXiv:2412.13795    as pre-ln
layernorm-scaling    x <- x + F(N(x) / sqrt(l))                                             arXiv:2502.05795    as pre-ln
rezero               x <- x + a F(x), a = 0 at first                                        arXiv:2003.04887    1 per layer, no norms
skipinit             x <- x + a_i F_i(x), a_i = 0 at first                                  arXiv:2002.10444    1 per sub-layer, no norms
layerscale           x <- x + s * F(N(x)), s in R^d                                         arXiv:2103.17239    d more per sub-layer
t-fixup              x <- x + F(x), init v, o, fc1, fc2, embedding x (9L)^-1/4              Huang et al. 2020   no norms
value-residual       x <- x + F(N(x)), v_l <- (v_1 + v_l) / 2                               arXiv:2410.17897    none; learned: 2 per layer
qk-norm              x <- x + F(N(x)), q <- N(q), k <- N(k) per head                        arXiv:2302.05442    2 d/H per layer
hyper-connections    u = A_m' H;  H <- A_r' H + B' F(N(u))                                  arXiv:2409.19606    n (n + 2) + (n + 2) d + 2 and a norm per sub-layer; static: n (n + 2)
mhc                  u = H_pre H;  H <- H_res H + H_post' F(N(u)), H_res doubly stochastic  arXiv:2512.24880    n d (n^2 + 2n) + n^2 + 2n + 3 per sub-layer
denseformer          x <- x + F(N(x));  behind a block x <- sum_k w_k X_k                   arXiv:2402.02622    L (L + 3) / 2, less with dilation and period
attention-residuals  v_i = F(N(h_i)), h_i = sum_k softmax_k(<q_i, RMSNorm(v_k)>) v_k        arXiv:2603.15031    2d per sub-layer and 2d
residual-dual        u <- N(u + F(u));  r <- r + s F(u);  y = u + N(r)                      arXiv:2304.14802    as pre-ln
parallel             x <- x + A(N(x)) + F(N(x))                                             arXiv:2204.02311    2d per layer fewer; separate: as pre-ln
ngpt                 x <- U(x + |a| (U(F(x)) - x)), U(x) = x / |x|; unit weights            arXiv:2410.01131    3d and the rows of up per layer, vocab; no norms
custom               x <- Npost(a x + b Nout(F(c Npre(x)))), from the configuration         your configuration  as configured
$ addnorm list archs
decoder  tokens -> causal self-attention + feed-forward, n_layer times -> next token                   Radford et al. 2019
resnet   pixels -> (n_layer - 2) / 2 units of two 3 x 3 convolutions in three stages -> mean -> class  arXiv:1512.03385
$ addnorm list inits
gpt2            N(0, 0.02^2); attention and feed-forward outputs 0.02 / sqrt(2 n_layer)      Radford et al. 2019
normal          N(0, 0.02^2) everywhere                                                      Devlin et al. 2018, arXiv:1810.04805
xavier          N(0, 2 / (fan_in + fan_out)); embeddings so that RMS(x0) = 1; untied head    Glorot & Bengio 2010
xavier-uniform  U(+-sqrt(6 / (fan_in + fan_out))); embeddings N(0, 1 / d_model)              Glorot & Bengio 2010
pytorch         U(+-1 / sqrt(fan_in)); embeddings N(0, 1), an untied head as other matrices  torch.nn.Linear, torch.nn.Embedding
he              N(0, 2 / fan_in); embeddings as gpt2                                         He et al. 2015, arXiv:1502.01852
zero-out        N(0, 0.02^2); attention and feed-forward outputs and an untied head 0        Zhang et al. 2019, arXiv:1901.09321
$ addnorm list presets
demo                  a small model that writes recognisable text after a minute or two on two cores
shakespeare-char      nanoGPT's character model of Shakespeare, 6 layers of 384
shakespeare-char-cpu  nanoGPT's recipe of the same for a plain CPU, 4 layers of 128
gpt2-124m             GPT-2 small: 12 layers of 768, context 1024
images                a residual image classifier of 20 layers on built-in images
$ addnorm list designs --json
1| [
 {
  "name": "plain",
  "text": "x <- F(N(x))",
  "source": "arXiv:1512.03385",
  "parameters": "as pre-ln"
 },
 {
  "name": "post-ln",
  "text": "x <- N(x + F(x))",
  "source": "arXiv:1706.03762",
  "parameters": "no final norm"
 },
 {
  "name": "pre-ln",
  "text": "x <- x + F(N(x))",
  "source": "arXiv:2002.04745",
  "parameters": "2d per sub-layer and 2d (with layernorm)"
 },
 {
  "name": "deepnorm",
  "text": "x <- N(a x + F(x)), a = (2L)^1/4; init gain (8L)^-1/4",
  "source": "arXiv:2203.00555",
  "parameters": "as post-ln"
 },
 {
  "name": "admin",
  "text": "x <- N(w x + F(x)), w^2 = sum of Var F so far",
  "source": "arXiv:2004.08249",
  "parameters": "d more per sub-layer than post-ln"
 },
 {
  "name": "b2t",
  "text": "m = N(x + A(x));  x <- N(x + m + F(m))",
  "source": "arXiv:2206.00330",
  "parameters": "as post-ln"
 },
 {
  "name": "sandwich-ln",
  "text": "x <- x + N(F(N(x)))",
  "source": "arXiv:2105.13290",
  "parameters": "2d more per sub-layer"
 },
 {
  "name": "peri-ln",
  "text": "x0 <- N(x0);  x <- x + N(F(N(x)))",
  "source": "arXiv:2502.02732",
  "parameters": "2d more per sub-layer, 2d for the embedding norm"
 },
 {
  "name": "reordered",
  "text": "x <- x + N(F(x)), N on q and k",
  "source": "arXiv:2501.00656",
  "parameters": "2d per layer for q and k"
 },
 {
  "name": "sub-ln",
  "text": "x <- x + W_O N(A(N(x)));  x <- x + W_2 N(act(W_1 N(x)))",
  "source": "arXiv:2210.06423",
  "parameters": "2d + 2d_ff more per layer"
 },
 {
  "name": "normformer",
  "text": "x <- x + N(sum_h g_h head_h W_O);  x <- x + W_2 N(act(W_1 N(x)))",
  "source": "arXiv:2110.09456",
  "parameters": "2d + 2d_ff + H per layer"
 },
 {
  "name": "hybridnorm",
  "text": "h = x + A(N(q), N(k), N(v));  z = N(h);  x <- z + F(z)",
  "source": "arXiv:2503.04598",
  "parameters": "3 d/H more per layer, 2d fewer"
 },
 {
  "name": "keel",
  "text": "x <- N(a x + F(N(x))), a = 2L",
  "source": "arXiv:2601.19895",
  "parameters": "2d more per sub-layer, no final norm"
 },
 {
  "name": "mix-ln",
  "text": "l <= L/4: x <- N(x + F(x)); else x <- x + F(N(x))",
  "source": "arXiv:2412.13795",
  "parameters": "as pre-ln"
 },
 {
  "name": "layernorm-scaling",
  "text": "x <- x + F(N(x) / sqrt(l))",
  "source": "arXiv:2502.05795",
  "parameters": "as pre-ln"
 },
 {
  "name": "rezero",
  "text": "x <- x + a F(x), a = 0 at first",
  "source": "arXiv:2003.04887",
  "parameters": "1 per layer, no norms"
 },
 {
  "name": "skipinit",
  "text": "x <- x + a_i F_i(x), a_i = 0 at first",
  "source": "arXiv:2002.10444",
  "parameters": "1 per sub-layer, no norms"
 },
 {
  "name": "layerscale",
  "text": "x <- x + s * F(N(x)), s in R^d",
  "source": "arXiv:2103.17239",
  "parameters": "d more per sub-layer"
 },
 {
  "name": "t-fixup",
  "text": "x <- x + F(x), init v, o, fc1, fc2, embedding x (9L)^-1/4",
  "source": "Huang et al. 2020",
  "parameters": "no norms"
 },
 {
  "name": "value-residual",
  "text": "x <- x + F(N(x)), v_l <- (v_1 + v_l) / 2",
  "source": "arXiv:2410.17897",
  "parameters": "none; learned: 2 per layer"
 },
 {
  "name": "qk-norm",
  "text": "x <- x + F(N(x)), q <- N(q), k <- N(k) per head",
  "source": "arXiv:2302.05442",
  "parameters": "2 d/H per layer"
 },
 {
  "name": "hyper-connections",
  "text": "u = A_m' H;  H <- A_r' H + B' F(N(u))",
  "source": "arXiv:2409.19606",
  "parameters": "n (n + 2) + (n + 2) d + 2 and a norm per sub-layer; static: n (n + 2)"
 },
 {
  "name": "mhc",
  "text": "u = H_pre H;  H <- H_res H + H_post' F(N(u)), H_res doubly stochastic",
  "source": "arXiv:2512.24880",
  "parameters": "n d (n^2 + 2n) + n^2 + 2n + 3 per sub-layer"
 },
 {
  "name": "denseformer",
  "text": "x <- x + F(N(x));  behind a block x <- sum_k w_k X_k",
  "source": "arXiv:2402.02622",
  "parameters": "L (L + 3) / 2, less with dilation and period"
 },
 {
  "name": "attention-residuals",
  "text": "v_i = F(N(h_i)), h_i = sum_k softmax_k(<q_i, RMSNorm(v_k)>) v_k",
  "source": "arXiv:2603.15031",
  "parameters": "2d per sub-layer and 2d"
 },
 {
  "name": "residual-dual",
  "text": "u <- N(u + F(u));  r <- r + s F(u);  y = u + N(r)",
  "source": "arXiv:2304.14802",
  "parameters": "as pre-ln"
 },
 {
  "name": "parallel",
  "text": "x <- x + A(N(x)) + F(N(x))",
  "source": "arXiv:2204.02311",
  "parameters": "2d per layer fewer; separate: as pre-ln"
 },
 {
  "name": "ngpt",
  "text": "x <- U(x + |a| (U(F(x)) - x)), U(x) = x / |x|; unit weights",
  "source": "arXiv:2410.01131",
  "parameters": "3d and the rows of up per layer, vocab; no norms"
 },
 {
  "name": "custom",
  "text": "x <- Npost(a x + b Nout(F(c Npre(x)))), from the configuration",
  "source": "your configuration",
  "parameters": "as configured"
 }
1| ]
$ addnorm list options --markdown | head -12
1| ## model
1|
| key | value | default | meaning | also called |
|---|---|---|---|---|
| `arch` | decoder\|resnet | decoder | kind of network |  |
| `n_layer` | 1..100000 | 6 | number of blocks; of arch resnet layers with weights, 6 n + 2 | num_hidden_layers num_layers dec_depth |
| `n_head` | 1..65536 | 6 | attention heads; must divide d_model; only with arch!=resnet | num_attention_heads num_heads transformer_heads |
| `n_kv_head` | 1..65536 or auto | auto | heads of keys and values, each shared by n_head / n_kv_head query heads; auto: n_head; only with arch!=resnet | num_key_value_heads num_kv_heads n_query_groups |
| `d_model` | 1..1048576 | 384 | width of the residual stream, channels; only with arch!=resnet | n_embd hidden_size dim_emb |
| `d_ff` | 1..4194304 or auto | auto | width of the feed-forward; auto: 4 d_model (swiglu: 8/3 d_model, up to a multiple of 8); only with arch!=resnet | n_inner intermediate_size transformer_dim_ffn |
| `seq_len` | 1..16777216 | 256 | tokens of context; only with arch!=resnet | block_size n_positions max_position_embeddings max_length |
| `vocab_size` | 2..16777216 | 256 | number of token kinds; only with arch!=resnet |  |
$ addnorm list options --json | head -12
1| [
 {
  "name": "arch",
  "group": "model",
  "type": "choice",
  "default": "decoder",
  "allowed": "decoder|resnet",
  "help": "kind of network",
  "aliases": "",
  "needs": "",
  "per_site": false
 },
$ addnorm list norms --markdown
| name | formula | adds | source |
|---|---|---|---|
| [`layernorm`](#layernorm) | y = g (x - mu) / sqrt(var + eps) + b | 2d | arXiv:1607.06450 |
| [`rmsnorm`](#rmsnorm) | y = g x / sqrt(mean(x^2) + eps) | d | arXiv:1910.07467 |
| [`prmsnorm`](#prmsnorm) | y = g x / sqrt(mean_{i<k} x_i^2 + eps), k = floor(p C) | d | arXiv:1910.07467 |
| [`scalenorm`](#scalenorm) | y = g x / max(\|x\|, eps), one g | 1 | arXiv:1910.05895 |
| [`l2norm`](#l2norm) | y = sqrt(C) x / max(\|x\|, eps) | none | nanochat; x-transformers |
| [`groupnorm`](#groupnorm) | y = g (x - mu_G) / sqrt(var_G + eps) + b, per group of channels | 2d | arXiv:1803.08494 |
| [`batchnorm`](#batchnorm) | y = g (x - mu_B) / sqrt(var_B + eps) + b, per channel over the batch's valid tokens | 2d (and 2d running) | arXiv:1502.03167 |
| [`rbn`](#rbn) | batchnorm; loss + m sum (mu_run - mu_B)^2 + v sum \|var_run - var_B\| | 2d (and 2d running) | arXiv:2210.05153 |
| [`powernorm`](#powernorm) | y = g x' / sqrt(phi + eps) + b, phi a running mean over tokens of x'^2, x' scaled per token | 2d (and 2d + 1 running) | arXiv:2003.07845 |
| [`dyt`](#dyt) | y = g tanh(a x) + b | 2d + 1 | arXiv:2503.10622 |
| [`derf`](#derf) | y = g erf(a x + s) + b | 2d + 2 | arXiv:2512.10938 |
| [`none`](#none) | y = x | none | the control |
1|
1| ## layernorm
1|
    y = g (x - mu) / sqrt(var + eps) + b
1|
Adds: 2d. Source: arXiv:1607.06450.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_eps_place` | inside | inside: sqrt(var + eps); outside: sqrt(var) + eps |
| `norm_variance` | biased | divide the variance by C or by C - 1 |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
1|
1| ## rmsnorm
1|
    y = g x / sqrt(mean(x^2) + eps)
1|
Adds: d. Source: arXiv:1910.07467.
1|
The paper writes eps outside the root; LLaMA, T5 and most code have it inside, and GPT-NeoX moved it there. Gemma stores w and applies 1 + w (`norm_gain_offset: 1`).
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_eps_place` | inside | inside: sqrt(var + eps); outside: sqrt(var) + eps |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_gain_offset` | 0 | y = (offset + g) x / rms; 1 in Gemma, whose stored gain starts at 0 |
1|
1| ## prmsnorm
1|
    y = g x / sqrt(mean_{i<k} x_i^2 + eps), k = floor(p C)
1|
Adds: d. Source: arXiv:1910.07467.
1|
The authors' code adds eps 1e-8 outside the root (`norm_eps: 1e-8`, `norm_eps_place: outside`) and has the partial estimate off by default. The estimate is biased where channels are ordered; the other channels' size is not measured at all.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_eps_place` | inside | inside: sqrt(var + eps); outside: sqrt(var) + eps |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `prmsnorm_p` | 0.0625 | share of the channels, from the first, that the root mean square is taken from |
1|
1| ## scalenorm
1|
    y = g x / max(|x|, eps), one g
1|
Adds: 1. Source: arXiv:1910.05895.
1|
The authors' package goes with attention matrices of N(0, 2/(5d)) and a norm behind the last layer. x-transformers stores g = 1 and multiplies by sqrt(d): the same function, another learning rate for g.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
1|
1| ## l2norm
1|
    y = sqrt(C) x / max(|x|, eps)
1|
Adds: none. Source: nanochat; x-transformers.
1|
eps only matters for rows of almost nothing: it bounds the length from below instead of being added, so other rows are exact.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
1|
1| ## groupnorm
1|
    y = g (x - mu_G) / sqrt(var_G + eps) + b, per group of channels
1|
Adds: 2d. Source: arXiv:1803.08494.
1|
Per token over C/G channels. PyTorch's GroupNorm on a (C, T) layout also averages over positions, which mixes time and is not this. With one group it is LayerNorm.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_eps_place` | inside | inside: sqrt(var + eps); outside: sqrt(var) + eps |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `norm_groups` | 4 | groups of channels; must divide the width |
1|
1| ## batchnorm
1|
    y = g (x - mu_B) / sqrt(var_B + eps) + b, per channel over the batch's valid tokens
1|
Adds: 2d (and 2d running). Source: arXiv:1502.03167.
1|
PyTorch has no mask: padding enters its statistics unless the caller takes it out. The running variance takes the batch's unbiased variance, the normalisation its biased one; some codes use the biased one for both. In a causal model judge it by validation loss only. Measures of its training/inference discrepancy differ between codes; ours is in docs/telemetry.md (tid_mean, tid_dev).
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `norm_masked` | true | statistics over valid tokens only; false: padding counts too |
| `batchnorm_momentum` | 0.1 | share of the batch in the running statistics |
1|
1| ## rbn
1|
    batchnorm; loss + m sum (mu_run - mu_B)^2 + v sum |var_run - var_B|
1|
Adds: 2d (and 2d running). Source: arXiv:2210.05153.
1|
Without `rbn_mean` and `rbn_var` it is BatchNorm with momentum 0.05. The paper compares the batch with the population; the authors' code with running values that it has just updated, as here. That code also divides by sqrt(max(var, eps)) and keeps the biased variance as running value; here eps is added and the running variance unbiased, as in batchnorm. Its log of the discrepancy (mean over channels of |mu_run - mu_B| / sigma_B and |sigma_run / sigma_B - 1|) is ours; another public test divides lengths of vectors.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `norm_masked` | true | statistics over valid tokens only; false: padding counts too |
| `rbn_momentum` | 0.05 | share of the batch in the running statistics |
| `rbn_mean` | 0 | penalty per channel on (running mean - batch mean)^2 |
| `rbn_var` | 0 | penalty per channel on \|running variance - batch variance\| |
1|
1| ## powernorm
1|
    y = g x' / sqrt(phi + eps) + b, phi a running mean over tokens of x'^2, x' scaled per token
1|
Adds: 2d (and 2d + 1 running). Source: arXiv:2003.07845.
1|
This is the authors' code, which differs from the paper in four ways: tokens are first scaled by their root mean square (an RMSNorm in front; off with `powernorm_groups: 0`; 4 groups in their script), the batch's mean square is used for the first 10000 passes (`powernorm_warmup`), the backward divides by the batch's mean square where the forward divides by the running one, and the running square is updated twice per pass during warm-up. Padding is masked in v but not in E.
1|
| key | default | meaning |
|---|---|---|
| `norm_eps` | 1e-5 | keeps a norm finite on small rows; unit of x^2 inside the root, of x outside |
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `norm_masked` | true | statistics over valid tokens only; false: padding counts too |
| `powernorm_groups` | 1 | groups of channels that each token is first scaled in, by root mean square; 0: no such scaling |
| `powernorm_warmup` | 10000 | training passes normalised by the batch, before the running square takes over |
1|
1| ## dyt
1|
    y = g tanh(a x) + b
1|
Adds: 2d + 1. Source: arXiv:2503.10622.
1|
In LLaMA models the authors use no bias, tune the start of a per size, larger in attention than elsewhere (7B: 0.8 and 0.2; set it with `dyt_alpha@*.attn`), and multiply the embedding by a learned scalar that starts at sqrt(d): it does not scale what it bounds. From the small weights of `init: gpt2` models of width 128 stayed at the unigram entropy here, whatever a; from `init: xavier`, whose signals have unit size, they train. Large starts need warm-up; gradients grow faster with depth than under a norm. x-transformers starts at 1.
1|
| key | default | meaning |
|---|---|---|
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `dyt_alpha` | 0.5 | what the learned scale a starts at |
1|
1| ## derf
1|
    y = g erf(a x + s) + b
1|
Adds: 2d + 2. Source: arXiv:2512.10938.
1|
As with dyt, a small model is to start from `init: xavier`, gradients grow faster with depth than under a norm, and a large start of a needs warm-up.
1|
| key | default | meaning |
|---|---|---|
| `norm_affine` | true | learn a gain (and bias) per channel |
| `norm_bias` | auto | learn a bias per channel; auto: as `bias` |
| `derf_alpha` | 0.5 | what the learned scale a starts at |
1|
1| ## none
1|
    y = x
1|
Adds: none. Source: the control.
