# Names that are empty or of the wrong kind, a checkpoint that is damaged, a text that changed, readers that leave.
$ i=0; while [ $i -lt 300 ]; do echo "line $i of a text that is real enough to be learned from"; i=$((i + 1)); done > text.txt
> printf 'data: text.txt\nn_layer: 1\nn_head: 2\nd_model: 16\nseq_len: 16\nbatch_size: 4\nsteps: 4\neval_batches: 1\nsave_every: 2\nthreads: 1\n' > tiny.yaml
> printf 'grid:\n  lr: [1e-3, 2e-3]\n' > s.yaml; addnorm train tiny.yaml --out run -q > /dev/null

# empty
$ addnorm train tiny.yaml --out ""
2| addnorm train: --out: the value is empty; name a folder, or leave it out
[2]
$ addnorm train tiny.yaml --resume ""
2| addnorm train: --resume: the value is empty; name a folder, or leave it out
[2]
$ addnorm check tiny.yaml --page=
2| addnorm check: --page: the value is empty; name a file, or leave it out
[2]
$ addnorm report run --out ""
2| addnorm report: --out: the value is empty; name a file, or leave it out
[2]
$ addnorm report run --csv ""
2| addnorm report: --csv: the value is empty; name a folder, or leave it out
[2]
$ printf 'out: ""\n' > bad.yaml; addnorm train bad.yaml --data text.txt
2| addnorm train: bad.yaml:1: out: the value is empty; name a folder, or leave it out
[2]
# where the default is nothing, a file may say so; what is dumped can be read again
$ printf 'resume: ""\n' > none.yaml; addnorm train none.yaml --dump-config > dump.yaml; addnorm train dump.yaml --dump-config > again.yaml; sed -i 's/ *#.*//' dump.yaml again.yaml; cmp dump.yaml again.yaml && echo same
same

# a file where a folder belongs, a folder where a file does
$ addnorm train tiny.yaml --out text.txt
2| addnorm train: --out: text.txt is a file; name a folder
[2]
$ addnorm train tiny.yaml --resume text.txt
2| addnorm train: --resume: text.txt is a file; name a folder
[2]
$ addnorm study s.yaml --out text.txt
2| addnorm study: --out: text.txt is a file; name a folder
[2]
$ addnorm report run --csv text.txt
2| addnorm report: --csv: text.txt is a file; name a folder
[2]
$ addnorm report run --out .
2| addnorm report: --out: . is a folder; name a file
[2]
$ addnorm check tiny.yaml --page run
2| addnorm check: --page: run is a folder; name a file
[2]
$ printf 'out: text.txt\n' > out.yaml; addnorm train out.yaml --data text.txt --n_layer 1 --n_head 1 --d_model 8 --seq_len 8 -q
2| addnorm train: text.txt: is a file; name a folder
[2]
# a study in a run's folder
$ addnorm study s.yaml --data text.txt --out run
2| addnorm study: out: run already holds a run; choose another --out
[2]

# bytes that are no text are a prompt too
$ addnorm sample run --prompt "$(printf '\377\376')" --tokens 1 | cut -c 1-8
\xFF\xFE
$ addnorm train --lr_scale "$(printf '\377')"
2| addnorm train: --lr_scale: byte 0 of the value is not UTF-8
[2]

# damaged: what there is besides
$ cp -r run hurt; printf x | dd of=hurt/checkpoints/latest/model.safetensors bs=1 seek=3000 conv=notrunc 2> /dev/null; addnorm eval hurt
2| addnorm eval: hurt/checkpoints/step-00000004/model.safetensors: checksum does not match the one in state.json; the file was damaged or replaced; the checkpoint before it is hurt/checkpoints/step-00000002, name that instead
[3]
$ echo >> hurt/checkpoints/step-00000002/state.json; printf x > hurt/checkpoints/step-00000004/state.json; addnorm train --resume hurt --steps 6 -q 2>&1 | sed 's/.*; the/the/'
the checkpoint before it is hurt/checkpoints/step-00000002, name that instead

# another text under the same name, of the same length
$ tr e a < text.txt > other; cp text.txt kept; cp other text.txt; addnorm eval run -q | head -0
2| addnorm eval: the data is not what run was trained on: its files have changed; what follows is measured on them as they are
$ addnorm check run --probe lens -q > /dev/null
2| addnorm check: the data is not what run was trained on: its files have changed; what follows is measured on them as they are
$ addnorm check run --probe lens --data kept -q > /dev/null
$ addnorm eval run --data text.txt > /dev/null
$ addnorm train --resume run --steps 6 -q
2| addnorm train: data: these are other bytes, of the same length, than run/checkpoints/step-00000004 was trained on; give that data or start a new run
[3]
$ cp kept text.txt; printf a > one; addnorm eval run --data one
2| addnorm eval: data: 1 byte leaves nothing to predict; give 2 bytes or more
[3]

# a reader that leaves is no failure, a disk that is full is one
$ { sleep 0.2; addnorm list options; echo $? >&2; } | true
2| 0
$ { addnorm train tiny.yaml --out left -q; echo $? >&2; } | true
2| 0
$ addnorm train tiny.yaml --out full -q > /dev/full
2| addnorm train: output: cannot write: No space left on device; the run itself is complete: full
[1]
