/*
 * The disk of iouring.c: reads of one block through the ring, O_DIRECT, into
 * registered memory. READS_MAX are in the kernel at once; later ones wait here.
 */
#ifndef READS_H
#define READS_H

#include "crc32.h"
#include "ring.h"

enum { READS_MAX = 512 };

/* One read: block i of the memory belongs to disk.reads[i]. */
struct disk_read {
	int slot;
	uint32_t gen; /* slot and gen: the connection that asked */
	uint8_t frame[FRAME_BYTES];
	int next; /* in one of the lists of struct disk; -1: the last */
};

struct waiting_read {
	struct waiting_read *next;
	struct disk_read read;
};

static int fixed_reads = 1;

/* Invariant: each read is in the kernel or in one of free, done (answered in this turn), done_before (in the last). */
static struct {
	int fd, free, done, done_before;
	uint32_t blocks;
	struct disk_read *reads;
	uint8_t *memory;
	struct waiting_read *head, **tail;
} disk = {.free = -1, .done = -1, .done_before = -1};

static void disk_setup(const char *path)
{
	disk.fd = open_disk(path, &disk.blocks);
	disk.tail = &disk.head;
	disk.reads = must(calloc(READS_MAX, sizeof *disk.reads));
	disk.memory = must(aligned_alloc(BLOCK_BYTES, (size_t)READS_MAX * BLOCK_BYTES));
	struct iovec all = {disk.memory, (size_t)READS_MAX * BLOCK_BYTES};
	if (fixed_reads && io_uring_register_buffers(&ring, &all, 1) != 0)
		fixed_reads = 0;
	for (int i = READS_MAX - 1; i >= 0; i--) {
		disk.reads[i].next = disk.free;
		disk.free = i;
	}
}

static void read_start(const struct disk_read *r, uint64_t user_data)
{
	int i = disk.free;
	disk.free = disk.reads[i].next;
	disk.reads[i] = *r;
	uint8_t *block = disk.memory + (size_t)i * BLOCK_BYTES;
	uint64_t at = (uint64_t)(load32(r->frame + 8) % disk.blocks) * BLOCK_BYTES;
	struct io_uring_sqe *e = ring_get();
	if (fixed_reads)
		io_uring_prep_read_fixed(e, disk.fd, block, BLOCK_BYTES, at, 0);
	else
		io_uring_prep_read(e, disk.fd, block, BLOCK_BYTES, at);
	e->user_data = user_data | (uint32_t)i;
}

/* read_ask starts a read, or lets it wait. user_data gets the read's number in its low half. */
static void read_ask(const struct disk_read *r, uint64_t user_data)
{
	if (disk.free >= 0) {
		read_start(r, user_data);
		return;
	}
	struct waiting_read *w = must(malloc(sizeof *w));
	*w = (struct waiting_read){NULL, *r};
	*disk.tail = w;
	disk.tail = &w->next;
}

/* read_done makes the frame an answer, which stays where it is until the next turn's completions are in. */
static struct disk_read *read_done(int i, int res)
{
	struct disk_read *r = &disk.reads[i];
	int error = res < 0 ? -res : res < BLOCK_BYTES ? EIO : 0;
	block_answer(r->frame, error, error ? 0 : crc32_ieee(disk.memory + (size_t)i * BLOCK_BYTES, BLOCK_BYTES));
	r->next = disk.done;
	disk.done = i;
	return r;
}

static void list_move(int *from, int *to)
{
	while (*from >= 0) {
		int i = *from;
		*from = disk.reads[i].next;
		disk.reads[i].next = *to;
		*to = i;
	}
}

/* reads_turn frees the reads that the turn before answered and starts those that waited for one. */
static void reads_turn(uint64_t user_data)
{
	list_move(&disk.done_before, &disk.free);
	list_move(&disk.done, &disk.done_before);
	while (disk.head && disk.free >= 0) {
		struct waiting_read *w = disk.head;
		disk.head = w->next;
		if (!disk.head)
			disk.tail = &disk.head;
		read_start(&w->read, user_data);
		free(w);
	}
}

static void reads_free(void)
{
	for (struct waiting_read *w = disk.head, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	free(disk.reads);
	free(disk.memory);
}

#endif
