/*
 * lws-threadpool - a C++ program that uses the library from outside
 *
 * SPDX-License-Identifier: MIT
 *
 * As embed.c, by our own header and with what it adds.
 */

#include <lws-threadpool.h>
#include <atomic>
#include <cstdio>
#include <unistd.h>

namespace
{

constexpr int calls_wanted = 4;

struct job {
	struct lws_context *context = nullptr;
	int line = 0;
	int calls = 0;
	std::atomic<int> cleanups{ 0 };
};

/* from top to bottom: two of its calls go on by a SYNC, which without a wsi is
 * CHECKING_IN, and by a park */
enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	job *j = static_cast<job *>(user);

	LWS_TP_TASK_BEGIN(&j->line, s);
	j->calls++;
	LWS_TP_TASK_CHECK_IN(&j->line);
	for (j->calls = 2; j->calls < calls_wanted; j->calls++)
		if (j->calls & 1)
			LWS_TP_TASK_SYNC(&j->line);
		else
			LWS_TP_TASK_PARK(&j->line, 1000);
	LWS_TP_TASK_END(&j->line);
}

void
job_cleanup(struct lws *, void *user)
{
	job *j = static_cast<job *>(user);

	j->cleanups++;
	lws_cancel_service(j->context);
}

bool
run(job &j)
{
	struct lws_threadpool_create_args create = {};
	struct lws_threadpool_options options = {};
	struct lws_threadpool_task_args args = {};
	struct lws_threadpool_task_options task = {};
	int threads = 0;

	create.threads = 2;
	create.max_queue_depth = 8;
	options.size = sizeof(options);
	options.sync_timeout_secs = -1;
	options.pin_tasks = 1;
	struct lws_threadpool *tp = lws_threadpool_create_ext(
		j.context, &create, &options, "embed");
	if (!tp)
		return false;

	lws_threadpool_diagnose(tp, nullptr, &threads, nullptr);
	lws_threadpool_wsi_event(nullptr, LWS_CALLBACK_GET_THREAD_ID);

	args.task = job_task;
	args.cleanup = job_cleanup;
	args.user = &j;
	task.size = sizeof(task);
	task.queue_ms = task.life_ms = 60000;
	if (lws_threadpool_enqueue_ext(tp, &args, &task, "job"))
		while (!j.cleanups && lws_service(j.context, 0) >= 0)
			;
	enum lws_threadpool_refused why = lws_threadpool_refused();

	/* stale handles and NULL: nothing, but they link */
	lws_threadpool_task_wake(nullptr);
	lws_threadpool_destroy(tp);

	return threads == create.threads && why == LWS_TP_REFUSED_NONE &&
	       !lws_threadpool_this_task() &&
	       !lws_threadpool_task_attached(nullptr) &&
	       lws_threadpool_end_status() == LWS_TP_STATUS_STOPPED &&
	       lws_threadpool_end_reason() == LWS_TP_STOP_NONE;
}

} /* namespace */

int
main()
{
	struct lws_context_creation_info info = {};
	job j;

	alarm(60);
	lws_set_log_level(LLL_ERR | LLL_WARN, nullptr);

	info.port = CONTEXT_PORT_NO_LISTEN;
	j.context = lws_create_context(&info);
	if (!j.context) {
		std::fprintf(stderr, "embed: no context\n");
		return 1;
	}

	bool good = run(j);
	lws_context_destroy(j.context);
	std::printf("C++: %d calls, %d cleanup\n", j.calls, j.cleanups.load());

	return !good || j.calls != calls_wanted || j.cleanups != 1;
}
