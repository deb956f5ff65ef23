# What the program says when it is asked nothing, something wrong, or for help.
$ addnorm
2| addnorm trains transformers in C, with Add & Norm as a choice that can be measured.
2|
2|   addnorm train      train a model; writes a run folder
2|   addnorm sample     write text with a trained model, one token at a time
2|   addnorm eval       loss, perplexity and bits per byte of a trained model
2|   addnorm plan       steps, shapes, bytes, flops, parameters and peak memory; trains nothing
2|   addnorm check      will this train? theory and measurement at initialisation, a few probe steps, a verdict; --probe: measures on demand, of a run too
2|   addnorm study      a grid of runs with verdicts: resumable, on all cores, over several machines
2|   addnorm report     a page from run folders, one or many side by side, or from a study: charts, tables, configuration
2|   addnorm gradcheck  compare every derivative with finite differences, in double
2|   addnorm list       what there is to choose from
2|   addnorm bench      kernels and whole steps beside the machine's measured limits
2|
2| addnorm VERB --help tells the rest. ./run demo shows it at work.
[2]
$ addnorm --help | head -3
addnorm trains transformers in C, with Add & Norm as a choice that can be measured.
1|
  addnorm train      train a model; writes a run folder
$ addnorm trian
2| addnorm: unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
[2]
$ addnorm frobnicate
2| addnorm: unknown verb 'frobnicate'; verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
[2]
$ addnorm help nothing
2| addnorm: unknown verb 'nothing'; verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
[2]
$ addnorm list
2| addnorm list: an argument is missing; usage: addnorm list norms|designs|archs|inits|kernels|options|presets|studies
[2]
$ addnorm list nroms
2| addnorm list: 'nroms' is no list; did you mean 'norms'? lists: norms, designs, archs, inits, kernels, options, presets, studies
[2]
$ addnorm list norms designs
2| addnorm list: 'designs' is one argument too many; usage: addnorm list norms|designs|archs|inits|kernels|options|presets|studies
[2]
$ addnorm sample
2| addnorm sample: an argument is missing; usage: addnorm sample RUN [--prompt TEXT] [--tokens N]
[2]
$ addnorm sample a b
2| addnorm sample: 'b' is one argument too many; usage: addnorm sample RUN [--prompt TEXT] [--tokens N]
[2]
$ addnorm eval no-such-run
2| addnorm eval: no-such-run: no such run folder
[3]
$ addnorm sample no-such-run
2| addnorm sample: no-such-run: no such run folder
[3]
$ addnorm gradcheck stray
2| addnorm gradcheck: 'stray' is one argument too many; usage: addnorm gradcheck [--norm N] [--design D]
[2]
$ addnorm gradcheck --norm rmsnrom
2| addnorm gradcheck: --norm: 'rmsnrom' is no norm; did you mean 'rmsnorm'? choices: all|layernorm|rmsnorm|prmsnorm|scalenorm|l2norm|groupnorm|batchnorm|rbn|powernorm|dyt|derf|none
[2]
$ addnorm gradcheck --model "design=post-ln" --plant layers.0.attn.post.gian
2| addnorm gradcheck: --plant: no tensor is called 'layers.0.attn.post.gian'; did you mean 'layers.0.attn.post.gain'?
[2]
$ addnorm gradcheck --model "design=post-ln" --norm rmsnorm
2| addnorm gradcheck: --norm: --model names the one model to check; say norm=rmsnorm in it
[2]
$ addnorm bench --shape 1,2
2| addnorm bench: --shape: '1,2' is not M,N,K with three sizes 1..1000000
[2]
$ addnorm plan a b
2| addnorm plan: 'b' is one argument too many; usage: addnorm plan [CONFIG.yaml] [--key value ...]
[2]
# a closed or full stdout is a failure
$ addnorm --version > /dev/full
2| addnorm: output: cannot write: No space left on device
[1]
$ addnorm list designs > /dev/full
2| addnorm list: output: cannot write: No space left on device
[1]
