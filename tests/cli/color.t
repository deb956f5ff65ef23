# Colour: --color over NO_COLOR over CLICOLOR_FORCE and FORCE_COLOR over the terminal.
$ addnorm plan --n_layer 0 --color always 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm plan --color always --n_layer 0 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ CLICOLOR_FORCE=1 addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ FORCE_COLOR=1 addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ CLICOLOR_FORCE=0 addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ CLICOLOR_FORCE=1 NO_COLOR=1 addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ CLICOLOR_FORCE=1 NO_COLOR= addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
$ addnorm trian 2>&1 | cat -v
tests/cli/run_transcripts: 1: /tmp/tmp.SfGvMyryOm/command: addnorm: not found
