/*
 * minimal-raw-file-threadpool: a serial line, or a FIFO
 *
 * SPDX-License-Identifier: MIT
 *
 * Nothing here has to do with the threadpool.
 */

#ifndef LINE_H
#define LINE_H

/*
 * Opens path for reading without blocking: a FIFO, or a serial line, which is
 * made raw, at this speed, with flow control by RTS and CTS or none.  Returns
 * the fd, or -1 and why not in *why.  *hopeless is set to 1 if it is of no use
 * to try again, else to 0.
 */
int
line_open(const char *path, int baud, int rts_cts, const char **why,
	  int *hopeless);

#endif
