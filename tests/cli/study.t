# A small study, and what is no study.
$ i=0; while [ $i -lt 200 ]; do echo "the $((i % 7)) quick foxes jump over $((i % 5)) lazy dogs and $((i % 3)) cats"; i=$((i + 1)); done > text.txt
> printf 'base: { data: text.txt, n_layer: 1, n_head: 2, d_model: 8, seq_len: 8, batch_size: 2, steps: 30, eval_batches: 1 }\ngrid:\n  design: [pre-ln, post-ln]\n  n_kv_head: [1, 3]\nseeds: 2\n' > s.yaml
$ addnorm study s.yaml -q --jobs 2 | sed 's/[0-9][0-9]*\.[0-9][0-9]*/X/g; s/-[0-9a-f]\{8\}\b/-HASH/'
s: 8 cells, 4 finished, 4 skipped
unigram entropy of the text X nats; failed above it - X
1|
design   n_kv_head  runs  outcome    train loss      val loss        bits per byte   against pre-ln
pre-ln   1          2     failed 2   X +- X  X +- X  X +- X  -
pre-ln   3          2     SKIPPED 2  -               -               -               -
post-ln  1          2     failed 2   X +- X  X +- X  X +- X  +X +- X
post-ln  3          2     SKIPPED 2  -               -               -               -
1|
SKIPPED design=pre-ln,n_kv_head=3,seed=1-HASH and 3 more: n_kv_head 3 does not divide n_head 2; try n_kv_head 2
$ ls studies/s; cut -f 2-8 studies/s/table.tsv | sed 's/-[0-9a-f]\{8\}\b/-HASH/'
cells
index.sqlite
study.json
table.tsv
work
name	design	n_kv_head	seed	state	outcome	steps
design=pre-ln,n_kv_head=1,seed=1-HASH	pre-ln	1	1	finished	failed	30
design=pre-ln,n_kv_head=1,seed=2-HASH	pre-ln	1	2	finished	failed	30
design=pre-ln,n_kv_head=3,seed=1-HASH	pre-ln	3	1	skipped		0
design=pre-ln,n_kv_head=3,seed=2-HASH	pre-ln	3	2	skipped		0
design=post-ln,n_kv_head=1,seed=1-HASH	post-ln	1	1	finished	failed	30
design=post-ln,n_kv_head=1,seed=2-HASH	post-ln	1	2	finished	failed	30
design=post-ln,n_kv_head=3,seed=1-HASH	post-ln	3	1	skipped		0
design=post-ln,n_kv_head=3,seed=2-HASH	post-ln	3	2	skipped		0
$ addnorm study s.yaml --dry-run | awk '{ print $1, $2, $3 }'
cell state steps
1 finished 30
2 finished 30
3 SKIPPED 0
4 SKIPPED 0
5 finished 30
6 finished 30
7 SKIPPED 0
8 SKIPPED 0
$ addnorm study s.yaml -q --rebuild --json | grep -e '^ "' | sed 's/: .*//'
 "study"
 "interval"
 "cells"
 "groups"
 "verdicts"
$ addnorm study s.yaml -q --lr 2e-3 --seeds 1 | head -1
s: 4 cells, 2 finished, 2 skipped
$ addnorm list studies
answer          what do residual connections and layer normalisation do? each sentence measured, and a page of it; ci  arXiv:1512.03385
placement       where the norm stands decides whether warm-up is needed (R2, small); ci                                arXiv:2002.04745
compare         A.yaml B.yaml: two configurations, five seeds each: is the difference real?; nightly
find-lr         [CONFIG.yaml]: which learning rate? whole runs at nine rates; nightly
lr-sensitivity  [CONFIG.yaml]: how much does the loss depend on the learning rate? (the published metric); nightly     arXiv:2309.14322
needs-warmup    [CONFIG.yaml]: does a configuration need warm-up, and how much?; nightly
critical-depth  [CONFIG.yaml]: from which depth on does it fail?; nightly
r1              R1: laws at initialisation, by runs of one step; ci                                                    arXiv:2002.04745
r2              R2: warm-up and the place of the norm; ci                                                              arXiv:2002.04745
r3              R3: the depth ladder, plain against residual; ci                                                       arXiv:1512.03385
r4              R4: path lengths and lesions; release                                                                  arXiv:1605.06431
r5              R5: sensitivity to the learning rate; nightly                                                          arXiv:2309.14322
r6              R6: growth of the stream, the curse of depth; release                                                  arXiv:2502.05795
r7              R7: kinds of norms; release                                                                            arXiv:2003.07845
r8              R8: branches that start at zero, steps to a loss; release                                              arXiv:2003.04887
r9              R9: learning rates across depth; ci                                                                    arXiv:2505.01618
r10             R10: gain of several streams; release                                                                  arXiv:2512.24880
$ printf 'lr: 2e-3\n' > a.yaml; addnorm study compare a.yaml a.yaml
2| addnorm study: a.yaml: named twice; study compare takes different configurations
[2]
$ addnorm study find-lr s.yaml --dry-run
2| addnorm study: s.yaml:1: unknown group 'base'; there are model, training, add_norm, running, data
[2]
$ addnorm study find-lr nowhere.yaml
2| addnorm study: configuration nowhere.yaml: cannot open: No such file or directory
[2]
$ addnorm study critical-depth --n_layer 2
2| addnorm study: --n_layer: study critical-depth compares several values of it; leave it out
[2]
$ addnorm find-lr a.yaml
2| addnorm: unknown verb 'find-lr'; it is a study: addnorm study find-lr
[2]

$ addnorm study answer --quick --dry-run --data text.txt --data nowhere.txt
2| addnorm study: data: nowhere.txt: no such file
[3]
$ addnorm study answer --quick --dry-run --json --data text.txt | grep -o -e '"state": "[a-z]*"' -e '"n_layer": "[0-9]*"' | sort | uniq -c | awk '{ print $1, $2, $3 }'
4 "n_layer": "1"
4 "n_layer": "104"
4 "n_layer": "110"
4 "n_layer": "20"
4 "n_layer": "24"
4 "n_layer": "56"
16 "n_layer": "8"
20 "state": "waiting"
$ addnorm study placement --quick
2| addnorm study: --quick: study placement has no quick form
[2]
$ addnorm study s.yaml --quick
2| addnorm study: --quick: s.yaml is a file; named studies have a quick form
[2]

# what is no good
$ addnorm study
2| addnorm study: an argument is missing; usage: addnorm study NAME|STUDY.yaml [--key value ...]
[2]
$ addnorm study nothing.yaml
2| addnorm study: 'nothing.yaml' is neither a study's name nor a file; addnorm list studies
[2]
$ addnorm study placment
2| addnorm study: 'placment' is neither a study's name nor a file; did you mean 'placement'?
[2]
$ addnorm study compare a.yaml
2| addnorm study: compare: an argument is missing; usage: addnorm study compare A.yaml B.yaml
[2]
$ addnorm study s.yaml more.yaml
2| addnorm study: 'more.yaml' is one argument too many; usage: addnorm study s.yaml [--key value ...]
[2]
$ addnorm study s.yaml --jobs 0
2| addnorm study: --jobs: '0' is out of range; an integer 1..4096 or auto is needed
[2]
$ addnorm study s.yaml --resume auto
2| addnorm study: --resume: a study goes on by itself, from --out
[2]
$ addnorm study s.yaml --design pre-ln
2| addnorm study: --design: s.yaml:3 gives it several values; leave it out, or change the file
[2]
$ addnorm study s.yaml --data missing.txt
2| addnorm study: none of 8 cells can run; the first: data: missing.txt: cannot open: No such file or directory
[3]
$ addnorm study s.yaml --dry-run --rebuild
2| addnorm study: --dry_run and --rebuild are two questions; ask one
[2]
$ printf 'grid:\n  desing: [pre-ln]\n' > bad.yaml; addnorm study bad.yaml
2| addnorm study: bad.yaml:2: unknown key 'desing'; did you mean 'design'?
[2]
$ printf 'name: a\nname: b\ngrid:\n  lr: [1]\n' > bad.yaml; addnorm study bad.yaml
2| addnorm study: bad.yaml:2: key 'name' stands twice
[2]
$ printf 'preset: demo\nname: b\npreset: demo\n' > bad.yaml; addnorm study bad.yaml
2| addnorm study: bad.yaml:3: key 'preset' stands twice
[2]
$ printf 'base: { lr: 1 }\ngrid: {}\n' > bad.yaml; addnorm study bad.yaml
2| addnorm study: bad.yaml: the grid is empty; a study needs 'grid:' with lines 'key: [value, ...]', or seeds
[2]
$ printf 'grid:\n  d_model: [16, 1048576]\n' > big.yaml; addnorm study big.yaml --data text.txt --n_head 1 --n_layer 1 --seq_len 8 --steps 1 -q --eval_batches 1 | grep -o -e '^1048576 .*SKIPPED 1' -e '^SKIPPED d_model=1048576' -e 'available'
1048576  1     SKIPPED 1
SKIPPED d_model=1048576
available
$ addnorm study find-lr --tier ci
2| addnorm study: --tier: find-lr has none; studies of the suite do: addnorm list studies
[2]
$ addnorm study r5 --tier ci
2| addnorm study: --tier ci: r5 begins at tier nightly; try --tier nightly
[2]
