/*
 * The id from which a subscriber could go on, read out of its stream as any client would, wherever the stream is cut;
 * and whether it stands between two events, which is where a client that throws half an event away stands.
 */
#pragma once
#include <stdbool.h>
#include <string.h>
#include "options.h"

#define ID_BYTES_MAX 64

struct ids {
  char whole[ID_BYTES_MAX], cut[ID_BYTES_MAX]; /* the last one that ended, and one whose end has not come */
  unsigned matched, cut_bytes, line_ends;      /* of its beginning; of itself; at the end of what has come */
};

/* Every byte costs something here, so it is done only for subscribers that will come back. */
static void find_ids(struct ids *ids, const char *p, const char *end)
{
  const char *begin = opt.id_begin;
  size_t begin_bytes = strlen(begin);
  for (; p < end; p++) {
    if (*p != '\r') ids->line_ends = *p == '\n' ? ids->line_ends + 1 : 0;
    if (ids->matched < begin_bytes) {
      ids->matched = *p == begin[ids->matched] ? ids->matched + 1 : *p == *begin;
    } else if (*p == '"' || *p == '\n' || *p == '\r' || ids->cut_bytes == ID_BYTES_MAX - 1) {
      memcpy(ids->whole, ids->cut, ids->cut_bytes);
      ids->whole[ids->cut_bytes] = 0;
      ids->matched = ids->cut_bytes = 0;
    } else ids->cut[ids->cut_bytes++] = *p;
  }
}
