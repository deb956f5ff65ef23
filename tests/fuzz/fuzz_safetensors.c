/* fuzz_safetensors.c
 * The reader on bytes of any origin: it may refuse, it may not crash, and what it accepts must be readable to the last
 * byte. LLVMFuzzerTestOneInput is the entry of libFuzzer (clang -fsanitize=fuzzer,address); driver.c calls it with a fixed
 * set of mutations in the ordinary tests. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "train/checksum.h"
#include "train/safetensors.h"

static void use(const an_safetensors *file)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < an_safetensors_count(file); i++) {
        const an_st_tensor *t = an_safetensors_get(file, i);
        sum += an_checksum_of(t->data, t->bytes) + strlen(t->name);
        if (t->bytes > (1u << 20) || an_safetensors_find(file, t->name) != t) abort();
        an_real *copy = malloc(t->bytes / 4 * sizeof *copy + sizeof *copy);
        if (!copy) abort();
        const an_status status = an_safetensors_read(file, t->name, t->rank, t->dim, copy);
        if (status != AN_OK && t->dtype[0] == 'F') abort();
        free(copy);
    }
    const char *format = an_safetensors_meta(file, "format");
    if (format) sum += strlen(format);
    if (sum == 1) abort();                          /* uses the sum, so that no read above is optimised away */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_safetensors *file = NULL;
    if (an_safetensors_parse(&file, data, size, "input") != AN_OK) return 0;
    use(file);
    an_safetensors_close(&file);
    return 1;
}

static size_t put(uint8_t *out, const char *header, size_t data)
{
    const uint64_t n = strlen(header);
    memcpy(out, &n, sizeof n);
    memcpy(out + sizeof n, header, n);
    for (size_t i = 0; i < data; i++) out[sizeof n + n + i] = (uint8_t)(i * 29);
    return sizeof n + n + data;
}

size_t fuzz_seed(size_t i, uint8_t *out)
{
    switch (i) {
    case 0: return put(out, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    case 1: return put(out, "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[4,20]},\"b\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}   ", 20);
    case 2: return put(out, "{\"w\":{\"dtype\":\"I64\",\"shape\":[0,9],\"data_offsets\":[0,0]},\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    case 3: return put(out, "{}", 0);
    default: return 0;
    }
}
