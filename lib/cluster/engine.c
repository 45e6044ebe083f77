/*
 * lws-threadpool-cluster - the connection to NATS
 *
 * SPDX-License-Identifier: MIT
 *
 * libnats connects again by itself once it was connected; the first connection,
 * and one after it gave up, is made by lwstpc_engine_connect().  Whoever sends
 * holds the lock for reading, so that the connection stays; only connect() and
 * close() change it.
 *
 * Each subscription has a thread of libnats's.  It holds the owner (arg) until
 * it has ended.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#include "nats.h"

#define JOB	 ".job."
#define JOB_LEN	 (sizeof(JOB) - 1)
#define FLUSH_MS 1000 /* for what a close has to tell */

/*
 * What comes
 */

/* what a pull brings has the subject that it was published with */
static bool
is_job(const struct lwstpc_engine *e, const char *subject)
{
	size_t prefix = strlen(e->o.prefix);

	return !strncmp(subject, e->o.prefix, prefix) &&
	       !strncmp(subject + prefix, JOB, JOB_LEN);
}

static void
on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	struct inlet *inlet = arg;
	struct lwstpc_engine *e = inlet->engine;
	const char *subject = natsMsg_GetSubject(msg);

	(void)nc;
	(void)sub;
	if (atomic_load(&e->closed))
		natsMsg_Destroy(msg);
	else if (inlet->number == LWSTPC_IN_TAKE && is_job(e, subject))
		e->calls.came(e->arg, LWSTPC_IN_JOB,
			      subject + strlen(e->o.prefix) + JOB_LEN,
			      (struct lwstpc_msg *)msg);
	else if (strlen(subject) < inlet->before)
		natsMsg_Destroy(msg);
	else
		e->calls.came(e->arg, inlet->number, subject + inlet->before,
			      (struct lwstpc_msg *)msg);
}

static void
on_complete(void *arg)
{
	struct inlet *inlet = arg;

	if (inlet->number == LWSTPC_IN_TAKE)
		atomic_fetch_sub(&inlet->engine->takes, 1);
	inlet->engine->calls.drop(inlet->engine->arg);
}

/* What libnats tells of a connection may come late: when it is gone, and there
 * is another */
static bool
is_ours(struct lwstpc_engine *e, natsConnection *nc)
{
	bool ours;

	pthread_rwlock_rdlock(&e->lock);
	ours = e->nc == nc;
	pthread_rwlock_unlock(&e->lock);

	return ours && !atomic_load(&e->closed);
}

static void
on_up(natsConnection *nc, void *arg)
{
	struct lwstpc_engine *e = arg;

	if (is_ours(e, nc))
		e->calls.up(e->arg);
}

static void
on_down(natsConnection *nc, void *arg)
{
	struct lwstpc_engine *e = arg;

	if (is_ours(e, nc))
		e->calls.down(e->arg);
}

static void
on_closed(natsConnection *nc, void *arg)
{
	struct lwstpc_engine *e = arg;

	on_down(nc, arg);
	e->calls.drop(e->arg);
}

/* libnats's own would write to stderr.  That something is not permitted is told
 * once for each connection. */
static void
on_error(natsConnection *nc, natsSubscription *sub, natsStatus status,
	 void *arg)
{
	struct lwstpc_engine *e = arg;
	const char *text = NULL;

	(void)sub;
	if (status == NATS_NOT_PERMITTED &&
	    !atomic_exchange(&e->warned_rights, true)) {
		natsConnection_GetLastError(nc, &text);
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: the engine says no: %s\n",
			   text ? text : natsStatus_GetText(status));
		return;
	}
	lwstpc_log(LLL_INFO, "%s: %s\n", __func__, natsStatus_GetText(status));
}

/*
 * The connection
 */

static natsStatus
set_options(natsOptions *no, struct lwstpc_engine *e)
{
	natsStatus s = lwstpc_nats_options(no, &e->o);

	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(no, on_error, e);
	if (s == NATS_OK)
		s = natsOptions_SetDisconnectedCB(no, on_down, e);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(no, on_up, e);
	if (s == NATS_OK)
		s = natsOptions_SetClosedCB(no, on_closed, e);

	return s;
}

static void
subject_of(struct lwstpc_engine *e, enum lwstpc_inlet n,
	   char subject[LWSTPC_SUBJECT])
{
	static const char letters[LWSTPC_INLETS] = {
		[LWSTPC_IN_FRONT] = 'f',
		[LWSTPC_IN_CONTROL] = 'w',
		[LWSTPC_IN_TAKE] = 't',
		[LWSTPC_IN_ANSWER] = 'a',
	};

	if (n == LWSTPC_IN_SPENT)
		lwstpc_subject_spent(e, subject);
	else if (n == LWSTPC_IN_FIND)
		snprintf(subject, LWSTPC_SUBJECT, "%s.find.*", e->o.prefix);
	else
		snprintf(subject, LWSTPC_SUBJECT, "%s.%c.%s.*", e->o.prefix,
			 letters[n], e->node);
}

static natsStatus
subscribe(struct lwstpc_engine *e, natsConnection *nc, enum lwstpc_inlet n,
	  natsSubscription **sub)
{
	char subject[LWSTPC_SUBJECT];
	natsStatus s;

	if (n == LWSTPC_IN_TAKE && atomic_load(&e->no_takes))
		return NATS_OK;
	subject_of(e, n, subject);
	s = natsConnection_Subscribe(sub, nc, subject, on_message,
				     &e->inlets[n]);
	if (s != NATS_OK)
		return s;
	if (n == LWSTPC_IN_TAKE)
		atomic_fetch_add(&e->takes, 1);
	e->calls.hold(e->arg);
	s = natsSubscription_SetOnCompleteCB(*sub, on_complete, &e->inlets[n]);
	if (s != NATS_OK) {
		if (n == LWSTPC_IN_TAKE)
			atomic_fetch_sub(&e->takes, 1);
		e->calls.drop(e->arg);
		return s;
	}

	/* what may be on its way is bounded by our own credit */
	return natsSubscription_SetPendingLimits(*sub, -1, -1);
}

/* The thread that reads has ended before any subscription goes: before libnats
 * 3.6.1 it may still have one at hand that was just freed */
static void
destroy(natsConnection *nc, natsSubscription *subs[LWSTPC_INLETS])
{
	int n;

	natsConnection_Close(nc);
	for (n = 0; n < LWSTPC_INLETS; n++)
		natsSubscription_Destroy(subs[n]);
	natsConnection_Destroy(nc);
}

/* a new connection, with all its subscriptions, or NULL */
static natsConnection *
connection(struct lwstpc_engine *e, natsSubscription *subs[LWSTPC_INLETS],
	   natsStatus *s)
{
	natsConnection *nc = NULL;
	natsOptions *no = NULL;
	int n;

	*s = natsOptions_Create(&no);
	if (*s == NATS_OK)
		*s = set_options(no, e);
	if (*s == NATS_OK)
		*s = natsConnection_Connect(&nc, no);
	natsOptions_Destroy(no);
	if (*s != NATS_OK)
		return NULL;
	e->calls.hold(e->arg); /* until on_closed() */
	for (n = 0; n < LWSTPC_INLETS && *s == NATS_OK; n++)
		*s = subscribe(e, nc, (enum lwstpc_inlet)n, &subs[n]);
	if (*s == NATS_OK)
		return nc;
	destroy(nc, subs);

	return NULL;
}

/* without the user and the password that it may have */
static void
warn(struct lwstpc_engine *e, natsStatus s)
{
	const char *at = strrchr(e->o.url, '@'), *why = nats_GetLastError(NULL);

	if (!e->warned)
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s cannot be reached: %s\n",
			   at ? at + 1 : e->o.url,
			   why && *why ? why : natsStatus_GetText(s));
	e->warned = true;
}

/* takes the connection away from everybody */
static natsConnection *
take_away(struct lwstpc_engine *e, natsSubscription *subs[LWSTPC_INLETS])
{
	natsConnection *nc;
	int n;

	pthread_rwlock_wrlock(&e->lock);
	nc = e->nc;
	e->nc = NULL;
	for (n = 0; n < LWSTPC_INLETS; n++) {
		subs[n] = e->inlets[n].sub;
		e->inlets[n].sub = NULL;
	}
	pthread_rwlock_unlock(&e->lock);

	return nc;
}

static void
end_connection(struct lwstpc_engine *e)
{
	natsSubscription *subs[LWSTPC_INLETS];
	natsConnection *nc = take_away(e, subs);

	destroy(nc, subs);
}

/* false: it was closed meanwhile */
static bool
give_to_all(struct lwstpc_engine *e, natsConnection *nc,
	    natsSubscription *subs[LWSTPC_INLETS])
{
	bool up;
	int n;

	pthread_rwlock_wrlock(&e->lock);
	up = !atomic_load(&e->closed);
	for (n = 0; up && n < LWSTPC_INLETS; n++)
		e->inlets[n].sub = subs[n];
	if (up)
		e->nc = nc;
	pthread_rwlock_unlock(&e->lock);

	return up;
}

void
lwstpc_engine_connect(struct lwstpc_engine *e)
{
	natsSubscription *subs[LWSTPC_INLETS] = { NULL };
	natsConnection *nc;
	bool given_up;
	natsStatus s;

	pthread_rwlock_rdlock(&e->lock);
	nc = e->nc;
	given_up = nc && natsConnection_IsClosed(nc);
	pthread_rwlock_unlock(&e->lock);
	if (given_up)
		end_connection(e);
	if ((nc && !given_up) || atomic_load(&e->closed))
		return;
	nc = connection(e, subs, &s);
	if (!nc) {
		warn(e, s);
		return;
	}
	if (!give_to_all(e, nc, subs)) {
		destroy(nc, subs);
		return;
	}
	/* it may have been said while nobody else had the connection */
	if (atomic_load(&e->no_takes))
		lwstpc_take_end(e);
	e->warned = false;
	atomic_store(&e->warned_rights, false);
	e->calls.up(e->arg);
}

void
lwstpc_engine_close(struct lwstpc_engine *e)
{
	pthread_rwlock_rdlock(&e->lock);
	if (e->nc && natsConnection_Status(e->nc) == NATS_CONN_STATUS_CONNECTED)
		natsConnection_FlushTimeout(e->nc, FLUSH_MS);
	pthread_rwlock_unlock(&e->lock);
	atomic_store(&e->closed, true);
	end_connection(e);
}

struct lwstpc_engine *
lwstpc_engine_create(const struct lwstpc_engine_options *options,
		     const char *node, const struct lwstpc_engine_calls *calls,
		     void *arg)
{
	struct lwstpc_engine *e = calloc(1, sizeof(*e));
	char subject[LWSTPC_SUBJECT];
	unsigned int n;

	if (!e)
		return NULL;
	if (pthread_rwlock_init(&e->lock, NULL)) {
		free(e);
		return NULL;
	}
	e->o = *options;
	e->calls = *calls;
	e->arg = arg;
	snprintf(e->node, sizeof(e->node), "%s", node);
	for (n = 0; n < LWSTPC_INLETS; n++) {
		subject_of(e, (enum lwstpc_inlet)n, subject);
		e->inlets[n].engine = e;
		e->inlets[n].number = (enum lwstpc_inlet)n;
		e->inlets[n].before = strlen(subject) - 1;
	}

	return e;
}

void
lwstpc_engine_free(struct lwstpc_engine *e)
{
	if (!e)
		return;
	pthread_rwlock_destroy(&e->lock);
	free(e->o.url);
	free(e->o.creds_file);
	free(e->o.ca_file);
	free(e->o.cert_file);
	free(e->o.key_file);
	free(e);
}
