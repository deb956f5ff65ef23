#!/bin/bash
# memory.sh PROGRAM: what plan says a run will take, within 5 % of what the process then took at its peak; and the number
# of parameters exactly, by the sizes of the tensors in the checkpoint.
. "$(dirname "$0")/lib.sh"
text 200000 > text.txt

near() { awk -v a="$1" -v b="$2" 'BEGIN { r = b / a; printf "planned %d, used %d bytes: %.3f\n", a, b, r; exit !(r > 0.95 && r < 1.05) }'; }
number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | tail -n 1; }

claim() {   # configuration...
  rm -rf run
  "$AN" plan "$@" --json > plan.json
  "$AN" train -q "$@" --data text.txt --out run --steps 2 --warmup 0 --eval_every 0 --eval_batches 1 --save_every 0 > /dev/null || return 1
  near "$(number peak < plan.json)" "$(number peak_memory_bytes < run/log.jsonl)" || return 1
  # 4 bytes per parameter and nothing else after the header of the file
  local file=run/checkpoints/latest/model.safetensors header size
  header=$(od -An -t u8 -N 8 "$file" | tr -d ' ')
  size=$(wc -c < "$file")
  [ $((4 * $(number parameters < <(grep -v '"memory"' plan.json | grep -v '^  "parameters"')))) -eq $((size - 8 - header)) ]
}

expect "4 layers of 256"           claim --n_layer 4 --d_model 256 --n_head 4 --seq_len 128 --batch_size 8
expect "the same, recomputed"      claim --n_layer 4 --d_model 256 --n_head 4 --seq_len 128 --batch_size 8 --recompute block
expect "post-ln, unfused, swiglu"  claim --n_layer 3 --d_model 192 --n_head 3 --seq_len 64 --batch_size 16 --design post-ln --fuse false --activation swiglu --position rotary
expect "a wide vocabulary"         claim --n_layer 2 --d_model 128 --n_head 2 --seq_len 256 --batch_size 4 --vocab_size 20000 --norm rmsnorm --threads 1
finish
