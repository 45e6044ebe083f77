/*
 * lws-threadpool unit tests - what is logged, kept to be looked for
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread adds lines, under the log's mutex.
 */

#include "harness.h"

#define LOG_LINES  20000
#define LOG_LEVELS (LLL_ERR | LLL_WARN | LLL_NOTICE | LLL_USER | LLL_THREAD)

struct log_line {
	int level;
	bool claimed;
	char text[200];
};

static struct {
	pthread_mutex_t lock;
	struct log_line *lines;
	int count;
	int lost;
} lg = { .lock = PTHREAD_MUTEX_INITIALIZER };

void (*_Atomic log_told)(const char *line);

/* This thread is in lws_create_context(), which tells much at NOTICE, and some
 * at WARN of a second context.  lws has one level for all threads, so it is not
 * for us to lower it meanwhile. */
static _Thread_local bool making;

/* From 5.0 on lws leaves out a line that is the same as the one before.  So we
 * put one between them, which goes nowhere. */
static void
log_between(int level)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 5000000
	_lws_log(level, "between\n");
#else
	(void)level;
#endif
}

static void
log_line(int level, const char *line)
{
	struct log_line *l;

	/* lws's own: 4.1.6 tells of each event library that it loads, 4.3 of
	 * each wsi that comes and goes, that a second context has no netlink
	 * socket, and that nobody heard its messages while a slow machine made
	 * thousands of connections; all tell of certificates after a while */
	if (level == LLL_NOTICE && strstr(line, "cert expiry"))
		return;
	if (getenv("LWSTP_UNIT_EVLIB") && level == LLL_NOTICE &&
	    !strstr(line, "lws_threadpool"))
		return;
	if (LWS_LIBRARY_VERSION_NUMBER >= 4003000 &&
	    ((level == LLL_NOTICE && !strstr(line, "lws_threadpool")) ||
	     strstr(line, "netlink bind failed") ||
	     strstr(line, "lws_smd_message_pending: timing out")))
		return;

	pthread_mutex_lock(&lg.lock);
	if (!lg.lines)
		lg.lines = calloc(LOG_LINES, sizeof(*lg.lines));
	if (!lg.lines || lg.count == LOG_LINES) {
		if (level & (LLL_ERR | LLL_WARN | LLL_NOTICE))
			lg.lost++;
	} else {
		l = &lg.lines[lg.count++];
		l->level = level;
		l->claimed = false;
		snprintf(l->text, sizeof(l->text), "%s", line);
		l->text[strcspn(l->text, "\n")] = '\0';
	}
	pthread_mutex_unlock(&lg.lock);
	if (getenv("LWSTP_UNIT_VERBOSE"))
		fprintf(stderr, "[%x] %s", (unsigned int)level, line);
}

static void
log_emit(int level, const char *line)
{
	static _Thread_local bool between;
	void (*told)(const char *line) = atomic_load(&log_told);

	if (between || (making && level != LLL_ERR))
		return;
	log_line(level, line);
	if (told)
		told(line);
	between = true;
	log_between(level);
	between = false;
}

static int
log_find(int level, const char *text, bool claim)
{
	int n, found = 0;

	pthread_mutex_lock(&lg.lock);
	for (n = 0; n < lg.count; n++)
		if (lg.lines[n].level == level &&
		    strstr(lg.lines[n].text, text)) {
			found++;
			lg.lines[n].claimed |= claim;
		}
	pthread_mutex_unlock(&lg.lock);

	return found;
}

int
log_count(int level, const char *text)
{
	return log_find(level, text, false);
}

int
log_claim(int level, const char *text)
{
	return log_find(level, text, true);
}

struct log_lines {
	int level;
	const char *text;
	int n;
};

static bool
log_has(void *arg)
{
	struct log_lines *l = arg;

	return log_count(l->level, l->text) >= l->n;
}

void
log_wait_(int level, const char *text, int n, const char *file, int line)
{
	struct log_lines l = { level, text, n };

	wait_until_(log_has, &l, text, file, line);
}

static int
log_walk_unclaimed(bool print)
{
	int n, found;

	pthread_mutex_lock(&lg.lock);
	found = lg.lost;
	if (print && found)
		print_error("  %d more than the log holds\n", found);
	for (n = 0; n < lg.count; n++)
		if ((lg.lines[n].level & (LLL_ERR | LLL_WARN | LLL_NOTICE)) &&
		    !lg.lines[n].claimed) {
			found++;
			if (print)
				print_error("  unexpected log, level %d: %s\n",
					    lg.lines[n].level,
					    lg.lines[n].text);
		}
	pthread_mutex_unlock(&lg.lock);

	return found;
}

int
log_unclaimed(void)
{
	return log_walk_unclaimed(false);
}

void
log_print_unclaimed(void)
{
	log_walk_unclaimed(true);
}

void
log_making(bool begins)
{
	making = begins;
}

/* lws tells of each event of libev, in the one static buffer that it writes all
 * lines into: so not there, for a worker's line that meets one would be lost */
static int
log_levels(void)
{
	return evloop_is("ev") ? LOG_LEVELS & ~LLL_NOTICE : LOG_LEVELS;
}

#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
static _Thread_local lws_log_cx_t own;

void
log_own(struct lws_context_creation_info *info)
{
	memset(&own, 0, sizeof(own));
	own.u.emit = log_emit;
	own.lll_flags = (uint32_t)log_levels();
	info->log_cx = &own;
}

int
log_own_uses(void)
{
	return own.refcount;
}
#else
void
log_own(struct lws_context_creation_info *info)
{
	(void)info;
}

int
log_own_uses(void)
{
	return -1;
}
#endif

void
log_on(void)
{
	lws_set_log_level(log_levels(), log_emit);
}

void
log_off(void)
{
	lws_set_log_level(0, log_emit);
}

void
log_info(void)
{
	lws_set_log_level(log_levels() | LLL_INFO, log_emit);
}

void
log_forget(void)
{
	pthread_mutex_lock(&lg.lock);
	lg.count = 0;
	lg.lost = 0;
	pthread_mutex_unlock(&lg.lock);
}

void
log_free(void)
{
	pthread_mutex_lock(&lg.lock);
	free(lg.lines);
	lg.lines = NULL;
	lg.count = 0;
	lg.lost = 0;
	pthread_mutex_unlock(&lg.lock);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN
#endif

#if defined(UNDER_TSAN)
const char *
__tsan_default_suppressions(void);

/* libwebsockets with LWS_MAX_SMP 1 writes every line that it logs into a static
 * buffer: its own lines and those of a worker may meet there.  (From 4.3 on by
 * functions of lws that hide their caller, since it is not built with TSan; or
 * by the checked vsnprintf(), which nothing else here calls.) */
const char *
__tsan_default_suppressions(void)
{
	if (LWS_LIBRARY_VERSION_NUMBER < 4003000)
		return "race:_lws_logv\n";

	return "race:_lws_logv\nrace:lws_snprintf\nrace:lws_strncpy\n"
	       "race_top:__vsnprintf_chk\n";
}
#endif
