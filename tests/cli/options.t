# The option table as a parser: each error names the place, the value, what is allowed and the nearest name.
$ addnorm plan --n_layr 3
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --learning-rat 3
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --zzzzzzz
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan -z
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer --quiet
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer 0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer=abc
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer 1.5
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer 99999999999999999999
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --lr 0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --lr nan
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --lr 1e999
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm_eps -1e-5
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm_eps 0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --bias=maybe
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --no-bias=true
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --no-n_layer
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm rmsnrm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --design sandwhich
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --preset shakespear-char
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --dropout 1
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --min_lr atuo
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]

# keys that contradict each other, or have no meaning
$ addnorm plan --n_head 5 --d_model 128
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --rope_base 500
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --steps 100 --warmup 200
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --lr 1e-4 --min_lr 1e-3
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --vocab_size 100
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]

# per-site overrides
$ addnorm plan --n_layer 4 --norm@4=rmsnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm@0.atn rmsnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm@3-1 rmsnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm@x rmsnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --norm@ rmsnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --lr@2 1e-3
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan --n_layer 2 --d_model 64 --n_head 2 --norm@0.mlp rmsnorm --json | grep -c '"op"'
0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]

# environment
$ ADDNORM_LRR=1 addnorm plan
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ ADDNORM_LR=x addnorm plan
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ ADDNORM_LR=1 ADDNORM_LEARNING_RATE=2 addnorm plan
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ ADDNORM_N_LAYER=3 ADDNORM_CPU=ref addnorm plan --dump-config | grep n_layer
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
