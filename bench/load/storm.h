/* A reconnect storm: all subscribers are cut at once, and all are back at once, each with the last id that it saw. */
#pragma once
#include "conn.h"

static struct { uint64_t cut, back; } storm; /* when it began, and when the last subscriber was back */

/* Cuts a subscriber that stands between two events; one that does not is cut by its next read. */
static void cut(struct conn *c)
{
  if (c->stage != BODY || !is_between_events(&c->stream)) return;
  struct ids ids = c->stream.ids;
  close(c->fd);
  end_inflating(c->stream.inflater);
  c->stream = (struct stream){ .ids = ids };
  c->cutting = false;
  c->away = true;
  count.away++;
  count.handshakes++;
  dial(c);
}

static void on_back(struct conn *c)
{
  c->away = false;
  count.away--;
  storm.back = now;
}

static void cut_all(void)
{
  storm.cut = look();
  for (struct conn *c = subscribers; c < subscribers + opt.clients; c++) {
    c->cutting = c->stage == BODY;
    cut(c);
  }
}
