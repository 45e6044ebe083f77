/*
 * lws-threadpool cluster tests - what test and workers see of each other
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread of any of the processes, by atomics alone.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include "board.h"

struct board *board;

void
board_open(int fd)
{
	void *p = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED,
		       fd, 0);

	if (p == MAP_FAILED) {
		perror("the board");
		exit(1);
	}
	board = p;
}

int
board_make(void)
{
	int fd = memfd_create("lwstp-cluster-board", 0);

	if (fd < 0 || ftruncate(fd, sizeof(*board))) {
		perror("the board");
		exit(1);
	}
	board_open(fd);
	board_release();

	return fd;
}

void
board_log(const char *line)
{
	int n = atomic_fetch_add(&board->lines, 1);

	if (n < BOARD_LINES)
		snprintf(board->line[n], sizeof(board->line[n]), "%s", line);
}

int
board_lines(const char *text)
{
	int n = atomic_load(&board->lines), found = 0;

	if (n > BOARD_LINES)
		n = BOARD_LINES;
	while (n--)
		found += strstr(board->line[n], text) != NULL;

	return found;
}

void
board_clear(void)
{
	memset(board, 0, sizeof(*board));
	board_release();
}

void
board_release(void)
{
	for (int n = 0; n < BOARD_JOBS; n++)
		atomic_store(&board->jobs[n].limit, BOARD_FREE);
}
