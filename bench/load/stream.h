/*
 * A stream of bytes that may be cut anywhere: its framing is taken off (HTTP chunks, WebSocket frames), and its
 * compression, and the markers in what is left are found. Every payload holds one:
 *
 *   "#!" + 16 hex digits of time + 8 hex digits of number + "!"
 *
 * Nothing is kept of a stream but where it stands and the few bytes of a cut frame head or marker, so events of any
 * size, in any number of frames or chunks, cost no memory.
 */
#pragma once
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "ids.h"
#include "inflate.h"
#include "options.h"

struct stream {
  enum { TO_THE_END, COUNTED, CHUNKED, FRAMES } framing;
  enum { SIZE, EXTENSION, DATA, DATA_END, TRAILER } part; /* of a chunked body */
  uint64_t left;                                          /* bytes of this body, chunk or frame still to come */
  uint8_t frame[128];                                     /* a cut frame head, or a whole control frame */
  unsigned frame_bytes;
  bool final, compressed, one_byte; /* of a frame: its message's last; its message's compression; its length */
  z_stream *inflater;               /* of a stream that is, or may become, compressed */
  bool broken;                      /* what came cannot be decompressed */
  struct ids ids;
  char mark[MARK_BYTES]; /* a cut marker */
  unsigned mark_bytes;
};

/* The owner's part. A marker that is not whole (digits missing) has ok false. */
static void on_mark(struct stream *s, bool ok, uint64_t time, uint64_t number);
/* A WebSocket ping, pong or close; false when the stream is over. */
static bool on_control(struct stream *s, unsigned opcode, const uint8_t *payload, size_t bytes);
/* A WebSocket text message of one byte. */
static void on_byte(struct stream *s, char byte);

static bool read_hex(const char *p, int digits, uint64_t *value)
{
  for (*value = 0; digits--; p++) {
    int digit = *p >= '0' && *p <= '9' ? *p - '0' : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10 : -1;
    if (digit < 0) return false;
    *value = *value << 4 | (uint64_t)digit;
  }
  return true;
}

static void take_mark(struct stream *s, const char *mark)
{
  uint64_t time = 0, number = 0;
  bool ok = read_hex(mark + 2, 16, &time) && read_hex(mark + 18, 8, &number) && mark[26] == '!';
  on_mark(s, ok, time, number);
}

/* Goes on with a marker that began in an earlier piece; returns where the rest of this piece starts. */
static const char *finish_mark(struct stream *s, const char *p, const char *end)
{
  while (s->mark_bytes && p < end) {
    char ch = *p++;
    if (s->mark_bytes == 1 && ch != '!') { /* it was only a '#'; perhaps this is the one */
      s->mark_bytes = ch == '#';
      continue;
    }
    s->mark[s->mark_bytes++] = ch;
    if (s->mark_bytes < MARK_BYTES) continue;
    s->mark_bytes = 0;
    take_mark(s, s->mark);
  }
  return p;
}

static void find_marks(struct stream *s, const char *p, const char *end)
{
  p = finish_mark(s, p, end);
  while (p < end && (p = memchr(p, '#', (size_t)(end - p)))) {
    if (end - p < MARK_BYTES) {
      s->mark[0] = *p++;
      s->mark_bytes = 1;
      p = finish_mark(s, p, end);
    } else if (p[1] == '!') {
      take_mark(s, p);
      p += MARK_BYTES;
    } else p++;
  }
}

static void take_plain(struct stream *s, const char *p, const char *end)
{
  if (opt.cut) find_ids(&s->ids, p, end);
  find_marks(s, p, end);
}

static void take_data(struct stream *s, const char *p, const char *end)
{
  static char plain[INFLATED_BYTES];
  if (!s->inflater || (s->framing == FRAMES && !s->compressed)) {
    take_plain(s, p, end);
    return;
  }
  for (long bytes = 1; bytes > 0 && !s->broken;) {
    bytes = inflate_some(s->inflater, &p, end, plain);
    s->broken = bytes < 0;
    if (bytes > 0) take_plain(s, plain, plain + bytes);
  }
}

/* Takes what belongs to this body, chunk or frame. */
static const char *take_left(struct stream *s, const char *p, const char *end)
{
  if ((uint64_t)(end - p) > s->left) end = p + s->left;
  s->left -= (uint64_t)(end - p);
  take_data(s, p, end);
  return end;
}

/* Returns true at the end of the body. */
static bool take_chunks(struct stream *s, const char *p, const char *end)
{
  while (p < end) {
    if (s->part == DATA) {
      p = take_left(s, p, end);
      if (!s->left) s->part = DATA_END;
      continue;
    }
    char ch = *p++;
    if (s->part == SIZE && isxdigit((unsigned char)ch))
      s->left = s->left << 4 | (uint64_t)(ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
    else if (s->part == SIZE && ch != '\n') s->part = EXTENSION;
    else if (s->part == TRAILER && ch != '\n') s->left += ch != '\r';
    else if (s->part == TRAILER) { /* ends with an empty line; left counts the line's bytes */
      if (!s->left) return true;
      s->left = 0;
    } else if (s->part == DATA_END && ch == '\n') s->part = SIZE;
    else if (ch == '\n') s->part = s->left ? DATA : TRAILER;
  }
  return false;
}

/* How many bytes of a frame must be there before anything is done: a data frame's head, a whole control frame. */
static unsigned frame_start_bytes(const uint8_t *frame, unsigned have)
{
  unsigned length = frame[1] & 127;
  if (have < 2) return 2;
  if (frame[0] & 8) return length < 126 ? 2 + length : 2;
  return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* A compressed message is sent without its last four bytes, which are always the same. */
static void end_frame(struct stream *s)
{
  static const char tail[] = "\0\0\xff\xff";
  if (s->final && s->compressed) take_data(s, tail, tail + 4);
}

static void begin_frame(struct stream *s, unsigned bytes)
{
  s->left = bytes == 2 ? s->frame[1] & 127 : 0;
  for (unsigned i = 2; i < bytes; i++) s->left = s->left << 8 | s->frame[i];
  s->final = s->frame[0] & 0x80;
  if (s->frame[0] & 15) s->compressed = s->frame[0] & 0x40; /* what goes on is as what it goes on from */
  s->one_byte = s->left == 1 && s->final && !s->compressed;
  if (!s->left) end_frame(s);
}

/* Returns true at the end of the stream. */
static bool take_frames(struct stream *s, const char *p, const char *end)
{
  while (p < end) {
    if (s->left) {
      if (s->one_byte) on_byte(s, *p);
      p = take_left(s, p, end);
      if (!s->left) end_frame(s);
      continue;
    }
    s->frame[s->frame_bytes++] = (uint8_t)*p++;
    unsigned bytes = s->frame_bytes;
    if (bytes < frame_start_bytes(s->frame, bytes)) continue;
    s->frame_bytes = 0;
    if (s->frame[0] & 8) {
      if (!on_control(s, s->frame[0] & 15, s->frame + 2, bytes - 2)) return true;
      continue;
    }
    begin_frame(s, bytes);
  }
  return false;
}

/* Is everything that has come a whole number of events? */
static bool is_between_events(const struct stream *s)
{
  return s->framing == FRAMES ? !s->left && !s->frame_bytes && s->final : s->ids.line_ends >= 2;
}

/* Takes the next piece of the stream, whatever its framing. Returns true when the stream is over. */
static bool take_piece(struct stream *s, const char *p, const char *end)
{
  if (s->framing == FRAMES) return take_frames(s, p, end);
  if (s->framing == CHUNKED) return take_chunks(s, p, end);
  if (s->framing == COUNTED) {
    take_left(s, p, end);
    return !s->left;
  }
  take_data(s, p, end);
  return false;
}
