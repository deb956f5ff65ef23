# Telemetry in the log: which events, how often, and none when it is off. A resumed run logs what an uninterrupted one does.

$ i=0; while [ $i -lt 300 ]; do echo "line $i of a small text"; i=$((i + 1)); done > text.txt
> printf 'data: text.txt\nn_layer: 2\nn_head: 2\nd_model: 16\nseq_len: 16\nbatch_size: 2\nsteps: 12\nlog_every: 5\neval_every: 0\nthreads: 1\n' > small.yaml
$ addnorm train small.yaml --out a -q > /dev/null; sed 's/.*"event":"\([a-z]*\)","step":\([0-9]*\).*/\1 \2/' a/log.jsonl | grep -v -e '^run' -e '^end' -e '^eval' -e '^checkpoint'
step 1
ledger 1
norm 1
attention 1
output 1
updates 1
step 5
ledger 5
norm 5
attention 5
output 5
updates 5
step 10
ledger 10
norm 10
attention 10
output 10
updates 10
step 12
ledger 12
norm 12
attention 12
output 12
updates 12
$ addnorm train small.yaml --out b -q --telemetry off > /dev/null; grep -c -e ledger -e updates -e update_norm b/log.jsonl
0
[1]
$ addnorm train small.yaml --out c -q --telemetry full --telemetry_every 4 > /dev/null; grep '"stream"' c/log.jsonl | sed 's/"\(token_cosine\|effective_rank\|kurtosis\|massive\)":\[[^]]*\]/\1/g'
{"event":"stream","step":1,"site":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],token_cosine,effective_rank,kurtosis,massive}
{"event":"stream","step":4,"site":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],token_cosine,effective_rank,kurtosis,massive}
{"event":"stream","step":8,"site":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],token_cosine,effective_rank,kurtosis,massive}
{"event":"stream","step":12,"site":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],token_cosine,effective_rank,kurtosis,massive}
$ grep '"ledger"' c/log.jsonl | head -1 | sed 's/:\[[-0-9.e,]*\]//g'
{"event":"ledger","step":1,"site":["layers.0.attn","layers.0.mlp","layers.1.attn","layers.1.mlp"],"g_in","g_identity","g_branch","g_cos","g_out","attenuation","x_rms","f_rms","y_rms","rho","dependency","sum_dev","cos_xf","cos_xy"}
# the same numbers are in the event file: every key of the log, but for names, has its tag
$ sed -n 's/.*"event":"\(ledger\|stream\)","step":1,//p' c/log.jsonl | grep -o '"[a-z_]*":' | tr -d '":' | grep -v site | while read key; do grep -a -q "$key/layers.0.attn" c/tb/* || echo "no $key"; done
$ for key in update_grad update_update update_weight update_ratio; do grep -a -q "$key/layers.0.attn.qkv.weight" c/tb/* || echo "no $key"; done
$ for key in norm_gain_rms norm_small_rows attention_entropy attention_sink; do grep -a -q "$key/layers.0.attn" c/tb/* || echo "no $key"; done
$ addnorm train small.yaml --out d -q --save_every 7 > /dev/null; addnorm train --resume d/checkpoints/step-00000007 -q > /dev/null
$ for run in a d; do grep -v -e '"event":"\(run\|resume\|step\|eval\|checkpoint\|end\)"' $run/log.jsonl > $run.txt; done; cmp a.txt d.txt && wc -l < a.txt
20
$ addnorm train small.yaml --out e --telemetry off --telemetry_every 3
2| addnorm train: --telemetry_every: 'telemetry_every' has no meaning with telemetry 'off' (--telemetry); it needs telemetry!=off
[2]
$ addnorm train small.yaml --out e --telemetry some
2| addnorm train: --telemetry: 'some' is no telemetry; choices: off|basic|full
[2]
