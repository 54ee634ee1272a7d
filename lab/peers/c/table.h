/*
 * The table of a server's connections, each at its descriptor's place: those
 * that are open, and those to look at when the turn ends.
 *
 * Include it behind struct conn, which has
 *   uint32_t gen;    grows with each end: events of an earlier connection of the
 *                    same descriptor are told apart by it
 *   int open_at;     open_list[open_at] is its descriptor; -1: not open
 *   bool listed;     in turn_list, which an end does not change
 *   struct queue out;
 *   struct partial partial;  of fanout
 */
#ifndef TABLE_H
#define TABLE_H

#include "messages.h"

static struct options opt;
static struct conn *conns; /* files_max of them */
static int *open_list, open_count;
static int *turn_list, turn_count;

static void table_setup(void)
{
	size_t files = (size_t)opt.files_max;
	conns = must(calloc(files, sizeof *conns));
	for (size_t i = 0; i < files; i++)
		conns[i].open_at = -1;
	open_list = must(calloc(files, sizeof *open_list));
	turn_list = must(calloc(2 * files, sizeof *turn_list));
}

static void table_free(void)
{
	free(conns);
	free(open_list);
	free(turn_list);
}

/* table_add makes the connection at slot new and open, of generation gen. */
static struct conn *table_add(int slot, uint32_t gen)
{
	struct conn *c = &conns[slot];
	*c = (struct conn){.gen = gen, .open_at = open_count, .listed = c->listed};
	open_list[open_count++] = slot;
	return c;
}

/* table_remove ends a connection; its descriptor is the caller's to close. The last of open_list takes its place there. */
static void table_remove(struct conn *c)
{
	queue_clear(&c->out);
	if (opt.workload == FANOUT)
		partial_clear(&c->partial);
	int last = open_list[--open_count];
	open_list[c->open_at] = last;
	conns[last].open_at = c->open_at;
	c->open_at = -1;
	c->gen++;
}

static inline void at_turn_end(struct conn *c)
{
	if (!c->listed) {
		c->listed = true;
		turn_list[turn_count++] = (int)(c - conns);
	}
}

/* look_at_listed calls look for those of at_turn_end; whom that lists again is for the next turn. */
__attribute__((always_inline))
static inline void look_at_listed(void (*look)(struct conn *))
{
	int count = turn_count;
	for (int i = 0; i < count; i++) {
		struct conn *c = &conns[turn_list[i]];
		c->listed = false;
		if (likely(c->open_at >= 0))
			look(c);
	}
	if (unlikely(turn_count > count))
		memmove(turn_list, turn_list + count, (size_t)(turn_count - count) * sizeof *turn_list);
	turn_count -= count;
}

#endif
