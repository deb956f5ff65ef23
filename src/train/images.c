/* train/images.c
 * Files are read whole, as bytes; built-in images are drawn each time they are asked for and take no room. */
#include "train/images.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "train/idx.h"
#include "train/shapes.h"

struct an_images {
    an_image shape;
    uint64_t n;
    an_idx *file, *label;            /* [pairs]; NULL: they are drawn */
    size_t pairs;
    int32_t *room;                   /* one image, for the checksum */
};

static size_t image_bytes(const an_image *s) { return s->side * s->side * s->channels; }
static size_t colours(const an_idx *x) { return x->rank == 4 ? x->dim[3] : 1; }

static an_status check_file(const an_idx *x, const char *path, const an_image *want)
{
    if (x->rank == 2) return an_fail(AN_EFORMAT, "%s: 2 dimensions; labels have 1, images 3, or 4 in colour", path);
    if (x->rank > 1 && x->dim[1] != x->dim[2]) return an_fail(AN_EDATA, "%s: images of %zu x %zu pixels; only square ones are read", path, x->dim[1], x->dim[2]);
    if (x->dim[0] == 0) return an_fail(AN_EDATA, "%s: holds nothing", path);
    if (x->rank == 1 || !want || (x->dim[1] == want->side && colours(x) == want->channels)) return AN_OK;
    return an_fail(AN_EDATA, "%s: images of %zu x %zu with %zu channels, but image_size is %zu and image_channels %zu; leave both at auto for a new run", path, x->dim[1], x->dim[2], colours(x), want->side, want->channels);
}

static an_status check_labels(const an_idx *x, const char *path, size_t classes)
{
    for (size_t i = 0; i < x->bytes; i++)
        if (x->data[i] >= classes) return an_fail(AN_EDATA, "%s: label %d of image %zu, but classes is %zu, so labels go to %zu", path, x->data[i], i, classes, classes - 1);
    return AN_OK;
}

static an_status read_file(an_images *s, const char *path, size_t *images, size_t *labels)
{
    an_idx x = { 0 };
    AN_TRY(an_idx_read(&x, path, 0));
    an_idx *list = x.rank == 1 ? s->label : s->file;
    size_t *n = x.rank == 1 ? labels : images;
    an_status status = check_file(&x, path, &s->shape);
    if (status == AN_OK && x.rank == 1) status = check_labels(&x, path, s->shape.classes);
    if (status == AN_OK && *n == s->pairs) status = an_fail(AN_EDATA, "%s: one file of %s too many; each file of images needs one of labels", path, x.rank == 1 ? "labels" : "images");
    if (status != AN_OK) an_idx_free(&x);
    else list[(*n)++] = x;
    return status;
}

static an_status read_files(an_images *s, const an_option_list *files)
{
    size_t images = 0, labels = 0;
    if (files->count % 2) return an_fail(AN_EDATA, "%zu files; give one of labels for each of images: --data IMAGES --data LABELS", files->count);
    s->pairs = files->count / 2;
    s->file = an_alloc(s->pairs * sizeof *s->file);
    s->label = an_alloc(s->pairs * sizeof *s->label);
    if (!s->file || !s->label) return an_fail(AN_ENOMEM, "no memory for the list of %zu files", files->count);
    for (size_t i = 0; i < files->count; i++) AN_TRY(read_file(s, files->item[i], &images, &labels));
    for (size_t i = 0; i < s->pairs; i++) {
        if (s->file[i].dim[0] != s->label[i].dim[0]) return an_fail(AN_EDATA, "%zu images and %zu labels in pair %zu of the files; they belong to different sets", s->file[i].dim[0], s->label[i].dim[0], i + 1);
        s->n += s->file[i].dim[0];
    }
    return AN_OK;
}

static an_status check_drawn(const an_image *want)
{
    if (want->side >= AN_SHAPES_SIDE && want->channels <= AN_SHAPES_CHANNELS && want->classes <= AN_SHAPES) return AN_OK;
    return an_fail(AN_ECONFIG, "no images given, and the built-in ones have no form of image_size %zu, image_channels %zu, classes %zu; at least %d, at most %d, at most %d, or name IDX files with --data", want->side,
                   want->channels, want->classes, AN_SHAPES_SIDE, AN_SHAPES_CHANNELS, AN_SHAPES);
}

an_status an_images_open(an_images **out, const char *key, const an_option_list *files, uint64_t drawn, const an_image *want)
{
    an_images *s = an_alloc(sizeof *s);
    if (!s) return an_fail(AN_ENOMEM, "%s: no memory", key);
    s->shape = *want;
    s->n = files->count ? 0 : drawn;
    s->room = an_alloc(image_bytes(want) * sizeof *s->room);
    const an_status status = !s->room ? an_fail(AN_ENOMEM, "no memory for an image") : files->count ? read_files(s, files) : check_drawn(want);
    if (status == AN_OK) {
        *out = s;
        return AN_OK;
    }
    an_images_close(&s);
    return an_fail_prefix(status, "%s", key);
}

void an_images_close(an_images **images)
{
    an_images *s = *images;
    if (!s) return;
    for (size_t i = 0; i < s->pairs && s->file; i++) an_idx_free(&s->file[i]);
    for (size_t i = 0; i < s->pairs && s->label; i++) an_idx_free(&s->label[i]);
    free(s->file);
    free(s->label);
    free(s->room);
    free(s);
    *images = NULL;
}

uint64_t an_images_count(const an_images *s) { return s->n; }

/* The pair of files that holds image *i, which becomes its number there. */
static size_t find_pair(const an_images *s, uint64_t *i)
{
    size_t pair = 0;
    for (; *i >= s->file[pair].dim[0]; pair++) *i -= s->file[pair].dim[0];
    return pair;
}

int32_t an_images_get(const an_images *s, uint64_t i, int32_t *pixels)
{
    if (!s->file) return (int32_t)an_shapes_draw(i, s->shape.side, s->shape.channels, s->shape.classes, pixels);
    const size_t pair = find_pair(s, &i);
    const unsigned char *from = s->file[pair].data + i * image_bytes(&s->shape);
    for (size_t k = 0; k < image_bytes(&s->shape); k++) pixels[k] = from[k];
    return s->label[pair].data[i];
}

static unsigned char label_of(const an_images *s, uint64_t i)
{
    const size_t pair = find_pair(s, &i);
    return s->label[pair].data[i];
}

void an_images_checksum(const an_images *s, uint64_t first, uint64_t n, an_checksum *sum)
{
    enum { SAMPLES = 64 };
    an_checksum_add(sum, &n, sizeof n);
    for (uint64_t i = 0; i < SAMPLES && i < n; i++) {
        const int32_t kind = an_images_get(s, first + (n > SAMPLES ? n / SAMPLES * i : i), s->room);
        an_checksum_add(sum, &kind, sizeof kind);
        an_checksum_add(sum, s->room, image_bytes(&s->shape) * sizeof *s->room);
    }
}

double an_images_entropy(const an_images *s, uint64_t first, uint64_t n)
{
    uint64_t count[256] = { 0 };
    double h = 0;
    for (uint64_t i = first; s->file && i < first + n; i++) count[label_of(s, i)]++;
    for (uint64_t k = 0; !s->file && k < s->shape.classes; k++) count[(first + k) % s->shape.classes] = n / s->shape.classes + (k < n % s->shape.classes);   /* drawn in turn */
    for (size_t k = 0; k < 256; k++)
        if (count[k]) h -= (double)count[k] / (double)n * log((double)count[k] / (double)n);
    return h;
}

/* --- auto -------------------------------------------------------------------------------------------------------------------- */

static an_status look(an_image *found, const an_option_list *data)
{
    for (size_t i = 0; i < data->count; i++) {
        an_idx x = { 0 };
        AN_TRY(an_idx_read(&x, data->item[i], 1));
        an_status status = check_file(&x, data->item[i], NULL);
        if (status == AN_OK && x.rank == 1) status = an_idx_read(&x, data->item[i], 0);
        for (size_t k = 0; status == AN_OK && x.rank == 1 && k < x.bytes; k++)
            if (x.data[k] >= found->classes) found->classes = x.data[k] + 1u;
        if (status == AN_OK && x.rank > 1 && !found->side) found->side = x.dim[1], found->channels = colours(&x);
        an_idx_free(&x);
        AN_TRY(status);
    }
    if (!found->side || !found->classes) return an_fail(AN_EDATA, "no file of %s among those given; give one of labels for each of images: --data IMAGES --data LABELS", found->side ? "labels" : "images");
    if (found->classes < 2) found->classes = 2;
    return AN_OK;
}

static an_status set_auto(an_options *options, const char *key, size_t value)
{
    char text[32];
    const an_source from = an_options_source(options, key);
    if (an_options_int(options, key) != 0) return AN_OK;
    snprintf(text, sizeof text, "%zu", value);
    return an_options_set(options, key, text, from > AN_FROM_FILE ? from : AN_FROM_FILE, "data");
}

an_status an_images_settle(an_options *options, const an_option_list *data)
{
    static const char *const KEY[] = { "image_size", "image_channels", "classes" };
    an_image found = { 0 };
    if (!an_options_find(options, KEY[0]) || !an_options_in_use(options, KEY[0]) || data->count == 0) return AN_OK;
    if (an_options_int(options, KEY[0]) && an_options_int(options, KEY[1]) && an_options_int(options, KEY[2])) return AN_OK;
    const an_status status = look(&found, data);
    if (status != AN_OK) return an_fail_prefix(status, "data");
    const size_t value[] = { found.side, found.channels, found.classes };
    for (size_t i = 0; i < 3; i++) AN_TRY(set_auto(options, KEY[i], value[i]));
    return an_options_resolve(options);
}
