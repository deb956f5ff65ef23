# What the program says when it is asked nothing, something wrong, or for help.
$ addnorm
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm --help | head -3
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm trian
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm frobnicate
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm help nothing
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm list
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm list nroms
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm list norms designs
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm sample
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm sample a b
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm eval no-such-run
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm sample no-such-run
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm gradcheck stray
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm gradcheck --norm rmsnrom
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm bench --shape 1,2
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm plan a b
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
# a closed or full stdout is a failure
$ addnorm --version > /dev/full
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
$ addnorm list designs > /dev/full
2| tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
[127]
