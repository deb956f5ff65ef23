/* train/data.c
 * Files stay mapped, the kernel's page cache is the loader. A stream is a range of bytes over the list of mapped files.
 * Epochs: with N bytes there are n = max(1, (N-1)/T - 1) windows, so that every phase in [0, T) has all n of them; the
 * phase and the permutation are drawn from (seed, epoch). Up to 2T - 1 bytes rest per epoch, other ones each time. */
#include "train/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/rng.h"
#include "train/checksum.h"
#include "train/images.h"

typedef struct source { an_map *map; size_t count; uint64_t bytes; } source;   /* files in order */

struct an_stream { const source *source; uint64_t begin, bytes; an_images *images; size_t image_bytes; };   /* of images: begin and bytes count them */

struct an_data {
    source text, val_text;
    an_images *images, *val_images;  /* NULL: it is text; val_images NULL: the end of images */
    an_stream train, val;
    size_t seq_len;
    uint64_t windows, phases;        /* per epoch; number of starting phases */
};

static void close_source(source *s)
{
    for (size_t i = 0; i < s->count; i++) an_map_close(&s->map[i]);
    free(s->map);
    *s = (source){ 0 };
}

static an_status open_source(source *s, const char *key, const an_option_list *files)
{
    s->map = an_alloc(files->count * sizeof *s->map);
    if (!s->map) return an_fail(AN_ENOMEM, "%s: no memory for the list of %zu files", key, files->count);
    for (size_t i = 0; i < files->count; i++) {
        const an_status status = an_map_open(&s->map[i], files->item[i]);
        if (status != AN_OK) return an_fail_prefix(status, "%s", key);
        s->count = i + 1;
        if (s->map[i].size == 0) return an_fail(AN_EDATA, "%s: %s is empty; give a text file", key, files->item[i]);
        s->bytes += s->map[i].size;
    }
    return AN_OK;
}

static an_status check_length(const an_stream *s, const char *part, size_t seq_len)
{
    if (s->bytes > seq_len) return AN_OK;
    return an_fail(AN_EDATA, "%s: %llu bytes are too short for one window of seq_len %zu + 1 bytes; give more text or lower seq_len", part,
                   (unsigned long long)s->bytes, seq_len);
}

static an_status split(an_data *d, const an_option_list *val_data, double val_fraction)
{
    d->train = (an_stream){ .source = &d->text, .bytes = d->text.bytes };
    if (val_data->count > 0) {
        AN_TRY(open_source(&d->val_text, "val_data", val_data));
        d->val = (an_stream){ .source = &d->val_text, .bytes = d->val_text.bytes };
    } else {
        const uint64_t val = (uint64_t)(val_fraction * (double)d->text.bytes);
        d->train.bytes -= val;
        d->val = (an_stream){ .source = &d->text, .begin = d->train.bytes, .bytes = val };
    }
    AN_TRY(check_length(&d->train, val_data->count ? "data" : "data (the part before val_fraction)", d->seq_len));
    return check_length(&d->val, val_data->count ? "val_data" : "data (the part that val_fraction keeps for validation)", d->seq_len);
}

an_status an_data_open(an_data **out, const an_option_list *data, const an_option_list *val_data, double val_fraction, size_t seq_len)
{
    if (data->count == 0) return an_fail(AN_EUSAGE, "data: no text given; name a file, --data FILE");
    an_data *d = an_alloc(sizeof *d);
    if (!d) return an_fail(AN_ENOMEM, "data: no memory");
    d->seq_len = seq_len;
    an_status status = open_source(&d->text, "data", data);
    if (status == AN_OK) status = split(d, val_data, val_fraction);
    if (status != AN_OK) {
        an_data_close(&d);
        return status;
    }
    const uint64_t fit = (d->train.bytes - 1) / seq_len;
    d->windows = fit > 1 ? fit - 1 : 1;
    const uint64_t slack = d->train.bytes - 1 - d->windows * seq_len;
    d->phases = slack < seq_len ? slack + 1 : seq_len;
    *out = d;
    return AN_OK;
}

void an_data_close(an_data **data)
{
    if (!*data) return;
    close_source(&(*data)->text);
    close_source(&(*data)->val_text);
    an_images_close(&(*data)->images);
    an_images_close(&(*data)->val_images);
    free(*data);
    *data = NULL;
}

an_status an_stream_open(an_stream **out, const an_option_list *files)
{
    an_status status = AN_ENOMEM;
    an_stream *s = an_alloc(sizeof *s);
    source *own = an_alloc(sizeof *own);
    if (!s || !own) {
        status = an_fail(AN_ENOMEM, "data: no memory");
        goto fail;
    }
    if ((status = open_source(own, "data", files)) != AN_OK) goto fail;
    *s = (an_stream){ .source = own, .bytes = own->bytes };
    if (s->bytes < 2) {
        status = an_fail(AN_EDATA, "data: 1 byte leaves nothing to predict; give 2 bytes or more");
        goto fail;
    }
    *out = s;
    return AN_OK;
fail:
    if (own) close_source(own);
    free(own);
    free(s);
    return status;
}

void an_stream_close(an_stream **stream)
{
    if (!*stream) return;
    source *own = (source *)(uintptr_t)(*stream)->source;   /* an_stream_open made it and nobody else holds it; likewise the images */
    if (own) close_source(own);
    free(own);
    an_images_close(&(*stream)->images);
    free(*stream);
    *stream = NULL;
}

/* --- images: a window is one of them ----------------------------------------------------------------------------------------- */

static an_status split_images(an_data *d, const an_train_config *config, const an_image *shape)
{
    const size_t bytes = d->seq_len;
    AN_TRY(an_images_open(&d->images, "data", &config->data, (uint64_t)config->shapes, shape));
    const uint64_t all = an_images_count(d->images), val = config->val_data.count ? 0 : (uint64_t)(config->val_fraction * (double)all);
    d->train = (an_stream){ .bytes = all - val, .images = d->images, .image_bytes = bytes };
    d->val = (an_stream){ .begin = all - val, .bytes = val, .images = d->images, .image_bytes = bytes };
    if (config->val_data.count) {
        AN_TRY(an_images_open(&d->val_images, "val_data", &config->val_data, 0, shape));
        d->val = (an_stream){ .bytes = an_images_count(d->val_images), .images = d->val_images, .image_bytes = bytes };
    }
    if (d->train.bytes && d->val.bytes) return AN_OK;
    return an_fail(AN_EDATA, "data: val_fraction %g of %llu images leaves none to %s; give more images", config->val_fraction, (unsigned long long)all, d->train.bytes ? "validate on" : "train on");
}

an_status an_data_open_for(an_data **out, const an_train_config *config, const an_model_config *model)
{
    if (!model->image.side) return an_data_open(out, &config->data, &config->val_data, config->val_fraction, model->seq_len);
    an_data *d = an_alloc(sizeof *d);
    if (!d) return an_fail(AN_ENOMEM, "data: no memory");
    d->seq_len = model->seq_len;
    const an_status status = split_images(d, config, &model->image);
    d->windows = d->train.bytes;
    if (status != AN_OK) an_data_close(&d);
    else *out = d;
    return status;
}

an_status an_stream_open_for(an_stream **out, const an_option_list *files, const an_model_config *model)
{
    if (!model->image.side) return an_stream_open(out, files);
    an_stream *s = an_alloc(sizeof *s);
    if (!s) return an_fail(AN_ENOMEM, "data: no memory");
    const an_status status = an_images_open(&s->images, "data", files, 0, &model->image);
    if (status != AN_OK) {
        free(s);
        return status;
    }
    s->bytes = an_images_count(s->images);
    s->image_bytes = model->seq_len;
    *out = s;
    return AN_OK;
}

const an_stream *an_data_train(const an_data *data) { return &data->train; }
const an_stream *an_data_val(const an_data *data) { return &data->val; }
uint64_t an_stream_bytes(const an_stream *stream) { return stream->images ? stream->bytes * stream->image_bytes : stream->bytes; }
size_t an_stream_targets(const an_stream *stream, size_t seq_len) { return stream->images ? 1 : seq_len; }
uint64_t an_data_epoch_samples(const an_data *data) { return data->windows; }

/* Calls visit for each piece of file that [begin, begin + n) of the stream covers. */
static void walk(const an_stream *s, uint64_t begin, uint64_t n, void (*visit)(void *ctx, const unsigned char *bytes, size_t n), void *ctx)
{
    uint64_t at = s->begin + begin;
    for (size_t i = 0; n > 0; i++) {
        const an_map *m = &s->source->map[i];
        if (at >= m->size) {
            at -= m->size;
            continue;
        }
        const uint64_t here = m->size - at, take = here < n ? here : n;
        visit(ctx, m->data + at, (size_t)take);
        n -= take;
        at = 0;
    }
}

static void count_bytes(void *ctx, const unsigned char *bytes, size_t n)
{
    uint64_t *histogram = ctx;
    for (size_t i = 0; i < n; i++) histogram[bytes[i]]++;
}

double an_stream_entropy(const an_stream *stream)
{
    uint64_t histogram[256] = { 0 };
    if (stream->images) return an_images_entropy(stream->images, stream->begin, stream->bytes);
    walk(stream, 0, stream->bytes, count_bytes, histogram);
    double h = 0;
    for (int i = 0; i < 256; i++) {
        const double p = (double)histogram[i] / (double)stream->bytes;
        if (p > 0) h -= p * log(p);
    }
    return h;
}

static void add_bytes(void *ctx, const unsigned char *bytes, size_t n) { an_checksum_add(ctx, bytes, n); }

static void add_stream(an_checksum *sum, const an_stream *s)
{
    enum { BLOCK = 4096, SAMPLES = 64 };
    if (s->images) {
        an_images_checksum(s->images, s->begin, s->bytes, sum);
        return;
    }
    an_checksum_add(sum, &s->bytes, sizeof s->bytes);
    if (s->bytes <= (uint64_t)BLOCK * SAMPLES) {
        walk(s, 0, s->bytes, add_bytes, sum);
        return;
    }
    for (uint64_t i = 0; i < SAMPLES; i++) walk(s, (s->bytes - BLOCK) / (SAMPLES - 1) * i, BLOCK, add_bytes, sum);
}

uint64_t an_data_fingerprint(const an_data *data)
{
    an_checksum sum;
    an_checksum_init(&sum);
    add_stream(&sum, &data->train);
    add_stream(&sum, &data->val);
    return an_checksum_get(&sum);
}

typedef struct fill { int32_t *tokens, *targets; size_t at; } fill;   /* byte k is token k and target k - 1 */

static void put(void *ctx, const unsigned char *bytes, size_t n)
{
    fill *f = ctx;
    for (size_t i = 0; i < n; i++, f->at++) {
        if (f->tokens) f->tokens[f->at] = bytes[i];
        if (f->at > 0) f->targets[f->at - 1] = bytes[i];
    }
}

/* `n` inputs from `begin` on and the byte after each. */
static void copy_window(const an_stream *s, uint64_t begin, size_t n, int32_t *tokens, int32_t *targets)
{
    fill f = { tokens, targets, 0 };
    walk(s, begin, n, put, &f);
    f.tokens = NULL;
    walk(s, begin + n, 1, put, &f);
}

void an_data_sample(const an_data *data, uint64_t seed, uint64_t sample, int32_t *tokens, int32_t *targets)
{
    const uint64_t epoch = sample / data->windows;
    const an_rng_key key = an_rng_key_make(seed, AN_RNG_SHUFFLE, epoch);
    const uint64_t window = an_rng_permute(key, data->windows, sample % data->windows);
    if (data->images) {
        targets[0] = an_images_get(data->images, window, tokens);
        return;
    }
    const an_rng_key phase_key = an_rng_key_make(seed, (uint64_t)AN_RNG_SHUFFLE << 32, epoch);
    const uint64_t phase = (uint64_t)(an_rng_uniform(phase_key, 0) * (double)data->phases);
    copy_window(&data->train, phase + window * data->seq_len, data->seq_len, tokens, targets);
}

uint64_t an_stream_windows(const an_stream *stream, size_t seq_len) { return stream->images ? stream->bytes : (stream->bytes - 1 + seq_len - 1) / seq_len; }

size_t an_stream_window(const an_stream *stream, size_t seq_len, uint64_t window, int32_t *tokens, int32_t *targets)
{
    if (stream->images) {
        targets[0] = an_images_get(stream->images, stream->begin + window, tokens);
        return 1;
    }
    const uint64_t begin = window * seq_len, left = stream->bytes - 1 - begin;
    const size_t n = left < seq_len ? (size_t)left : seq_len;
    copy_window(stream, begin, n, tokens, targets);
    for (size_t i = n; i < seq_len; i++) {
        tokens[i] = 0;
        targets[i] = -1;
    }
    return n;
}
