# Colour: --color over NO_COLOR over CLICOLOR_FORCE and FORCE_COLOR over the terminal.
$ addnorm plan --n_layer 0 --color always 2>&1 | cat -v
^[[1;31maddnorm plan:^[[0m --n_layer: '0' is out of range; an integer 1..100000 is needed
$ addnorm plan --color always --n_layer 0 2>&1 | cat -v
^[[1;31maddnorm plan:^[[0m --n_layer: '0' is out of range; an integer 1..100000 is needed
$ CLICOLOR_FORCE=1 addnorm trian 2>&1 | cat -v
^[[1;31maddnorm:^[[0m unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
$ FORCE_COLOR=1 addnorm trian 2>&1 | cat -v
^[[1;31maddnorm:^[[0m unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
$ CLICOLOR_FORCE=0 addnorm trian 2>&1 | cat -v
addnorm: unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
$ CLICOLOR_FORCE=1 NO_COLOR=1 addnorm trian 2>&1 | cat -v
addnorm: unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
$ CLICOLOR_FORCE=1 NO_COLOR= addnorm trian 2>&1 | cat -v
^[[1;31maddnorm:^[[0m unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
$ addnorm trian 2>&1 | cat -v
addnorm: unknown verb 'trian'; did you mean 'train'? verbs: train, sample, eval, plan, check, study, report, gradcheck, list, bench
