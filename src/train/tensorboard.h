/* train/tensorboard.h
 * Event files that TensorBoard reads, in RUN/tb: scalars and histograms over steps. No protobuf library: the few messages
 * are encoded by hand. log.jsonl stays the source of truth; this is a view of it (numbers are rounded to float there).
 *
 *     an_tensorboard *tb;
 *     AN_TRY(an_tensorboard_open(&tb, run, resumed, step));
 *     AN_TRY(an_tensorboard_scalar(tb, step, "train/loss", loss));
 *     AN_TRY(an_tensorboard_flush(tb));                  // from here on a watching TensorBoard sees it
 *     an_tensorboard_close(tb);
 *
 * A NULL tb swallows all calls, for a run without TensorBoard. Not for use by several threads at once. */
#ifndef AN_TRAIN_TENSORBOARD_H
#define AN_TRAIN_TENSORBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "train/stats.h"

typedef struct an_tensorboard an_tensorboard;

/* Opens a new file in RUN/tb, made if need be. Its first events tell TensorBoard to forget what earlier files of the folder
 * hold after `step`, when resumed, and all of it otherwise, as an_runlog_open does with the log. The name sorts behind those of
 * all earlier files, which is the order TensorBoard reads in, even when the clock was set back.
 * Errors: AN_EIO naming the file, AN_ENOMEM. */
an_status an_tensorboard_open(an_tensorboard **out, const char *run, bool resumed, uint64_t step) AN_MUST_USE;

/* Tags group by what stands before the first '/'; bytes that are not UTF-8 become \xNN. A value beyond float is an infinity;
 * NaN and infinities are kept. Errors: AN_ENOMEM; AN_EIO when a flush was due (64 KiB held): an error drops all events held
 * since the last flush, and the file ends at that flush, whole. */
an_status an_tensorboard_scalar(an_tensorboard *tb, uint64_t step, const char *tag, double value) AN_MUST_USE;
an_status an_tensorboard_histogram(an_tensorboard *tb, uint64_t step, const char *tag, const an_bins *bins) AN_MUST_USE;   /* without values: writes nothing */

an_status an_tensorboard_flush(an_tensorboard *tb) AN_MUST_USE;
void an_tensorboard_close(an_tensorboard *tb);            /* writes what is held if it can; flush first to hear of an error */

/* CRC-32C (Castagnoli) of some bytes, as the framing of event files uses it. */
uint32_t an_tensorboard_crc32c(const void *data, size_t size);

#endif
