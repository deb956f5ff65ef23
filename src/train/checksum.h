/* train/checksum.h
 * A fast 64-bit checksum of a stream of bytes, to tell a file that changed. Each word enters through a bijection, so any
 * change confined to one 8-byte word is always seen; anything else but once in 2^64. Not a signature. */
#ifndef AN_TRAIN_CHECKSUM_H
#define AN_TRAIN_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct an_checksum { uint64_t lane[4]; unsigned char held[32]; size_t held_count; uint64_t bytes; } an_checksum;

void an_checksum_init(an_checksum *sum);
void an_checksum_add(an_checksum *sum, const void *data, size_t size);   /* in pieces of any size: the same result */
uint64_t an_checksum_get(const an_checksum *sum);
uint64_t an_checksum_of(const void *data, size_t size);

#endif
