/*
 * lws-threadpool - the names of tasks
 *
 * SPDX-License-Identifier: MIT
 *
 * A task is named by a printf format, for each enqueue.  The C library's
 * formatter costs as much as all the rest of a task's life, so the plain
 * conversions that names are made of are done here: %s %d %i %u %x %c %p and
 * %%, with l, ll or z, without flags or widths.  All else goes to vsnprintf().
 */

#include <stdio.h>
#include <string.h>

#include "private.h"

struct out {
	char	*at;
	char	*end;		/* room for the NUL is behind it */
	size_t	cut;		/* bytes that did not fit */
};

static void
put(struct out *o, const char *s, size_t len)
{
	size_t room = (size_t)(o->end - o->at), n = len < room ? len : room;

	memcpy(o->at, s, n);
	o->at += n;
	o->cut += len - n;
}

/* base is a constant in each call: so it is no division */
static inline __attribute__((always_inline)) void
put_number(struct out *o, unsigned long long value, unsigned int base)
{
	char digits[24], *p = digits + sizeof(digits);

	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put(o, p, (size_t)(digits + sizeof(digits) - p));
}

enum length { LENGTH_INT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE };

static enum length
length_of(const char **f)
{
	if (**f == 'z') {
		(*f)++;
		return LENGTH_SIZE;
	}
	if (**f != 'l')
		return LENGTH_INT;
	(*f)++;
	if (**f != 'l')
		return LENGTH_LONG;
	(*f)++;

	return LENGTH_LONG_LONG;
}

static void
put_signed(struct out *o, enum length length, va_list *ap)
{
	long long v;

	if (length == LENGTH_INT)
		v = va_arg(*ap, int);
	else if (length == LENGTH_LONG)
		v = va_arg(*ap, long);
	else if (length == LENGTH_SIZE)
		v = va_arg(*ap, ssize_t);
	else
		v = va_arg(*ap, long long);
	if (v < 0)
		put(o, "-", 1);
	put_number(o, v < 0 ? 0 - (unsigned long long)v :
			      (unsigned long long)v, 10);
}

static unsigned long long
take_unsigned(enum length length, va_list *ap)
{
	if (length == LENGTH_INT)
		return va_arg(*ap, unsigned int);
	if (length == LENGTH_LONG)
		return va_arg(*ap, unsigned long);
	if (length == LENGTH_SIZE)
		return va_arg(*ap, size_t);

	return va_arg(*ap, unsigned long long);
}

/* one conversion, *f behind the %; false: it is not one of ours */
static bool
convert(struct out *o, const char **f, va_list *ap)
{
	enum length length = length_of(f);
	uintptr_t address;
	const char *s;
	char c;

	switch (*(*f)++) {
	case 'd':
	case 'i':
		put_signed(o, length, ap);
		return true;
	case 'u':
		put_number(o, take_unsigned(length, ap), 10);
		return true;
	case 'x':
		put_number(o, take_unsigned(length, ap), 16);
		return true;
	case 's':
		if (length)
			return false;
		s = va_arg(*ap, const char *);
		if (!s)
			s = "(null)";
		put(o, s, strlen(s));
		return true;
	case 'p':
		if (length)
			return false;
		address = (uintptr_t)va_arg(*ap, void *);
		if (!address)
			return false;
		put(o, "0x", 2);
		put_number(o, address, 16);
		return true;
	case 'c':
		if (length)
			return false;
		c = (char)va_arg(*ap, int);
		put(o, &c, 1);
		return true;
	case '%':
		put(o, "%", 1);
		return !length;
	default:
		return false;
	}
}

/* As vsnprintf() into `size` bytes, of at least 1: the number of bytes that
 * there would have been. */
size_t
lwstp_format(char *buf, size_t size, const char *format, va_list ap)
{
	struct out o = { .at = buf, .end = buf + size - 1 };
	const char *f = format, *percent;
	bool ours = true;
	va_list copy;
	int n;

	va_copy(copy, ap);
	while (ours && (percent = strchr(f, '%'))) {
		put(&o, f, (size_t)(percent - f));
		f = percent + 1;
		ours = convert(&o, &f, &copy);
	}
	va_end(copy);
	if (!ours) {
		n = vsnprintf(buf, size, format, ap);
		if (n >= 0)
			return (size_t)n;
		*buf = '\0';
		return 0;
	}
	put(&o, f, strlen(f));
	*o.at = '\0';

	return (size_t)(o.at - buf) + o.cut;
}
