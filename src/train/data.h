/* train/data.h
 * What a model is trained on: text, or images with classes (train/images.h), whose windows are single images.
 * Text as bytes, straight from mapped files, as one stream in the given order; a window is seq_len + 1 bytes of it:
 * the inputs and, one byte on, the targets. Which window sample number i is, is a pure function of (seed, i): an epoch
 * visits every window once, in an order and from a starting phase of its own. So resume needs only a number. */
#ifndef AN_TRAIN_DATA_H
#define AN_TRAIN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "train/config.h"

typedef struct an_data an_data;
typedef struct an_stream an_stream;     /* one stream of bytes, or of images: the training part, the validation part, or files to evaluate */

/* Opens what a model of this configuration reads: the files of the run as text, or as images. Errors as below and as an_images_open. */
an_status an_data_open_for(an_data **out, const an_train_config *config, const an_model_config *model) AN_MUST_USE;
an_status an_stream_open_for(an_stream **out, const an_option_list *files, const an_model_config *model) AN_MUST_USE;

/* Maps the files and splits. Errors: AN_EDATA naming the file for one that is missing, a folder, unreadable, empty, or for
 * a part shorter than seq_len + 1 bytes; AN_EUSAGE without data; AN_ENOMEM. */
an_status an_data_open(an_data **out, const an_option_list *data, const an_option_list *val_data, double val_fraction, size_t seq_len) AN_MUST_USE;
void an_data_close(an_data **data);

const an_stream *an_data_train(const an_data *data);
const an_stream *an_data_val(const an_data *data);

/* A stream of its own over files, to evaluate on; at least 2 bytes. Errors as an_data_open. */
an_status an_stream_open(an_stream **out, const an_option_list *files) AN_MUST_USE;
void an_stream_close(an_stream **stream);

uint64_t an_stream_bytes(const an_stream *stream);           /* of text, or of pixels */
size_t an_stream_targets(const an_stream *stream, size_t seq_len);   /* of a window: one per token, or the class */
double an_stream_entropy(const an_stream *stream);          /* of single bytes, or of classes, nats: what a model that ignores context, or the image, can reach */

/* Sizes and a hash of samples of the content: tells changed data, costs milliseconds. */
uint64_t an_data_fingerprint(const an_data *data);

/* Training sample number `sample` (counted over all epochs): T = seq_len inputs and targets. */
void an_data_sample(const an_data *data, uint64_t seed, uint64_t sample, int32_t *tokens, int32_t *targets);
uint64_t an_data_epoch_samples(const an_data *data);        /* windows in one epoch, at least 1 */

/* The windows that cover a stream from its start, T apart: window w holds targets for bytes w*T + 1 .. w*T + T; the last one
 * may be shorter, its rest is filled with target -1. Returns the number of targets. */
uint64_t an_stream_windows(const an_stream *stream, size_t seq_len);
size_t an_stream_window(const an_stream *stream, size_t seq_len, uint64_t window, int32_t *tokens, int32_t *targets);

#endif
