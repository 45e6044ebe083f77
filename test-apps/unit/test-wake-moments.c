/*
 * lws-threadpool unit tests - T10, T9: wakes at any moment, of which none is
 * lost
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* A task's letters.  It is called for each, or for several, and parks between
 * them; the end is when it has them all. */
struct box {
	atomic_int mail;   /* put there, and not taken */
	atomic_int got;	   /* taken, all in all */
	int most;	   /* ends with these */
	unsigned int dice; /* the task's own */
	bool sober;	   /* only parks, for ever */
};

/* parks for ever, mostly, and does something else now and then */
static int
take_mail(struct job *j, enum lws_threadpool_task_status s)
{
	struct box *box = j->priv;
	int got;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	got = atomic_exchange(&box->mail, 0);
	if (atomic_fetch_add(&box->got, got) + got >= box->most)
		return LWS_TP_RETURN_FINISHED;
	box->dice = box->dice * 1103515245u + 12345u;
	switch (box->sober ? 9 : box->dice >> 16 & 15) {
	case 0:
		return LWS_TP_RETURN_CHECKING_IN;
	case 1:
		return LWS_TP_RETURN_SYNC;
	case 2:
		return (int)lws_threadpool_park(0);
	case 3:
		return (int)lws_threadpool_park(box->dice >> 20 & 63);
	case 4:
		lws_threadpool_park(0);
		return (int)lws_threadpool_park(-1);
	default:
		return (int)lws_threadpool_park(-1);
	}
}

static struct job *
mail_job(struct rig *rig, struct box *box, int most, unsigned int seed)
{
	struct job *j = job_new(rig);

	memset(box, 0, sizeof(*box));
	box->most = most;
	box->dice = seed;
	j->fn = take_mail;
	j->priv = box;

	return j;
}

static void
post(struct job *j)
{
	atomic_fetch_add(&((struct box *)j->priv)->mail, 1);
	lws_threadpool_task_wake(j->task);
}

#define BOXES	12
#define POSTERS 3

struct poster {
	pthread_t thread;
	struct job **jobs;
	int first; /* ... of its own jobs */
	int letters;
};

/* each letter only when the one before has been taken: the moment when the task
 * has taken it, and is about to park, is the next one's */
static void *
post_when_taken(void *arg)
{
	struct poster *p = arg;

	for (int n = 0; n < p->letters; n++)
		for (int b = p->first; b < BOXES; b += POSTERS) {
			struct box *box = p->jobs[b]->priv;

			wait_int(&box->got, n);
			post(p->jobs[b]);
		}

	return NULL;
}

/* to everybody's, without waiting for anything */
static void *
post_to_all(void *arg)
{
	struct poster *p = arg;

	for (int n = 0; n < p->letters; n++)
		for (int b = 0; b < BOXES; b++)
			post(p->jobs[(b + p->first) % BOXES]);

	return NULL;
}

static void
all_letters_arrive(struct rig *rig, int threads, bool sober,
		   void *(*how)(void *), int letters, int most)
{
	struct lws_threadpool *tp = rig_pool(rig, threads, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct poster posters[POSTERS];
	struct box boxes[BOXES];
	struct job *jobs[BOXES];

	for (int b = 0; b < BOXES; b++) {
		jobs[b] = mail_job(rig, &boxes[b], most, (unsigned int)b);
		boxes[b].sober = sober;
		assert_non_null(job_enqueue(tp, jobs[b],
					    b & 1 ? c->wsi : NULL));
	}
	for (int n = 0; n < POSTERS; n++) {
		posters[n] = (struct poster){
			.jobs = jobs, .first = n, .letters = letters
		};
		assert_int_equal(pthread_create(&posters[n].thread, NULL, how,
						&posters[n]),
				 0);
	}
	for (int b = 0; b < BOXES; b++)
		rig_until_int(rig, &jobs[b]->cleanups, 1);
	for (int n = 0; n < POSTERS; n++)
		pthread_join(posters[n].thread, NULL);
	for (int b = 0; b < BOXES; b++) {
		assert_int_equal(atomic_load(&boxes[b].got), most);
		assert_int_equal(atomic_load(&jobs[b]->stopping), 0);
	}
}

static void
none_is_lost(void **state)
{
	for (int threads = 1; threads < 4; threads++) {
		all_letters_arrive(*state, threads, true, post_when_taken, 200,
				   200);
		all_letters_arrive(*state, threads, false, post_when_taken, 200,
				   200);
	}
}

static void
none_of_a_crowd_is_lost(void **state)
{
	for (int threads = 1; threads < 4; threads++)
		all_letters_arrive(*state, threads, threads & 1, post_to_all,
				   500, POSTERS * 500);
}

struct pong {
	struct job *other;
	atomic_int balls; /* for this one to play */
	int plays;
};

/* plays each ball to the other one, and parks: nobody else wakes them */
static int
play(struct job *j, enum lws_threadpool_task_status s)
{
	struct pong *p = j->priv, *to = p->other->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	for (int n = atomic_exchange(&p->balls, 0); n; n--) {
		p->plays++;
		atomic_fetch_add(&to->balls, 1);
		lws_threadpool_task_wake(p->other->task);
	}

	return p->plays < 3000 ? (int)lws_threadpool_park(-1) :
				 LWS_TP_RETURN_FINISHED;
}

/* T10: two tasks that wake each other, on one thread and on two */
static void
two_wake_each_other(void **state)
{
	struct rig *rig = *state;

	for (int threads = 1; threads < 3; threads++) {
		struct lws_threadpool *tp = rig_pool(rig, threads, 10);
		struct job *j[2] = { job_new(rig), job_new(rig) };
		struct pong p[2] = { { .other = j[1] }, { .other = j[0] } };

		for (int n = 0; n < 2; n++) {
			j[n]->fn = play;
			j[n]->priv = &p[n];
			job_enqueue(tp, j[n], NULL);
			wait_int(&j[n]->returns, 1);
		}
		atomic_store(&p[0].balls, 1);
		lws_threadpool_task_wake(j[0]->task);
		wait_int(&j[0]->cleanups, 1);
		wait_int(&j[1]->cleanups, 1);
		assert_int_equal(p[0].plays + p[1].plays, 6000);
	}
}

/* T9: a time that comes as somebody wakes it: called for one of the two, or for
 * both, and never not */
static void
wakes_at_the_moment_of_its_time(void **state)
{
	static const lws_usec_t little = 30;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	volatile int spin;

	for (int n = 0; n < 1000; n++) {
		struct job *j = park_job(rig, 3, &little);

		job_enqueue(tp, j, NULL);
		for (int wakes = 0; wakes < 3; wakes++) {
			for (spin = 0; spin < (n * 37) % 3000; spin++)
				;
			lws_threadpool_task_wake(j->task);
		}
		wait_int(&j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 4);
	}
}

struct wakes {
	pthread_t thread;
	_Atomic(struct lws_threadpool_task *) task;
	atomic_int quit;
};

static void *
wake_on_and_on(void *arg)
{
	struct wakes *w = arg;

	while (!atomic_load(&w->quit)) {
		lws_threadpool_task_wake(atomic_load(&w->task));
		sched_yield();
	}

	return NULL;
}

/* one of the ways to end it, while it parks and is woken */
static void
end_it(struct rig *rig, struct job *j, struct conn *c, int how)
{
	switch (how % 4) {
	case 0:
		lws_threadpool_task_sync(j->task, 1);
		break;
	case 1:
		lws_threadpool_dequeue_task(j->task);
		break;
	case 2:
		conn_fin(c);
		conn_until_closed(c);
		break;
	default:
		break;
	}
	rig_until_int(rig, &j->cleanups, 1);
}

/* T10, T4, Q6: a thread that wakes handles which may become stale at any
 * moment, and whose place may be taken: the harness sees a second STOPPING, or
 * a call after it */
static void
wakes_at_any_moment_of_an_end(void **state)
{
	static const lws_usec_t times[] = { -1, 0, 20, 1000 };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct wakes w[2];
	volatile int spin;

	memset(w, 0, sizeof(w));
	for (int n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&w[n].thread, NULL,
						wake_on_and_on, &w[n]),
				 0);
	for (int n = 0; n < 400; n++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j = park_job(rig, n % 4 == 3 ? 5 : INT32_MAX,
					 &times[n / 4 % 4]);

		job_enqueue(tp, j, c->wsi);
		atomic_store(&w[n & 1].task, j->task);
		for (spin = 0; spin < (n * 37) % 3000; spin++)
			;
		end_it(rig, j, c, n);
		if (c->wsi)
			conn_fin(c);
		conn_until_closed(c);
	}
	for (int n = 0; n < 2; n++) {
		atomic_store(&w[n].quit, 1);
		pthread_join(w[n].thread, NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(none_is_lost),
		RIG_TEST(none_of_a_crowd_is_lost),
		RIG_TEST(two_wake_each_other),
		RIG_TEST(wakes_at_the_moment_of_its_time),
		RIG_TEST(wakes_at_any_moment_of_an_end),
	};

	return cmocka_run_group_tests_name("T10 moments", tests, NULL, NULL);
}
