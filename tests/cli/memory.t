# Recomputation under a budget of memory, and shapes that no machine holds: place, value, remedy.
$ addnorm plan --memory 4GiB
2| addnorm plan: --memory: 'memory' has no meaning with recompute 'none' (default); it needs recompute=auto
[2]
$ addnorm plan --recompute auto --memory 0
2| addnorm plan: --memory: '0' is out of range; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute auto --memory -4GiB
2| addnorm plan: --memory: '-4GiB' is out of range; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute auto --memory lots
2| addnorm plan: --memory: 'lots' is not a size; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute auto --memory 4GiBs
2| addnorm plan: --memory: '4GiBs' is not a size; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute auto --memory 99999999T
2| addnorm plan: --memory: '99999999T' is too large; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute auto --memory ''
2| addnorm plan: --memory: '' is not a size; a size (KiB, MiB, GiB) > 0 or auto is needed
[2]
$ addnorm plan --recompute root
2| addnorm plan: --recompute: 'root' is no recompute; choices: none|block|sqrt|auto
[2]
# too little for the parameters, and for the leanest policy by a byte; then just enough
$ addnorm plan -q --n_layer 48 --d_model 64 --n_head 2 --seq_len 64 --batch_size 4 --threads 2 --recompute auto --memory 1K 2>&1 | sed 's/[0-9.]* MiB ([0-9]* bytes/X MiB (X bytes/'
addnorm plan: memory 1.0 KiB (--memory): the least that this model trains in is X MiB (X bytes; parameters, gradients and optimizer take 36.9 MiB), with blocks run again in segments of 8, 1 at a time, and the last 1 kept; raise memory, or lower batch_size, seq_len or the model
$ addnorm plan -q --n_layer 48 --d_model 64 --n_head 2 --seq_len 64 --batch_size 4 --threads 1 --telemetry off --recompute auto --memory 30M 2>&1 | sed 's/[0-9.]* MiB ([0-9]* bytes/X MiB (X bytes/'
addnorm plan: memory 30.0 MiB (--memory): the least that this model trains in is X MiB (X bytes; parameters, gradients and optimizer take 36.9 MiB), with blocks run again in segments of 8, 1 at a time, and the last 1 kept; raise memory, or lower batch_size, seq_len or the model
$ bytes=$(addnorm plan -q --n_layer 48 --d_model 64 --n_head 2 --seq_len 64 --batch_size 4 --threads 1 --recompute auto --memory 1K 2>&1 | sed 's/.*is [0-9.]* MiB (\([0-9]*\) bytes.*/\1/')
> for more in -1 0; do addnorm plan -q --n_layer 48 --d_model 64 --n_head 2 --seq_len 64 --batch_size 4 --threads 1 --recompute auto --memory $((bytes + more)) 2>&1 | grep -c '^recomputed'; done
0
1

# what plan says of each policy
$ for how in block sqrt 'auto --memory 40MiB' 'auto --memory 60MiB' 'auto --memory 1TiB'; do echo "$how:"; addnorm plan -q --n_layer 48 --d_model 64 --n_head 2 --seq_len 64 --batch_size 4 --threads 1 --recompute $how | grep -A1 '^recomputed'; done
block:
recomputed   48.3 MiB of activations are dropped and made again for 971.2M more flops, 23.1 %; activations take 44.7 MiB less
             segments of 1 block, each run again whole
sqrt:
recomputed   49.1 MiB of activations are dropped and made again for 1.12G more flops, 26.8 %; activations take 45.1 MiB less
             segments of 2 blocks, each run again whole; the last 2 kept
auto --memory 40MiB:
recomputed   49.6 MiB of activations are dropped and made again for 2.01G more flops, 47.9 %; activations take 46.7 MiB less
             segments of 5 blocks, run again for their borders, then 1 at a time; the last 1 kept
auto --memory 60MiB:
recomputed   29.2 MiB of activations are dropped and made again for 586.8M more flops, 14.0 %; activations take 27.6 MiB less
             segments of 1 block, each run again whole; the last 19 kept
auto --memory 1TiB:
[1]
$ addnorm plan -q --n_layer 4 --recompute auto --json --memory 1TiB | grep -A4 '"recompute"'
 "recompute": {
  "segment": 0,
  "group": 0,
  "kept": 0
 },

# beyond the address space
$ addnorm plan --n_layer 100000 --d_model 1048576 --n_head 2 --seq_len 16777216 --batch_size 1000000
2| addnorm plan: embed.sum: 16777216000000 tokens of 256 kinds, more than 2147483647 of either; lower batch_size, seq_len or vocab_size
[2]
$ addnorm plan --d_model 1048576 --n_head 2 --seq_len 16777216 --batch_size 65536 --n_layer 4 --recompute auto --memory 4GiB
2| addnorm plan: embed.sum: 1099511627776 tokens of 256 kinds, more than 2147483647 of either; lower batch_size, seq_len or vocab_size
[2]
$ addnorm plan --d_model 1048576 --n_head 1 --d_ff 4194304 --n_layer 2000 --seq_len 8 --batch_size 1
2| addnorm plan: parameters: cannot reserve 105553226434084864 bytes; use a smaller model or smaller batches
[1]
$ addnorm plan --d_model 65536 --n_head 2 --seq_len 16777216 --batch_size 4 --n_layer 4 --recompute sqrt
2| addnorm plan: activations: cannot reserve 1249051651831424 bytes; use a smaller model or smaller batches
[1]
