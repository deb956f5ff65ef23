# The report of runs: where it lies, every chart's numbers, and what is refused. What the page does in a browser: tests/browser.

$ i=0; while [ $i -lt 300 ]; do echo "line $i of a small text"; i=$((i + 1)); done > text.txt
> printf 'data: text.txt\nn_layer: 2\nn_head: 2\nd_model: 16\nseq_len: 16\nbatch_size: 2\nsteps: 12\nlog_every: 5\neval_every: 6\neval_batches: 1\nthreads: 1\n' > small.yaml
$ for design in pre-ln post-ln; do addnorm train small.yaml --design $design --out runs/$design -q > /dev/null; done; ls runs/pre-ln
checkpoints
config.yaml
log.jsonl
report.html
tb
$ addnorm report runs/pre-ln
report  runs/pre-ln/report.html
$ cp runs/pre-ln/report.html one.html; addnorm report runs/pre-ln --out two.html && cmp one.html two.html
report  two.html
$ addnorm report runs/pre-ln runs/post-ln --csv numbers && ls numbers
report  report.html
csv     numbers
attention_entropy.csv
attention_logit.csv
attention_profile.csv
attention_sink.csv
attenuation_product.csv
bits_per_byte.csv
branch_share.csv
branch_size.csv
grad_norm.csv
gradient_cosine.csv
gradient_profile.csv
identity_share.csv
loss.csv
lr.csv
stream_growth.csv
tok_per_s.csv
update_norm.csv
$ head -3 numbers/attenuation_product.csv; cut -d, -f1,3 numbers/identity_share.csv | sort -u; cut -d, -f1 numbers/loss.csv | sort -u
curve,step,value
pre-ln,1,1
pre-ln,5,1
post-ln,0.attn
post-ln,0.mlp
post-ln,1.attn
post-ln,1.mlp
pre-ln,0.attn
pre-ln,0.mlp
pre-ln,1.attn
pre-ln,1.mlp
run,sub-layer
curve
post-ln
post-ln val
pre-ln
pre-ln val
unigram entropy
# a folder of runs; one of them is damaged, one is no run
$ mkdir runs/empty; echo 'not json' >> runs/post-ln/log.jsonl; addnorm report runs && grep -o '[a-z-]*: 1 damaged line[^<]*' runs/report.html
report  runs/report.html
post-ln: 1 damaged line of the log skipped; the first is line 31
# who set what is in the log and on the page
$ grep -o '"set".*"by":\[[^]]*\]' runs/post-ln/log.jsonl; grep -c -- '<small>--design</small>' runs/report.html
"set":["n_layer","n_head","d_model","seq_len","design","data","steps","batch_size","threads","out","log_every","eval_every","eval_batches"],"by":["small.yaml:2","small.yaml:3","small.yaml:4","small.yaml:5","--design","small.yaml:1","small.yaml:7","small.yaml:6","small.yaml:11","--out","small.yaml:8","small.yaml:9","small.yaml:10"]
1
# no request leaves the page
$ grep -o '<\(script\|link\|img\|iframe\)[^>]*\(src\|href\)="[^d][^>]*>' runs/report.html
[1]
# without telemetry the page says what would record it
$ addnorm train small.yaml --telemetry off --out off -q > /dev/null; grep -c 'telemetry basic' off/report.html; addnorm train small.yaml --no-report --out none -q > /dev/null; ls none | grep report
4
[1]
$ addnorm report
2| addnorm report: an argument is missing; usage: addnorm report RUN... [--out FILE] [--csv FOLDER]
[2]
$ addnorm report absent
2| addnorm report: absent: no such folder; name a folder that addnorm train wrote, with config.yaml and log.jsonl in it
[3]
$ addnorm report text.txt
2| addnorm report: text.txt: not a run folder; name a folder that addnorm train wrote, with config.yaml and log.jsonl in it
[3]
$ addnorm report runs/empty
2| addnorm report: runs/empty: neither a run folder nor a folder of runs; name a folder that addnorm train or study wrote
[3]
$ sed -i 's/"version":"[^"]*"/"version":"99.1.0"/' off/log.jsonl; addnorm report off 2>&1 | sed 's/this is [0-9.]*/this is VERSION/'
addnorm report: off: a run of addnorm 99.1.0, this is VERSION; read it with that version or a later one
$ echo 'd_modell: 3' >> none/config.yaml; addnorm report runs/pre-ln none
2| addnorm report: none: not the configuration of a run: none/config.yaml:66: unknown key 'd_modell'; did you mean 'd_model'?
[3]
$ addnorm report runs/pre-ln --out missing/page.html
2| addnorm report: missing/page.html: cannot create: No such file or directory
[1]
$ touch file; addnorm report runs/pre-ln --csv file 2>&1 | tail -1
addnorm report: --csv: file is a file; name a folder
