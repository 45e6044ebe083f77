/*
 * lws-threadpool unit tests - a strict reader of OpenMetrics 1.0 text
 *
 * SPDX-License-Identifier: MIT
 *
 * From the standard: metric families follow each other and do not mix, each
 * with its descriptors first; no empty line, no blank too many; names and
 * escapes as allowed; UTF-8; "# EOF" is the last line.
 */

#include "openmetrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what is being read */
struct reader {
	struct om *om;
	const char *p, *end; /* the rest of the line */
	int line;
	int room; /* for samples */
};

static bool
wrong(struct reader *r, const char *format, ...)
{
	va_list ap;
	int n;

	if (r->om->error[0])
		return false;
	n = snprintf(r->om->error, sizeof(r->om->error), "line %d: ", r->line);
	va_start(ap, format);
	vsnprintf(r->om->error + n, sizeof(r->om->error) - (size_t)n, format,
		  ap);
	va_end(ap);

	return false;
}

static bool
starts(const struct reader *r, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(r->end - r->p) >= len && !memcmp(r->p, what, len);
}

static bool
skip(struct reader *r, const char *what)
{
	if (!starts(r, what))
		return wrong(r, "no \"%s\"", what);
	r->p += strlen(what);

	return true;
}

static bool
is_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static bool
read_name(struct reader *r, char *name, size_t size)
{
	size_t n = 0;

	while (r->p < r->end && is_name_char(*r->p, !n)) {
		if (n + 1 == size)
			return wrong(r, "a name that is too long");
		name[n++] = *r->p++;
	}
	name[n] = '\0';

	return n || wrong(r, "no name");
}

/* the bytes of one character, or 0 if it is not UTF-8 */
static size_t
utf8(const char *text, const char *end)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = *p < 0x80 ? 1 :
		     *p < 0xc2 ? 0 :
		     *p < 0xe0 ? 2 :
		     *p < 0xf0 ? 3 :
		     *p < 0xf5 ? 4 :
				 0;

	if (len > (size_t)(end - text))
		return 0;
	for (size_t n = 1; n < len; n++)
		if ((p[n] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;

	return len;
}

/* Escaped, to the quote, or to the end of the line if there is none to be.
 * value may be NULL. */
static bool
read_escaped(struct reader *r, bool quoted, char *value, size_t size)
{
	size_t n = 0, len;

	while (r->p < r->end && !(quoted && *r->p == '"')) {
		char c = *r->p;

		len = utf8(r->p, r->end);
		if (!len || !c)
			return wrong(r, "not UTF-8");
		if (n + len >= size && value)
			return wrong(r, "a value that is too long");
		if (c == '\\') {
			if (++r->p == r->end || !strchr("\\\"n", *r->p))
				return wrong(r, "an unknown escape");
			c = *r->p == 'n' ? '\n' : *r->p;
		}
		if (value) {
			memcpy(value + n, r->p, len);
			if (len == 1)
				value[n] = c;
		}
		n += len;
		r->p += len;
	}
	if (value)
		value[n] = '\0';

	return true;
}

static bool
read_labels(struct reader *r, struct om_sample *s)
{
	if (!starts(r, "{"))
		return true;
	do {
		struct om_label *l = &s->label[s->labels];

		r->p++;
		if (s->labels == OM_LABELS)
			return wrong(r, "too many labels");
		if (!read_name(r, l->name, sizeof(l->name)) ||
		    !skip(r, "=\"") ||
		    !read_escaped(r, true, l->value, sizeof(l->value)) ||
		    !skip(r, "\""))
			return false;
		for (int n = 0; n < s->labels; n++)
			if (!strcmp(s->label[n].name, l->name))
				return wrong(r, "%s twice", l->name);
		s->labels++;
	} while (starts(r, ","));

	return skip(r, "}");
}

static bool
read_number(struct reader *r, double *value)
{
	char text[64], *end;
	size_t len = (size_t)(r->end - r->p);

	if (!len || len >= sizeof(text))
		return wrong(r, "no number");
	memcpy(text, r->p, len);
	text[len] = '\0';
	if (strspn(text, "+-0123456789.eE") != len)
		return wrong(r, "not a number: %s", text);
	*value = strtod(text, &end);
	if (*end || !isfinite(*value))
		return wrong(r, "not a number: %s", text);

	return true;
}

/* what may follow the name of its family, by type */
static bool
belongs(const struct om_family *f, const char *name)
{
	static const struct {
		const char *type, *suffix;
	} known[] = {
		{ "gauge", "" },
		{ "counter", "_total" },
		{ "histogram", "_bucket" },
		{ "histogram", "_count" },
		{ "histogram", "_sum" },
	};
	size_t len = strlen(f->name);

	if (strncmp(name, f->name, len))
		return false;
	for (size_t n = 0; n < sizeof(known) / sizeof(known[0]); n++)
		if (!strcmp(f->type, known[n].type) &&
		    !strcmp(name + len, known[n].suffix))
			return true;

	return false;
}

static bool
same_labels(const struct om_sample *a, const struct om_sample *b)
{
	if (a->labels != b->labels)
		return false;
	for (int n = 0; n < a->labels; n++) {
		const char *other = om_label(b, a->label[n].name);

		if (!other || strcmp(other, a->label[n].value))
			return false;
	}

	return true;
}

static bool
read_sample(struct reader *r)
{
	struct om *om = r->om;
	struct om_sample *s;

	if (om->samples == r->room) {
		r->room = r->room ? 2 * r->room : 256;
		s = realloc(om->sample, (size_t)r->room * sizeof(*s));
		if (!s)
			abort();
		om->sample = s;
	}
	s = &om->sample[om->samples];
	memset(s, 0, sizeof(*s));
	if (!read_name(r, s->name, sizeof(s->name)) || !read_labels(r, s) ||
	    !skip(r, " ") || !read_number(r, &s->value))
		return false;
	s->family = om->families - 1;
	if (s->family < 0 || !belongs(&om->family[s->family], s->name))
		return wrong(r, "%s is not of this family", s->name);
	for (int n = om->samples; n-- && om->sample[n].family == s->family;)
		if (!strcmp(om->sample[n].name, s->name) &&
		    same_labels(&om->sample[n], s))
			return wrong(r, "%s twice", s->name);
	om->family[s->family].samples++;
	om->samples++;

	return true;
}

/* The family that a descriptor is of: the last one, or a new one */
static struct om_family *
described(struct reader *r, const char *name)
{
	struct om *om = r->om;
	struct om_family *f;

	for (int n = 0; n < om->families; n++) {
		f = &om->family[n];
		if (strcmp(f->name, name))
			continue;
		if (n < om->families - 1 || f->samples) {
			wrong(r, "%s is described twice", name);
			return NULL;
		}
		return f;
	}
	if (om->families == sizeof(om->family) / sizeof(om->family[0])) {
		wrong(r, "too many families");
		return NULL;
	}
	f = &om->family[om->families++];
	snprintf(f->name, sizeof(f->name), "%s", name);

	return f;
}

static bool
read_descriptor(struct reader *r)
{
	char what[8], name[96], unit[32];
	struct om_family *f;

	r->p += 2;
	if (!read_name(r, what, sizeof(what)) || !skip(r, " ") ||
	    !read_name(r, name, sizeof(name)) || !skip(r, " "))
		return false;
	f = described(r, name);
	if (!f)
		return false;
	if (!strcmp(what, "HELP"))
		return f->helps++ ? wrong(r, "a second HELP") :
				    read_escaped(r, false, NULL, 0);
	if (!strcmp(what, "TYPE")) {
		if (f->type[0])
			return wrong(r, "a second TYPE");
		if (!read_name(r, f->type, sizeof(f->type)))
			return false;
	} else if (!strcmp(what, "UNIT")) {
		if (f->units++ || !read_name(r, unit, sizeof(unit)))
			return wrong(r, "a second UNIT, or none");
		if (strlen(unit) >= strlen(name) ||
		    strcmp(name + strlen(name) - strlen(unit), unit))
			return wrong(r, "%s does not end in its unit", name);
	} else
		return wrong(r, "# %s", what);

	return r->p == r->end || wrong(r, "more than a %s", what);
}

static bool
read_line(struct reader *r)
{
	if (r->p == r->end)
		return wrong(r, "an empty line");
	if (starts(r, "# "))
		return read_descriptor(r);
	if (starts(r, "#"))
		return wrong(r, "a comment");

	return read_sample(r);
}

struct om *
om_read(const char *text, size_t len)
{
	static const char eof[] = "# EOF\n";
	struct reader r = { .om = calloc(1, sizeof(*r.om)) };
	const char *end = text + len;

	if (!r.om)
		abort();
	if (len < sizeof(eof) - 1 ||
	    memcmp(end - (sizeof(eof) - 1), eof, sizeof(eof) - 1)) {
		wrong(&r, "the last is not # EOF");
		return r.om;
	}
	end -= sizeof(eof) - 1;
	for (; text < end; text = r.end + 1) {
		r.line++;
		r.p = text;
		r.end = memchr(text, '\n', (size_t)(end - text));
		if (!r.end)
			wrong(&r, "no end of the line");
		if (!r.end || !read_line(&r))
			return r.om;
	}
	for (int n = 0; n < r.om->families; n++)
		if (!r.om->family[n].type[0])
			wrong(&r, "%s has no TYPE", r.om->family[n].name);

	return r.om;
}

void
om_free(struct om *om)
{
	free(om->sample);
	free(om);
}

const char *
om_label(const struct om_sample *s, const char *name)
{
	for (int n = 0; n < s->labels; n++)
		if (!strcmp(s->label[n].name, name))
			return s->label[n].value;

	return NULL;
}

const struct om_family *
om_family(const struct om *om, const char *name)
{
	for (int n = 0; n < om->families; n++)
		if (!strcmp(om->family[n].name, name))
			return &om->family[n];

	return NULL;
}

const struct om_sample *
om_find(const struct om *om, const char *name, const char *id, const char *le)
{
	for (int n = 0; n < om->samples; n++) {
		const struct om_sample *s = &om->sample[n];
		const char *s_id = om_label(s, "id"), *s_le = om_label(s, "le");

		if (!strcmp(s->name, name) &&
		    (!id || (s_id && !strcmp(s_id, id))) &&
		    (!le || (s_le && !strcmp(s_le, le))))
			return s;
	}

	return NULL;
}
