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
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
# what is written can be read, and gives the same
$ addnorm train a.yaml --preset demo --dump-config | sed 's/ *#.*//' > b.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm train b.yaml --dump-config | sed 's/ *#.*//' | cmp - b.yaml && echo same
same
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
# file over preset, environment over file, flag over environment
$ printf 'steps: 20\n' > steps.yaml
$ addnorm train --preset demo --dump-config | grep ' steps'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ addnorm train steps.yaml --preset demo --dump-config | grep ' steps'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ ADDNORM_STEPS=30 addnorm train steps.yaml --dump-config | grep ' steps'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ ADDNORM_STEPS=30 addnorm train steps.yaml --max-iters=40 --dump-config | grep ' steps'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ printf 'preset: demo\n' > p.yaml; addnorm train p.yaml --dump-config | grep ' n_layer'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
# a key that a later choice makes meaningless is left out; one that contradicts is refused
$ printf 'position: rotary\nrope_base: 500\n' > rope.yaml
$ addnorm train rope.yaml --dump-config | grep rope
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ addnorm train rope.yaml --position learned --dump-config | grep rope
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
$ printf 'position: learned\nrope_base: 500\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]

# mistakes in files
$ addnorm train missing.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm train .
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr: 1\nlearning_rate: 2\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'n_layr: 1\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'modle:\n  n_layer: 1\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'model:\n  lr: 1\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr:\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr: [1, 2]\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr: abc\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr: [1\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'a: &x 1\nb: *x\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'model: {n_layer: {x: 1}}\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf -- '- lr\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'lr: 1\n---\nlr: 2\n' > bad.yaml; addnorm train bad.yaml
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'norm@9: rmsnorm\n' > bad.yaml; addnorm train bad.yaml --dump-config
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf '' > empty.yaml; addnorm train empty.yaml --dump-config | grep -c default
0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[1]
