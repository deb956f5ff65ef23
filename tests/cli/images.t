# A classifier of images: built-in ones, IDX files, and what has no meaning there.
$ addnorm train --arch resnet --n_layer 8 --width 4 --image_size 8 --norm batchnorm --shapes 60 --batch_size 10 --steps 4 --eval_every 2 --threads 1 --out r 2>&1 | grep -c right
6
$ addnorm eval r | grep images
images         6
$ addnorm eval r --json | grep -c accuracy
1
$ grep -c '"accuracy"' r/log.jsonl; grep -c '"val_accuracy"' r/log.jsonl; grep -c bits_per_byte r/log.jsonl
2
3
0
[1]
$ addnorm sample r
2| addnorm sample: prompt of 1 tokens and 63 more: arch resnet gives classes to images and continues no text; nothing can be sampled from it
[2]
$ addnorm check --arch resnet --n_layer 8
2| addnorm check: theory, rules and probes are those of transformers over tokens, and arch resnet (--arch) reads images; train it, its log tells the same numbers
[2]
$ addnorm train --arch resnet
2| addnorm train: n_layer 6 (default) is not 6 n + 2, as arch resnet counts layers with weights; try 8
[2]
$ addnorm train --arch resnet --n_layer 20 --image_size 4
2| addnorm train: data: no images given, and the built-in ones have no form of image_size 4, image_channels 1, classes 10; at least 8, at most 8, at most 10, or name IDX files with --data
[2]
$ addnorm train --arch resnet --n_layer 20 --sample_every 5
2| addnorm train: sample_every 5: arch resnet gives classes to images and writes no text; leave it out
[2]
$ addnorm train --arch resnet --n_layer 20 --design mhc
2| addnorm train: design mhc keeps a stream of its own, of one size, but maps get smaller and wider from stage to stage of arch resnet; use a design of one stream, such as pre-ln
[2]
$ addnorm train --arch resnet --n_layer 20 --d_model 64
2| addnorm train: --d_model: 'd_model' has no meaning with arch 'resnet' (--arch); it needs arch!=resnet
[2]
$ printf '\0\0\010\003\0\0\0\004\0\0\0\001\0\0\0\001abcd' > i; printf '\0\0\010\001\0\0\0\004\0\001\002\001' > l
$ addnorm plan -q --arch resnet --n_layer 8 --width 4 --data i --data l | grep pass
pass         12 images; 1 pass per update
flops        120.5k forward, 237.5k backward per pass; 29.8k per image
moved        42.0 KiB forward, 70.4 KiB backward per pass at least
$ addnorm train --arch resnet --n_layer 8 --data i
2| addnorm train: data: no file of labels among those given; give one of labels for each of images: --data IMAGES --data LABELS
[3]
$ addnorm train --arch resnet --n_layer 8 --data i --data i
2| addnorm train: data: no file of labels among those given; give one of labels for each of images: --data IMAGES --data LABELS
[3]
$ addnorm train --arch resnet --n_layer 8 --data l --data l
2| addnorm train: data: no file of images among those given; give one of labels for each of images: --data IMAGES --data LABELS
[3]
$ addnorm train --arch resnet --n_layer 8 --data missing --data l
2| addnorm train: data: missing: cannot open: No such file or directory
[3]
