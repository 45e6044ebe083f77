/*
 * lws-threadpool unit tests - N2, the numbers of pools as OpenMetrics text
 *
 * SPDX-License-Identifier: MIT
 */

#include "numbers.h"
#include "openmetrics.h"

#define GUARD 64

/* The text of tp, which is told twice: its length, and then it; it may have
 * grown meanwhile.  free() it. */
static char *
text_of(struct lws_threadpool *tp, size_t *len)
{
	size_t room = 0;
	char *text = NULL;
	int n;

	for (;;) {
		n = lws_threadpool_metrics(tp, text, room);
		assert_true(n > 0);
		if ((size_t)n < room) {
			assert_int_equal(strlen(text), n);
			*len = (size_t)n;
			return text;
		}
		free(text);
		room = (size_t)n + 1;
		text = malloc(room);
		assert_non_null(text);
	}
}

static struct om *
read_metrics(struct lws_threadpool *tp)
{
	size_t len;
	char *text = text_of(tp, &len);
	struct om *om = om_read(text, len);

	if (om->error[0])
		print_error("%s\n", text);
	free(text);
	if (om->error[0])
		fail_msg("%s", om->error);

	return om;
}

/* ---- what is in it ---- */

#define MEMBER(type, member) \
	{ #member, type, offsetof(struct lws_threadpool_stats, member), \
	  sizeof(((struct lws_threadpool_stats *)NULL)->member) }

static const struct member {
	const char *name, *type;
	size_t offset, size;
} members[] = {
	MEMBER("gauge", threads),   MEMBER("gauge", running),
	MEMBER("gauge", queued),    MEMBER("gauge", syncing),
	MEMBER("gauge", parked),    MEMBER("gauge", done),
	MEMBER("gauge", kept),	    MEMBER("counter", accepted),
	MEMBER("counter", refused), MEMBER("counter", finished),
	MEMBER("counter", stopped), MEMBER("counter", timed_out),
	MEMBER("counter", syncs),   MEMBER("counter", wakes),
	MEMBER("counter", calls),
};

static void
same_value(double a, double b, const char *what)
{
	double most = (a > b ? a : b) * 1e-9;

	if (a - b > most || b - a > most)
		fail_msg("%s: %.12g is not %.12g", what, a, b);
}

static void
member_is_told(const struct om *om, const struct member *m, const char *id,
	       const struct lws_threadpool_stats *s)
{
	const struct om_family *family;
	const struct om_sample *sample;
	uint64_t value = 0;
	uint32_t half;
	char name[96];

	if (m->size == sizeof(half)) {
		memcpy(&half, (const char *)s + m->offset, sizeof(half));
		value = half;
	} else
		memcpy(&value, (const char *)s + m->offset, sizeof(value));
	snprintf(name, sizeof(name), "lws_threadpool_%s", m->name);
	family = om_family(om, name);
	assert_non_null(family);
	assert_string_equal(family->type, m->type);
	if (*m->type == 'c')
		strcat(name, "_total");
	sample = om_find(om, name, id, NULL);
	assert_non_null(sample);
	assert_int_equal(sample->labels, 2);
	same_value(sample->value, (double)value, name);
}

/* The samples of one pool follow each other: le from 1 us on, twice as much
 * each, then all; none is less than the one before; and then sum and count. */
static void
histogram_is_told(const struct om *om, const char *member, const char *id,
		  const uint64_t buckets[BUCKETS], uint64_t total_us)
{
	char name[3][96];
	const struct om_sample *s, *other;
	const struct om_family *family;
	double le = 1e-6, sum = 0;

	snprintf(name[0], sizeof(name[0]), "lws_threadpool_%s_seconds", member);
	family = om_family(om, name[0]);
	assert_non_null(family);
	assert_string_equal(family->type, "histogram");
	for (int n = 0; n < 3; n++)
		snprintf(name[n], sizeof(name[n]),
			 "lws_threadpool_%s_seconds_%s", member,
			 n == 0 ? "bucket" :
			 n == 1 ? "sum" :
				  "count");
	s = om_find(om, name[0], id, NULL);
	assert_non_null(s);
	for (int n = 0; n < BUCKETS; n++, s++, le *= 2) {
		assert_true(s < om->sample + om->samples);
		assert_string_equal(s->name, name[0]);
		assert_string_equal(om_label(s, "id"), id);
		assert_int_equal(s->labels, 3);
		if (n == BUCKETS - 1)
			assert_string_equal(om_label(s, "le"), "+Inf");
		else
			same_value(strtod(om_label(s, "le"), NULL), le, "le");
		sum += (double)buckets[n];
		same_value(s->value, sum, name[0]);
	}
	other = om_find(om, name[1], id, NULL);
	assert_non_null(other);
	same_value(other->value, (double)total_us * 1e-6, name[1]);
	assert_true(other >= s && other < s + 2);
	other = om_find(om, name[2], id, NULL);
	assert_non_null(other);
	same_value(other->value, sum, name[2]);
	assert_true(other >= s && other < s + 2);
}

static void
pool_is_told(const struct om *om, struct lws_threadpool *tp, const char *id)
{
	struct lws_threadpool_stats s = stats_of(tp);

	for (size_t n = 0; n < LWS_ARRAY_SIZE(members); n++)
		member_is_told(om, &members[n], id, &s);
	histogram_is_told(om, "queue", id, s.queue_us, s.queue_total_us);
	histogram_is_told(om, "run", id, s.run_us, s.run_total_us);
	histogram_is_told(om, "sync", id, s.sync_us, s.sync_total_us);
}

/* A pool that has seen something, and in which nothing happens now: each of
 * its numbers is another one. */
static void
make_history(struct rig *rig, struct lws_threadpool *tp, struct conn *c)
{
	struct job *j;

	for (int n = 0; n < 12; n++) {
		j = job_script(rig, n % 3, LWS_TP_RETURN_SYNC);
		if (n == 5)
			j->last = LWS_TP_RETURN_STOPPED;
		assert_non_null(job_enqueue(tp, j, c->wsi));
		rig_until_int(rig, &j->cleanups, 1);
	}
	c->manual = true;
	for (int n = 0; n < 2; n++)
		job_park(rig, tp, c->wsi);
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_wake(job_sleep(rig, tp, NULL)->task);
	for (int n = 0; n < 4; n++)
		job_sleep(rig, tp, NULL);
	for (int n = 0; n < 5; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, c->wsi);
		wait_status(j, LWS_TP_STATUS_FINISHED);
	}
	wait_stat(tp, parked, 4);
	wait_stat(tp, finished, 11 + 3 + 5);
	job_block(rig, tp, gate_new(rig));
}

/* N2: all that lws_threadpool_get_stats() says, and nothing else */
static void
all_members_are_told(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct om *om = read_metrics(tp);
	const struct om_sample *s;
	const char *id;

	/* of a new one, too */
	s = om_find(om, "lws_threadpool_threads", NULL, NULL);
	assert_non_null(s);
	id = om_label(s, "id");
	assert_non_null(id);
	assert_string_equal(om_label(s, "pool"), "unit0");
	pool_is_told(om, tp, id);
	om_free(om);

	make_history(rig, tp, c);
	om = read_metrics(tp);
	id = om_label(om_find(om, "lws_threadpool_threads", NULL, NULL), "id");
	pool_is_told(om, tp, id);
	assert_int_equal(om->families, LWS_ARRAY_SIZE(members) + 3);
	assert_int_equal(om->samples,
			 LWS_ARRAY_SIZE(members) + 3 * (BUCKETS + 2));
	for (int n = 0; n < om->samples; n++) {
		assert_string_equal(om_label(&om->sample[n], "pool"), "unit0");
		assert_string_equal(om_label(&om->sample[n], "id"), id);
	}
	om_free(om);
}

static bool
has_pools(struct lws_threadpool **tp, int n)
{
	struct om *om = read_metrics(NULL);
	const struct om_sample *s = NULL, *first;
	int found = 0;

	first = om_find(om, "lws_threadpool_threads", NULL, NULL);
	for (s = first;
	     s && s < om->sample + om->samples && !strcmp(s->name, first->name);
	     s++, found++)
		for (const struct om_sample *o = first; o < s; o++)
			assert_string_not_equal(om_label(o, "id"),
						om_label(s, "id"));
	/* each has an id that goes with it when it is asked for alone */
	for (int m = 0; m < n; m++) {
		struct om *one = read_metrics(tp[m]);

		s = om_find(one, first->name, NULL, NULL);
		assert_int_equal(one->family[0].samples, 1);
		pool_is_told(om, tp[m], om_label(s, "id"));
		om_free(one);
	}
	om_free(om);

	return found == n;
}

/* N2: each family once with all pools, of all contexts; the same name is no
 * matter; and none that is no more */
static void
every_pool_there_is(void **state)
{
	struct rig *rig = *state, *other = rig_create(NULL);
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool *tp[7];
	struct conn *c = conn_open(rig, CONN_RAW);
	struct om *om;

	assert_null(om_find(om = read_metrics(NULL), "lws_threadpool_threads",
			    NULL, NULL));
	assert_int_equal(om->samples, 0);
	om_free(om);
	for (int n = 0; n < 3; n++)
		tp[n] = rig_pool(rig, n + 1, 10);
	for (int n = 3; n < 5; n++)
		tp[n] = rig_pool(other, n + 1, 10);
	for (int n = 5; n < 7; n++) {
		tp[n] = lws_threadpool_create(rig->context, &args, "unit0");
		assert_non_null(tp[n]);
	}
	make_history(rig, tp[0], c);
	assert_true(has_pools(tp, 7));
	lws_threadpool_destroy(tp[6]);
	lws_threadpool_destroy(tp[5]);
	assert_true(has_pools(tp, 5));
	gates_open(rig);
	rig_pool_destroy(rig, tp[0]);
	assert_true(has_pools(tp + 1, 4));
	assert_int_equal(rig_destroy(other), 0);
	assert_true(has_pools(tp + 1, 2));
}

/* ---- as snprintf() ---- */

/* N2: a length, and as much of the text as there is room for */
static void
room_of_any_length(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	size_t len, some;
	char *text = text_of(tp, &len), *part = malloc(len + GUARD + 2);

	assert_non_null(part);
	assert_int_equal(lws_threadpool_metrics(tp, NULL, 0), len);
	for (some = 0; some <= len + 2;
	     some += some < 50 || some > len - 50 ? 1 : 37) {
		memset(part, 0xa5, len + GUARD + 2);
		assert_int_equal(lws_threadpool_metrics(tp, part, some), len);
		for (size_t n = some; n < len + GUARD + 2; n++)
			assert_int_equal((unsigned char)part[n], 0xa5);
		if (!some)
			continue;
		assert_int_equal(strlen(part), some <= len ? some - 1 : len);
		assert_memory_equal(part, text, strlen(part));
	}
	free(part);
	free(text);
}

/* N2, Q6: -1, a line, and nothing is written */
static void
stale_pools(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	char buf[100] = "as it was";

	rig_pool_destroy(rig, tp);
	assert_int_equal(lws_threadpool_metrics(tp, buf, sizeof(buf)), -1);
	assert_int_equal(lws_threadpool_metrics(tp, NULL, 0), -1);
	assert_int_equal(lws_threadpool_metrics((struct lws_threadpool *)buf,
						buf, sizeof(buf)),
			 -1);
	assert_string_equal(buf, "as it was");
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_metrics"), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(all_members_are_told),
		RIG_TEST(every_pool_there_is),
		RIG_TEST(room_of_any_length),
		RIG_TEST(stale_pools),
	};

	return cmocka_run_group_tests_name("N2 metrics", tests, NULL, NULL);
}
