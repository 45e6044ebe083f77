/*
 * lws-threadpool cluster tests - others write to the subjects of the engine
 *
 * SPDX-License-Identifier: MIT
 *
 * What cannot be read is dropped.  What can be read, and is a lie, may end the
 * job that it is about, with a reason; it harms no other.
 */

#include "wild.h"

#include "wire.h"

#define CHUNKS 40
#define LIES   400 /* of each kind */

#define MAX_CHUNK   65536 /* of a kind that says 0 */
#define CHUNKS_MOST 4000000000u

static uint64_t dice_state;

static unsigned int
dice(unsigned int sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;

	return (unsigned int)((dice_state >> 20) % sides);
}

static void
start(struct field *f)
{
	/* of the deadline: at the latest */
	f->kinds[KIND_NEVER].deadline_secs = 20;
	dice_state = 0x9e3779b97f4a7c15u;
	front_start(f);
	worker_start(f);
}

/* In its middle.  So there is a queue, whatever somebody else puts into it. */
static struct remote *
healthy_begins(struct field *f)
{
	struct remote *healthy = remote_run(f, KIND_RESUME, CHUNKS, 5);

	until_read(healthy, 5);

	return healthy;
}

static void
healthy_ends(struct remote *healthy)
{
	struct field *f = healthy->f;
	struct remote *r;

	remote_release(healthy);
	until_ended(healthy);
	assert_complete(healthy);
	r = remote_run(f, KIND_RESUME, 10, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
	until_no_jobs(f);
}

/* --- jobs ----------------------------------------------------------------- */

static void
jobs_that_are_none(void **state)
{
	static const char *const none[] = {
		"",
		"x",
		"not a job",
		"\xc7",
		"\xc7\x01",
		"\xc7\x01\x01",
		("\xc7\x02\x01 of another version of the wire, and long enough "
		 "to be one: 24 bytes, and then what a job has more"),
		"\xc7\x01\x01 too short for a job",
		"\xc7\x01\xff of no type that there is"
	};
	struct field *f = *state;
	struct remote *healthy;
	struct wild *w;
	size_t n;

	f->options.lease_secs = 3000;
	start(f);
	healthy = healthy_begins(f);
	w = wild_open(f);
	for (n = 0; n < LWS_ARRAY_SIZE(none); n++)
		wild_send(w, "job.resume", NULL, none[n], strlen(none[n]));
	wild_close(w);
	healthy_ends(healthy);
	/* each is told of, once */
	assert_int_equal(board_lines("what is no job"), LWS_ARRAY_SIZE(none));
}

static size_t
job_encode(uint8_t *buf, const struct ask *ask)
{
	struct lwstpc_wire wire;
	size_t len;

	memset(&wire, 0, sizeof(wire));
	wire.type = LWSTPC_JOB;
	memset(wire.id, (int)dice(256), sizeof(wire.id));
	wire.id[0] = (unsigned char)dice(256);
	wire.front = dice(1000000);
	wire.version = 1;
	wire.window = 8;
	wire.max_chunk = MAX_CHUNK;
	len = lwstpc_encode(buf, &wire);
	memcpy(buf + len, ask, sizeof(*ask));

	return len + sizeof(*ask);
}

/* Whole ones, of fronts that there are not, with bytes that are changed: not of
 * linger, that might be years */
static void
jobs_that_are_changed(void **state)
{
	uint8_t buf[LWSTPC_WIRE_MOST + sizeof(struct ask)];
	struct field *f = *state;
	struct remote *healthy;
	struct wild *w;
	struct ask ask;
	unsigned int n, k;
	size_t len;

	/* those who are said to have sent them never ask for more */
	f->options.lease_secs = 3;
	start(f);
	healthy = healthy_begins(f);
	ask_fill(&ask, 1000, 3);
	w = wild_open(f);
	for (n = 0; n < LIES; n++) {
		len = job_encode(buf, &ask);
		/* the first bytes make it a job at all */
		for (k = 0; k <= n % 4; k++)
			buf[3 + dice((unsigned int)(len - sizeof(ask)) -
				     7)] = (uint8_t)dice(256);
		if (n & 1)
			len -= dice((unsigned int)sizeof(ask));
		wild_send(w, "job.resume", NULL, buf, len);
	}
	wild_close(w);
	healthy_ends(healthy);
}

/* --- jobs of ours, and we are their front --------------------------------- */

/* A job that asks, so that all it does is what it is told */
struct made_up {
	struct wild *w;
	struct remote *r;
	struct lwstpc_wire job;
	char worker[160]; /* without the prefix */
	uint64_t fence;
};

static void
made_up_new(struct field *f, struct made_up *m)
{
	static unsigned char number;

	memset(m, 0, sizeof(*m));
	f->options.lease_secs = 3000;
	start(f);
	m->w = wild_open(f);
	m->r = remote_new(f, KIND_RESUME, CHUNKS);
	m->job.type = LWSTPC_JOB;
	m->job.flags = LWSTPC_F_ASK;
	m->job.id[0] = ++number;
	m->job.front = 1;
	m->job.version = 1;
	m->job.window = 8;
	m->job.max_chunk = MAX_CHUNK;
}

static bool
made_up_asks(void *arg)
{
	struct made_up *m = arg;
	size_t skip = strlen(m->r->f->prefix) + 1;
	struct lwstpc_wire wire;
	struct wild_msg msg;

	if (wild_next(m->w, &msg) || !msg.reply[0] ||
	    lwstpc_decode(&wire, msg.data, (size_t)msg.len) ||
	    wire.type != LWSTPC_HELLO)
		return false;
	m->fence = wire.fence;
	snprintf(m->worker, sizeof(m->worker), "%s", msg.reply + skip);

	return true;
}

/* A worker has it, and asks whether it may begin */
static void
made_up_send(struct made_up *m)
{
	uint8_t buf[LWSTPC_WIRE_MOST + sizeof(struct ask)];
	size_t len = lwstpc_encode(buf, &m->job);

	memcpy(buf + len, &m->r->work.ask, sizeof(m->r->work.ask));
	wild_listen(m->w, "f.>");
	wild_send(m->w, "job.resume", NULL, buf, len + sizeof(m->r->work.ask));
	until(m->r->f, made_up_asks, m);
}

static void
made_up_tell(struct made_up *m, enum lwstpc_type type, uint32_t seq,
	     uint32_t upto)
{
	const struct lwstpc_wire wire = {
		.type = type,
		.seq = seq,
		.fence = m->fence,
		.upto = upto,
		.tries = 1,
	};
	uint8_t buf[LWSTPC_WIRE_MOST];
	char node[LWSTPC_NODE_TEXT], from[40];

	lwstpc_text(node, &m->job.front, sizeof(m->job.front));
	snprintf(from, sizeof(from), "w.%s.x", node);
	wild_send(m->w, m->worker, from, buf, lwstpc_encode(buf, &wire));
}

static void
made_up_end(struct made_up *m)
{
	struct field *f = m->r->f;

	made_up_tell(m, LWSTPC_STOP, 0, 0);
	until_board(m->r, cleaned, 1);
	until_no_jobs(f);
	wild_close(m->w);
}

/* The function may rely on the room that its kind has. */
static void
job_of_no_max_chunk(void **state)
{
	struct field *f = *state;
	struct made_up m;

	made_up_new(f, &m);
	m.r->work.ask.what = ASK_RELIES;
	m.job.max_chunk = 0;
	made_up_send(&m);
	made_up_tell(&m, LWSTPC_CREDIT, 0, 8);
	until_board(m.r, cleaned, 1);
	assert_int_equal(board_lines("encode_chunk wrote more than max_chunk"),
			 1);
	made_up_end(&m);
}

/* Its kind does not linger at all. */
static void
job_that_lingers_for_ever(void **state)
{
	struct field *f = *state;
	struct made_up m;

	made_up_new(f, &m);
	m.job.linger = UINT32_MAX;
	remote_limit(m.r, 3);
	made_up_send(&m);
	made_up_tell(&m, LWSTPC_CREDIT, 0, 8);
	until_board(m.r, made, 3);
	made_up_tell(&m, LWSTPC_LINGER, 0, 0);
	until_board(m.r, cleaned, 1);
	assert_int_equal(m.r->board->stopping, 1);
	made_up_end(&m);
}

/* What the ring can hold, whatever is said */
static void
first_credit_of_too_much(void **state)
{
	struct field *f = *state;
	struct made_up m;

	made_up_new(f, &m);
	made_up_send(&m);
	made_up_tell(&m, LWSTPC_CREDIT, 0, 1000);
	until_board(m.r, made, 8);
	until_secs(f, 1);
	assert_int_equal(m.r->board->made, 8);
	made_up_end(&m);
}

/* More chunks than there can be: it goes on asking. */
static void
credit_that_cannot_be(void **state)
{
	struct field *f = *state;
	struct made_up m;

	made_up_new(f, &m);
	made_up_send(&m);
	made_up_tell(&m, LWSTPC_CREDIT, UINT32_MAX - 3, UINT32_MAX);
	made_up_tell(&m, LWSTPC_CREDIT, 2, 10);
	until_board(m.r, made, 8);
	assert_int_equal(m.r->board->resume, 2);
	made_up_end(&m);
}

/* The last two that there can be; it would make more */
static void
one_chunk_too_many(void **state)
{
	struct field *f = *state;
	struct made_up m;

	made_up_new(f, &m);
	m.r->work.ask.chunks = CHUNKS_MOST + 5;
	made_up_send(&m);
	made_up_tell(&m, LWSTPC_CREDIT, CHUNKS_MOST - 2, CHUNKS_MOST + 6);
	until_board(m.r, cleaned, 1);
	assert_int_equal(board_lines("it has made 4,000,000,000 chunks"), 1);
	assert_int_equal(m.r->board->made, 3);
	assert_int_equal(m.r->board->finished, 0);
	made_up_end(&m);
}

/* --- what goes to and from a job that runs -------------------------------- */

struct subjects {
	struct wild *w;
	struct wild_msg msg; /* a chunk that went to the front */
	char front[160];     /* without the prefix */
	char worker[160];
};

static bool
has_come(void *arg)
{
	struct subjects *s = arg;
	struct lwstpc_wire wire;

	return !wild_next(s->w, &s->msg) && s->msg.reply[0] &&
	       !lwstpc_decode(&wire, s->msg.data, (size_t)s->msg.len) &&
	       wire.type == LWSTPC_CHUNK;
}

/* A job whose messages are known to us; it is stopped in its middle, and to be
 * attacked there. */
static struct remote *
overhear(struct field *f, struct subjects *s)
{
	struct remote *r = remote_new(f, KIND_NEVER, CHUNKS);
	size_t skip = strlen(f->prefix) + 1;

	wild_listen(s->w, "f.>");
	r->work.attacked = true;
	r->conn = reader_open(f);
	remote_limit(r, 5);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until(f, has_come, s);
	until_read(r, 5);
	snprintf(s->front, sizeof(s->front), "%s", s->msg.subject + skip);
	snprintf(s->worker, sizeof(s->worker), "%s", s->msg.reply + skip);

	return r;
}

static void
is_attacked(struct field *f, void (*attack)(struct subjects *s))
{
	struct remote *healthy, *r;
	struct subjects s;
	struct wild *w;

	f->options.lease_secs = 5;
	start(f);
	w = wild_open(f);
	s.w = w;
	r = overhear(f, &s);
	healthy = healthy_begins(f);
	attack(&s);
	remote_release(r);
	until_ended(r);
	if (r->ended == LWS_TP_STATUS_FINISHED)
		assert_complete(r);
	else
		assert_int_not_equal(r->why, LWS_TP_CLUSTER_NOT_YET);
	wild_close(w);
	healthy_ends(healthy);
}

/* No message of ours: nothing happens to the job, either. */
static void
send_garbage(struct subjects *s)
{
	char from[160];
	uint8_t buf[200];
	unsigned int n, k, len;

	snprintf(from, sizeof(from), "w%s", s->front + 1);
	for (n = 0; n < LIES; n++) {
		len = n < 100 ? n : dice(sizeof(buf));
		for (k = 0; k < len; k++)
			buf[k] = (uint8_t)dice(256);
		/* ours, of another version, or of no type */
		buf[0] = n & 1 ? LWSTPC_WIRE_MAGIC : 0;
		buf[1] = n & 2 ? LWSTPC_WIRE_VERSION : 2;
		buf[2] = n & 4 ? LWSTPC_TYPES : 0;
		wild_send(s->w, s->front, n & 8 ? s->worker : NULL, buf, len);
		wild_send(s->w, s->worker, n & 8 ? from : NULL, buf, len);
		wild_send(s->w, "find.x", s->front, buf, len);
		wild_send(s->w, "f.x.y", NULL, buf, len);
	}
}

static void
garbage(void **state)
{
	struct field *f = *state;
	struct remote *r;

	is_attacked(f, send_garbage);
	for (r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static void
send_lies_to(struct subjects *s, const char *subject, const char *from,
	     unsigned int first, unsigned int last)
{
	uint8_t buf[LWSTPC_WIRE_MOST + 100];
	struct lwstpc_wire wire, real;
	unsigned int n;
	size_t len;

	assert_int_equal(lwstpc_decode(&real, s->msg.data, (size_t)s->msg.len),
			 0);
	for (n = 0; n < LIES; n++) {
		memset(&wire, 0, sizeof(wire));
		wire.type = (enum lwstpc_type)(first + n % (last - first + 1));
		wire.flags = n % 3 ? dice(256) : 0;
		wire.seq = n % 2 ? dice(20) : dice(1u << 31);
		wire.fence = real.fence + dice(3) - 1;
		if (!(n % 7))
			wire.fence = (uint64_t)dice(1u << 31) << 32;
		wire.upto = n % 2 ? dice(20) : dice(1u << 31);
		wire.tries = dice(1u << 31);
		wire.front = dice(1000);
		len = lwstpc_encode(buf, &wire);
		memset(buf + len, (int)dice(256), 100);
		/* from whom it may come, from none, from nobody */
		wild_send(s->w, subject,
			  n % 5 ? from :
			  n % 2 ? "w.AAAAAAAAAAA.x" :
				  NULL,
			  buf, len + dice(100));
	}
}

static void
send_lies_to_the_front(struct subjects *s)
{
	send_lies_to(s, s->front, s->worker, LWSTPC_HELLO, LWSTPC_FOUND);
}

static void
send_lies_to_the_worker(struct subjects *s)
{
	char from[160];

	snprintf(from, sizeof(from), "w%s", s->front + 1);
	send_lies_to(s, s->worker, from, LWSTPC_CREDIT, LWSTPC_FIND);
}

static void
send_a_false_chunk(struct subjects *s)
{
	uint8_t buf[LWSTPC_WIRE_MOST + 20];
	struct lwstpc_wire wire;
	size_t len;

	assert_int_equal(lwstpc_decode(&wire, s->msg.data, (size_t)s->msg.len),
			 0);
	wire.seq = 5;
	len = lwstpc_encode(buf, &wire);
	memset(buf + len, 'x', 20);
	wild_send(s->w, s->front, s->worker, buf, len + 20);
}

/* The one that is to come, of a size that the kind does not allow */
static void
send_a_large_chunk(struct subjects *s)
{
	size_t more = MAX_CHUNK + 1;
	uint8_t *buf = calloc(1, LWSTPC_WIRE_MOST + more);
	struct lwstpc_wire wire;
	size_t len;

	assert_non_null(buf);
	assert_int_equal(lwstpc_decode(&wire, s->msg.data, (size_t)s->msg.len),
			 0);
	wire.seq = 5;
	len = lwstpc_encode(buf, &wire);
	wild_send(s->w, s->front, s->worker, buf, len + more);
	free(buf);
}

static void
lies_to_the_front(void **state)
{
	is_attacked(*state, send_lies_to_the_front);
}

static void
lies_to_the_worker(void **state)
{
	is_attacked(*state, send_lies_to_the_worker);
}

static void
ends_by(struct field *f, void (*attack)(struct subjects *s),
	enum lws_threadpool_cluster_end why, const char *says)
{
	struct remote *r;

	is_attacked(f, attack);
	for (r = f->remotes; r; r = r->next)
		if (r->kind == KIND_NEVER)
			assert_end(r, LWS_TP_STATUS_STOPPED, why);
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_cluster: "), 1);
	assert_int_equal(log_count(LLL_WARN, says), 1);
}

/* As the front must believe; it cannot be decoded. */
static void
false_chunk(void **state)
{
	ends_by(*state, send_a_false_chunk, LWS_TP_CLUSTER_CHUNK,
		"a chunk cannot be decoded");
}

static void
large_chunk(void **state)
{
	ends_by(*state, send_a_large_chunk, LWS_TP_CLUSTER_REFUSED,
		"is refused: a chunk is larger than max_chunk: 65537");
}

/* --- answers of the engine ------------------------------------------------ */

static bool
hears_one(void *arg)
{
	struct subjects *s = arg;

	return !wild_next(s->w, &s->msg);
}

static void
send_answers(struct wild *w, const char *node)
{
	static const char *const none[] = { "", "{}", "{\"error\":{}}" };
	static const char *const to[] = { "+", "+0", "+1", "+2", "+3" };
	char subject[160];
	size_t n, k;

	for (k = 0; k < LWS_ARRAY_SIZE(to); k++)
		for (n = 0; n < LWS_ARRAY_SIZE(none); n++) {
			snprintf(subject, sizeof(subject), "a.%.11s.%s", node,
				 to[k]);
			wild_send(w, subject, NULL, none[n], strlen(none[n]));
		}
}

/* The queue is still the one that it was: a worker acks its jobs. */
static void
answers_to_a_worker(void **state)
{
	struct field *f = *state;
	struct remote *healthy, *r;
	struct subjects s;

	f->options.lease_secs = 3000;
	start(f);
	s.w = wild_open(f);
	r = overhear(f, &s);
	healthy = healthy_begins(f);
	send_answers(s.w, s.front + 2);
	send_answers(s.w, s.worker + 2);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	wild_close(s.w);
	healthy_ends(healthy);
	assert_int_equal(board_lines("is not served yet"), 0);
}

/* ... and a front does not publish once more what was given back to it. */
static void
answers_to_a_front(void **state)
{
	struct field *f = *state;
	struct subjects s;
	struct remote *r;

	f->options.lease_secs = 3000;
	f->worker_threads = 1;
	f->worker_busy = 1;
	start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_serving(f, &f->nodes[0], 1);
	worker_drain(f, &f->nodes[0]);
	s.w = wild_open(f);
	wild_listen(s.w, "a.>");
	until(f, hears_one, &s);
	send_answers(s.w, s.msg.subject + strlen(f->prefix) + 3);
	until_secs(f, 1);
	assert_int_equal(wild_jobs(s.w), 1);
	wild_close(s.w);
	f->worker_busy = 0;
	worker_start(f);
	until_ended(r);
	assert_complete(r);
	assert_int_equal(r->board->begun, 1);
	until_no_jobs(f);
}

/* That there is nothing for a pull that nobody made: the consumer is not made
 * anew. */
static void
ends_of_no_pull(void **state)
{
	struct remote *healthy, *r;
	struct field *f = *state;
	struct subjects s;
	char subject[160];
	int n;

	f->options.lease_secs = 3000;
	start(f);
	s.w = wild_open(f);
	r = overhear(f, &s);
	healthy = healthy_begins(f);
	wild_close(s.w);
	s.w = wild_open(f);
	wild_listen(s.w, "a.>");
	for (n = 0; n < LIES; n++) {
		snprintf(subject, sizeof(subject), "t.%.11s.%d-%d-4000000",
			 s.worker + 2, KIND_RESUME, n % 64);
		wild_status(s.w, subject, n & 1 ? "404" : "503");
	}
	until_secs(f, 2);
	while (!wild_next(s.w, &s.msg))
		assert_null(strchr(s.msg.subject, '+'));
	wild_close(s.w);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	healthy_ends(healthy);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(jobs_that_are_none),
	FIELD_TEST(jobs_that_are_changed),
	FIELD_TEST(job_of_no_max_chunk),
	FIELD_TEST(job_that_lingers_for_ever),
	FIELD_TEST(first_credit_of_too_much),
	FIELD_TEST(credit_that_cannot_be),
	FIELD_TEST(one_chunk_too_many),
	FIELD_TEST(garbage),
	FIELD_TEST(lies_to_the_front),
	FIELD_TEST(lies_to_the_worker),
	FIELD_TEST(false_chunk),
	FIELD_TEST(large_chunk),
	FIELD_TEST(answers_to_a_worker),
	FIELD_TEST(answers_to_a_front),
	FIELD_TEST(ends_of_no_pull),
};

FIELD_MAIN(tests)
