/* train/tensorboard.c
 * A file is a sequence of records: length (8 bytes), masked CRC of the length (4), an Event message, masked CRC of it (4), all
 * little-endian. Messages are built inside out: the innermost first, then its length is known to the one around it. Whole
 * records collect in memory and leave in one write; after a failed write the file is cut back to its last whole record,
 * since a reader takes a torn record for the end of the file and would never see a later one.
 * Source    event.proto, summary.proto and the TFRecord format of TensorFlow; RFC 3720, appendix B.4 (CRC-32C) */
#include "train/tensorboard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/text.h"

static const char PREFIX[] = "events.out.tfevents.";

enum { HELD_BYTES = 1 << 16, LAST_SECOND_DIGITS = 10, HOST_BYTES = 64 };

/* Field numbers. */
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION_LOG = 7, EVENT_SOURCE = 10 };
enum { SOURCE_WRITER = 1, SESSION_STATUS = 1, SESSION_START = 1, SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_HISTOGRAM = 5 };
enum { HISTOGRAM_MIN = 1, HISTOGRAM_MAX, HISTOGRAM_COUNT, HISTOGRAM_SUM, HISTOGRAM_SUM_SQUARES, HISTOGRAM_LIMITS, HISTOGRAM_BUCKETS };

struct an_tensorboard {
    int fd;
    char *path;
    uint64_t written;              /* bytes of whole records in the file */
    an_text held;                  /* whole records not yet in the file */
    an_text part[3];               /* messages being built, innermost first; the last is the event */
};

/* --- framing ---------------------------------------------------------------------------------------------------------- */

uint32_t an_tensorboard_crc32c(const void *data, size_t size)
{
    static const uint32_t NIBBLE[16] = { 0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
                                         0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75 };
    const unsigned char *p = data;
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ NIBBLE[crc & 15];
        crc = (crc >> 4) ^ NIBBLE[crc & 15];
    }
    return ~crc;
}

/* Rotated and shifted, so that the CRC of data that holds CRCs stays a good one. */
static uint32_t masked_crc(const void *data, size_t size)
{
    const uint32_t crc = an_tensorboard_crc32c(data, size);
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

static void little_endian(char *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(unsigned char)(value >> (8 * i));
}

static void put_record(an_text *out, const an_text *message)
{
    char head[12], tail[4];
    little_endian(head, message->length, 8);
    little_endian(head + 8, masked_crc(head, 8), 4);
    little_endian(tail, masked_crc(message->s, message->length), 4);
    an_text_put(out, head, sizeof head);
    an_text_put(out, message->s, message->length);
    an_text_put(out, tail, sizeof tail);
}

/* --- protobuf wire format --------------------------------------------------------------------------------------------- */

enum { WIRE_VARINT = 0, WIRE_8_BYTES = 1, WIRE_COUNTED = 2, WIRE_4_BYTES = 5 };

static void put_varint(an_text *out, uint64_t value)
{
    char bytes[10];
    size_t n = 0;
    for (; value >= 128; value >>= 7) bytes[n++] = (char)(unsigned char)(value | 128);
    bytes[n++] = (char)value;
    an_text_put(out, bytes, n);
}

static void put_key(an_text *out, unsigned field, unsigned wire) { put_varint(out, field << 3 | wire); }

static void put_integer(an_text *out, unsigned field, uint64_t value)
{
    put_key(out, field, WIRE_VARINT);
    put_varint(out, value);
}

static void put_bare_double(an_text *out, double value)
{
    uint64_t bits;
    char bytes[8];
    memcpy(&bits, &value, sizeof bits);
    little_endian(bytes, bits, sizeof bytes);
    an_text_put(out, bytes, sizeof bytes);
}

static void put_double(an_text *out, unsigned field, double value)
{
    put_key(out, field, WIRE_8_BYTES);
    put_bare_double(out, value);
}

static void put_float(an_text *out, unsigned field, double value)
{
    const float narrow = (float)value;
    uint32_t bits;
    char bytes[4];
    memcpy(&bits, &narrow, sizeof bits);
    little_endian(bytes, bits, sizeof bytes);
    put_key(out, field, WIRE_4_BYTES);
    an_text_put(out, bytes, sizeof bytes);
}

static void put_bytes(an_text *out, unsigned field, const char *bytes, size_t count)
{
    put_key(out, field, WIRE_COUNTED);
    put_varint(out, count);
    an_text_put(out, bytes, count);
}

static void put_part(an_text *out, unsigned field, const an_text *part) { put_bytes(out, field, part->s, part->length); }

/* --- events ----------------------------------------------------------------------------------------------------------- */

enum { INNER, MIDDLE, EVENT };

static void begin(an_tensorboard *tb, uint64_t step)
{
    for (size_t i = 0; i < sizeof tb->part / sizeof *tb->part; i++) tb->part[i].length = 0;
    put_double(&tb->part[EVENT], EVENT_WALL_TIME, an_clock_wall());
    if (step > 0) put_integer(&tb->part[EVENT], EVENT_STEP, step);
}

/* A failure leaves whole records only, and no part that remembers it. */
static an_status fail(an_tensorboard *tb, size_t held, an_status status)
{
    for (size_t i = 0; i < sizeof tb->part / sizeof *tb->part; i++) an_text_fini(&tb->part[i]);
    tb->held.length = held;
    tb->held.failed = 0;
    return an_fail_prefix(status, "%s", tb->path);
}

static an_status end(an_tensorboard *tb)
{
    const size_t held = tb->held.length;
    an_status status = AN_OK;
    for (size_t i = 0; i < sizeof tb->part / sizeof *tb->part && status == AN_OK; i++) status = an_text_status(&tb->part[i]);
    if (status == AN_OK) {
        put_record(&tb->held, &tb->part[EVENT]);
        status = an_text_status(&tb->held);
    }
    if (status != AN_OK) return fail(tb, held, status);
    return tb->held.length >= HELD_BYTES ? an_tensorboard_flush(tb) : AN_OK;
}

/* The value message stands in MIDDLE; wraps it in a summary (INNER, used up by then) and that in the event. */
static an_status end_value(an_tensorboard *tb)
{
    tb->part[INNER].length = 0;
    put_part(&tb->part[INNER], SUMMARY_VALUE, &tb->part[MIDDLE]);
    put_part(&tb->part[EVENT], EVENT_SUMMARY, &tb->part[INNER]);
    return end(tb);
}

static void put_tag(an_tensorboard *tb, const char *tag)
{
    an_text_put_safe(&tb->part[INNER], tag, strlen(tag));    /* a string that is not UTF-8 would spoil the file for strict readers */
    put_part(&tb->part[MIDDLE], VALUE_TAG, &tb->part[INNER]);
    tb->part[INNER].length = 0;
}

an_status an_tensorboard_scalar(an_tensorboard *tb, uint64_t step, const char *tag, double value)
{
    if (!tb) return AN_OK;
    begin(tb, step);
    put_tag(tb, tag);
    put_float(&tb->part[MIDDLE], VALUE_SIMPLE, value);
    return end_value(tb);
}

an_status an_tensorboard_histogram(an_tensorboard *tb, uint64_t step, const char *tag, const an_bins *bins)
{
    if (!tb) return AN_OK;
    size_t first = 0, last = bins->n;
    double count = 0;
    for (size_t i = 0; i < bins->n; i++) count += (double)bins->count[i];
    if (count == 0) return AN_OK;
    while (bins->count[first] == 0) first++;
    while (bins->count[last - 1] == 0) last--;               /* empty ends only take room: min and max bound the outer buckets */
    begin(tb, step);
    put_tag(tb, tag);
    an_text *h = &tb->part[INNER];
    put_double(h, HISTOGRAM_MIN, bins->min);
    put_double(h, HISTOGRAM_MAX, bins->max);
    put_double(h, HISTOGRAM_COUNT, count);
    put_double(h, HISTOGRAM_SUM, bins->sum);
    put_double(h, HISTOGRAM_SUM_SQUARES, bins->sum_squares);
    put_key(h, HISTOGRAM_LIMITS, WIRE_COUNTED);
    put_varint(h, 8 * (last - first));
    for (size_t i = first; i < last; i++) put_bare_double(h, bins->limit[i]);
    put_key(h, HISTOGRAM_BUCKETS, WIRE_COUNTED);
    put_varint(h, 8 * (last - first));
    for (size_t i = first; i < last; i++) put_bare_double(h, (double)bins->count[i]);
    put_part(&tb->part[MIDDLE], VALUE_HISTOGRAM, h);
    return end_value(tb);
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

/* 0, or an errno: then what was held is dropped, and *torn tells whether the file still ends in part of it. */
static int write_held(an_tensorboard *tb, bool *torn)
{
    const size_t size = tb->held.length;
    tb->held.length = 0;
    if (size == 0) return 0;
    if (an_file_write_all(tb->fd, tb->held.s, size) != 0) {
        const int error = errno;
        *torn = ftruncate(tb->fd, (off_t)tb->written) != 0;
        return error;
    }
    tb->written += size;
    return 0;
}

an_status an_tensorboard_flush(an_tensorboard *tb)
{
    bool torn = false;
    const int error = tb ? write_held(tb, &torn) : 0;
    if (error == 0) return AN_OK;
    return an_fail(AN_EIO, "%s: cannot append after %" PRIu64 " bytes: %s%s", tb->path, tb->written, strerror(error), torn ? "; its last event is torn" : "");
}

/* The second to name the file after: now, or the one behind the newest file there. */
static an_status name_second(const char *folder, uint64_t *second)
{
    char **names;
    size_t count;
    const double now = an_clock_wall();
    *second = now > 0 ? (uint64_t)now : 0;
    AN_TRY(an_dir_list(folder, &names, &count));
    for (size_t i = 0; i < count; i++) {
        const char *digits = names[i] + sizeof PREFIX - 1;
        if (strncmp(names[i], PREFIX, sizeof PREFIX - 1) != 0 || strspn(digits, "0123456789") != LAST_SECOND_DIGITS) continue;
        const uint64_t other = strtoull(digits, NULL, 10);
        if (other >= *second && other < 9999999999u) *second = other + 1;
    }
    an_dir_list_free(names, count);
    return AN_OK;
}

static void host_name(char out[HOST_BYTES])
{
    if (gethostname(out, HOST_BYTES) != 0) snprintf(out, HOST_BYTES, "localhost");
    out[HOST_BYTES - 1] = '\0';
    for (char *p = out; *p; p++) {
        const int plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '.';
        if (!plain) *p = '_';
    }
}

static an_status create_file(an_tensorboard *tb, const char *folder)
{
    uint64_t second;
    char host[HOST_BYTES], name[160];
    AN_TRY(an_dir_create(folder));
    AN_TRY(name_second(folder, &second));
    host_name(host);
    snprintf(name, sizeof name, "%s%0*" PRIu64 ".%s.%ld.0", PREFIX, LAST_SECOND_DIGITS, second, host, (long)getpid());
    tb->path = an_path_join(folder, name);
    if (!tb->path) return an_fail(AN_ENOMEM, "%s: no memory", folder);
    tb->fd = open(tb->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    return tb->fd < 0 ? an_fail(AN_EIO, "%s: cannot create: %s", tb->path, strerror(errno)) : AN_OK;
}

static an_status put_version(an_tensorboard *tb)
{
    static const char VERSION[] = "brain.Event:2", WRITER[] = "addnorm";
    begin(tb, 0);
    put_bytes(&tb->part[EVENT], EVENT_FILE_VERSION, VERSION, sizeof VERSION - 1);
    put_bytes(&tb->part[INNER], SOURCE_WRITER, WRITER, sizeof WRITER - 1);
    put_part(&tb->part[EVENT], EVENT_SOURCE, &tb->part[INNER]);
    return end(tb);
}

/* A session that starts at some step makes TensorBoard drop events of that step and later ones that it has read before. */
static an_status put_start(an_tensorboard *tb, uint64_t first_step)
{
    begin(tb, first_step);
    put_integer(&tb->part[INNER], SESSION_STATUS, SESSION_START);
    put_part(&tb->part[EVENT], EVENT_SESSION_LOG, &tb->part[INNER]);
    return end(tb);
}

an_status an_tensorboard_open(an_tensorboard **out, const char *run, bool resumed, uint64_t step)
{
    an_tensorboard *tb = an_alloc(sizeof *tb);
    char *folder = an_path_join(run, "tb");
    an_status status = tb && folder ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory for TensorBoard events", run);
    if (tb) tb->fd = -1;
    if (status == AN_OK) status = create_file(tb, folder);
    if (status == AN_OK) status = put_version(tb);
    if (status == AN_OK) status = put_start(tb, resumed ? step + 1 : 0);
    if (status == AN_OK) status = an_tensorboard_flush(tb);
    free(folder);
    if (status != AN_OK) {
        if (tb && tb->fd >= 0) unlink(tb->path);             /* without its first events it says nothing */
        an_tensorboard_close(tb);
        return status;
    }
    *out = tb;
    return AN_OK;
}

void an_tensorboard_close(an_tensorboard *tb)
{
    if (!tb) return;
    bool torn;
    if (tb->fd >= 0) {
        write_held(tb, &torn);                               /* without a word: an error that the caller is telling stays the last one */
        close(tb->fd);
    }
    for (size_t i = 0; i < sizeof tb->part / sizeof *tb->part; i++) an_text_fini(&tb->part[i]);
    an_text_fini(&tb->held);
    free(tb->path);
    free(tb);
}
