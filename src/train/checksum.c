/* train/checksum.c
 * Four independent lanes of xor, multiply by an odd number, rotate: four multiplications in flight keep up with memory. */
#include "train/checksum.h"

#include <string.h>

static const uint64_t PRIME = 0x9E3779B97F4A7C15ull;

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * PRIME;
    return (h << 29) | (h >> 35);
}

void an_checksum_init(an_checksum *sum)
{
    *sum = (an_checksum){ .lane = { 1, 2, 3, 4 } };
}

static void block(an_checksum *sum, const unsigned char *bytes)
{
    uint64_t word[4];
    memcpy(word, bytes, sizeof word);
    for (int i = 0; i < 4; i++) sum->lane[i] = mix(sum->lane[i], word[i]);
}

void an_checksum_add(an_checksum *sum, const void *data, size_t size)
{
    const unsigned char *p = data;
    if (size == 0) return;
    sum->bytes += size;
    if (sum->held_count > 0) {
        const size_t room = sizeof sum->held - sum->held_count, take = size < room ? size : room;
        memcpy(sum->held + sum->held_count, p, take);
        sum->held_count += take;
        p += take;
        size -= take;
        if (sum->held_count < sizeof sum->held) return;
        block(sum, sum->held);
        sum->held_count = 0;
    }
    for (; size >= sizeof sum->held; size -= sizeof sum->held, p += sizeof sum->held) block(sum, p);
    memcpy(sum->held, p, size);
    sum->held_count = size;
}

uint64_t an_checksum_get(const an_checksum *sum)
{
    an_checksum last = *sum;
    memset(last.held + last.held_count, 0, sizeof last.held - last.held_count);
    block(&last, last.held);
    uint64_t h = last.bytes;
    for (int i = 0; i < 4; i++) h = mix(h, last.lane[i]);
    return h ^ (h >> 32);
}

uint64_t an_checksum_of(const void *data, size_t size)
{
    an_checksum sum;
    an_checksum_init(&sum);
    an_checksum_add(&sum, data, size);
    return an_checksum_get(&sum);
}
