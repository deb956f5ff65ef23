# A run from data to sample, and data that is no good.
$ addnorm train -q
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm train -q --data missing.txt
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm train -q --data .
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ : > empty.txt; addnorm train -q --data empty.txt
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ printf 'too short' > short.txt; addnorm train -q --data short.txt
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
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
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm train tiny.yaml --out a -q
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ ls a a/checkpoints
2| ls: cannot access 'a': No such file or directory
2| ls: cannot access 'a/checkpoints': No such file or directory
[2]
$ grep -c '"event":"step"' a/log.jsonl
2| grep: a/log.jsonl: No such file or directory
[2]
$ addnorm train tiny.yaml --out b --color never 2>&1 >/dev/null | sed 's/[0-9.]*k\{0,1\} tok.*//; s/[0-9]\.[0-9e-]*/X/g; /^machine/d; /^memory/d; s/-- *$//'
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
# two runs with one seed are one run; so are a whole one and one in two parts
$ cmp a/checkpoints/latest/model.safetensors b/checkpoints/latest/model.safetensors && echo same
2| cmp: a/checkpoints/latest/model.safetensors: No such file or directory
[2]
$ addnorm train tiny.yaml --out c --steps 3 --decay_steps 6 --warmup 0 -q > /dev/null
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm train --resume c --steps 6 -q > /dev/null
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm train tiny.yaml --out d --decay_steps 6 --warmup 0 -q > /dev/null
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ cmp c/checkpoints/latest/model.safetensors d/checkpoints/latest/model.safetensors && echo same
2| cmp: c/checkpoints/latest/model.safetensors: No such file or directory
[2]
$ addnorm eval a -q | sed 's/[0-9]*\.[0-9]*/X/'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm eval a --json --data text.txt | sed 's/[0-9]*\.[0-9]*/X/; /"run"/d'
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm sample a --tokens 8 --seed 3 --raw | wc -c
0
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm sample a --tokens 8 --seed 3 > one; addnorm sample a --tokens 8 --seed 3 --threads 2 | cmp - one && echo same
same
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm sample a --tokens 40
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm sample a --temperature -1
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm sample a/checkpoints/step-00000003 --prompt 'line ' --tokens 1 | cut -c 1-5
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm sample text.txt
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
