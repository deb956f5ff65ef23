/* train/images.h
 * Sets of images with a class each: IDX files (train/idx.h), or those that are built in (train/shapes.h). */
#ifndef AN_TRAIN_IMAGES_H
#define AN_TRAIN_IMAGES_H

#include "core/option.h"
#include "net/config.h"
#include "train/checksum.h"

typedef struct an_images an_images;

/* From files: as many of images as of labels, the first of one belonging to the first of the other, in the order given. No files: `drawn`
 * built-in ones. Their shape and classes must be those of `want`. Errors, naming `key` and file: AN_EDATA, AN_EFORMAT, AN_ENOMEM; AN_ECONFIG for
 * built-in images of an impossible shape. */
an_status an_images_open(an_images **out, const char *key, const an_option_list *files, uint64_t drawn, const an_image *want) AN_MUST_USE;
void an_images_close(an_images **images);

uint64_t an_images_count(const an_images *images);
int32_t an_images_get(const an_images *images, uint64_t i, int32_t *pixels);             /* its class; pixels as in an_image */
void an_images_checksum(const an_images *images, uint64_t first, uint64_t n, an_checksum *sum);   /* of samples of them */
double an_images_entropy(const an_images *images, uint64_t first, uint64_t n);          /* of their classes, nats: what a model that does not look can reach */

/* Puts what `data` says of shape and number of classes in the place of "auto" in the options of a model that reads images, and resolves them;
 * nothing for others, or without data. */
an_status an_images_settle(an_options *options, const an_option_list *data) AN_MUST_USE;

#endif
