/*
 * Takes compression off: gzip around a whole SSE stream, deflate around single WebSocket messages (RFC 7692). zlib is
 * loaded when it is needed, and what is used of its interface is declared here: every system has the library, but few
 * have its header.
 */
#pragma once
#include <dlfcn.h>
#include <stdlib.h>
#include "options.h"

#define GZIP_WINDOW (15 + 16)
#define RAW_WINDOW (-15)
#define INFLATED_BYTES (256 << 10)
#define Z_OK 0
#define Z_STREAM_END 1
#define Z_BUF_ERROR (-5) /* nothing is left to do, which is no error */
#define Z_SYNC_FLUSH 2

typedef struct {
  const unsigned char *next_in;
  unsigned avail_in;
  unsigned long total_in;
  unsigned char *next_out;
  unsigned avail_out;
  unsigned long total_out;
  const char *message;
  void *state, *allocate, *release, *opaque;
  int data_type;
  unsigned long adler, reserved;
} z_stream;

static struct {
  int (*init)(z_stream *, int window, const char *version, int stream_bytes);
  int (*inflate)(z_stream *, int flush);
  int (*end)(z_stream *);
} zlib;

static void load_zlib(void)
{
  void *library = dlopen("libz.so.1", RTLD_NOW);
  if (!library) die("--compressed needs zlib: %s", dlerror());
  *(void **)&zlib.init = dlsym(library, "inflateInit2_");
  *(void **)&zlib.inflate = dlsym(library, "inflate");
  *(void **)&zlib.end = dlsym(library, "inflateEnd");
  if (!zlib.init || !zlib.inflate || !zlib.end) die("--compressed needs zlib: %s", dlerror());
}

/* A decoder, or NULL when there is no memory for one. */
static z_stream *start_inflating(int window)
{
  if (!zlib.init) load_zlib();
  z_stream *z = calloc(1, sizeof *z);
  if (z && zlib.init(z, window, "1", sizeof *z) != Z_OK) { /* of a version only the first digit counts */
    free(z);
    return NULL;
  }
  return z;
}

static void end_inflating(z_stream *z)
{
  if (z) zlib.end(z);
  free(z);
}

/* The next plain bytes of a compressed piece, as many as fit; 0 when nothing is left in it, -1 when it is broken. */
static long inflate_some(z_stream *z, const char **p, const char *end, char *plain)
{
  z->next_in = (const unsigned char *)*p;
  z->avail_in = (unsigned)(end - *p);
  z->next_out = (unsigned char *)plain;
  z->avail_out = INFLATED_BYTES;
  int status = zlib.inflate(z, Z_SYNC_FLUSH);
  *p = end - z->avail_in;
  long bytes = INFLATED_BYTES - (long)z->avail_out;
  return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR ? bytes : -1;
}
